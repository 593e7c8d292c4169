import TraceModel

/// What the recording shows to be the reason why operators of a step took longer than expected. Nanoseconds.
struct Claims {
  /// While other threads of the graph had no CPU, by the number of who had it.
  var peers: [(culprit: UInt16, count: Int, time: Int64)] = []
  /// On slower CPUs than usual.
  var migration: Int64 = 0
  var frequency: Int64 = 0
  /// With page faults, waits for pages included.
  var pageFaults: Int64 = 0
  var expertMisses: Int64 = 0
}

extension Explainer {
  /// A clock, or a capacity, that is less than this of the usual one makes operators slower.
  private static let slowerLimit = 0.97

  /// Takes from operators that took longer than expected what there is a reason for, and never more than
  /// that.
  func claim(_ place: Int, _ left: inout Remainder) -> Claims {
    var claims = Claims()
    let step = accounts.steps[place]
    for peer in accounts.peers[step.peers] {
      let time = left.take(peer.time, kind: Int(peer.kind))
      if time > 0 { claims.peers.append((peer.culprit, Int(peer.count), time)) }
    }
    for faulted in accounts.faulted[step.faulted] {
      let kind = Int(faulted.kind)
      // Of one execution, as far as those of a kind are alike.
      let each =
        accounts.executions[kind] > 0
        ? Double(left.expected(kind: kind)) * Double(accounts.executingSteps[kind])
          / Double(accounts.executions[kind]) : 0
      let longer = faulted.time &- Int64(min(each * Double(faulted.executions), 0x1p60))
      let claimed = left.take(longer, kind: kind) &+ faulted.waited
      if accounts.readsExperts(kind) {
        claims.expertMisses &+= claimed
      } else {
        claims.pageFaults &+= claimed
      }
    }
    let number = expectations.groupOfStep[place]
    if let here = capacities[place], let usual = usualCapacity[number], here < usual * Self.slowerLimit {
      claims.migration = left.take(factor: usual / here - 1)
    }
    if let here = clocks[place], let usual = usualClock[number], here > 0,
      Double(here) < Double(usual) * Self.slowerLimit
    {
      claims.frequency = left.take(factor: Double(usual) / Double(here) - 1)
    }
    return claims
  }

  /// What operators of a step took longer while other threads had no CPU.
  func peerClaims(_ place: Int) -> [(culprit: UInt16, count: Int, time: Int64)] {
    guard !accounts.steps[place].peers.isEmpty, let group = expectations.group(of: place) else { return [] }
    var left = remainder(
      place, expected: expectations.expected(of: place, in: group, at: accounts.steps[place].place))
    return claim(place, &left).peers
  }
}
