import TraceModel

/// The tracks of a timeline: one per thread, one for what the scheduler does with it, one for its rounds of
/// speculative decoding, one per CPU that lost records and one for the recorder's probes, each with additional ones
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

  /// Main threads, then the other threads, each with its tracks below it, then probes and losses; each by number,
  /// additional tracks behind their own.
  func inDisplayOrder(names: [ThreadID: String]) -> [Shown] {
    tracks.sorted { rank($0) < rank($1) }.flatMap { track in
      track.lanes.enumerated().map { lane, value in
        Shown(number: value.number, title: Self.title(of: track.owner, lane: lane, names: names))
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

  private static func title(of owner: Owner, lane: Int, names: [ThreadID: String]) -> String {
    func name(_ thread: ThreadID) -> String {
      names[thread].flatMap { $0.isEmpty ? nil : $0 } ?? "thread \(thread.rawValue)"
    }
    let own =
      switch owner {
      case .thread(let thread): name(thread)
      case .scheduling(let thread): "\(name(thread)), scheduler"
      case .speculation(let thread): "\(name(thread)), speculation"
      case .probes: "operator probes"
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
