/// A chart with axes.
///
/// The marks are an SVG that stretches with the page, their strokes do not; the labels are text beside it, so that they
/// can be read on a phone as on a screen, without any script.
struct Plot {
  /// Marks are drawn in a square of this side, y down.
  static let side = 10_000.0

  /// What the chart shows, for those who do not see it.
  var title: String
  /// CSS pixels.
  var height: Int
  var xTicks: [Tick] = []
  var yTicks: [Tick] = []
  /// A second scale at the right.
  var rightTicks: [Tick] = []
  var xLabel = ""
  var yLabel = ""
  var rightLabel = ""
  var marks: HTML
  /// Drawn over the marks, as text at places in per cent.
  var overlay = HTML.empty
  /// For the script; holds nothing from a trace.
  var identifier = ""

  var html: HTML {
    let grid =
      (yTicks.map { tick -> HTML in
        let y = Int((1 - tick.place) * Self.side)
        return "<path class=\"grid\" d=\"M0 \(y)H\(Int(Self.side))\"/>"
      }).joined()
    let left = yTicks.map { tick -> HTML in
      "<span style=\"bottom:\(tick.place * 100, digits: 2)%\">\(tick.label)</span>"
    }
    let right = rightTicks.map { tick -> HTML in
      "<span style=\"bottom:\(tick.place * 100, digits: 2)%\">\(tick.label)</span>"
    }
    let identity: HTML = identifier.isEmpty ? "" : " id=\"\(identifier)\""
    let rightAxis: HTML =
      rightTicks.isEmpty
      ? "" : "<div class=\"y-axis right\" aria-hidden=\"true\">\(right)</div>"
    let rightName: HTML = rightLabel.isEmpty ? "" : "<span>\(rightLabel)</span>"
    return """
      <div class="plot\(rightTicks.isEmpty ? "" : " two-scales")"\(identity)>\
      <p class="axis-names"><span>\(yLabel)</span>\(rightName)</p>\
      <div class="y-axis" aria-hidden="true">\(left)</div>\
      <div class="area" style="height:\(height)px"><svg role="img" aria-label="\(title)" \
      viewBox="0 0 \(Int(Self.side)) \(Int(Self.side))" preserveAspectRatio="none"><title>\(title)</title>\
      <g class="grid-lines">\(grid)</g>\(marks)</svg>\(overlay)</div>\(rightAxis)\
      \(Self.below(xTicks))<p class="x-name">\(xLabel)</p></div>

      """
  }

  /// The axis below a chart.
  static func below(_ ticks: [Tick]) -> HTML {
    let labels = ticks.map { tick -> HTML in
      // At the end it would reach out of the page.
      let kind: HTML = tick.place > 0.97 ? " class=\"last\"" : ""
      return "<span\(kind) style=\"left:\(tick.place * 100, digits: 2)%\">\(tick.label)</span>"
    }
    return "<div class=\"x-axis\" aria-hidden=\"true\">\(labels)</div>"
  }

  /// Coordinates in the square; y counts up.
  static func x(_ fraction: Double) -> Int { Int(min(max(fraction, 0), 1) * side) }
  static func y(_ fraction: Double) -> Int { Int((1 - min(max(fraction, 0), 1)) * side) }
}
