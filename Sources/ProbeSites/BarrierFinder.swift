/// Finds the two barriers of ggml's node loop.
///
/// `ggml_graph_compute_thread` calls `ggml_cpu_extra_compute_forward` once per node; when that has handled the node
/// control joins the loop's end: a barrier unless it was the last node, then the next round; behind the loop a
/// final barrier and the return. Barriers inside operators (MUL_MAT, FLASH_ATTN_EXT) hang on the other arm, behind
/// the operator switch.
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

  /// What a walk met before it ended.
  struct Walk {
    var barriers: [UInt64] = []
    var reachesOperatorCall = false
    var reachesReturn = false
    /// A direct call that the walk does not pass.
    var reachesCall = false
    var reachesIndirectJump = false
    var instructions = 0
    /// Set when the walk met bytes that it could not decode, or was given up.
    var brokenAt: UInt64?
  }

  struct Result {
    var loop: [UInt64] = []
    var final: [UInt64] = []
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
        let walk =
          returnsTo == call
          ? walkOfHandledPath(behind: instruction.next) : walk(from: instruction.next, passingCalls: false)
        if let address = walk.brokenAt {
          result.reason = "cannot follow the code behind \(hexadecimal(returnsTo)) at \(hexadecimal(address))"
        } else if walk.barriers.isEmpty {
          result.reason =
            "the node loop around \(hexadecimal(call)) has no call of ggml_barrier; clang inlines it"
        }
        if !walk.barriers.isEmpty {
          classify(walk.barriers, operatorCall: returnsTo, into: &result)
          break
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
  private func walkOfHandledPath(behind start: UInt64) -> Walk {
    var at = start
    for _ in 0..<16 {
      guard let instruction = elf.instruction(at: at) else { break }
      guard instruction.flow == .sequential else {
        guard case .branch(let target) = instruction.flow else { break }
        let taken = walk(from: target, passingCalls: false)
        let other = walk(from: instruction.next, passingCalls: false)
        if taken.barriers.isEmpty != other.barriers.isEmpty { return taken.barriers.isEmpty ? other : taken }
        if taken.reachesIndirectJump != other.reachesIndirectJump {
          return taken.reachesIndirectJump ? other : taken
        }
        if taken.reachesCall != other.reachesCall { return taken.reachesCall ? other : taken }
        // The switch arm joins the other one: it is the longer.
        return taken.instructions <= other.instructions ? taken : other
      }
      at = instruction.next
    }
    return walk(from: start, passingCalls: false)
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
        } else if walk.reachesReturn && walk.barriers.isEmpty && walk.brokenAt == nil {
          insert(barrier, into: &result.final)
        }
      }
      if foundLoop && !result.final.isEmpty { return }
    }
  }

  private func insert(_ address: UInt64, into list: inout [UInt64]) {
    if !list.contains(address) { list.append(address) }
  }

  /// Depth-first over everything reachable from `start` without passing a barrier.
  ///
  /// Ends at returns, indirect jumps, traps, barrier calls and the operator call; other direct calls end it too
  /// unless `passingCalls` (those to `ggml_is_empty` and calls through pointers are always passed).
  func walk(from start: UInt64, passingCalls: Bool, loopCall: UInt64? = nil) -> Walk {
    var result = Walk()
    var pending = [start]
    var visited = AddressSet()
    while var at = pending.popLast() {
      path: while true {
        guard visited.insert(at) else { break }
        guard !visited.isFull, let instruction = elf.instruction(at: at) else {
          result.brokenAt = at
          break
        }
        result.instructions += 1
        if at == loopCall {
          result.reachesOperatorCall = true
          break
        }
        switch instruction.flow {
        case .sequential, .indirectCall: break
        case .functionReturn:
          result.reachesReturn = true
          break path
        case .indirectJump:
          result.reachesIndirectJump = true
          break path
        case .trap: break path
        case .branch(let target): pending.append(target)
        case .jump, .jumpThrough:
          if targets.name(jumpedToBy: instruction.flow) == names.barrier {
            result.barriers.append(at)
            break path
          }
          guard case .jump(let target) = instruction.flow else { break path }
          at = target
          continue path
        case .call, .callThrough:
          switch targets.name(calledBy: instruction.flow) {
          case names.barrier:
            result.barriers.append(at)
            break path
          case names.operatorCall:
            result.reachesOperatorCall = true
            break path
          case names.isEmpty: break
          case names.abort: break path
          default:
            if case .callThrough = instruction.flow { break }
            if !passingCalls {
              result.reachesCall = true
              break path
            }
          }
        }
        at = instruction.next
      }
    }
    return result
  }

  private func onlyCaller(ofFunctionAround address: UInt64) -> UInt64? {
    guard let function = elf.function(containing: address) else { return nil }
    let own = CallTargets(functionAt: function.address)
    let calls = elf.calls(to: 0..<1, of: own)
    return calls.count == 1 ? calls[0].address : nil
  }
}

/// A set of code addresses of bounded size: open addressing, no hashing seed needed.
struct AddressSet {
  private static let capacity = 1 << 14
  private var slots = [UInt64](repeating: 0, count: capacity)
  private var count = 0

  /// Whether the limit of a walk is reached.
  var isFull: Bool { count >= Self.capacity / 2 }

  /// False when the address is in the set already (or is 0, which is no code).
  mutating func insert(_ address: UInt64) -> Bool {
    guard address != 0 else { return false }
    var index = Int(truncatingIfNeeded: (address &* 0x9e37_79b9_7f4a_7c15) >> 50)
    while slots[index] != 0 {
      if slots[index] == address { return false }
      index = (index + 1) & (Self.capacity - 1)
    }
    if isFull { return true }
    slots[index] = address
    count += 1
    return true
  }
}
