/// Finds a node's end where the loop's barrier is inlined, so that no call of `ggml_barrier` tells it.
///
/// Seen with gcc 12 in a static executable with OpenMP, where the barrier becomes "unless there is one thread, call
/// `GOMP_barrier`", and with clang 21, which writes out the atomic counter and the spinning. What is left of the
/// source's order is enough: behind each node all operators join; there thread 0 asks the abort callback, and
/// unless this was the last node (`node_n + 1 < cgraph->n_nodes`) the threads wait for each other.
extension BarrierFinder {
  /// Real joins take 10 to 20 instructions.
  private static let limit = 64

  /// Whether control gets from `start` back to the call before it.
  func isLoop(around call: UInt64, from start: UInt64) -> Bool {
    for passingCalls in [false, true] {
      if walk(from: start, passingCalls: passingCalls, loopCall: call).reachesOperatorCall { return true }
    }
    return false
  }

  /// A branch through which every thread goes exactly once behind each node, before it waits: the comparison with
  /// the number of nodes, behind the abort callback; else the join's first branch, which asks for thread 0.
  ///
  /// - Parameter needsJoin: false where everything returns to `start` anyway; else it is where control goes when
  ///   the operator call has handled the node, and other operators must get onto the same path.
  func endOfNode(from start: UInt64, behind call: UInt64, needsJoin: Bool) -> UInt64? {
    var path: [UInt64] = []
    var at = start
    while path.count < Self.limit, !path.contains(at), let instruction = elf.instruction(at: at) {
      path.append(at)
      if case .branch = instruction.flow {
        guard !needsJoin || isJoin(path, behind: call) else { return nil }
        if let better = nodeCountBranch(from: instruction) { return better }
        return instruction.kind == .refused ? nil : at
      }
      guard !instruction.isWaiting else { return nil }
      switch instruction.flow {
      case .sequential, .indirectCall: at = instruction.next
      case .jump(let target): at = target
      default: return nil
      }
    }
    return nil
  }

  /// The branch on a comparison with n_nodes that lies on all ways from `first` on.
  private func nodeCountBranch(from first: Instruction) -> UInt64? {
    var pending = [first.address]
    var visited: [UInt64] = []
    while var at = pending.popLast() {
      var test = NodeCountTest()
      path: while visited.count < Self.limit, !visited.contains(at),
        let instruction = elf.instruction(at: at), !instruction.isWaiting
      {
        visited.append(at)
        switch instruction.flow {
        case .branch(let target):
          if test.decides(instruction), instruction.kind != .refused, doAllWays(from: first.address, meet: at)
          {
            return at
          }
          pending.append(target)
          at = instruction.next
        case .jump(let target): at = target
        case .sequential, .indirectCall:
          test.see(instruction)
          at = instruction.next
        default: break path
        }
      }
    }
    return nil
  }

  /// Whether control gets from `start` to `site` whatever happens, without waiting and without a call but the abort
  /// callback's.
  private func doAllWays(from start: UInt64, meet site: UInt64) -> Bool {
    var pending = [start]
    var visited: [UInt64] = []
    while var at = pending.popLast() {
      while at != site, !visited.contains(at) {
        guard visited.count < Self.limit, let instruction = elf.instruction(at: at), !instruction.isWaiting
        else { return false }
        visited.append(at)
        switch instruction.flow {
        case .sequential, .indirectCall: at = instruction.next
        case .jump(let target): at = target
        case .branch(let target):
          pending.append(target)
          at = instruction.next
        default: return false
        }
      }
    }
    return true
  }

  /// Whether operators other than those that the call handles get onto the path too: jumps from the cases of the
  /// operator switch end there. A copy of the join for the handled arm alone would not see them.
  private func isJoin(_ path: [UInt64], behind call: UInt64) -> Bool {
    guard var at = elf.instruction(at: call)?.next else { return false }
    // The test of the call's result leads to the path in any case.
    while let instruction = elf.instruction(at: at), instruction.flow == .sequential { at = instruction.next }
    guard let test = elf.instruction(at: at) else { return false }
    // Compilers lay the switch out behind the call that precedes it. Its code is some 7 KiB in real builds.
    var entries = path
    var run: [UInt64] = []
    var targets: [UInt64] = []
    at = test.next
    for _ in 0..<(1 << 14) {
      guard let instruction = elf.instruction(at: at) else { break }
      let isOnPath = path.contains(at)
      if isOnPath {
        // What falls through onto the path leads there as well.
        entries += run
        run = []
      }
      switch instruction.flow {
      case .sequential, .call, .callThrough, .indirectCall:
        if run.count == Self.limit { run.removeFirst() }
        if !isOnPath { run.append(at) }
      case .jump(let target), .branch(let target):
        if !isOnPath { targets.append(target) }
        run = []
      default: run = []
      }
      at = instruction.next
    }
    var count = 0
    for target in targets where entries.contains(target) { count += 1 }
    return count >= 2
  }
}

extension Instruction {
  /// Part of a barrier: a locked or exclusive access, or the pause of a spinning thread.
  fileprivate var isWaiting: Bool {
    switch detail {
    case .x86(let x86):
      return x86.hasLockPrefix
        || (x86.encoding == .legacy && x86.map == 0 && x86.opcode == 0x90 && x86.repeatPrefix == 0xf3)
    case .arm64(let word):
      // ldxr and stxr; cas; ldadd and its like; yield, wfe and isb
      return word & 0x3f80_0000 == 0x0800_0000 || word & 0x3fa0_7c00 == 0x08a0_7c00
        || word & 0x3b20_0c00 == 0x3820_0000
        || word == 0xd503_203f || word == 0xd503_205f || word == 0xd503_3fdf
    }
  }
}
