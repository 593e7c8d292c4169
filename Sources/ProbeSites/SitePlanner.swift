/// Chooses the probe sites of a file.
///
/// - Returns: the sites, and the roles that a file of this kind should have but for which none was found.
public func planSites(in elf: ELFFile) -> SitePlan {
  var planner = SitePlanner(elf)
  planner.run()
  return planner.plan
}

struct SitePlanner {
  /// The symbols looked for, in the order of the patterns.
  enum Name: Int, CaseIterable {
    // Called functions come first: CallTargets knows these.
    case operatorCall, fused, barrier, isEmpty, abort
    case graph, backendGraph
    case decode, process, encode, sampleLlama, warmup
    case ubatch, sampleCommon
    case modelLoad, commonSamplerInit

    static let callable = operatorCall.rawValue..<graph.rawValue

    var pattern: SymbolPattern {
      switch self {
      case .operatorCall: SymbolPattern("ggml_cpu_extra_compute_forward")
      case .fused: SymbolPattern("ggml_compute_forward_rms_norm_mul_fused")
      case .barrier: SymbolPattern("ggml_barrier")
      case .isEmpty: SymbolPattern("ggml_is_empty")
      case .abort: SymbolPattern("ggml_abort")
      case .graph: SymbolPattern("ggml_graph_compute")
      case .backendGraph: SymbolPattern("ggml_backend_graph_compute_async")
      case .decode: SymbolPattern("llama_decode")
      case .process: SymbolPattern("llama_process")
      case .encode: SymbolPattern("llama_encode")
      case .sampleLlama: SymbolPattern("llama_sampler_sample")
      case .warmup: SymbolPattern("llama_set_warmup")
      case .ubatch: SymbolPattern("_ZN13llama_context14process_ubatch", isPrefix: true)
      case .sampleCommon:
        SymbolPattern("_Z21common_sampler_sampleP14common_samplerP13llama_contexti", isPrefix: true)
      case .modelLoad: SymbolPattern("llama_model_load_from_file")
      case .commonSamplerInit: SymbolPattern("_Z19common_sampler_init", isPrefix: true)
      }
    }
  }

  let elf: ELFFile
  private let symbols: [[Symbol]]
  private let targets: CallTargets
  /// Direct calls to the operator function and the fused one.
  private let calls: [(address: UInt64, name: Int)]
  private(set) var plan = SitePlan()

  init(_ elf: ELFFile) {
    self.elf = elf
    let patterns = Name.allCases.map { $0.pattern }
    symbols = elf.symbols(patterns).map { list in list.filter { $0.isFunction && !Self.isFragment($0.name) } }
    // Only the CPU backend's library has the node loop; others need no search.
    let hasNodeLoop =
      !symbols[Name.graph.rawValue].isEmpty || !symbols[Name.operatorCall.rawValue].isEmpty
    if hasNodeLoop {
      let callable = Name.callable
      targets = CallTargets(
        of: Array(patterns[callable]), defined: Array(symbols[callable]), in: elf)
      calls = elf.calls(to: Name.operatorCall.rawValue..<(Name.fused.rawValue + 1), of: targets)
    } else {
      targets = CallTargets(of: [], defined: [], in: elf)
      calls = []
    }
  }

  /// Compilers split off cold and partial copies under the function's own name.
  private static func isFragment(_ name: String) -> Bool {
    var utf8 = name.utf8[...]
    while let dot = utf8.firstIndex(of: UInt8(ascii: ".")) {
      utf8 = utf8[utf8.index(after: dot)...]
      if utf8.starts(with: "cold".utf8) || utf8.starts(with: "part".utf8) { return true }
    }
    return false
  }

  private func symbol(_ name: Name) -> Symbol? { symbols[name.rawValue].first }

  mutating func run() {
    let isLlama =
      symbol(.decode) != nil || symbol(.process) != nil || symbol(.ubatch) != nil || symbol(.modelLoad) != nil
    if isLlama {
      let token = "builds have llama_decode, and llama_process since 2026; the other one is enough"
      addFunction(.decode, .tokenDecode, .tokenDecodeReturn, "llama_decode", arguments: 1, hint: token)
      addFunction(.process, .tokenProcess, .tokenProcessReturn, "llama_process", arguments: 3, hint: token)
      addFunction(
        .encode, .tokenEncode, .tokenEncodeReturn, "llama_encode", arguments: 1,
        hint: "encoder models show no token steps")
      addCXXFunction(
        .ubatch, .ubatch, .ubatchReturn, "llama_context::process_ubatch", arguments: 2,
        hint: "micro-batches are not told apart; token steps still are")
      addCXXFunction(
        .sampleLlama, .sampleLlama, .sampleLlamaReturn, "llama_sampler_sample", arguments: 3,
        hint: "sampling by programs that use the C API is not seen")
      addFunction(
        .warmup, .warmup, nil, "llama_set_warmup", arguments: 2,
        hint: "a warm-up run counts as the first token step")
    }
    if symbol(.sampleCommon) != nil || symbol(.commonSamplerInit) != nil {
      addCXXFunction(
        .sampleCommon, .sampleCommon, .sampleCommonReturn, "common_sampler_sample", arguments: 3,
        hint: "sampling by llama.cpp's own tools is not seen")
    }
    if symbol(.backendGraph) != nil {
      addFunction(
        .backendGraph, .backendGraph, .backendGraphReturn, "ggml_backend_graph_compute_async", arguments: 2,
        hint: "")
    }
    if symbol(.graph) != nil || symbol(.operatorCall) != nil {
      addFunction(
        .graph, .graph, .graphReturn, "ggml_graph_compute", arguments: 2,
        hint: "without graphs there is no structure")
      addOperator(
        .operatorCall, .opBegin, "ggml_cpu_extra_compute_forward", arguments: 2,
        hint: "builds before December 2024 do not have it: use a newer build of llama.cpp")
      addOperator(
        .fused, .opFused, "ggml_compute_forward_rms_norm_mul_fused", arguments: 3,
        hint: "builds before May 2026 do not fuse these operators and need no such site")
      addBarriers()
    }
  }

