import TraceModel

extension Explainer {
  /// What the recording cannot tell about a step, and how to record it.
  func missing(_ step: StepAccount) -> [String] {
    var lines: [String] = []
    if !accounts.hasScheduler {
      lines.append("preemption, migration, sleep in operators: not recorded: record with --sched")
    }
    if !accounts.hasFaultCounters {
      lines.append("page faults: not recorded: record with --pmc page-faults,major-faults")
    } else if step.faults == nil {
      lines.append(
        "page faults: not known of all of this step, in which a thread moved between CPUs or records were lost"
      )
    }
    if accounts.hasFaultCounters, !accounts.faultCounters.countsMajor {
      lines.append("page faults that read a disk: not recorded: record with --pmc page-faults,major-faults")
    }
    if !accounts.clocks.isRecorded {
      lines.append("clock frequency: not recorded: this machine's kernel does not tell it")
    }
    if step.place.position == nil {
      lines.append("growth of the context: the step's position was not recorded")
    }
    if !accounts.hasOperators {
      lines.append("operators and barriers: not recorded: record with --level op")
    } else if !accounts.hasKinds {
      lines.append(
        "which operators: not recorded: record without --no-structure; then waits for other threads that had no CPU"
          + " are told apart from the barrier, too")
    }
    return lines
  }

  /// What makes the explanation of a step doubtful.
  func notes(_ step: StepAccount, hasGroup: Bool) -> [String] {
    var lines: [String] = []
    if !step.isComplete {
      lines.append("the end of this step was not recorded: how long it took is not known")
    } else if !hasGroup {
      let tokens = step.tokenCount.map { " of \(formatCount($0, "token"))" } ?? ""
      lines.append(
        step.phase == .warmup
          ? "a warm-up is compared with nothing"
          : "nothing to compare with: under \(Expectations.leastMembers) whole \(step.phase.rawValue) steps\(tokens)"
            + " of this context")
    }
    let lost = accounts.lossGaps.filter { $0.range.start < step.range.end && step.range.start < $0.range.end }
    if !lost.isEmpty {
      let records = lost.reduce(UInt64(0)) { $0 &+ $1.lostRecords }
      lines.append("\(formatCount(records, "record")) lost around this step: parts may be wrong")
    }
    if !step.hasOperatorProbes {
      lines.append("the recorder had taken the operator probes out: compared with other such steps")
    }
    if accounts.offCPU.incomplete > 0 {
      lines.append(
        "some operators were preempted more often than is followed: a part of that is not told apart")
    }
    return lines
  }
}

extension StepAccounts {
  /// Whether any operator, any whose node is known, and any that reads experts was recorded.
  var hasOperators: Bool { executions.contains { $0 > 0 } }
  var hasKinds: Bool { executions.dropFirst().contains { $0 > 0 } }
  var hasExperts: Bool { kinds.kinds.indices.contains { readsExperts($0) } }

  func readsExperts(_ kind: Int) -> Bool { kinds.kinds[kind].op.hasPrefix("MUL_MAT_ID") }
}
