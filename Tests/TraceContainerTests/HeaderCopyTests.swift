import Testing
import TraceContainer

/// Headers looked at in a copy say the same as headers looked at in place, whatever is wrong with them.
@Suite struct HeaderCopyTests {
  /// Headers up to the first error, and that error; `room` bytes are copied of each, nil: none.
  private func walk(_ trace: [UInt8], room: Int?) -> (chunks: [Chunk], error: TraceError?) {
    var chunks: [Chunk] = []
    do {
      try trace.withUnsafeBytes { bytes in
        var reader = try TraceReader(bytes)
        while true {
          let chunk =
            if let room {
              try reader.nextChunk { offset, buffer in
                let count = min(bytes.count - offset, buffer.count, room)
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
                return count
              }
            } else {
              try reader.nextChunk()
            }
          guard let chunk else { return }
          chunks.append(chunk)
        }
      }
      return (chunks, nil)
    } catch {
      return (chunks, error as? TraceError)
    }
  }

  private func expectSame(_ trace: [UInt8], room: Int = .max) {
    let (inPlace, copied) = (walk(trace, room: nil), walk(trace, room: room))
    #expect(copied.chunks == inPlace.chunks && copied.error == inPlace.error)
  }

  @Test(arguments: DamageTests.traces + [DamageTests.golden])
  func wholeCutAndFlipped(trace: [UInt8]) {
    expectSame(trace)
    #expect(walk(trace, room: .max).chunks.count > 2)
    for length in 64..<trace.count { expectSame(Array(trace[..<length])) }
    for at in 64..<min(trace.count, 700) {
      var damaged = trace
      damaged[at] ^= 0x10
      expectSame(damaged)
    }
  }

  /// As of a file system that returns less than it was asked for, or tables larger than the copy.
  @Test(arguments: [0, 1, 63, 64, 80, 100])
  func shortCopies(room: Int) { expectSame(DamageTests.compressed, room: room) }
}
