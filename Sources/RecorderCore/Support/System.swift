import CRecorderShim

/// The C shim's calls with Swift's types. No Foundation: the same code runs as Embedded Swift.
enum System {
  static func text(of error: Int32) -> String { String(cString: shim_error_text(error)) }

  static var lastError: Int32 { shim_errno() }
  static var lastErrorText: String { text(of: shim_errno()) }

  /// The whole content of a small file (procfs, sysfs, configuration), nil where it cannot be read.
  static func contents(of path: String, limit: Int = 4 << 20) -> [UInt8]? {
    let descriptor = shim_open_read(path)
    guard descriptor >= 0 else { return nil }
    defer { shim_close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 16384)
    while bytes.count < limit {
      let got = block.withUnsafeMutableBytes { shim_read(descriptor, $0.baseAddress, UInt64($0.count)) }
      guard got > 0 else { return got == 0 ? bytes : nil }
      bytes.append(contentsOf: block[0..<Int(got)])
    }
    return bytes
  }

  /// The first line of a small file without its line end.
  static func line(of path: String) -> String? {
    guard let bytes = contents(of: path) else { return nil }
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  static func number(of path: String) -> UInt64? {
    guard let line = line(of: path) else { return nil }
    return UInt64(line)
  }

  static func names(in directory: String) -> [String] {
    let names = Names()
    _ = shim_list_directory(directory, Unmanaged.passUnretained(names).toOpaque()) { context, name in
      guard let context, let name else { return }
      Unmanaged<Names>.fromOpaque(context).takeUnretainedValue().list.append(String(cString: name))
    }
    return names.list
  }

  static func link(at path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 4097)
    let length = buffer.withUnsafeMutableBufferPointer { shim_read_link(path, $0.baseAddress, 4096) }
    guard length > 0 else { return nil }
    return String(decoding: buffer[0..<Int(length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

private final class Names { var list: [String] = [] }

/// A file mapped read-only, unmapped when the value goes.
final class MappedFile {
  let bytes: UnsafeRawBufferPointer

  /// nil where the file cannot be opened or is no regular file with content.
  init?(path: String) {
    let descriptor = shim_open_read(path)
    guard descriptor >= 0 else { return nil }
    defer { shim_close(descriptor) }
    var count: UInt64 = 0
    guard let address = shim_map_file(descriptor, &count) else { return nil }
    bytes = UnsafeRawBufferPointer(start: address, count: Int(count))
  }

  deinit { shim_unmap(bytes.baseAddress, UInt64(bytes.count)) }
}
