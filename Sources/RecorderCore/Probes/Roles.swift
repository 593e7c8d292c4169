import CTraceRecords
import ProbeSites

extension Level {
  /// The probes of this level and those before it.
  var roles: [SiteRole] {
    SiteRole.allCases.filter { $0.level.rawValue <= rawValue }
  }
}

/// Probes that come and go together.
enum ProbeGroup { case barriers, operators, others }

extension SiteRole {
  var group: ProbeGroup {
    switch self {
    case .barrierLoop, .barrierFinal: .barriers
    default: level == .op ? .operators : .others
    }
  }

  /// The level from which on the recorder uses it.
  var level: Level {
    switch self {
    case .tokenDecode, .tokenDecodeReturn, .tokenProcess, .tokenProcessReturn, .tokenEncode,
      .tokenEncodeReturn, .ubatch, .ubatchReturn, .sampleCommon, .sampleCommonReturn, .sampleLlama,
      .sampleLlamaReturn, .warmup, .draft, .draftReturn, .accept:
      .token
    case .graph, .graphReturn, .backendGraph, .backendGraphReturn: .graph
    case .opBegin, .opFused, .barrierLoop, .barrierFinal, .enqueueOpenCL, .enqueueOpenCLReturn,
      .enqueueRockchip, .enqueueRockchipReturn, .enqueueVulkan, .enqueueVulkanReturn:
      .op
    }
  }

  /// The library of llama.cpp that a role's function belongs to: libggml-cpu, libggml-base, a device's
  /// backend, libllama or libllama-common.
  enum EnginePart { case cpu, base, device, model, common }

  var part: EnginePart {
    switch self {
    case .graph, .graphReturn, .opBegin, .opFused, .barrierLoop, .barrierFinal: .cpu
    case .backendGraph, .backendGraphReturn: .base
    case .enqueueOpenCL, .enqueueOpenCLReturn, .enqueueRockchip, .enqueueRockchipReturn, .enqueueVulkan,
      .enqueueVulkanReturn:
      .device
    case .tokenDecode, .tokenDecodeReturn, .tokenProcess, .tokenProcessReturn, .tokenEncode,
      .tokenEncodeReturn, .ubatch, .ubatchReturn, .sampleLlama, .sampleLlamaReturn, .warmup:
      .model
    case .sampleCommon, .sampleCommonReturn, .draft, .draftReturn, .accept: .common
    }
  }

  /// How often sites of this role fired.
  func hits(in drain: Drain) -> UInt64 {
    switch self {
    case .tokenDecode: drain.hits(type: PI_RECORD_TOKEN_BEGIN, flags: PI_TOKEN_DECODE.rawValue)
    case .tokenDecodeReturn: drain.hits(type: PI_RECORD_TOKEN_END, flags: PI_TOKEN_DECODE.rawValue)
    case .tokenProcess: drain.hits(type: PI_RECORD_TOKEN_BEGIN, flags: PI_TOKEN_PROCESS.rawValue)
    case .tokenProcessReturn: drain.hits(type: PI_RECORD_TOKEN_END, flags: PI_TOKEN_PROCESS.rawValue)
    case .tokenEncode: drain.hits(type: PI_RECORD_TOKEN_BEGIN, flags: PI_TOKEN_ENCODE.rawValue)
    case .tokenEncodeReturn: drain.hits(type: PI_RECORD_TOKEN_END, flags: PI_TOKEN_ENCODE.rawValue)
    case .ubatch: drain.hits(type: PI_RECORD_UBATCH_BEGIN)
    case .ubatchReturn: drain.hits(type: PI_RECORD_UBATCH_END)
    case .graph: drain.hits(type: PI_RECORD_GRAPH_BEGIN, flags: PI_GRAPH_CPU.rawValue)
    case .graphReturn: drain.hits(type: PI_RECORD_GRAPH_END, flags: PI_GRAPH_CPU.rawValue)
    case .backendGraph: drain.hits(type: PI_RECORD_GRAPH_BEGIN, flags: PI_GRAPH_BACKEND.rawValue)
    case .backendGraphReturn: drain.hits(type: PI_RECORD_GRAPH_END, flags: PI_GRAPH_BACKEND.rawValue)
    case .opBegin: drain.hits(type: PI_RECORD_OP_BEGIN)
    case .opFused: drain.hits(type: PI_RECORD_OP_FUSED, flags: PI_FUSION_RMS_NORM_MUL.rawValue)
    case .barrierLoop: drain.hits(type: PI_RECORD_BARRIER, flags: PI_BARRIER_LOOP.rawValue)
    case .barrierFinal: drain.hits(type: PI_RECORD_BARRIER, flags: PI_BARRIER_FINAL.rawValue)
    case .sampleCommon: drain.hits(type: PI_RECORD_SAMPLE_BEGIN, flags: PI_SAMPLER_COMMON.rawValue)
    case .sampleCommonReturn: drain.hits(type: PI_RECORD_SAMPLE_END, flags: PI_SAMPLER_COMMON.rawValue)
    case .sampleLlama: drain.hits(type: PI_RECORD_SAMPLE_BEGIN, flags: PI_SAMPLER_LLAMA.rawValue)
    case .sampleLlamaReturn: drain.hits(type: PI_RECORD_SAMPLE_END, flags: PI_SAMPLER_LLAMA.rawValue)
    case .warmup: drain.hits(type: PI_RECORD_WARMUP)
    case .draft: drain.hits(type: PI_RECORD_DRAFT_BEGIN)
    case .draftReturn: drain.hits(type: PI_RECORD_DRAFT_END)
    case .accept: drain.hits(type: PI_RECORD_ACCEPT)
    case .enqueueOpenCL: drain.hits(type: PI_RECORD_ENQUEUE_BEGIN, flags: PI_DEVICE_OPENCL.rawValue)
    case .enqueueOpenCLReturn: drain.hits(type: PI_RECORD_ENQUEUE_END, flags: PI_DEVICE_OPENCL.rawValue)
    case .enqueueRockchip: drain.hits(type: PI_RECORD_ENQUEUE_BEGIN, flags: PI_DEVICE_ROCKCHIP.rawValue)
    case .enqueueRockchipReturn: drain.hits(type: PI_RECORD_ENQUEUE_END, flags: PI_DEVICE_ROCKCHIP.rawValue)
    case .enqueueVulkan: drain.hits(type: PI_RECORD_ENQUEUE_BEGIN, flags: PI_DEVICE_VULKAN.rawValue)
    case .enqueueVulkanReturn: drain.hits(type: PI_RECORD_ENQUEUE_END, flags: PI_DEVICE_VULKAN.rawValue)
    }
  }
}
