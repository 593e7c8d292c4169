/// A list that grows, read without a count of references or checks: what slices by the million look up.
///
/// Owned by a class, which frees it.
struct RawList<Element: BitwiseCopyable> {
  private(set) var base: UnsafeMutablePointer<Element>
  private(set) var count = 0
  private var capacity: Int

  init(capacity: Int = 256) {
    self.capacity = capacity
    base = .allocate(capacity: capacity)
  }

  func free() { base.deallocate() }

  /// - Parameter index: less than `count`.
  @inline(__always)
  subscript(index: Int) -> Element { base[index] }

  mutating func append(_ element: Element) {
    _ = withUnsafePointer(to: element) { append(UnsafeBufferPointer(start: $0, count: 1)) }
  }

  /// - Returns: the index of the first one.
  @discardableResult
  mutating func append(_ elements: UnsafeBufferPointer<Element>) -> Int {
    if capacity - count < elements.count {
      capacity = max(capacity * 2, count + elements.count)
      let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
      larger.update(from: base, count: count)
      base.deallocate()
      base = larger
    }
    if let source = elements.baseAddress { (base + count).update(from: source, count: elements.count) }
    defer { count += elements.count }
    return count
  }

  mutating func removeAll() { count = 0 }
}
