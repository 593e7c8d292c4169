import Foundation
import Statistics
import TraceModel

/// Operators and nodes of a phase beside what the machine can do: FLOPs a second over FLOPs for each byte moved, both
/// logarithmic. Under a slope memory limits, under a level the cores do.
struct RooflineChart {
  private let roofline: PhaseRoofline
  private let x: Axis
  private let y: Axis

  private struct Axis {
    var minimum: Double
    var maximum: Double

    /// 0…1; outside for what lies outside.
    func place(_ value: Double) -> Double { log(value / minimum) / log(maximum / minimum) }
  }

  /// A point with an intensity and a speed.
  private struct Point {
    var intensity: Double
    var rate: Double

    init?(_ performance: Performance) {
      guard let intensity = performance.intensity, let rate = performance.flopsPerSecond, intensity > 0,
        rate > 0, intensity.isFinite, rate.isFinite
      else { return nil }
      self.intensity = intensity
      self.rate = rate
    }
  }

  private static let shownNodes = 400
  private static let shownOperators = 6
  /// Points slower than this beside the fastest one or the peak would only stretch the axis.
  private static let lowest = 1e-5

  /// Returns nil where no operator has both FLOPs and bytes.
  init?(_ roofline: PhaseRoofline) {
    let points = (roofline.nodes + roofline.operators).compactMap { Point($0.performance) }
    guard !points.isEmpty else { return nil }
    self.roofline = roofline
    let ceilings = roofline.model.ceilings
    let peaks = ceilings.map { Array($0.arithmetic.values) } ?? []
    let top = (points.map(\.rate) + peaks).max() ?? 1
    let low = max(points.map(\.rate).min() ?? 1, top * Self.lowest)
    var intensities = points.filter { $0.rate >= low }.map(\.intensity)
    if let ceilings, let most = peaks.max(), ceilings.memory > 0 {
      intensities.append(most / ceilings.memory)
    }
    x = Axis(minimum: (intensities.min() ?? 1) / 2, maximum: (intensities.max() ?? 1) * 3)
    y = Axis(minimum: low / 2, maximum: top * 2)
  }

  var html: HTML {
    let wall = Double(max(roofline.whole.elapsed, 1))
    let longest = roofline.nodes.sorted { $0.performance.elapsed > $1.performance.elapsed }.prefix(
      Self.shownNodes)
    let dots = longest.compactMap { node -> HTML? in
      guard let point = Point(node.performance) else { return nil }
      let share = Double(node.performance.elapsed) / wall
      let size = share >= 0.05 ? 4 : share >= 0.01 ? 3 : share >= 0.002 ? 2 : 1
      var path = PathData()
      path.dot(Plot.x(x.place(point.intensity)), Plot.y(y.place(point.rate)))
      return """
        <path class="point s\(size) \(Self.colour(node.performance.bound))" d="\(path)" \
        data-tip="\(node.name.isEmpty ? node.op : node.name), \(node.op)\(node.type.map { " \($0)" } ?? "")&#10;\
        \(Self.text(node.performance, share: share))"/>
        """
    }
    var rings = roofline.operators.sorted { $0.performance.elapsed > $1.performance.elapsed }
      .prefix(Self.shownOperators).map { row in
        mark(
          row.performance, kind: "ring", label: row.op + (row.type.map { " \($0)" } ?? ""),
          tip: Self.text(row.performance, share: Double(row.performance.elapsed) / wall))
      }
    rings.append(
      mark(
        roofline.whole, kind: "ring whole", label: "the whole step", tip: Self.text(roofline.whole, share: 1))
    )
    return Plot(
      title: "Roofline of \(roofline.phase.rawValue): \(longest.count) nodes beside the machine's ceilings",
      height: 340,
      xTicks: Ticks.logarithmic(from: x.minimum, to: x.maximum).map {
        Tick(place: x.place($0), label: Ticks.plain($0))
      },
      yTicks: Ticks.logarithmic(from: y.minimum, to: y.maximum).map {
        Tick(place: y.place($0), label: Ticks.prefixed($0))
      }, xLabel: "floating-point operations for each byte moved", yLabel: "FLOP/s",
      marks: "\(ceilings)<g class=\"points\">\(dots)</g>",
      overlay: "<div class=\"overlay\">\(labels)\(html(rings.compactMap { $0 }))</div>"
    ).html
  }

  /// A place in the plot with its name.
  private struct Mark {
    var left: Double
    var bottom: Double
    var kind: String
    var label: String
    var tip: HTML

    /// The name at its right or left side, on a wide page: 1000 × 340 pixels.
    func box(isLeft: Bool) -> (x: ClosedRange<Double>, y: ClosedRange<Double>) {
      let width = Double(label.count) * 0.0068
      let start = isLeft ? left - 0.018 - width : left + 0.018
      return (start...start + width, bottom - 0.025...bottom + 0.025)
    }
  }

