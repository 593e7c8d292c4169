import CTraceRecords
import TraceContainer

/// The contexts of draft models, found before the events are read: a draft model computes the prompt, too, and that
/// before anything was drafted.
///
/// Reads up to the end of the first draft call with a token step inside. Contexts that come later are learnt when they
/// draft.
func findDraftContexts(_ trace: TraceFile, _ info: TraceInfo) -> Set<UInt64> {
  guard info.count(RecordType.draftBegin) > 0, var reader = try? trace.reader() else { return [] }
  var search = DraftSearch()
  var buffer: [UInt8] = []
  var damage: [Damage] = []
  while !search.isOver, let chunk = reader.next(&damage) {
    guard chunk.groups.contains(where: { DraftSearch.types.contains($0.type) }),
      let groups = try? reader.decode(chunk, into: &buffer)
    else { continue }
    buffer.withUnsafeBytes { search.add(groups, in: $0) }
  }
  return search.contexts
}

private struct DraftSearch {
  static let types: Set<UInt8> = [RecordType.tokenBegin, RecordType.draftBegin, RecordType.draftEnd]

  private(set) var contexts: Set<UInt64> = []
  private(set) var isOver = false
  /// Threads that draft at the moment.
  private var drafting: Set<UInt32> = []

  private struct Event {
    var time: UInt64
    var thread: UInt32
    var type: UInt8
    var context: UInt64
  }

  mutating func add(_ groups: [RecordGroup], in bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    var events: [Event] = []
    for group in groups
    where Self.types.contains(group.type) && group.recordBytes >= MemoryLayout<pi_record>.size
      && group.byteOffset + group.recordBytes * group.count <= bytes.count
    {
      for i in 0..<group.count {
        let record = RecordView(
          base: base + group.byteOffset + i * group.recordBytes, byteCount: group.recordBytes)
        events.append(
          Event(
            time: record.time, thread: record.tid, type: group.type,
            context: group.type == RecordType.tokenBegin ? record.read(pi_token_begin.self)?.context ?? 0 : 0)
        )
      }
    }
    for event in events.sorted(by: { $0.time < $1.time }) where !isOver { add(event) }
  }

  private mutating func add(_ event: Event) {
    switch event.type {
    case RecordType.draftBegin: drafting.insert(event.thread)
    case RecordType.draftEnd:
      if drafting.remove(event.thread) != nil, !contexts.isEmpty { isOver = true }
    default:
      if event.context != 0, drafting.contains(event.thread) { contexts.insert(event.context) }
      if contexts.count >= RunBuilder.maxCallers { isOver = true }
    }
  }
}
