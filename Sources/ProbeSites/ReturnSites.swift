/// Chooses where C++ functions are left.
extension SitePlanner {
  /// A function through which C++ exceptions may fly: a uretprobe's trampoline would stop the unwinder, which ends
  /// the target. So its `ret` instructions are probed instead, or cheaper ones that stand for them.
  ///
  /// - Parameter hasResult: whether the returned value is recorded.
  mutating func addCXXFunction(
    _ name: Name, _ role: SiteRole, _ returnRole: SiteRole, _ function: String, arguments: Int,
    hasResult: Bool, hint: String
  ) {
    guard let symbol = symbol(name) else {
      addMissing(role, "the file does not define \(function)", hint)
      return
    }
    addCXXFunction(
      at: symbol, role, returnRole, function, arguments: arguments, hasResult: hasResult, hint: hint)
  }

  mutating func addCXXFunction(
    at symbol: Symbol, _ role: SiteRole, _ returnRole: SiteRole, _ function: String, arguments: Int,
    hasResult: Bool, hint: String
  ) {
    guard let entry = entryInstruction(of: symbol, arguments: arguments, keepsStackPointer: false) else {
      addMissing(role, "cannot decode the first instruction of \(function)", hint)
      return
    }
    addSite(role, .entry, function, entry)
    var returns: [Instruction] = []
    var at = symbol.address
    while at &- symbol.address < symbol.size {
      guard let instruction = elf.instruction(at: at), returns.count < 64, at &- symbol.address < 1 << 22
      else {
        addMissing(
          returnRole, "cannot find the ret instructions of \(function) past \(hexadecimal(at))",
          "only begins are recorded for this function")
        return
      }
      if instruction.flow == .functionReturn { returns.append(instruction) }
      at = instruction.next
    }
    if returns.isEmpty {
      addMissing(
        returnRole,
        symbol.size == 0 ? "the size of \(function) is not known" : "\(function) has no ret instruction",
        "only begins are recorded for this function")
    }
    for instruction in returns {
      // Real functions have one to three; the limit bounds the work on crafted ones.
      let cheaper =
        returns.count > 8
        ? nil : cheaperInstructions(thanReturn: instruction.address, of: symbol, keepResult: hasResult)
      for site in cheaper ?? [instruction] { addSite(returnRole, .entry, function, site) }
    }
  }

  /// A branch that stands for the `ret` of an epilogue, with the jumps that lead behind it: each return passes
  /// exactly one of them. On x86_64 a `ret` is single-stepped, which costs fifteen times as much; arm64 kernels
  /// simulate it.
  ///
  /// Sound where all that lies between the branch and the `ret` leads to the `ret` only and is entered by nothing
  /// else. Two shapes of it:
  /// - the stack protector's `jne`, behind which registers are popped (Ubuntu's compilers protect by default);
  /// - gcc's end of a function with a `std::vector` (seen with gcc 10 to 14), T being the epilogue:
  ///   `test %rdi,%rdi; je T; mov …,%rsi; sub %rdi,%rsi; call operator delete`. Any other call behind the branch
  ///   could be the function's work. A `jmp T` where an error is reported skips the branch, and the release of a
  ///   `std::shared_ptr` is followed by a copy of the test.
  func cheaperInstructions(thanReturn address: UInt64, of symbol: Symbol, keepResult: Bool) -> [Instruction]?
  {
    guard elf.machine == .x86_64, address &- symbol.address < 1 << 16 else { return nil }
    // The last branch before the return, and what is behind it.
    var last: (before: Instruction, branch: Instruction)?
    var tail: [Instruction] = []
    var previous: Instruction?
    var at = symbol.address
    while at < address {
      guard let instruction = elf.instruction(at: at) else { return nil }
      tail.append(instruction)
      if instruction.flow != .sequential { tail.removeAll(keepingCapacity: true) }
      switch instruction.flow {
      case .branch:
        last = previous.map { ($0, instruction) }
      case .call, .callThrough:
        // The idiom's call keeps the branch and what is behind it.
        guard let known = last, let between = elf.sizedDelete(instruction, behind: known) else {
          last = nil
          break
        }
        tail = between
      case .sequential: break
      default: last = nil
      }
      previous = instruction
      at = instruction.next
    }
    guard at == address, let branch = last?.branch, case .branch(let target) = branch.flow,
      branch.kind == .jump, tail.count <= 24
    else { return nil }
    if keepResult {
      // rax must hold the result at the branch already.
      for instruction in tail {
        guard instruction.flow == .sequential, let written = instruction.writtenRegisters, written & 1 == 0
        else { return nil }
      }
    }
    if target < branch.next || target > address {
      guard let failure = elf.instruction(at: target),
        stackProtector.name(calledBy: failure.flow) != nil
      else { return nil }
    }
    guard let jumps = elf.jumps(into: branch.next...address, besides: branch.address, in: symbol),
      // rax at such a jump is not looked at.
      jumps.isEmpty || !keepResult
    else { return nil }
    return [branch] + jumps
  }

