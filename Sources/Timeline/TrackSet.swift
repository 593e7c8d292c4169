import TraceModel

/// The tracks of a timeline: one per thread, one for what the scheduler does with it, one for its rounds of
/// speculative decoding, one per CPU that lost records and one for the recorder's probes, each with additional lanes
/// for slices that would partly overlap others.
struct TrackSet {
  enum Owner: Hashable {
    case thread(ThreadID)
    case losses(cpu: Int)
    /// What the scheduler does with a thread.
    case scheduling(ThreadID)
    /// Rounds of speculative decoding on a thread.
    case speculation(ThreadID)
    /// Intervals without operator probes.
    case probes
  }

  /// A lane as the viewer shows it.
  struct Shown {
    var number: UInt32
    var title: String
  }

  private struct Track {
    let owner: Owner
    /// True of a thread that computes graphs: slices of it enclose others.
    var isMain = false { didSet { capacity = isMain ? TrackSet.mainCapacity : TrackSet.otherCapacity } }
    /// Slices remembered in each of its lanes.
    private(set) var capacity = TrackSet.otherCapacity
    /// Indexes of lanes, its own first.
    var lanes: [Int] = []
  }

  private struct LaneState {
    let track: Int
    let number: UInt32
    var nesting = Nesting()
  }

  /// Thread numbers from here on are given out to lanes that are no thread. Linux has none this high.
  private static let firstFreeNumber: UInt32 = 1_000_000_000
  private static let lanesPerTrack = 4
  /// A main thread is given room for the longest token step; others need little, nothing encloses what they do.
  private static let mainCapacity = 1 << 18
  private static let otherCapacity = 1 << 12
  /// Slices remembered in all lanes.
  private static let totalCapacity = 1 << 20

  private var tracks: [Track] = []
  private var lanes: [LaneState] = []
  private var indexes: [Owner: Int] = [:]
  private var nextNumber = Self.firstFreeNumber
  /// The threads seen last, and their tracks.
  private var recent: (thread: ThreadID, index: Int) = (ThreadID(0), -1)
  private var secondRecent: (thread: ThreadID, index: Int) = (ThreadID(0), -1)
  private var remembered = 0

  var laneCount: Int { lanes.count }
  /// True when the lanes hold more than there is room for: `closeAll` is due.
  var hasOverflown: Bool { remembered > Self.totalCapacity }

  /// The track of a thread.
  @inline(__always)
  mutating func index(of thread: ThreadID, isMain: Bool) -> Int {
    if recent.index >= 0, recent.thread == thread, !isMain || tracks[recent.index].isMain {
      return recent.index
    }
    if secondRecent.index >= 0, secondRecent.thread == thread, !isMain || tracks[secondRecent.index].isMain {
      swap(&recent, &secondRecent)
      return recent.index
    }
    secondRecent = recent
    recent = (thread, index(of: .thread(thread)))
    if isMain { tracks[recent.index].isMain = true }
    return recent.index
  }

  /// Notes that the thread computes graphs: its track goes on top.
  mutating func markMain(_ thread: ThreadID) { _ = index(of: thread, isMain: true) }

  mutating func index(of owner: Owner) -> Int {
    if let known = indexes[owner] { return known }
    let index = tracks.count
    indexes[owner] = index
    tracks.append(Track(owner: owner))
    return index
  }

  /// - Returns: nil when the slice ends before it begins, or overlaps slices of every lane of its track.
  @inline(__always)
  mutating func place(_ range: TimeRange, onTrack index: Int) -> Lane? {
    if let first = tracks[index].lanes.first, range.start <= range.end,
      lanes[first].nesting.append(
        start: range.start.nanoseconds, end: range.end.nanoseconds, capacity: tracks[index].capacity)
    {
      remembered += 1
      return Lane(
        index: first, number: lanes[first].number, isEnclosed: tracks[index].isMain, isAdditional: false)
    }
    return placeAnywhere(range, onTrack: index)
  }

