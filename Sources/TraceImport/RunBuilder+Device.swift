import CTraceRecords
import GGML
import TraceModel

extension RunBuilder {
  /// A target has a handful; a hostile trace may name any number.
  private static let maxBackends = 4096

  mutating func backend(_ record: RecordView) {
    guard let value = record.read(pi_backend.self) else { return oddities.count(.shortRecord) }
    guard backends.count < Self.maxBackends || backends[value.backend] != nil else {
      return oddities.count(.tooMany)
    }
    let backend = Backend(value)
    backends[value.backend] = backend
    output.append(.backend(backend))
  }

  /// What a graph's backend is called: its kind, else its address.
  func backendName(_ address: UInt64) -> String {
    backends[address]?.kind ?? "backend 0x" + String(address, radix: 16)
  }

  mutating func beginEnqueue(_ record: RecordView, _ thread: Int, _ now: UInt64) {
    guard let caller = callerIndex(thread) else { return }
    if callerExtras[caller].enqueue != nil { oddities.count(.unendedEnqueue) }
    let structure = callers[caller].graphs.last { $0.structure != nil }?.structure
    let step = callers[caller].step?.index ?? -1
    callerExtras[caller].enqueue = EnqueueSpan(
      device: Self.deviceName(record.flags), step: Int32(truncatingIfNeeded: step),
      structure: structure?.number ?? 0, node: structure?.find(record.ref)?.node ?? -1,
      thread: ThreadID(threads[thread].tid),
      range: TimeRange(start: .init(nanoseconds: now), end: .init(nanoseconds: now)))
  }

  mutating func endEnqueue(_ record: RecordView, _ thread: Int, _ now: UInt64) {
    guard let caller = callerIndex(thread), var span = callerExtras[caller].enqueue,
      span.device == Self.deviceName(record.flags)
    else { return oddities.count(.unmatchedEnqueueEnd) }
    callerExtras[caller].enqueue = nil
    span.range.end = TraceTime(nanoseconds: now)
    output.append(.enqueue(span))
  }

  private static func deviceName(_ flags: UInt8) -> String {
    switch pi_device(rawValue: UInt32(flags)) {
    case PI_DEVICE_OPENCL: "OpenCL"
    case PI_DEVICE_ROCKCHIP: "Rockchip NPU"
    case PI_DEVICE_VULKAN: "Vulkan"
    default: "device \(flags)"
    }
  }
}

extension Backend {
  init(_ record: pi_backend) {
    var record = record
    let guid = withUnsafeBytes(of: &record.guid) { Array($0) }
    self.init(address: record.backend, guid: guid, kind: BackendKind(guid: guid)?.name)
  }
}
