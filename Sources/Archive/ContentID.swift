import CCrypto
import Foundation
import TraceImport

/// What a trace is known by: the first 128 bits of the SHA-256 of its bytes, as 32 hexadecimal digits.
///
/// Nobody can make two traces with the same one, so a hostile trace cannot pass for another.
public struct ContentID: Sendable, Hashable, Codable, CustomStringConvertible {
  public let description: String

  /// - Returns: nil for what is no identity.
  public init?(_ text: String) {
    guard text.utf8.count == Self.digits, text.utf8.allSatisfy(Self.isDigit) else { return nil }
    description = text
  }

  /// Of all these bytes.
  public init(of bytes: UnsafeRawBufferPointer) {
    var digest = Digest()
    digest.add(bytes)
    self = digest.end()
  }

  /// Of a file from its begin to its end, whatever happens to it meanwhile.
  ///
  /// - Returns: nil where it cannot be read; `errno` says why.
  init?(reading descriptor: Int32) {
    guard lseek(descriptor, 0, SEEK_SET) == 0 else { return nil }
    var digest = Digest()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 1)
    defer { buffer.deallocate() }
    while true {
      let count = read(descriptor, buffer.baseAddress, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return nil }
      guard count > 0 else { break }
      digest.add(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
    guard lseek(descriptor, 0, SEEK_SET) == 0 else { return nil }
    self = digest.end()
  }

  public init(of trace: TraceFile) { self.init(of: trace.bytes) }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let id = ContentID(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "no content identity")
    }
    self = id
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  fileprivate init(digest: [UInt8]) {
    let hexadecimal = Array("0123456789abcdef".utf8)
    description = String(
      decoding: digest.prefix(Self.digits / 2).flatMap {
        [hexadecimal[Int($0 >> 4)], hexadecimal[Int($0 & 15)]]
      }, as: UTF8.self)
  }

  private static let digits = 32
  private static func isDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
  }
}

/// SHA-256 of bytes that come in pieces.
private struct Digest: ~Copyable {
  private let context: OpaquePointer

  init() {
    // Neither fails but without memory.
    context = EVP_MD_CTX_new()!
    precondition(EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1, "SHA-256 is in every libcrypto")
  }

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
  }

  mutating func end() -> ContentID {
    var digest = [UInt8](repeating: 0, count: 32)
    EVP_DigestFinal_ex(context, &digest, nil)
    return ContentID(digest: digest)
  }

  deinit { EVP_MD_CTX_free(context) }
}
