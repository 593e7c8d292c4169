import Foundation
import GRDB

/// A path as the file system has it: any bytes but zero, which need not be UTF-8.
public struct FilePath: Sendable, Hashable, Comparable, CustomStringConvertible {
  let bytes: [UInt8]

  init(bytes: [UInt8]) { self.bytes = bytes }

  public init(_ path: String) { bytes = Array(path.utf8) }

  /// For people; bytes that are no UTF-8 are replaced.
  public var description: String { String(decoding: bytes, as: UTF8.self) }

  /// In the index: text, or a BLOB where it is no UTF-8, so that no two paths become one.
  var value: any DatabaseValueConvertible {
    let text = description
    return text.utf8.elementsEqual(bytes) ? text : Data(bytes)
  }

  func appending(_ name: [UInt8]) -> FilePath {
    FilePath(bytes: bytes.last == 0x2f ? bytes + name : bytes + [0x2f] + name)
  }

  func withCString<T>(_ body: (UnsafePointer<CChar>) -> T) -> T {
    (bytes + [0]).withUnsafeBufferPointer {
      $0.withMemoryRebound(to: CChar.self) { body($0.baseAddress!) }
    }
  }

  public static func < (a: FilePath, b: FilePath) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }
}