  // MARK: Roles

  private mutating func addMissing(_ role: SiteRole, _ reason: String, _ hint: String) {
    plan.missing.append(MissingSite(role: role, reason: reason, hint: hint))
  }

  private mutating func addFunction(
    _ name: Name, _ role: SiteRole, _ returnRole: SiteRole?, _ function: String, arguments: Int, hint: String
  ) {
    guard let symbol = symbol(name) else {
      addMissing(role, "the file does not define \(function)", hint)
      return
    }
    // llama_batch goes by value, on the stack of x86_64 and through x1 on aarch64.
    let isDecode = role == .tokenDecode || role == .tokenEncode
    let count = isDecode && elf.machine == .aarch64 ? 2 : arguments
    let entry = entryInstruction(
      of: symbol, arguments: count, keepsStackPointer: isDecode && elf.machine == .x86_64)
    guard let entry else {
      addMissing(role, "cannot decode the first instruction of \(function)", hint)
      return
    }
    addSite(role, .entry, function, entry)
    guard let returnRole else { return }
    if let first = elf.instruction(at: symbol.address), first.kind != .refused {
      addSite(returnRole, .functionReturn, function, first)
    } else {
      addMissing(returnRole, "the kernel accepts no probe at the first instruction of \(function)", hint)
    }
  }

  /// A function through which C++ exceptions may fly: a uretprobe's trampoline would stop the unwinder, which ends
  /// the target. So its `ret` instructions are probed instead.
  private mutating func addCXXFunction(
    _ name: Name, _ role: SiteRole, _ returnRole: SiteRole, _ function: String, arguments: Int, hint: String
  ) {
    guard let symbol = symbol(name) else {
      addMissing(role, "the file does not define \(function)", hint)
      return
    }
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
    for instruction in returns { addSite(returnRole, .entry, function, instruction) }
  }

  private mutating func addOperator(
    _ name: Name, _ role: SiteRole, _ function: String, arguments: Int, hint: String
  ) {
    guard let symbol = symbol(name) else {
      addMissing(role, "the file does not define \(function)", hint)
      return
    }
    let entry = entryInstruction(of: symbol, arguments: arguments, keepsStackPointer: false)
    let ownCalls = calls.filter { $0.name == name.rawValue }
    if let entry, entry.kind.rank(on: elf.machine) < InstructionClass.singleStepped.rank(on: elf.machine) {
      addSite(role, .entry, function, entry)
    } else if !ownCalls.isEmpty {
      for call in ownCalls {
        if let instruction = elf.instruction(at: call.address) {
          addSite(role, .entry, function, instruction)
        }
      }
    } else if let entry {
      addSite(role, .entry, function, entry)
    } else {
      addMissing(role, "cannot decode the first instruction of \(function)", hint)
    }
  }

  private mutating func addBarriers() {
    let hint = "operators end where the next one begins; waiting times are not known"
    let operatorCalls = calls.filter { $0.name == Name.operatorCall.rawValue }.map { $0.address }
    guard !operatorCalls.isEmpty else {
      let reason = "no direct call to ggml_cpu_extra_compute_forward was found"
      addMissing(.barrierLoop, reason, hint)
      addMissing(.barrierFinal, reason, hint)
      return
    }
    let finder = BarrierFinder(
      elf: elf, targets: targets,
      names: BarrierFinder.Names(
        operatorCall: Name.operatorCall.rawValue, barrier: Name.barrier.rawValue,
        isEmpty: Name.isEmpty.rawValue, abort: Name.abort.rawValue))
    let result = finder.find(fromOperatorCalls: operatorCalls)
    if result.loop.isEmpty { addMissing(.barrierLoop, result.reason, hint) }
    if result.final.isEmpty { addMissing(.barrierFinal, result.reason, hint) }
    for (role, addresses) in [(SiteRole.barrierLoop, result.loop), (.barrierFinal, result.final)] {
      for address in addresses {
        if let instruction = elf.instruction(at: address) {
          addSite(role, .entry, "ggml_barrier", instruction)
        }
      }
    }
  }

  private mutating func addSite(
    _ role: SiteRole, _ kind: ProbeKind, _ function: String, _ instruction: Instruction
  ) {
    guard let (offset, _) = elf.location(of: instruction.address, executable: true) else { return }
    let called = targets.name(calledBy: instruction.flow) ?? targets.name(jumpedToBy: instruction.flow)
    plan.sites.append(
      Site(
        role: role, kind: kind, function: function, address: instruction.address, fileOffset: UInt64(offset),
        instruction: elf.text(of: instruction, target: called == nil ? nil : function),
        instructionClass: instruction.kind,
        expectedNanoseconds: instruction.kind.expectedNanoseconds(on: elf.machine)))
  }

  // MARK: Prologue

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
