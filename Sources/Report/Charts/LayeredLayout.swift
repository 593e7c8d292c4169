/// Places the boxes of a directed graph in rows, so that every edge goes down: rows by the longest path, the order in a
/// row by the barycentres of the neighbours, and the places across by what keeps edges straight.
///
/// Boxes are given in an order in which edges go forward, such as that of execution; an edge that does not is left out.
struct LayeredLayout {
  struct Point: Equatable {
    var x: Double
    var y: Double
  }

  struct Route {
    /// Index in the edges given.
    var edge: Int
    /// From the lower side of a box to the upper side of another; two for every row between, where it enters and
    /// leaves it.
    var points: [Point]
  }

  /// Centres of the boxes.
  private(set) var centres: [Point] = []
  private(set) var routes: [Route] = []
  private(set) var width = 0.0
  private(set) var height = 0.0

  private static let gap = 18.0
  private static let rowGap = 26.0
  /// Room for an edge that passes a row.
  private static let passWidth = 10.0
  /// Places in rows that are laid out at most, edges that pass a row among them.
  private static let placeLimit = 20_000
  private static let sweeps = 16

  /// - Parameters:
  ///   - sizes: width and height of each box.
  ///   - edges: indexes of boxes.
  init(sizes: [(width: Double, height: Double)], edges: [(from: Int, to: Int)]) {
    guard !sizes.isEmpty else { return }
    let usable = edges.indices.filter { edges[$0].from < edges[$0].to && edges[$0].to < sizes.count }
    var rank = Self.ranks(sizes.count, usable.map { edges[$0] })
    Self.pullDown(&rank, usable.map { edges[$0] })

    var grid = Grid(rank: rank, widths: sizes.map(\.width))
    var chains: [(edge: Int, places: [Int])] = []
    for index in usable {
      let (from, to) = edges[index]
      guard grid.places.count + rank[to] - rank[from] <= Self.placeLimit else { break }
      chains.append((index, grid.connect(from, to, passWidth: Self.passWidth)))
    }
    grid.order(sweeps: Self.sweeps)
    grid.placeAcross(gap: Self.gap, sweeps: Self.sweeps)

    // Rows are as high as their highest box.
    var rowHeights = [Double](repeating: 0, count: (rank.max() ?? 0) + 1)
    for (box, size) in sizes.enumerated() { rowHeights[rank[box]] = max(rowHeights[rank[box]], size.height) }
    var middle: [Double] = []
    var top = 0.0
    for rowHeight in rowHeights {
      middle.append(top + rowHeight / 2)
      top += rowHeight + Self.rowGap
    }
    height = max(top - Self.rowGap, 0)
    let left = grid.places.map { $0.x - $0.width / 2 }.min() ?? 0
    width = (grid.places.map { $0.x + $0.width / 2 }.max() ?? 0) - left
    centres = sizes.indices.map { Point(x: grid.places[$0].x - left, y: middle[rank[$0]]) }
    routes = chains.map { index, places in
      let (from, to) = edges[index]
      let inner = places.dropFirst().dropLast().flatMap { place -> [Point] in
        let (x, row) = (grid.places[place].x - left, grid.places[place].row)
        return [
          Point(x: x, y: middle[row] - rowHeights[row] / 2),
          Point(x: x, y: middle[row] + rowHeights[row] / 2),
        ]
      }
      let start = Point(x: centres[from].x, y: centres[from].y + sizes[from].height / 2)
      let end = Point(x: centres[to].x, y: centres[to].y - sizes[to].height / 2)
      return Route(edge: index, points: [start] + inner + [end])
    }
  }

  /// The longest path to each box.
  private static func ranks(_ count: Int, _ edges: [(from: Int, to: Int)]) -> [Int] {
    var rank = [Int](repeating: 0, count: count)
    // In the order of the boxes all that leads to one is known before it.
    for edge in edges.sorted(by: { ($0.from, $0.to) < ($1.from, $1.to) }) {
      rank[edge.to] = max(rank[edge.to], rank[edge.from] + 1)
    }
    return rank
  }

  /// Moves what nothing leads to down to just above what it leads to.
  private static func pullDown(_ rank: inout [Int], _ edges: [(from: Int, to: Int)]) {
    let reached = Set(edges.map(\.to))
    var next: [Int: Int] = [:]
    for edge in edges where !reached.contains(edge.from) {
      next[edge.from] = min(next[edge.from] ?? .max, rank[edge.to])
    }
    for (box, row) in next { rank[box] = row - 1 }
  }
}

/// Boxes, and the places where edges pass a row, row by row.
private struct Grid {
  struct Place {
    var row: Int
    var width: Double
    var x = 0.0
  }

  /// The boxes first, in their order.
  private(set) var places: [Place]
  private(set) var rows: [[Int]]
  private var above: [[Int]]
  private var below: [[Int]]

