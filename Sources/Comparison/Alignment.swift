import TraceModel

/// A step with its times by the columns of a comparison.
struct AlignedStep: Sendable {
  var stratum: Int
  var total: Double
  var times: [Double]
}

/// The steps of a phase that both sides have: of the same number of tokens and in the same range of positions.
///
/// Within that, steps are put into strata of the same number of tokens and neighbouring positions; a stratum weighs
/// the same on both sides, so that neither the mix of prompts nor the growing context shows as a change.
struct Alignment: Sendable {
  /// Steps by run of each side.
  var first: [[AlignedStep]]
  var second: [[AlignedStep]]
  /// Share of each stratum; the sum is 1.
  var weights: [Double]
  /// Positions compared; nil where a recording does not tell positions.
  var positions: ClosedRange<Int>?
  /// Steps that only one side has something comparable to.
  var leftOut: (first: Int, second: Int) = (0, 0)

  /// Strata are not made smaller than this many steps a run.
  private static let leastSteps = 16
  private static let mostStrata = 16

  /// nil where no step of one side is comparable with one of the other.
  init?(
    _ first: [(steps: [SampledStep], columns: [Int])], _ second: [(steps: [SampledStep], columns: [Int])],
    width: Int
  ) {
    let runs = first + second
    guard !first.isEmpty, !second.isEmpty, runs.allSatisfy({ !$0.steps.isEmpty }) else { return nil }
    let counts = runs.map { Set($0.steps.map { $0.tokenCount ?? -1 }) }
    let tokens = counts.dropFirst().reduce(counts[0]) { $0.intersection($1) }.sorted()
    var number = 0
    var places: [Int: (base: Int, low: Int, size: Int, count: Int)] = [:]
    var low = Int.max
    var high = Int.min
    for count in tokens {
      let alike = runs.map { run in run.steps.filter { ($0.tokenCount ?? -1) == count } }
      // Prompts are cut into micro-batches: positions do not make a stratum there.
      let known = count == 1 && alike.allSatisfy { $0.allSatisfy { $0.position != nil } }
      guard known else {
        places[count] = (number, 0, 0, 1)
        number += 1
        continue
      }
      let ends = alike.map { steps in
        steps.reduce((Int.max, Int.min)) { (min($0.0, $1.position ?? 0), max($0.1, $1.position ?? 0)) }
      }
      let (from, to) = (ends.map(\.0).max() ?? 0, ends.map(\.1).min() ?? 0)
      guard from <= to else { continue }
      let inside =
        alike.map { $0.count { ($0.position ?? 0) >= from && ($0.position ?? 0) <= to } }.min() ?? 0
      let strata = min(max(inside / Self.leastSteps, 1), Self.mostStrata)
      let size = (to &- from) / strata + 1
      places[count] = (number, from, size, strata)
      number += strata
      (low, high) = (min(low, from), max(high, to))
    }
    guard number > 0 else { return nil }
    positions = low <= high ? low...high : nil

    var aligned: [[AlignedStep]] = []
    for run in runs {
      aligned.append(
        run.steps.compactMap { step in
          guard let place = places[step.tokenCount ?? -1] else { return nil }
          var stratum = place.base
          if place.size > 0 {
            let offset = (step.position ?? 0) &- place.low
            guard offset >= 0, offset / place.size < place.count, (step.position ?? 0) <= high else {
              return nil
            }
            stratum += offset / place.size
          }
          var times = [Double](repeating: 0, count: width)
          for (slot, time) in step.times.enumerated() { times[run.columns[slot]] += Double(time) }
          return AlignedStep(stratum: stratum, total: Double(step.total), times: times)
        })
    }
    // A stratum that a run lacks has nothing to be compared with.
    var sizes = [Int](repeating: 0, count: number)
    var isWhole = [Bool](repeating: true, count: number)
    for steps in aligned {
      var own = [Int](repeating: 0, count: number)
      for step in steps { own[step.stratum] += 1 }
      for stratum in 0..<number {
        sizes[stratum] += own[stratum]
        if own[stratum] == 0 { isWhole[stratum] = false }
      }
    }
    let kept = (0..<number).filter { isWhole[$0] }
    guard !kept.isEmpty else { return nil }
    let renumbered = Dictionary(uniqueKeysWithValues: zip(kept, 0...))
    let sum = Double(kept.reduce(0) { $0 + sizes[$1] })
    weights = kept.map { Double(sizes[$0]) / sum }
    let result = aligned.map { steps in
      steps.compactMap { step -> AlignedStep? in
        guard let stratum = renumbered[step.stratum] else { return nil }
        var step = step
        step.stratum = stratum
        return step
      }
    }
    self.first = Array(result.prefix(first.count))
    self.second = Array(result.dropFirst(first.count))
    leftOut = (
      zip(first, self.first).reduce(0) { $0 + $1.0.steps.count - $1.1.count },
      zip(second, self.second).reduce(0) { $0 + $1.0.steps.count - $1.1.count }
    )
  }
}
