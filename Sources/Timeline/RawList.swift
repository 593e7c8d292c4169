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
    // Not as a buffer of one: the copy of a buffer reads whole strides, and an element on the stack may end before.
    makeRoom(for: 1)
    (base + count).initialize(to: element)
    count += 1
  }

  /// - Returns: the index of the first one.
  @discardableResult
  mutating func append(_ elements: UnsafeBufferPointer<Element>) -> Int {
    makeRoom(for: elements.count)
    if let source = elements.baseAddress { (base + count).update(from: source, count: elements.count) }
    defer { count += elements.count }
    return count
  }

  private mutating func makeRoom(for more: Int) {
    guard capacity - count < more else { return }
    capacity = max(capacity * 2, count + more)
    let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity)
    larger.update(from: base, count: count)
    base.deallocate()
    base = larger
  }

  mutating func removeAll() { count = 0 }
}
