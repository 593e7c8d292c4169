/// A part of a page.
struct PageSection {
  /// Anchor and, for the script and tests, its name; in the navigation too.
  var id: String
  var title: String
  /// What one sees here, and how to read it.
  var lead: HTML = .empty
  var body: HTML
}

/// What all pages have around their content: style, script, navigation and footer, all in one file.
struct PageFrame {
  var title: String
  var sections: [PageSection]
  var header: HTML
  var footer: HTML
  /// For the script; JSON that cannot end its element.
  var data: HTML = "null"

  var html: HTML {
    let links = sections.map {
      "<li><a href=\"#\($0.id)\">\($0.id.prefix(1).uppercased() + $0.id.dropFirst())</a></li>" as HTML
    }
    let parts = sections.map { section -> HTML in
      let lead: HTML = section.lead.isEmpty ? "" : "<p class=\"lead\">\(section.lead)</p>"
      return """
        <section id="\(section.id)" aria-labelledby="\(section.id)-title">
        <h2 id="\(section.id)-title">\(section.title)</h2>\(lead)
        \(section.body)</section>

        """
    }
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta http-equiv="Content-Security-Policy" \
      content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <meta name="referrer" content="no-referrer">
      <title>\(title)</title>
      <style>
      \(HTML.resource(PackageResources.report_css))</style>
      </head>
      <body>
      <nav aria-label="Sections"><ul>\(links)</ul>\
      <button type="button" id="theme" hidden>Theme: auto</button></nav>
      <main>
      \(header)\(parts)</main>
      <footer><p>\(footer)</p></footer>
      <div id="tip" role="status" hidden></div>
      <script type="application/json" id="token-data">\(data)</script>
      <script>
      \(HTML.resource(PackageResources.report_js))</script>
      </body>
      </html>

      """
  }
}
