import Testing

@testable import Report

@Suite struct LayoutTests {
  private func layout(_ count: Int, _ edges: [(Int, Int)]) -> LayeredLayout {
    LayeredLayout(
      sizes: Array(repeating: (width: 100, height: 40), count: count), edges: edges.map { (from: $0, to: $1) }
    )
  }

  /// A layer: norm, three products, attention, a product, and the sum with what came in.
  private static let layer = [(0, 1), (1, 2), (1, 3), (1, 4), (2, 5), (3, 5), (4, 5), (5, 6), (6, 7), (0, 7)]

  @Test func edgesGoDown() {
    let layout = layout(8, Self.layer)
    #expect(layout.routes.count == Self.layer.count)
    for (from, to) in Self.layer { #expect(layout.centres[from].y < layout.centres[to].y) }
    for route in layout.routes {
      for (upper, lower) in zip(route.points, route.points.dropFirst()) { #expect(upper.y < lower.y) }
    }
  }

  @Test func boxesDoNotOverlap() {
    let layout = layout(8, Self.layer)
    for a in layout.centres.indices {
      #expect(layout.centres[a].x >= 50 && layout.centres[a].x <= layout.width - 50)
      for b in layout.centres.indices where b > a && layout.centres[a].y == layout.centres[b].y {
        #expect(abs(layout.centres[a].x - layout.centres[b].x) >= 100)
      }
    }
  }

  @Test func aChainIsStraight() {
    let layout = layout(4, [(0, 1), (1, 2), (2, 3)])
    #expect(Set(layout.centres.map(\.x)) == [50])
    #expect(layout.width == 100)
    #expect(layout.height == 4 * 40 + 3 * 26)
  }

  @Test func crossingsAreAvoided() {
    // In the order given both edges of the second row cross.
    let layout = layout(5, [(0, 1), (0, 2), (1, 4), (2, 3)])
    #expect((layout.centres[1].x < layout.centres[2].x) == (layout.centres[4].x < layout.centres[3].x))
  }

  @Test func aSourceStandsAboveWhatItLeadsTo() {
    let layout = layout(5, [(0, 1), (1, 2), (2, 4), (3, 4)])
    #expect(layout.centres[3].y == layout.centres[2].y)
  }

  @Test func edgesBackwardsAndOutsideAreLeftOut() {
    let layout = layout(3, [(0, 1), (1, 0), (2, 2), (1, 7), (1, 2)])
    #expect(layout.routes.map(\.edge) == [0, 4])
  }

  @Test func nothingIsLaidOutAsNothing() {
    let layout = layout(0, [])
    #expect(layout.centres.isEmpty && layout.width == 0 && layout.height == 0)
  }

  @Test func aHostileGraphHasAnEnd() {
    let edges = (0..<300).flatMap { from in (from + 1..<300).map { (from, $0) } }
    let layout = layout(300, edges)
    #expect(layout.centres.count == 300)
    #expect(layout.routes.count < edges.count)
  }
}