  /// The general case: a slice around others, into others, across others.
  private mutating func placeAnywhere(_ range: TimeRange, onTrack index: Int) -> Lane? {
    guard range.start <= range.end else { return nil }
    let (start, end) = (range.start.nanoseconds, range.end.nanoseconds)
    let capacity = tracks[index].capacity
    for (place, lane) in tracks[index].lanes.enumerated() {
      let before = lanes[lane].nesting.rememberedCount
      let isPlaced = lanes[lane].nesting.insert(start: start, end: end, capacity: capacity)
      remembered += lanes[lane].nesting.rememberedCount - before
      if isPlaced { return value(of: lane, isAdditional: place > 0) }
    }
    guard tracks[index].lanes.count < Self.lanesPerTrack else { return nil }
    let isAdditional = !tracks[index].lanes.isEmpty
    let lane = lanes.count
    var number: UInt32?
    if !isAdditional, case .thread(let thread) = tracks[index].owner {
      number = thread.rawValue < Self.firstFreeNumber ? thread.rawValue : nil
    }
    lanes.append(LaneState(track: index, number: number ?? takeNumber()))
    tracks[index].lanes.append(lane)
    _ = lanes[lane].nesting.insert(start: start, end: end, capacity: capacity)
    remembered += 1
    return value(of: lane, isAdditional: isAdditional)
  }

  private func value(of lane: Int, isAdditional: Bool) -> Lane {
    Lane(
      index: lane, number: lanes[lane].number, isEnclosed: tracks[lanes[lane].track].isMain,
      isAdditional: isAdditional)
  }

  /// Says that nothing more is to come inside of a slice. Returns the thread's lanes.
  mutating func seal(_ range: TimeRange, on thread: ThreadID) -> [Lane] {
    let track = index(of: .thread(thread))
    for lane in tracks[track].lanes {
      let before = lanes[lane].nesting.rememberedCount
      lanes[lane].nesting.seal(start: range.start.nanoseconds, end: range.end.nanoseconds)
      remembered += lanes[lane].nesting.rememberedCount - before
    }
    return tracks[track].lanes.enumerated().map { value(of: $1, isAdditional: $0 > 0) }
  }

  /// Closes all lanes: nothing will be around what they have. Returns them.
  mutating func closeAll() -> [Lane] {
    for lane in lanes.indices { lanes[lane].nesting.sealAll() }
    remembered = lanes.count
    return lanes.indices.map { value(of: $0, isAdditional: false) }
  }

  func lane(_ index: Int, names: [ThreadID: String]) -> (Lane, Owner, title: String) {
    let track = tracks[lanes[index].track]
    let place = track.lanes.firstIndex(of: index) ?? 0
    return (
      value(of: index, isAdditional: place > 0), track.owner,
      Self.title(of: track.owner, place: place, names: names)
    )
  }

  /// Main threads, then the other threads, each with its tracks below it, then probes and losses; each by number,
  /// additional lanes behind their own.
  func inDisplayOrder(names: [ThreadID: String]) -> [Shown] {
    tracks.sorted { rank($0) < rank($1) }.flatMap { track in
      track.lanes.enumerated().map { place, lane in
        Shown(number: lanes[lane].number, title: Self.title(of: track.owner, place: place, names: names))
      }
    }
  }

  private func rank(_ track: Track) -> (Int, Int, Int) {
    switch track.owner {
    case .thread(let thread): rank(thread, 0)
    case .speculation(let thread): rank(thread, 1)
    case .scheduling(let thread): rank(thread, 2)
    case .probes: (2, 0, 0)
    case .losses(let cpu): (3, cpu, 0)
    }
  }

  private func rank(_ thread: ThreadID, _ place: Int) -> (Int, Int, Int) {
    let isMain = indexes[.thread(thread)].map { tracks[$0].isMain } ?? false
    return (isMain ? 0 : 1, Int(thread.rawValue), place)
  }

  private static func title(of owner: Owner, place: Int, names: [ThreadID: String]) -> String {
    func name(_ thread: ThreadID) -> String { names.title(of: thread) }
    let own =
      switch owner {
      case .thread(let thread): name(thread)
      case .scheduling(let thread): "\(name(thread)), scheduler"
      case .speculation(let thread): "\(name(thread)), speculation"
      case .probes: "operator probes"
      case .losses(let cpu): "lost on CPU \(cpu)"
      }
    return place == 0 ? own : "\(own), overlapping"
  }

  private mutating func takeNumber() -> UInt32 {
    defer { nextNumber &+= 1 }
    return nextNumber
  }
}

extension [ThreadID: String] {
  /// The name of a thread as a viewer shows it.
  func title(of thread: ThreadID) -> String {
    self[thread].flatMap { $0.isEmpty ? nil : $0 } ?? "thread \(thread.rawValue)"
  }
}