  private func mark(_ performance: Performance, kind: String, label: String, tip: HTML) -> Mark? {
    guard let point = Point(performance) else { return nil }
    let (left, bottom) = (x.place(point.intensity), y.place(point.rate))
    guard (0...1).contains(left), (0...1).contains(bottom) else { return nil }
    return Mark(left: left, bottom: bottom, kind: kind, label: label, tip: tip)
  }

  /// Marks with their names, as far as one does not lie over another: the pointer tells the others.
  private func html(_ marks: [Mark]) -> [HTML] {
    var taken: [(x: ClosedRange<Double>, y: ClosedRange<Double>)] = []
    return marks.enumerated().map { index, mark in
      let sides = mark.left > 0.75 ? [true] : [false, true]
      let side = sides.first { isLeft in
        let box = mark.box(isLeft: isLeft)
        return box.x.lowerBound >= 0 && !taken.contains { $0.x.overlaps(box.x) && $0.y.overlaps(box.y) }
      }
      if let side { taken.append(mark.box(isLeft: side)) }
      let name: HTML = side == nil ? "" : "<span>\(mark.label)</span>"
      // A phone has room for the first ones.
      let kind = mark.kind + (side == true ? " left" : "") + (index > 2 ? " minor" : "")
      return """
        <div class="\(kind)" style="left:\(mark.left * 100, digits: 2)%;bottom:\(mark.bottom * 100, digits: 2)%" \
        data-tip="\(mark.label)&#10;\(mark.tip)">\(name)</div>
        """
    }
  }

  // MARK: - Ceilings

  private var slopes: [(rate: Double, name: String, kind: String)] {
    guard let ceilings = roofline.model.ceilings else { return [] }
    var slopes = [(ceilings.memory, "memory \(formatRate(ceilings.memory, "B/s"))", "")]
    if let cache = ceilings.cache { slopes.append((cache, "cache \(formatRate(cache, "B/s"))", " cache")) }
    return slopes
  }

  private var levels: [(rate: Double, name: String)] {
    guard let ceilings = roofline.model.ceilings else { return [] }
    return [Calibration.Work.f32, .f16, .int8].compactMap { work in
      ceilings.arithmetic[work].map {
        ($0, "\(work.rawValue) \(formatRate($0, work == .int8 ? "OP/s" : "FLOP/s"))")
      }
    }
  }

  private var ceilings: HTML {
    let most = levels.map(\.rate).max() ?? y.maximum
    let rising = slopes.map { slope -> HTML in
      var path = PathData()
      let start = max(x.minimum, y.minimum / slope.rate)
      let end = min(x.maximum, most / slope.rate)
      path.move(Plot.x(x.place(start)), Plot.y(y.place(start * slope.rate)))
      path.line(Plot.x(x.place(end)), Plot.y(y.place(end * slope.rate)))
      return "<path class=\"ceiling\(slope.kind)\" d=\"\(path)\"/>"
    }
    let steepest = slopes.map(\.rate).max() ?? 1
    let flat = levels.map { level -> HTML in
      var path = PathData()
      path.move(Plot.x(x.place(max(x.minimum, level.rate / steepest))), Plot.y(y.place(level.rate)))
      path.line(Plot.x(1), Plot.y(y.place(level.rate)))
      return "<path class=\"ceiling\" d=\"\(path)\"/>"
    }
    return "\(rising)\(flat)"
  }

  private var labels: HTML {
    let rising = slopes.map { slope -> HTML in
      // On the slope, a fifth of the way up from where it enters the chart.
      let start = max(x.minimum, y.minimum / slope.rate)
      let left = x.place(start) + 0.02
      let bottom = y.place(start * slope.rate) + 0.06
      return """
        <span class="ceiling-name rising" style="left:\(left * 100, digits: 2)%;bottom:\(bottom * 100, digits: 2)%">\
        \(slope.name)</span>
        """
    }
    let flat = levels.map { level -> HTML in
      "<span class=\"ceiling-name\" style=\"right:4px;bottom:\(y.place(level.rate) * 100, digits: 2)%\">\(level.name)</span>"
    }
    return "\(rising)\(flat)"
  }

  // MARK: - Text

  static func colour(_ bound: Bound?) -> String {
    switch bound {
    case .memory: "c1"
    case .compute: "c2"
    case .overhead: "c5"
    case .unclear, nil: "c6"
    }
  }

  private static func text(_ performance: Performance, share: Double) -> HTML {
    var parts = ["\(formatShare(share)) of the time"]
    if let rate = performance.bytesPerSecond {
      parts.append(
        formatRate(rate, "B/s") + (performance.memoryShare.map { ", \(formatShare($0)) of memory" } ?? ""))
    }
    if let rate = performance.flopsPerSecond {
      parts.append(
        formatRate(rate, "FLOP/s")
          + (performance.computeShare.map { ", \(formatShare($0)) of the peak" } ?? ""))
    }
    return parts.map { "\($0)" as HTML }.joined(separator: "&#10;")
  }
}