  /// Ways to the function that ends the program when a stack is damaged.
  private var stackProtector: CallTargets {
    CallTargets(of: [SymbolPattern("__stack_chk_fail")], defined: [[]], in: elf)
  }
}

extension ELFFile {
  /// What lies between the branch and the call, and the call, where both are of the idiom
  /// `test %rdi,%rdi; je T; mov …,%rsi; sub %rdi,%rsi; call; T:`; else nil.
  fileprivate func sizedDelete(
    _ call: Instruction, behind test: (before: Instruction, branch: Instruction)
  ) -> [Instruction]? {
    guard case .branch(call.next) = test.branch.flow, let load = instruction(at: test.branch.next),
      let subtraction = instruction(at: load.next), subtraction.next == call.address,
      case .x86(let first) = test.before.detail, case .x86(let second) = load.detail,
      case .x86(let third) = subtraction.detail, case .x86(let branch) = test.branch.detail
    else { return nil }
    let (rsi, rdi): (UInt8, UInt8) = (6, 7)
    func isWide(_ x86: X86Instruction, _ opcode: UInt8) -> Bool {
      x86.encoding == .legacy && x86.map == 0 && x86.opcode == opcode && x86.rex & 8 != 0
    }
    guard isWide(first, 0x85), first.modRMMode == 3, first.register == rdi, first.registerOrMemory == rdi,
      branch.opcode & 15 == 4, isWide(second, 0x8b), second.modRMMode < 3, second.register == rsi,
      isWide(third, 0x29), third.modRMMode == 3, third.register == rdi, third.registerOrMemory == rsi
    else { return nil }
    return [load, subtraction, call]
  }

  /// The jumps of the function into the range: unconditional ones, and in `jne R; jmp R` the first. nil where the
  /// range can be entered otherwise: by a lone branch, by a jump table, or from elsewhere in the file (a function's
  /// cold part lies apart), where any bytes that look like a jump count.
  fileprivate func jumps(
    into range: ClosedRange<UInt64>, besides branch: UInt64, in symbol: Symbol
  ) -> [Instruction]? {
    var result: [Instruction] = []
    // The second of such pairs, to be reached through the first only; and where the function's jumps go.
    var seconds: [UInt64] = []
    var targets: [UInt64] = []
    var at = symbol.address
    while at &- symbol.address < symbol.size {
      guard let instruction = instruction(at: at) else { return nil }
      switch instruction.flow {
      case .jump(let target), .branch(let target):
        targets.append(target)
        if !range.contains(target) || at == branch || seconds.last == at { break }
        guard instruction.kind == .jump, !range.contains(at), result.count < 4 else { return nil }
        if case .branch = instruction.flow {
          guard case .jump(let other) = self.instruction(at: instruction.next)?.flow, range.contains(other)
          else { return nil }
          seconds.append(instruction.next)
        }
        result.append(instruction)
      case .indirectJump: return nil
      default: break
      }
      at = instruction.next
    }
    for second in seconds {
      if targets.contains(second) || isEnteredFromElsewhere(second...second, than: symbol) { return nil }
    }
    return isEnteredFromElsewhere(range, than: symbol) ? nil : result
  }

  private func isEnteredFromElsewhere(_ range: ClosedRange<UInt64>, than symbol: Symbol) -> Bool {
    guard let start = bytes.baseAddress else { return true }
    let low = UInt32(truncatingIfNeeded: range.lowerBound)
    let size = UInt32(truncatingIfNeeded: range.upperBound - range.lowerBound)
    for segment in executableSegments where segment.size >= 6 {
      let code = start + segment.offset
      for index in 1..<(segment.size - 3) {
        // The last four bytes of `jmp` (E9) or of a conditional jump (0F 8x).
        let operand = UInt32(littleEndian: code.loadUnaligned(fromByteOffset: index, as: UInt32.self))
        let next = segment.address &+ UInt64(index + 4)
        guard operand &+ UInt32(truncatingIfNeeded: next) &- low <= size else { continue }
        let opcode = code.load(fromByteOffset: index - 1, as: UInt8.self)
        let isBranch =
          opcode & 0xf0 == 0x80 && index >= 2
          && code.load(fromByteOffset: index - 2, as: UInt8.self) == 0x0f
        // The function's own are known.
        if (isBranch || opcode == 0xe9) && next &- symbol.address >= symbol.size { return true }
      }
    }
    return false
  }
}
