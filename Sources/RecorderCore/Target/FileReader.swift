import CRecorderShim
import ProbeSites

/// Reads files of the target in a child process.
///
/// A file with everything in it has 15 MB of code, and what is read of it stays in the reader's memory, of which the
/// recorder wants to have little for as long as it runs. And a file made to crash its reader crashes a child.
enum FileReader {
  /// The facts of each file, nil where it is no file of the engine or could not be read. In the order of `paths`.
  static func facts(of paths: [String]) throws(RecorderError) -> [FileFacts?] {
    guard !paths.isEmpty else { return [] }
    let request = Request(paths)
    var bytes: UInt64 = 0
    let answer = shim_run_in_child(
      Unmanaged.passUnretained(request).toOpaque(),
      { context, output in
        guard let context else { return }
        Unmanaged<Request>.fromOpaque(context).takeUnretainedValue().work(into: output)
      }, &bytes)
    guard let answer else {
      throw RecorderError("cannot read the target's files in a child process: \(System.lastErrorText)")
    }
    defer { shim_unmap(answer, bytes) }
    var reader = FactReader(UnsafeRawBufferPointer(start: answer, count: Int(bytes)))
    // What a child that died did not write is nil.
    return paths.map { _ in reader.bool() == true ? reader.facts() : nil }
  }

  private final class Request {
    let paths: [String]

    init(_ paths: [String]) { self.paths = paths }

    /// In the child.
    func work(into output: Int32) {
      for path in paths {
        var writer = FactWriter()
        if let facts = read(path) {
          writer.bool(true)
          writer.facts(facts)
        } else {
          writer.bool(false)
        }
        _ = writer.bytes.withUnsafeBytes { shim_write_all(output, $0.baseAddress, UInt64($0.count)) }
      }
    }

    private func read(_ path: String) -> FileFacts? {
      guard let file = MappedFile(path: path) else { return nil }
      do throws(ELFError) { return FileFacts(of: try ELFFile(file.bytes)) } catch { return nil }
    }
  }
}