  init(rank: [Int], widths: [Double]) {
    places = zip(rank, widths).map { Place(row: $0, width: $1) }
    rows = Array(repeating: [], count: (rank.max() ?? 0) + 1)
    for (box, row) in rank.enumerated() { rows[row].append(box) }
    above = Array(repeating: [], count: rank.count)
    below = above
  }

  /// Leads an edge through the rows between; returns its places from box to box.
  mutating func connect(_ from: Int, _ to: Int, passWidth: Double) -> [Int] {
    var chain = [from]
    for row in (places[from].row + 1)..<places[to].row {
      rows[row].append(places.count)
      chain.append(places.count)
      places.append(Place(row: row, width: passWidth))
      above.append([])
      below.append([])
    }
    chain.append(to)
    for (upper, lower) in zip(chain, chain.dropFirst()) {
      below[upper].append(lower)
      above[lower].append(upper)
    }
    return chain
  }

  // MARK: - Order in the rows

  mutating func order(sweeps: Int) {
    var best = (rows: rows, crossings: crossings())
    for sweep in 0..<sweeps where best.crossings > 0 {
      let isDown = sweep % 2 == 0
      let order = isDown ? Array(rows.indices.dropFirst()) : rows.indices.dropLast().reversed()
      var position = positions()
      for row in order {
        let neighbours = isDown ? above : below
        let barycentres = rows[row].map { place -> Double in
          let near = neighbours[place]
          guard !near.isEmpty else { return Double(position[place]) }
          return near.reduce(0.0) { $0 + Double(position[$1]) } / Double(near.count)
        }
        rows[row] = zip(barycentres, rows[row]).enumerated()
          .sorted { ($0.element.0, $0.offset) < ($1.element.0, $1.offset) }.map(\.element.1)
        for (index, place) in rows[row].enumerated() { position[place] = index }
      }
      let count = crossings()
      if count < best.crossings { best = (rows, count) }
    }
    rows = best.rows
  }

  private func positions() -> [Int] {
    var position = [Int](repeating: 0, count: places.count)
    for row in rows { for (index, place) in row.enumerated() { position[place] = index } }
    return position
  }

  /// Pairs of edges that cross.
  private func crossings() -> Int {
    let position = positions()
    var count = 0
    for row in rows {
      // In the order of their upper ends, edges cross as often as their lower ends are out of order.
      let ends = row.flatMap { place in below[place].map { position[$0] }.sorted() }
      guard ends.count > 1 else { continue }
      var seen = FenwickTree(count: (ends.max() ?? 0) + 1)
      for (index, end) in ends.enumerated() {
        count += index - seen.sum(through: end)
        seen.add(end)
      }
    }
    return count
  }

  // MARK: - Places across

  mutating func placeAcross(gap: Double, sweeps: Int) {
    for row in rows { spread(row, towards: row.map { _ in 0 }, gap: gap) }
    for sweep in 0..<sweeps {
      let isDown = sweep % 2 == 0
      for row in isDown ? Array(rows.indices) : rows.indices.reversed() {
        let wanted = rows[row].map { place -> Double in
          let near = isDown ? above[place] : below[place]
          guard !near.isEmpty else { return places[place].x }
          return near.reduce(0.0) { $0 + places[$1].x } / Double(near.count)
        }
        spread(rows[row], towards: wanted, gap: gap)
      }
    }
  }

  /// Moves the places of a row as near as they can to where they are wanted, keeping their order and distances: those
  /// that push each other move together, to the mean of what they want.
  private mutating func spread(_ row: [Int], towards wanted: [Double], gap: Double) {
    struct Block {
      var first: Int
      var sum: Double
      var count: Double
      var mean: Double { sum / count }
    }
    var offsets: [Double] = []
    var offset = 0.0
    for (index, place) in row.enumerated() {
      if index > 0 { offset += (places[row[index - 1]].width + places[place].width) / 2 + gap }
      offsets.append(offset)
    }
    var blocks: [Block] = []
    for index in row.indices {
      blocks.append(Block(first: index, sum: wanted[index] - offsets[index], count: 1))
      while blocks.count > 1, blocks[blocks.count - 2].mean >= blocks[blocks.count - 1].mean {
        let last = blocks.removeLast()
        blocks[blocks.count - 1].sum += last.sum
        blocks[blocks.count - 1].count += last.count
      }
    }
    for (number, block) in blocks.enumerated() {
      let end = number + 1 < blocks.count ? blocks[number + 1].first : row.count
      for index in block.first..<end { places[row[index]].x = block.mean + offsets[index] }
    }
  }
}

/// Counts numbers up to a bound.
private struct FenwickTree {
  private var sums: [Int]

  init(count: Int) { sums = Array(repeating: 0, count: count + 1) }

  mutating func add(_ number: Int) {
    var index = number + 1
    while index < sums.count {
      sums[index] += 1
      index += index & -index
    }
  }

  func sum(through number: Int) -> Int {
    var (index, sum) = (number + 1, 0)
    while index > 0 {
      sum += sums[index]
      index -= index & -index
    }
    return sum
  }
}
