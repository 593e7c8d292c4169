/// Chooses the probe sites of a file.
///
/// - Returns: the sites, and the roles that a file of this kind should have but for which none was found.
public func planSites(in elf: ELFFile) -> SitePlan {
  var planner = SitePlanner(elf)
  planner.run()
  return planner.plan
}

struct SitePlanner {
  let elf: ELFFile
  private let symbols: [[Symbol]]
  private let targets: CallTargets
  /// Direct calls to the operator function and the fused one.
  private let calls: [(address: UInt64, name: Int)]
  var plan = SitePlan()

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
  static func isFragment(_ name: String) -> Bool {
    var utf8 = name.utf8[...]
    while let dot = utf8.firstIndex(of: UInt8(ascii: ".")) {
      utf8 = utf8[utf8.index(after: dot)...]
      if utf8.starts(with: "cold".utf8) || utf8.starts(with: "part".utf8) { return true }
    }
    return false
  }

  func symbol(_ name: Name) -> Symbol? { symbols[name.rawValue].first }

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
      if symbol(.ubatch) == nil, symbol(.setInputs) != nil {
        // Until March 2025: called once per micro-batch, between the graph's making and its computation. Nothing
        // tells the micro-batch's end.
        addFunction(.setInputs, .ubatch, nil, "llama_set_inputs", arguments: 2, hint: "")
      } else {
        addCXXFunction(
          .ubatch, .ubatch, .ubatchReturn, "llama_context::process_ubatch", arguments: 2, hasResult: false,
          hint: "micro-batches are not told apart; token steps still are")
      }
      addCXXFunction(
        .sampleLlama, .sampleLlama, .sampleLlamaReturn, "llama_sampler_sample", arguments: 3, hasResult: true,
        hint: "sampling by programs that use the C API is not seen")
      addFunction(
        .warmup, .warmup, nil, "llama_set_warmup", arguments: 2,
        hint: "a warm-up run counts as the first token step")
    }
    if symbol(.sampleCommon) != nil || symbol(.commonSamplerInit) != nil {
      addCXXFunction(
        .sampleCommon, .sampleCommon, .sampleCommonReturn, "common_sampler_sample", arguments: 3,
        hasResult: true,
        hint: "sampling by llama.cpp's own tools is not seen")
    }
    if symbol(.draft) != nil {
      addCXXFunction(
        .draft, .draft, .draftReturn, "common_speculative_draft", arguments: 0, hasResult: false,
        hint: "steps of a draft model count as decode steps")
      addOperator(
        .accept, .accept, "common_speculative_accept", arguments: 3,
        hint: "how many drafted tokens were accepted is not known")
    }
    if symbol(.backendGraph) != nil {
      addFunction(
        .backendGraph, .backendGraph, .backendGraphReturn, "ggml_backend_graph_compute_async", arguments: 2,
        hint: "")
    }
    addDevices()
    addAlternates()
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

  /// Backends that hand nodes to a device one by one. Nothing is missing where a file is no such backend.
  private mutating func addDevices() {
    if symbol(.openCL) != nil {
      addFunction(
        .openCL, .enqueueOpenCL, .enqueueOpenCLReturn, "ggml_cl_compute_forward", arguments: 2, hint: "")
    }
    if symbol(.rockchip) != nil {
      addFunction(
        .rockchip, .enqueueRockchip, .enqueueRockchipReturn, "ggml_rk_compute_forward", arguments: 2, hint: ""
      )
    }
    if symbol(.vulkan) != nil {
      // Vulkan's C++ bindings throw.
      addCXXFunction(
        .vulkan, .enqueueVulkan, .enqueueVulkanReturn, "ggml_vk_build_graph", arguments: 3,
        hasResult: true, hint: "")
    }
  }

  // MARK: Roles

  mutating func addMissing(_ role: SiteRole, _ reason: String, _ hint: String) {
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
    // Where the stack pointer is as at the call, the return address is where a uretprobe looks for it; so both
    // probes share the cheap instruction, and one trap serves them.
    let keepsStackPointer = elf.machine == .x86_64 && (isDecode || returnRole != nil)
    guard let entry = entryInstruction(of: symbol, arguments: count, keepsStackPointer: keepsStackPointer)
    else {
      addMissing(role, "cannot decode the first instruction of \(function)", hint)
      return
    }
    addSite(role, .entry, function, entry)
    guard let returnRole else { return }
    // On aarch64 the return address is in a register that the prologue stores and may sign: only at the first
    // instruction it is sure to be still there.
    let place = elf.machine == .x86_64 ? entry : elf.instruction(at: symbol.address)
    if let place, place.kind != .refused {
      addSite(returnRole, .functionReturn, function, place)
    } else {
      addMissing(returnRole, "the kernel accepts no probe at the first instruction of \(function)", hint)
    }
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
    if result.final.isEmpty && !result.loopStandsForFinal { addMissing(.barrierFinal, result.reason, hint) }
    for (role, addresses) in [(SiteRole.barrierLoop, result.loop), (.barrierFinal, result.final)] {
      for address in addresses {
        if let instruction = elf.instruction(at: address) {
          addSite(role, .entry, "ggml_barrier", instruction)
        }
      }
    }
  }

  mutating func addSite(
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
}
