/// Walks over the code behind an instruction.
extension BarrierFinder {
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
