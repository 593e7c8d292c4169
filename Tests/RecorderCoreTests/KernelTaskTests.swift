import CProbeObject
import ProbeSites
import Testing

@testable import RecorderCore

@Suite struct KernelTaskTests {
  /// A task_struct of which only the fields that are looked for are filled.
  private func task(pid: UInt32, comm: String, state: UInt32 = 0, pidAt: Int = 2464) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xee, count: Int(PROBE_TASK_BYTES))
    func put(_ value: UInt32, at: Int) {
      for index in 0..<4 { bytes[at + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
    }
    put(state, at: 24)
    put(pid, at: pidAt)
    put(pid, at: pidAt + 4)
    for (index, byte) in (comm.utf8 + [UInt8](repeating: 0, count: 16 - comm.utf8.count)).enumerated() {
      bytes[2992 + index] = byte
    }
    return bytes
  }

  private func sample(_ pid: UInt32, _ comm: String, _ bytes: [UInt8]? = nil) -> KernelTask.Sample {
    KernelTask.Sample(
      bytes: bytes ?? task(pid: pid, comm: comm), pid: pid,
      comm: comm.utf8 + [UInt8](repeating: 0, count: 16 - comm.utf8.count))
  }

  @Test func findsNumbersNameAndState() {
    let running = [sample(300, "pi-calibrate-0"), sample(7_000_123, "pi-calibrate-1")]
    #expect(
      KernelTask.locate(running: running, sleeping: nil)
        == KernelTask(pid: 2464, tgid: 2468, comm: 2992, state: nil))
    let sleeping = task(pid: 55, comm: "pi-record", state: 1)
    #expect(KernelTask.locate(running: running, sleeping: sleeping)?.state == 24)
  }

  /// Another pair of words may happen to hold one task's number; it does not hold the other's, too.
  @Test func chanceMatchesAreToldApartByTheSecondTask() {
    var first = task(pid: 300, comm: "pi-calibrate-0")
    for (index, byte) in [UInt8(44), 1, 0, 0, 44, 1, 0, 0].enumerated() { first[512 + index] = byte }
    let running = [sample(300, "pi-calibrate-0", first), sample(301, "pi-calibrate-1")]
    #expect(KernelTask.locate(running: running, sleeping: nil)?.pid == 2464)
  }

  @Test func ambiguityIsNoAnswer() {
    let twice = { (pid: UInt32, comm: String) -> KernelTask.Sample in
      var bytes = self.task(pid: pid, comm: comm)
      for index in 0..<8 { bytes[512 + index] = bytes[2464 + index] }
      return self.sample(pid, comm, bytes)
    }
    #expect(
      KernelTask.locate(running: [twice(300, "a-name"), twice(301, "b-name")], sleeping: nil) == nil)
    #expect(KernelTask.locate(running: [sample(300, "a-name")], sleeping: nil) == nil)
    #expect(KernelTask.locate(running: [], sleeping: nil) == nil)
  }

  @Test func kernelVersions() {
    #expect(KernelVersion(release: "5.10.160-rockchip") == KernelVersion(5, 10))
    #expect(KernelVersion(release: "6.18.44") > KernelVersion(6, 6))
    #expect(KernelVersion(release: "6.1-rc3+") < KernelVersion(6, 6))
    #expect(KernelVersion(release: "") == KernelVersion(0, 0))
  }

  /// The cookie that the one program for all roles gets is the role's place in two lists, of which one is in C.
  @Test func rolesHaveTheNumbersOfTheirPrograms() throws {
    for (index, role) in SiteRole.allCases.enumerated() {
      let name = try #require(probe_role_name(UInt32(index)))
      #expect(String(cString: name) == role.rawValue)
      #expect(role.number == index)
    }
    #expect(probe_role_name(UInt32(SiteRole.allCases.count)) == nil)
  }
}
