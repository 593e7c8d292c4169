import TraceModel

/// The tracks of a timeline: one per thread and one per CPU that lost records, each with
/// additional ones for slices that would partly overlap others.
struct TrackSet {
  enum Owner: Hashable {
    case thread(ThreadID)
    case losses(cpu: Int)
  }

  /// Where a slice goes.
  struct Place {
    /// The `tid` of its track.
    var number: UInt32
    var isAdditional: Bool
  }

  /// A track as the viewer shows it.
  struct Shown {
    var number: UInt32
    var title: String
  }

  private struct Track {
    let owner: Owner
    var isMain = false
    /// The track itself and its additional ones.
    var lanes: [(number: UInt32, nesting: Nesting)]
  }

  /// Thread numbers from here on are given out to tracks that are no thread. Linux has none this high.
  private static let firstFreeNumber: UInt32 = 1_000_000_000
  private static let laneLimit = 4

  private var tracks: [Track] = []
  private var indexes: [Owner: Int] = [:]
  private var latest: (owner: Owner, index: Int)?
  private var nextNumber = Self.firstFreeNumber

  /// - Returns: nil when the slice ends before it begins, or overlaps slices of every track of its owner.
  mutating func place(_ range: TimeRange, on owner: Owner) -> Place? {
    let start = range.start.nanoseconds
    let end = range.end.nanoseconds
    guard start <= end else { return nil }
    let index = index(of: owner)
    for lane in tracks[index].lanes.indices
    where tracks[index].lanes[lane].nesting.insert(start: start, end: end) {
      return Place(number: tracks[index].lanes[lane].number, isAdditional: lane > 0)
    }
    guard tracks[index].lanes.count < Self.laneLimit else { return nil }
    var nesting = Nesting()
    _ = nesting.insert(start: start, end: end)
    let number = takeNumber()
    tracks[index].lanes.append((number, nesting))
    return Place(number: number, isAdditional: true)
  }

  /// Says that nothing more is to come inside of a slice.
  mutating func seal(_ range: TimeRange, on thread: ThreadID) {
    let index = index(of: .thread(thread))
    for lane in tracks[index].lanes.indices {
      tracks[index].lanes[lane].nesting.seal(start: range.start.nanoseconds, end: range.end.nanoseconds)
    }
  }

  /// Notes that the thread computes graphs: its track goes on top.
  mutating func markMain(_ thread: ThreadID) {
    tracks[index(of: .thread(thread))].isMain = true
  }

  /// Main threads, then the other threads, then losses; each by number, additional tracks behind their own.
  func inDisplayOrder(names: [ThreadID: String]) -> [Shown] {
    tracks.sorted { Self.rank($0) < Self.rank($1) }.flatMap { track in
      track.lanes.enumerated().map { lane, value in
        Shown(number: value.number, title: Self.title(of: track.owner, lane: lane, names: names))
      }
    }
  }

  private static func rank(_ track: Track) -> (Int, Int) {
    switch track.owner {
    case .thread(let thread): (track.isMain ? 0 : 1, Int(thread.rawValue))
    case .losses(let cpu): (2, cpu)
    }
  }

  private static func title(of owner: Owner, lane: Int, names: [ThreadID: String]) -> String {
    let own =
      switch owner {
      case .thread(let thread): names[thread].flatMap { $0.isEmpty ? nil : $0 } ?? "thread \(thread.rawValue)"
      case .losses(let cpu): "lost on CPU \(cpu)"
      }
    return lane == 0 ? own : "\(own), overlapping"
  }

  private mutating func index(of owner: Owner) -> Int {
    if let latest, latest.owner == owner { return latest.index }
    let index: Int
    if let known = indexes[owner] {
      index = known
    } else {
      index = tracks.count
      indexes[owner] = index
      let number: UInt32
      if case .thread(let thread) = owner, thread.rawValue < Self.firstFreeNumber {
        number = thread.rawValue
      } else {
        number = takeNumber()
      }
      tracks.append(Track(owner: owner, lanes: [(number, Nesting())]))
    }
    latest = (owner, index)
    return index
  }

  private mutating func takeNumber() -> UInt32 {
    defer { nextNumber &+= 1 }
    return nextNumber
  }
}
