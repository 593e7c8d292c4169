/// How a time grows with the context: a robust plane over the position of a token and the length of the
/// key-value cache that its graph reads.
///
/// Slopes are medians of the slopes between pairs of points (Theil and Sen), so that a third of the steps may
/// be outliers. The engine pads the cache (to 256 cells in llama.cpp): what is computed over all of it costs
/// the same within a padded length and rises in stairs, what skips the padding rises with each position. The
/// first slope is taken within lengths only and the second between them, so that neither hides the other.
public struct ContextFit: Sendable, Equatable {
  /// Nanoseconds at position 0 with an empty cache.
  public var base: Double
  /// Nanoseconds for one more position.
  public var perPosition: Double
  /// Nanoseconds for one more cell of the padded cache.
  public var perCell: Double
  /// Median distance of the points from the plane, nanoseconds.
  public var spread: Double

  /// Nanoseconds expected at a place, never negative.
  public func value(at place: ContextPlace) -> Int64 {
    let value = base + perPosition * Double(place.position ?? 0) + perCell * Double(place.cells ?? 0)
    guard value > 0 else { return 0 }
    return Int64(min(value + 0.5, 0x1p60))
  }
}

/// Where in the context a token step was.
public struct ContextPlace: Sendable, Hashable {
  /// Of its first token in the sequence; nil where it was not recorded.
  public var position: Int?
  /// Cells of the key-value cache that its graph reads, padding included; nil where the structure does not
  /// tell.
  public var cells: Int?

  public init(position: Int?, cells: Int?) {
    self.position = position
    self.cells = cells
  }
}

/// Steps in some 200 bins at most of neighbouring positions, for fits of which the cost does not depend on
/// the number of steps. A bin stands for its steps with its medians.
struct ContextBins {
  private struct Bin {
    /// A range of `order`.
    var steps: Range<Int>
    var position: Double
    var cells: Int
  }

  /// Bins, and half as many more where lengths of the cache begin new ones: at most 18,336 pairs.
  static let limit = 128
  /// Positions are told apart from noise with this many bins only.
  private static let leastBins = 8

  private var bins: [Bin] = []
  /// Steps as the caller numbers them, sorted by cache length and position.
  private var order: [Int]
  private let hasPositions: Bool

  /// - Parameter places: of the steps, numbered by their position in the array.
  init(_ places: [ContextPlace]) {
    order = Array(places.indices)
    hasPositions = !places.isEmpty && places.allSatisfy { $0.position != nil }
    // Where the cache is not padded, its length says nothing that the position does not say.
    let lengths = Set(places.map(\.cells))
    let tellsLengths = !lengths.contains(nil) && lengths.count <= Self.limit / 2
    func cells(_ step: Int) -> Int { tellsLengths ? places[step].cells ?? 0 : 0 }
    func position(_ step: Int) -> Int { places[step].position ?? 0 }
    guard hasPositions else { return }
    order.sort { (cells($0), position($0), $0) < (cells($1), position($1), $1) }
    let size = (order.count + Self.limit - 1) / Self.limit
    var start = 0
    while start < order.count {
      let length = cells(order[start])
      var end = start
      while end < order.count, end - start < size, cells(order[end]) == length { end += 1 }
      let middle = order[start + (end - start) / 2]
      bins.append(Bin(steps: start..<end, position: Double(position(middle)), cells: length))
      start = end
    }
  }

  /// Fits a value of the steps; a constant where positions are not known or too few.
  ///
  /// - Parameter value: of a step by its number.
  func fit(_ value: (Int) -> Int64) -> ContextFit {
    guard hasPositions, bins.count >= Self.leastBins else { return constant(value) }
    var scratch: [Double] = []
    let heights = bins.map { bin in
      scratch.removeAll(keepingCapacity: true)
      for index in bin.steps { scratch.append(Double(value(order[index]))) }
      return median(&scratch)
    }
    let slope = slopeWithinLengths(heights, &scratch)
    var fit = ContextFit(base: 0, perPosition: slope, perCell: 0, spread: 0)
    fit.perCell = slopeBetweenLengths(heights, slope, &scratch)
    scratch = bins.indices.map {
      heights[$0] - slope * bins[$0].position - fit.perCell * Double(bins[$0].cells)
    }
    fit.base = median(&scratch)
    scratch = bins.indices.map {
      (heights[$0] - fit.base - slope * bins[$0].position - fit.perCell * Double(bins[$0].cells)).magnitude
    }
    fit.spread = median(&scratch)
    return isSignificant(fit) ? fit : constant(value)
  }

  /// Whether a fit rises, or falls, by more from the first place to the last one than it would by chance. The
  /// standard error of that is some five spreads over the root of the number of points.
  private func isSignificant(_ fit: ContextFit) -> Bool {
    let positions = bins.map(\.position)
    let cells = bins.map { Double($0.cells) }
    guard let first = positions.min(), let last = positions.max(), let low = cells.min(),
      let high = cells.max()
    else { return false }
    let rise = (fit.perPosition * (last - first) + fit.perCell * (high - low)).magnitude
    return rise > 10 * fit.spread / Double(bins.count).squareRoot()
  }

  private func constant(_ value: (Int) -> Int64) -> ContextFit {
    var values = order.map { Double(value($0)) }
    let middle = median(&values)
    for index in values.indices { values[index] = (values[index] - middle).magnitude }
    return ContextFit(base: middle, perPosition: 0, perCell: 0, spread: median(&values))
  }

  private func slopeWithinLengths(_ heights: [Double], _ slopes: inout [Double]) -> Double {
    slopes.removeAll(keepingCapacity: true)
    collect(heights, &slopes) { $0 == $1 }
    // Lengths of one bin each: they and the positions say the same.
    if slopes.count < bins.count / 2 {
      slopes.removeAll(keepingCapacity: true)
      collect(heights, &slopes) { _, _ in true }
    }
    return median(&slopes)
  }

  private func collect(_ heights: [Double], _ slopes: inout [Double], _ counts: (Int, Int) -> Bool) {
    for right in bins.indices {
      for left in 0..<right where counts(bins[left].cells, bins[right].cells) {
        let distance = bins[right].position - bins[left].position
        if distance != 0 { slopes.append((heights[right] - heights[left]) / distance) }
      }
    }
  }

  private func slopeBetweenLengths(_ heights: [Double], _ slope: Double, _ scratch: inout [Double]) -> Double
  {
    var levels: [(cells: Double, height: Double)] = []
    var start = 0
    while start < bins.count {
      let end = bins[start...].firstIndex { $0.cells != bins[start].cells } ?? bins.count
      if end - start > 1 || end - start == bins.count {
        scratch.removeAll(keepingCapacity: true)
        for index in start..<end { scratch.append(heights[index] - slope * bins[index].position) }
        levels.append((Double(bins[start].cells), median(&scratch)))
      }
      start = end
    }
    scratch.removeAll(keepingCapacity: true)
    for right in levels.indices {
      for left in 0..<right {
        scratch.append(
          (levels[right].height - levels[left].height) / (levels[right].cells - levels[left].cells))
      }
    }
    return median(&scratch)
  }
}

/// The middle of the values, the mean of two in the middle, 0 of none. Sorts them.
func median(_ values: inout [Double]) -> Double {
  guard !values.isEmpty else { return 0 }
  values.sort()
  let middle = values.count / 2
  return values.count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2
}
