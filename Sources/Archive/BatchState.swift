import Foundation
import Synchronization

/// What the slots of a batch share.
final class BatchState: Sendable {
  let traces: [TraceFinder.Found]
  private let report: @Sendable (Batch.Progress) -> Void
  private let shared: Mutex<Shared>

  private struct Shared {
    var next = 0
    var results: [Batch.Result?]
    var claimed: Set<ContentID> = []
    var deferred: [Int] = []
    var failure: ArchiveError?
    var progress: Batch.Progress
  }

  init(_ traces: [TraceFinder.Found], _ report: @escaping @Sendable (Batch.Progress) -> Void) {
    self.traces = traces
    self.report = report
    let bytes = traces.reduce(0) { $0 &+ ($1.bytes ?? 0) }
    shared = Mutex(
      Shared(
        results: Array(repeating: nil, count: traces.count),
        progress: Batch.Progress(traces: traces.count, leftBytes: bytes)))
  }

  /// The next trace; nil behind the last, and once results cannot be written.
  func next() -> Int? {
    shared.withLock { shared in
      guard shared.failure == nil, shared.next < traces.count else { return nil }
      defer { shared.next += 1 }
      return shared.next
    }
  }

  /// False while another slot is at this content.
  func claim(_ id: ContentID) -> Bool { shared.withLock { $0.claimed.insert(id).inserted } }

  func release(_ id: ContentID) { shared.withLock { _ = $0.claimed.remove(id) } }

  func putOff(_ index: Int) { shared.withLock { $0.deferred.append(index) } }

  func finish(_ index: Int, _ result: Batch.Result) {
    shared.withLock { shared in
      shared.results[index] = result
      let bytes = traces[index].bytes ?? 0
      shared.progress.done += 1
      shared.progress.leftBytes &-= bytes
      switch result {
      case .read: shared.progress.readBytes &+= bytes
      case .known: break
      case .bad: shared.progress.bad += 1
      }
      report(shared.progress)
    }
  }

  func fail(_ error: ArchiveError) { shared.withLock { if $0.failure == nil { $0.failure = error } } }

  var deferred: [Int] { shared.withLock(\.deferred).sorted() }
  var failure: ArchiveError? { shared.withLock(\.failure) }
  var results: [(path: FilePath, result: Batch.Result)] {
    shared.withLock { shared in
      zip(traces, shared.results).compactMap { trace, result in result.map { (trace.path, $0) } }
    }
  }
}

/// Keeps a second batch away from an archive; the kernel lets go when the process ends, however it does.
struct BatchLock {
  let descriptor: Int32

  init(_ folder: String) throws(ArchiveError) {
    let path = "\(folder)/.lock"
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .writing(path) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw .inUse(folder)
    }
  }

  func release() {
    // Closing alone would not let go while a process that another batch is just starting still has the descriptor.
    flock(descriptor, LOCK_UN)
    close(descriptor)
  }
}
