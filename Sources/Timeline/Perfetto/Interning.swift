/// Strings that a sequence of packets refers to by number, each written once.
struct Interning {
  private var numbers: [String: UInt64] = [:]
  /// A hostile trace may hold any number of names; those beyond are not interned.
  private static let limit = 1 << 18

  /// The number of a string, and whether it has still to be written; nil when there are too many.
  mutating func number(of text: String) -> (number: UInt64, isNew: Bool)? {
    if let known = numbers[text] { return (known, false) }
    guard numbers.count < Self.limit else { return nil }
    let number = UInt64(numbers.count + 1)
    numbers[text] = number
    return (number, true)
  }
}

/// The interned strings of the output, and those that the next packet has to bring.
struct InternedStrings {
  private var categories = Interning()
  private var names = Interning()
  private var annotationNames = Interning()
  private var values = Interning()
  /// What is new; the encoder writes and empties it.
  var new = PerfettoInternedData()
  private(set) var hasNew = false

  mutating func takeNew() -> PerfettoInternedData {
    defer {
      new = PerfettoInternedData()
      hasNew = false
    }
    return new
  }

  mutating func category(_ name: String) -> UInt64 {
    // The categories are this module's own.
    guard let (number, isNew) = categories.number(of: name) else { return 0 }
    if isNew {
      hasNew = true
      new.eventCategories.append(
        .with {
          $0.iid = number
          $0.name = name
        })
    }
    return number
  }

  mutating func name(_ name: String, of event: inout PerfettoTrackEvent) {
    guard let (number, isNew) = names.number(of: name) else {
      event.name = name
      return
    }
    event.nameIid = number
    guard isNew else { return }
    hasNew = true
    new.eventNames.append(
      .with {
        $0.iid = number
        $0.name = name
      })
  }

  /// An annotation's name by number; nil when there are too many.
  mutating func annotationName(_ name: String) -> UInt64? {
    guard let (number, isNew) = annotationNames.number(of: name) else { return nil }
    if isNew {
      hasNew = true
      new.debugAnnotationNames.append(
        .with {
          $0.iid = number
          $0.name = name
        })
    }
    return number
  }

  /// - Parameter isRepeated: whether texts among the arguments come again and again.
  mutating func annotation(_ argument: Argument, isRepeated: Bool) -> PerfettoDebugAnnotation {
    var annotation = PerfettoDebugAnnotation()
    if let number = annotationName(argument.name) {
      annotation.nameIid = number
    } else {
      annotation.name = argument.name
    }
    switch argument.value {
    case .text(let text):
      if isRepeated, let (number, isNew) = values.number(of: text) {
        annotation.stringValueIid = number
        if isNew {
          hasNew = true
          new.debugAnnotationStringValues.append(
            .with {
              $0.iid = number
              $0.str = .init(text.utf8)
            })
        }
      } else {
        annotation.stringValue = text
      }
    case .integer(let value): annotation.intValue = value
    case .count(let value): annotation.uintValue = value
    case .number(let value): annotation.doubleValue = value
    case .flag(let value): annotation.boolValue = value
    case .address(let value): annotation.pointerValue = value
    }
    return annotation
  }
}
