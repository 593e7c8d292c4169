/// What the kernel does with an instruction that carries a uprobe: this decides the price of a hit.
public enum InstructionClass: Sendable, CaseIterable {
  /// The 5-byte nop 0F 1F 44 00 00 (x86_64).
  case nop5
  case nop
  case jump
  /// `push` of a register (x86_64).
  case push
  case call
  /// Other instructions that arm64 kernels simulate: `adr`, `adrp`.
  case simulated
  /// Executed out of line under a single-step trap: a second exception per hit.
  case singleStepped
  /// The kernel does not accept a probe here.
  case refused

  public var rawValue: String {
    switch self {
    case .nop5: "nop5"
    case .nop: "nop"
    case .jump: "jump"
    case .push: "push"
    case .call: "call"
    case .simulated: "simulated"
    case .singleStepped: "singleStepped"
    case .refused: "refused"
    }
  }

  /// Thread CPU time per hit of an empty program in nanoseconds, as measured on an x86_64 cloud machine with
  /// Linux 6.18; 0 where nothing was measured (aarch64).
  public func expectedNanoseconds(on machine: ELFFile.Machine) -> Int {
    guard machine == .x86_64 else { return 0 }
    return switch self {
    case .nop5: 521
    case .nop: 741
    case .jump: 761
    case .push: 830
    case .call: 879
    case .simulated, .refused: 0
    case .singleStepped: 11_600
    }
  }

  /// Order of preference, lower is better.
  func rank(on machine: ELFFile.Machine) -> Int {
    switch self {
    case .nop5: 0
    // arm64 kernels simulate branches and adr since the first uprobes, `nop` only since 6.13.
    case .nop: machine == .aarch64 ? 5 : 1
    case .jump: 2
    case .push: 3
    case .call: 4
    case .simulated: 4
    case .singleStepped: 6
    case .refused: 7
    }
  }
}

/// Where control goes after an instruction. Targets are virtual addresses.
enum ControlFlow: Equatable {
  case sequential
  case jump(UInt64)
  case branch(UInt64)
  case call(UInt64)
  /// A call or jump through a pointer at a known address (`call *slot(%rip)`): built with -fno-plt.
  case callThrough(UInt64)
  case jumpThrough(UInt64)
  case indirectCall
  case indirectJump
  case functionReturn
  /// `ud2`, `hlt`, `brk`: execution does not get past it.
  case trap
}

/// A decoded instruction at an address, for either processor.
struct Instruction {
  enum Detail {
    case x86(X86Instruction)
    case arm64(UInt32)
  }
  var address: UInt64
  var length: Int
  var flow: ControlFlow
  var kind: InstructionClass
  var detail: Detail

  /// The address of the instruction behind.
  var next: UInt64 { address &+ UInt64(length) }

  /// Registers written, bit n = register n (bit 31 = sp on aarch64, bit 4 = rsp on x86_64), or nil when unknown.
  var writtenRegisters: UInt32? {
    switch detail {
    case .x86(let instruction): instruction.writtenRegisters
    case .arm64(let word): ARM64.writtenRegisters(word)
    }
  }
}

extension ELFFile {
  /// Decodes the instruction at `address`; nil outside executable memory or when it is not understood.
  func instruction(at address: UInt64) -> Instruction? {
    guard let (offset, available) = location(of: address, executable: true) else { return nil }
    switch machine {
    case .x86_64:
      let window = UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + min(available, 15))])
      guard let decoded = X86Instruction.decode(window, at: 0) else { return nil }
      return Instruction(
        address: address, length: decoded.length, flow: decoded.flow(at: address), kind: decoded.kind,
        detail: .x86(decoded))
    case .aarch64:
      guard address & 3 == 0, available >= 4 else { return nil }
      let word = bytes.u32(offset)
      return Instruction(
        address: address, length: 4, flow: ARM64.flow(word, at: address), kind: ARM64.kind(word),
        detail: .arm64(word))
    }
  }

  /// Readable text of an instruction: mnemonic and operands of those that get chosen, else mnemonic or raw bytes.
  func text(of instruction: Instruction, target: String?) -> String {
    switch instruction.detail {
    case .x86(let decoded):
      var raw = ""
      if let (offset, available) = location(of: instruction.address, executable: true) {
        for index in 0..<min(instruction.length, available) {
          let byte = bytes[offset + index]
          raw += (index == 0 ? "" : " ") + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
      }
      return decoded.text(at: instruction.address, raw: raw, target: target)
    case .arm64(let word): return ARM64.text(word, at: instruction.address, target: target)
    }
  }
}
