import Foundation
import TraceContainer

/// A chunk of a trace made ready for the builder: decoded, and its records in order.
final class PreparedChunk {
  /// nil: the trace is over.
  fileprivate(set) var chunk: Chunk?
  /// What was passed over on the way to it.
  fileprivate(set) var damage: [Damage] = []
  /// Why its payload cannot be read.
  fileprivate(set) var failure: TraceError?
  fileprivate(set) var rows: [UInt8] = []
  fileprivate(set) var order = RecordOrder()
}

/// Makes the chunks of a trace ready, one after the other.
///
/// On a machine with several processors a thread of its own does that ahead of who takes them. A chunk's preparation
/// depends on nothing but the chunk, and they are taken in the order of the file, so the results are the same.
final class ChunkSource: @unchecked Sendable {
  // Either used by the thread alone, or by who takes chunks where there is no thread.
  private let trace: TraceFile
  private var reader: TraceReader
  private var released = 0

  // Slots change hands by the semaphores.
  private let slots: [PreparedChunk]
  private let free = DispatchSemaphore(value: 0)
  private let ready = DispatchSemaphore(value: 0)
  private let isAhead: Bool
  /// Chunks taken.
  private var taken = 0

  /// One is in use, one is ready, one is being prepared.
  private static let ahead = 3

  /// - Parameter threads: more than one: prepare ahead.
  init(_ trace: TraceFile, threads: Int) throws(TraceFileError) {
    self.trace = trace
    reader = try trace.reader()
    isAhead = threads > 1
    slots = (0..<(isAhead ? Self.ahead : 1)).map { _ in PreparedChunk() }
    guard isAhead else { return }
    // Signalled, as a semaphore must not end lower than it began.
    for _ in slots { free.signal() }
    let thread = Thread { self.prepareAll() }
    thread.name = "chunks"
    thread.start()
  }

  /// The next chunk, valid until the next call; nil at the end, where `damage` is what was passed over behind the last
  /// one. Must be called until then.
  func next(_ damage: inout [Damage]) -> PreparedChunk? {
    let slot = slots[taken % slots.count]
    if isAhead {
      if taken > 0 { free.signal() }
      ready.wait()
    } else {
      prepare(slot)
    }
    taken += 1
    damage += slot.damage
    return slot.chunk == nil ? nil : slot
  }

  private func prepareAll() {
    var number = 0
    repeat {
      free.wait()
      prepare(slots[number % slots.count])
      number += 1
      ready.signal()
    } while slots[(number - 1) % slots.count].chunk != nil
  }

  private func prepare(_ slot: PreparedChunk) {
    slot.damage = []
    slot.failure = nil
    slot.chunk = reader.next(&slot.damage)
    guard let chunk = slot.chunk, chunk.kind.holdsRecords else { return }
    do {
      let groups = try reader.decode(chunk, into: &slot.rows)
      slot.rows.withUnsafeBytes { slot.order.take(groups, in: $0) }
    } catch {
      slot.failure = error
    }
    if reader.position - released >= TraceFile.releaseBytes {
      trace.release(released..<reader.position)
      released = reader.position
    }
  }

  /// Processors that this process may run on; those of the machine where the system does not tell.
  static var processors: Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let mask = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed:") }?.split(separator: "\t")
      .last
    let count = mask?.compactMap(\.hexDigitValue).reduce(0) { $0 + $1.nonzeroBitCount } ?? 0
    return count > 0 ? count : ProcessInfo.processInfo.activeProcessorCount
  }
}
