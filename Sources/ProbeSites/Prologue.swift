/// Chooses where a function is entered.
extension SitePlanner {
  /// The cheapest instruction near the function's first where its arguments still are in their registers, and
  /// through which every call passes exactly once.
  func entryInstruction(of symbol: Symbol, arguments: Int, keepsStackPointer: Bool) -> Instruction? {
    var kept = Self.argumentRegisters(arguments, elf.machine)
    if keepsStackPointer { kept |= 1 << 4 }
    var candidates: [Instruction] = []
    var at = symbol.address
    while candidates.count < 8, let instruction = elf.instruction(at: at) {
      if symbol.size > 0 && at &- symbol.address >= symbol.size { break }
      candidates.append(instruction)
      guard instruction.flow == .sequential, let written = instruction.writtenRegisters, written & kept == 0
      else { break }
      at = instruction.next
    }
    guard let last = candidates.last else { return nil }
    let entered = branchTargets(in: symbol, above: symbol.address, through: last.address)
    var best: Instruction?
    for candidate in candidates where candidate.kind != .refused {
      // A loop that begins in the prologue would fire the probe once per round.
      if candidate.address != symbol.address
        && entered.contains(where: { $0 > symbol.address && $0 <= candidate.address })
      {
        continue
      }
      if let known = best, known.kind.rank(on: elf.machine) <= candidate.kind.rank(on: elf.machine) {
        continue
      }
      best = candidate
    }
    return best
  }

  private static func argumentRegisters(_ count: Int, _ machine: ELFFile.Machine) -> UInt32 {
    switch machine {
    case .aarch64: return (1 << UInt32(min(count, 8))) - 1
    case .x86_64:
      // rdi, rsi, rdx, rcx, r8, r9 in encoding order.
      var mask: UInt32 = 0
      for register in [7, 6, 2, 1, 8, 9].prefix(count) { mask |= 1 << UInt32(register) }
      return mask
    }
  }

  /// Targets of the function's own direct jumps inside the given range, as far as its body can be decoded.
  private func branchTargets(in symbol: Symbol, above low: UInt64, through high: UInt64) -> [UInt64] {
    var result: [UInt64] = []
    var at = symbol.address
    // Code beyond 1 MiB does not jump back into a prologue.
    let size = min(symbol.size, 1 << 20)
    while at &- symbol.address < size, let instruction = elf.instruction(at: at) {
      switch instruction.flow {
      case .jump(let target), .branch(let target):
        if target > low && target <= high && !result.contains(target) { result.append(target) }
      default: break
      }
      at = instruction.next
    }
    return result
  }
}
