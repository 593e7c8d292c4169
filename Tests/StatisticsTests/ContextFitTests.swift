import Testing
import TraceModel

@testable import Statistics

@Suite struct ContextFitTests {
  /// Steps at positions 10, 11, … with the cache padded to 256 cells.
  private func fit(
    _ count: Int, padding: Int? = 256, _ time: (_ position: Int, _ cells: Int, _ step: Int) -> Int64
  ) -> ContextFit {
    let places = (0..<count).map { step in
      ContextPlace(
        position: step + 10, cells: padding.map { (step + 10) / $0 * $0 + $0 })
    }
    return ContextBins(places).fit { time(places[$0].position!, places[$0].cells ?? 0, $0) }
  }

  private func isClose(_ a: Double, _ b: Double, _ tolerance: Double = 0.01) -> Bool {
    (a - b).magnitude <= tolerance * max(a.magnitude, b.magnitude)
  }

  @Test func stairsAndRampAreToldApart() {
    let both = fit(1_500) { position, cells, _ in Int64(40_000 + 60 * position + 80 * cells) }
    #expect(isClose(both.perPosition, 60) && isClose(both.perCell, 80) && isClose(both.base, 40_000))
    #expect(both.spread < 1)
    let stairs = fit(1_500) { _, cells, _ in Int64(40_000 + 80 * cells) }
    #expect(stairs.perPosition == 0 && isClose(stairs.perCell, 80))
    let ramp = fit(1_500) { position, _, _ in Int64(40_000 + 60 * position) }
    #expect(isClose(ramp.perPosition, 60) && ramp.perCell.magnitude < 0.01)
    // Few stairs, and steps rather than bins.
    let short = fit(300) { position, cells, _ in Int64(1_000 + 2 * position + 3 * cells) }
    #expect(isClose(short.perPosition, 2) && isClose(short.perCell, 3))
  }

  @Test func aQuarterOfOutliersChangesNothing() {
    let clean = fit(1_000) { position, cells, _ in Int64(40_000 + 60 * position + 80 * cells) }
    let dirty = fit(1_000) { position, cells, step in
      Int64(40_000 + 60 * position + 80 * cells) + (step % 4 == 0 ? 3_000_000 : 0)
    }
    for position in [10, 500, 1_009] {
      let place = ContextPlace(position: position, cells: position / 256 * 256 + 256)
      #expect(isClose(Double(clean.value(at: place)), Double(dirty.value(at: place)), 0.02))
    }
  }

  @Test func withoutLengthsThePositionHasItAll() {
    let unknown = fit(600, padding: nil) { position, _, _ in Int64(500 + 7 * position) }
    #expect(isClose(unknown.perPosition, 7) && unknown.perCell == 0)
    // Not padded: a length for each step says what the position says.
    let exact = fit(600, padding: 1) { position, _, _ in Int64(500 + 7 * position) }
    #expect(isClose(exact.perPosition, 7) && exact.perCell == 0)
  }

  @Test func fewStepsOrNoPositionsAreAConstant() {
    #expect(fit(6) { position, _, _ in Int64(position * 1_000) }.perPosition == 0)
    #expect(fit(6) { position, _, _ in Int64(position * 1_000) }.base == 12_500)
    let places = [ContextPlace](repeating: ContextPlace(position: nil, cells: nil), count: 100)
    let fit = ContextBins(places).fit { Int64($0) }
    #expect(fit.base == 49.5 && fit.perPosition == 0 && fit.spread == 25)
    #expect(ContextBins([]).fit { _ in 1 }.value(at: places[0]) == 0)
  }

  @Test func valuesAreBounded() {
    let huge = ContextFit(base: 1e30, perPosition: 1e30, perCell: 0, spread: 0)
    #expect(huge.value(at: ContextPlace(position: .max, cells: .max)) == 1 << 60)
    let negative = ContextFit(base: -5, perPosition: 0, perCell: 0, spread: 0)
    #expect(negative.value(at: ContextPlace(position: 0, cells: 0)) == 0)
  }

  @Test func requestsShareAFit() {
    // The same positions again and again, as a server's.
    let places = (0..<3_000).map {
      ContextPlace(position: 20 + $0 % 300, cells: (20 + $0 % 300) / 256 * 256 + 256)
    }
    let fit = ContextBins(places).fit { Int64(9_000 + 11 * places[$0].position! + $0 % 3) }
    #expect(isClose(fit.perPosition, 11) && isClose(fit.base, 9_000))
  }
}
