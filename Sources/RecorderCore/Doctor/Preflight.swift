/// What must be so before anything is started.
enum Preflight {
  static func check() throws(RecorderError) {
    let missing = MachineCheck.essential().filter { $0.verdict == .missing }
    guard let first = missing.first else { return }
    // Everything at once, so that nobody mends one thing to learn of the next.
    var hints = missing.compactMap { $0.hint }
    for other in missing.dropFirst() { hints.append("also: \(other.subject): \(other.finding)") }
    hints.append("pi-record doctor shows all that this machine lacks")
    throw RecorderError("\(first.subject): \(first.finding)", hints: hints)
  }
}
