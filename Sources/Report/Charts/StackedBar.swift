import Statistics

/// A part of a bar.
struct Segment {
  var name: String
  /// Class of its colour: see the style sheet.
  var colour: String
  var value: Double
  /// Its value in words.
  var text: String
}

/// Shares of a whole as one bar, each part with its share where there is room.
struct StackedBar {
  var label: String
  var segments: [Segment]
  /// Behind the bar, such as what the whole is.
  var note: String
  /// Length of the bar, 0…1 of the room.
  var length = 1.0

  var html: HTML {
    let total = segments.reduce(0) { $0 + max($1.value, 0) }
    guard total > 0 else {
      return
        "<div class=\"bar-row\"><span class=\"bar-label\">\(label)</span><span class=\"note\">\(note)</span></div>"
    }
    let parts = segments.filter { $0.value > 0 }.map { segment -> HTML in
      let share = segment.value / total
      let text = formatShare(share)
      // Less than this has no room for digits, even on a wide page.
      let shown: HTML = share * length >= 0.07 ? "<span>\(share * 100, digits: 0)&#8239;%</span>" : ""
      return """
        <div class="seg \(segment.colour)" style="width:\(share * 100, digits: 3)%" \
        data-tip="\(segment.name)&#10;\(segment.text), \(text)">\(shown)</div>
        """
    }
    let words = segments.filter { $0.value > 0 }
      .map { "\($0.name) \(formatShare($0.value / total))" }.joined(separator: ", ")
    return """
      <div class="bar-row"><span class="bar-label">\(label)</span>\
      <div class="bar" role="img" aria-label="\(label): \(words)" style="width:\(length * 100, digits: 2)%">\
      \(parts)</div><span class="note">\(note)</span></div>
      """
  }

  /// Names of the colours of several bars.
  static func legend(_ entries: [(name: String, colour: String)]) -> HTML {
    let items = entries.map { "<li><i class=\"\($0.colour)\"></i>\($0.name)</li>" as HTML }
    return "<ul class=\"legend\">\(items)</ul>"
  }
}
