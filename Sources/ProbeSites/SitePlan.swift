/// What a probe site tells about the run. The raw value is the word used in a trace's metadata.
///
/// In order from the outside of a token step to its inside, begins before ends: probes are attached in
/// the reverse order.
public enum SiteRole: CaseIterable, Sendable {
  case tokenDecode, tokenDecodeReturn
  case tokenProcess, tokenProcessReturn
  case tokenEncode, tokenEncodeReturn
  case ubatch, ubatchReturn
  case draft, draftReturn
  case accept
  case sampleCommon, sampleCommonReturn
  case sampleLlama, sampleLlamaReturn
  case warmup
  case backendGraph, backendGraphReturn
  case graph, graphReturn
  case enqueueOpenCL, enqueueOpenCLReturn
  case enqueueRockchip, enqueueRockchipReturn
  case enqueueVulkan, enqueueVulkanReturn
  case opBegin, opFused
  case barrierLoop, barrierFinal

  public var rawValue: String {
    switch self {
    case .tokenDecode: "token_decode"
    case .tokenDecodeReturn: "token_decode_return"
    case .tokenProcess: "token_process"
    case .tokenProcessReturn: "token_process_return"
    case .tokenEncode: "token_encode"
    case .tokenEncodeReturn: "token_encode_return"
    case .ubatch: "ubatch"
    case .ubatchReturn: "ubatch_return"
    case .draft: "draft"
    case .draftReturn: "draft_return"
    case .accept: "accept"
    case .sampleCommon: "sample_common"
    case .sampleCommonReturn: "sample_common_return"
    case .sampleLlama: "sample_llama"
    case .sampleLlamaReturn: "sample_llama_return"
    case .warmup: "warmup"
    case .backendGraph: "backend_graph"
    case .backendGraphReturn: "backend_graph_return"
    case .graph: "graph"
    case .graphReturn: "graph_return"
    case .enqueueOpenCL: "enqueue_opencl"
    case .enqueueOpenCLReturn: "enqueue_opencl_return"
    case .enqueueRockchip: "enqueue_rockchip"
    case .enqueueRockchipReturn: "enqueue_rockchip_return"
    case .enqueueVulkan: "enqueue_vulkan"
    case .enqueueVulkanReturn: "enqueue_vulkan_return"
    case .opBegin: "op_begin"
    case .opFused: "op_fused"
    case .barrierLoop: "barrier_loop"
    case .barrierFinal: "barrier_final"
    }
  }

  /// Position in `allCases`: the cookie by which one program tells the roles apart.
  public var number: Int {
    for (index, role) in Self.allCases.enumerated() where role == self { return index }
    return 0
  }
}

public enum ProbeKind: Sendable {
  /// Fires when the instruction is reached.
  case entry
  /// A uretprobe: fires when the function returns. To be placed where the return address is as at the call.
  case functionReturn
}

/// One instruction to probe.
public struct Site {
  public var role: SiteRole
  public var kind: ProbeKind
  /// The function that the role is about; the instruction may lie in its caller (class call).
  public var function: String
  /// Virtual address in the ELF file.
  public var address: UInt64
  public var fileOffset: UInt64
  /// Readable, e.g. "push %r13".
  public var instruction: String
  public var instructionClass: InstructionClass
  /// Thread CPU time per hit of an empty program; 0 = not measured (aarch64). Entry part only for returns.
  public var expectedNanoseconds: Int

  public init(
    role: SiteRole, kind: ProbeKind, function: String, address: UInt64, fileOffset: UInt64,
    instruction: String, instructionClass: InstructionClass, expectedNanoseconds: Int
  ) {
    self.role = role
    self.kind = kind
    self.function = function
    self.address = address
    self.fileOffset = fileOffset
    self.instruction = instruction
    self.instructionClass = instructionClass
    self.expectedNanoseconds = expectedNanoseconds
  }
}

/// A role that this file should have and for which no site was found.
public struct MissingSite {
  public var role: SiteRole
  public var reason: String
  /// What the user can do, or what follows from it.
  public var hint: String

  public init(role: SiteRole, reason: String, hint: String) {
    self.role = role
    self.reason = reason
    self.hint = hint
  }
}

/// The sites of one ELF file. A file with nothing of ggml or llama.cpp gives an empty plan.
public struct SitePlan {
  public var sites: [Site] = []
  public var missing: [MissingSite] = []
  /// The next plan of a role: for when its sites are in place and never fire, because the compiler inlined the
  /// function where it is called.
  public var alternates: [Site] = []

  public init() {}

  public func sites(_ role: SiteRole) -> [Site] { sites.filter { $0.role == role } }
}
