/// Finds the two barriers of ggml's node loop.
///
/// `ggml_graph_compute_thread` calls `ggml_cpu_extra_compute_forward` once per node; when that has handled the node
/// control joins the loop's end: a barrier unless it was the last node, then the next round; behind the loop a
/// final barrier and the return. Barriers inside operators (MUL_MAT, FLASH_ATTN_EXT) hang on the other arm, behind
/// the operator switch. Where the loop's barriers are inlined, a branch before them stands for both.
struct BarrierFinder {
  /// Indices into the names of `targets`.
  struct Names {
    var operatorCall: Int
    var barrier: Int
    var isEmpty: Int
    var abort: Int
  }

  let elf: ELFFile
  let targets: CallTargets
  let names: Names

  struct Result {
    var loop: [UInt64] = []
    var final: [UInt64] = []
    /// Every thread passes the loop's site behind its last node too: there is no final one, or none to tell apart.
    var loopStandsForFinal = false
    /// Why one of them is missing.
    var reason = ""
  }

  func find(fromOperatorCalls calls: [UInt64]) -> Result {
    var result = Result()
    // Copies of the loop in one file are few; the limit bounds the work on crafted ones.
    for call in calls.prefix(8) {
      var returnsTo = call
      // In builds that do not inline ggml_compute_forward the loop is one or two callers up.
      for _ in 0..<3 {
        guard let instruction = elf.instruction(at: returnsTo) else { break }
        // One level up the call's return is the join itself.
        let isOperatorCall = returnsTo == call
        let start = isOperatorCall ? handledPath(behind: instruction.next) : instruction.next
        let walk = walk(from: start, passingCalls: false)
        if !walk.barriers.isEmpty {
          classify(walk.barriers, operatorCall: returnsTo, into: &result)
          break
        }
        if let address = walk.brokenAt {
          result.reason = "cannot follow the code behind \(hexadecimal(returnsTo)) at \(hexadecimal(address))"
        } else {
          result.reason = "the node loop around \(hexadecimal(call)) has no call of ggml_barrier"
          if isLoop(around: returnsTo, from: start) {
            if let site = endOfNode(from: start, behind: returnsTo, needsJoin: isOperatorCall) {
              insert(site, into: &result.loop)
              result.loopStandsForFinal = true
            } else {
              result.reason += ", and no branch that every thread passes behind every node"
            }
            break
          }
        }
        guard walk.reachesReturn, let caller = onlyCaller(ofFunctionAround: returnsTo) else { break }
        returnsTo = caller
      }
    }
    result.loop.sort()
    result.final.sort()
    if result.reason.isEmpty {
      result.reason = "the barriers behind the operator call could not be told apart"
    }
    return result
  }

  /// The call's result is tested: one arm goes on to the join ("handled"), the other to the operator switch.
  ///
  /// Only the switch arm meets an indirect jump or, where the switch became comparisons, calls of operators; it can
  /// reach barriers inside operators, from which control flow alone does not tell the loop's.
  ///
  /// - Returns: where the handled arm begins; `start` itself where no branch is found.
  private func handledPath(behind start: UInt64) -> UInt64 {
    var at = start
    for _ in 0..<16 {
      guard let instruction = elf.instruction(at: at) else { break }
      guard instruction.flow == .sequential else {
        guard case .branch(let target) = instruction.flow else { break }
        let taken = walk(from: target, passingCalls: false)
        let other = walk(from: instruction.next, passingCalls: false)
        return isHandled(taken, ratherThan: other) ? target : instruction.next
      }
      at = instruction.next
    }
    return start
  }

  private func isHandled(_ arm: Walk, ratherThan other: Walk) -> Bool {
    if arm.barriers.isEmpty != other.barriers.isEmpty {
      let without = arm.barriers.isEmpty ? arm : other
      // An arm that gets round the loop or out of the function without a call of ggml_barrier has none to meet:
      // the other arm's are inside operators.
      let isWithout = without.reachesOperatorCall || without.reachesReturn
      return arm.barriers.isEmpty == isWithout
    }
    if arm.reachesIndirectJump != other.reachesIndirectJump { return !arm.reachesIndirectJump }
    if arm.reachesCall != other.reachesCall { return !arm.reachesCall }
    // The switch arm joins the other one: it is the longer.
    return arm.instructions <= other.instructions
  }

  private func classify(_ barriers: [UInt64], operatorCall: UInt64, into result: inout Result) {
    for passingCalls in [false, true] {
      var foundLoop = false
      for barrier in barriers.prefix(32) {
        guard let instruction = elf.instruction(at: barrier) else { continue }
        if targets.name(jumpedToBy: instruction.flow) == names.barrier {
          // A tail call: nothing of the loop can follow.
          insert(barrier, into: &result.final)
          continue
        }
        let walk = walk(from: instruction.next, passingCalls: passingCalls, loopCall: operatorCall)
        if walk.reachesOperatorCall {
          foundLoop = true
          insert(barrier, into: &result.loop)
          // Until spring 2025 every node ended at the one barrier, and nothing but the return was behind it.
          if walk.reachesReturn && walk.barriers.isEmpty && walk.brokenAt == nil {
            result.loopStandsForFinal = true
          }
        } else if walk.reachesReturn && walk.barriers.isEmpty && walk.brokenAt == nil {
          insert(barrier, into: &result.final)
        }
      }
      if foundLoop && !result.final.isEmpty { return }
    }
  }

  func insert(_ address: UInt64, into list: inout [UInt64]) {
    if !list.contains(address) { list.append(address) }
  }

  private func onlyCaller(ofFunctionAround address: UInt64) -> UInt64? {
    guard let function = elf.function(containing: address) else { return nil }
    let own = CallTargets(functionAt: function.address)
    let calls = elf.calls(to: 0..<1, of: own)
    return calls.count == 1 ? calls[0].address : nil
  }
}
