import TraceModel

/// What the scheduler does with a thread, as far as its events tell.
struct SchedulerState {
  enum Activity: UInt8 { case unknown, running, runnable, blocked, ended }

  var activity = Activity.unknown
  /// Since when, valid unless unknown.
  var since: UInt64 = 0
  /// The CPU that the thread ran on last, -1 before it was seen on one.
  var cpu: Int32 = -1
  var isMigration = false
  var preemptor: Preemptor?
  /// What the thread was doing when the activity began.
  var step: Int?
  var inside: ThreadSlice.Inside?
}
