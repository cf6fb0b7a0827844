//! How long a test waits for what, each with its reason. All are far above what is expected: they
//! say when to give up, not how fast something has to be.

use std::time::Duration;

/// A whole test, without waiting for its turn and for the build. The longest ones send for half a
/// minute and start a system twice.
pub const TEST: Duration = Duration::from_secs(180);
/// From starting `shoal dev` to its word that it is ready. It takes a second or two alone and several
/// more while other tests compile.
pub const START: Duration = Duration::from_secs(60);
/// Until a role that was started again is ready: it reads its log and takes part in a view change.
pub const READY: Duration = Duration::from_secs(30);
/// Until a host acts again after whatever was done to it. One that keeps dropping out may be let in
/// later each time, by half a minute at most.
pub const BACK: Duration = Duration::from_secs(60);
/// Until a process that got a signal is gone. Freeing its memory is part of it.
pub const GONE: Duration = Duration::from_secs(10);
/// Between two looks at a condition.
pub const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Bytes of a log file's end that are shown when a test fails.
pub const LOG_TAIL_BYTES: usize = 8 << 10;
