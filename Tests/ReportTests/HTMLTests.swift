import Testing

@testable import Report

@Suite struct HTMLTests {
  @Test func textIsEscapedInElementsAndAttributes() {
    let name = "<script>alert(\"1\")</script>&'"
    let html: HTML = "<p title=\"\(name)\">\(name)</p>"
    let safe = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;"
    #expect(html.markup == "<p title=\"\(safe)\">\(safe)</p>")
  }

  @Test func markupGoesInUnchanged() {
    let inner: HTML = "<b>\("a<b")</b>"
    let outer: HTML = "<p>\(inner)\([inner, inner])\(7)\(1.5, digits: 1)</p>"
    #expect(outer.markup == "<p><b>a&lt;b</b><b>a&lt;b</b><b>a&lt;b</b>71.5</p>")
  }

  @Test(arguments: ["\u{202e}", "\u{200b}", "\u{0}", "\u{7f}", "\n", "\r", "\u{2028}", "\u{e0001}"])
  func charactersThatHideOrTurnTextAreShown(character: String) {
    let html: HTML = "\("a\(character)b")"
    #expect(!html.markup.unicodeScalars.contains(character.unicodeScalars.first!))
    #expect(html.markup.hasPrefix("a\\"))
    #expect(html.markup.hasSuffix("b"))
  }

  @Test func longTextIsCut() {
    let html: HTML = "\(String(repeating: "x", count: 10_000))"
    #expect(html.markup.count == 400)
    #expect(html.markup.hasSuffix("…"))
    // One character of very many scalars.
    let stacked: HTML = "\("e" + String(repeating: "\u{301}", count: 10_000))"
    #expect(stacked.markup.unicodeScalars.count == 400)
  }

  @Test func JSONCannotEndItsElement() {
    #expect(HTML.json("[\"</script><!--&\"]").markup == "[\"\\u003c/script\\u003e\\u003c!--\\u0026\"]")
  }

  @Test func whatIsUnknownIsADash() {
    let nothing: String? = nil
    let html: HTML = "<td>\(nothing)</td>"
    #expect(html.markup == "<td>–</td>")
  }
}
