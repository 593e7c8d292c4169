import CRecorderShim

/// The running kernel's version, for what it cannot be asked.
struct KernelVersion: Comparable {
  var major: Int
  var minor: Int

  init(_ major: Int, _ minor: Int) { (self.major, self.minor) = (major, minor) }

  /// "5.10.160-rockchip": 5.10
  init(release: String) {
    var numbers: [Int] = []
    for part in release.utf8.split(separator: UInt8(ascii: "."), maxSplits: 2) {
      let digits = part.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
      numbers.append(Int(String(decoding: Array(digits), as: UTF8.self)) ?? 0)
    }
    self.init(numbers.first ?? 0, numbers.count > 1 ? numbers[1] : 0)
  }

  static let current = KernelVersion(release: String(cString: shim_kernel_release()))

  static func < (left: KernelVersion, right: KernelVersion) -> Bool {
    (left.major, left.minor) < (right.major, right.minor)
  }
}
