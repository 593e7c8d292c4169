/// Decimal digits, written directly: numbers are most of what varies in a timeline.
enum Digits {
  /// Bytes that a number takes at most: a sign, 20 digits, a point.
  static let room = 24

  private static let pairs: StaticString = """
    0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
    5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
    """

  /// Nanoseconds as the format's microseconds: three decimals, exact. Returns the end.
  @inline(__always)
  static func put(
    microseconds nanoseconds: Int64, at place: UnsafeMutablePointer<UInt8>
  ) -> UnsafeMutablePointer<UInt8> {
    var place = place
    if nanoseconds < 0 {
      place.pointee = UInt8(ascii: "-")
      place += 1
    }
    let (whole, rest) = nanoseconds.magnitude.quotientAndRemainder(dividingBy: 1000)
    place = put(whole, at: place)
    place[0] = UInt8(ascii: ".")
    let (hundreds, pair) = UInt32(truncatingIfNeeded: rest).quotientAndRemainder(dividingBy: 100)
    place[1] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: hundreds)
    putPair(pair, at: place + 2)
    return place + 4
  }

  /// Returns the end.
  @inline(__always)
  static func put(_ value: UInt64, at place: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8> {
    if value < 100_000_000 { return putShort(UInt32(truncatingIfNeeded: value), at: place) }
    return putLong(value, at: place)
  }

  private static func putLong(
    _ value: UInt64, at place: UnsafeMutablePointer<UInt8>
  ) -> UnsafeMutablePointer<UInt8> {
    let (high, low) = value.quotientAndRemainder(dividingBy: 100_000_000)
    // At most twice: 20 digits are 4, 8 and 8.
    let end =
      high < 100_000_000
      ? putShort(UInt32(truncatingIfNeeded: high), at: place) : putLong(high, at: place)
    let (a, b) = UInt32(truncatingIfNeeded: low).quotientAndRemainder(dividingBy: 10_000)
    putPair(a / 100, at: end)
    putPair(a % 100, at: end + 2)
    putPair(b / 100, at: end + 4)
    putPair(b % 100, at: end + 6)
    return end + 8
  }

  /// Up to eight digits without leading zeros.
  @inline(__always)
  private static func putShort(
    _ value: UInt32, at place: UnsafeMutablePointer<UInt8>
  ) -> UnsafeMutablePointer<UInt8> {
    let count =
      value < 10_000
      ? (value < 100 ? (value < 10 ? 1 : 2) : (value < 1000 ? 3 : 4))
      : (value < 1_000_000 ? (value < 100_000 ? 5 : 6) : (value < 10_000_000 ? 7 : 8))
    let end = place + count
    var at = end
    var rest = value
    while rest >= 100 {
      let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
      at -= 2
      putPair(pair, at: at)
      rest = quotient
    }
    if rest >= 10 {
      putPair(rest, at: at - 2)
    } else {
      (at - 1).pointee = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest)
    }
    return end
  }

  @inline(__always)
  private static func putPair(_ pair: UInt32, at place: UnsafeMutablePointer<UInt8>) {
    let digits = pairs.utf8Start + 2 * Int(pair)
    place[0] = digits[0]
    place[1] = digits[1]
  }
}
