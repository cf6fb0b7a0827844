//! Calls to other clusters that fail are made again, after pauses that grow. Commands in them may be executed
//! any number of times.

use shoal_types::{ClusterId, Command, HostRequest, Mono, Request, RequestId, Ts};

use crate::limits;

/// How often something has failed, and when it is tried again.
#[derive(Default)]
pub(super) struct Retry {
    /// So many have failed, one after the other.
    failures: u32,
    not_before: Mono,
}

impl Retry {
    pub(super) fn is_due(&self, now: Mono) -> bool {
        now >= self.not_before
    }

    pub(super) fn due_at(&self) -> Mono {
        self.not_before
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// True if somebody should hear of it: once, after several failures.
    pub(super) fn failed(&mut self, now: Mono) -> bool {
        let pause = limits::TELLING_PAUSE_MIN * 2_u32.saturating_pow(self.failures.min(16));
        self.failures += 1;
        self.not_before = now + pause.min(limits::TELLING_PAUSE_MAX);
        self.failures == limits::TELLINGS_FAILED_WORTH_A_WARNING
    }

    /// Nothing has failed, but there is nothing to do before.
    pub(super) fn rest_until(&mut self, at: Mono) {
        self.not_before = at;
    }
}

/// What asks a host of a cluster to execute a command that is as good late as in time, and however often it
/// comes: so it is not remembered.
pub(super) fn idempotent(cluster: ClusterId, command: Command) -> HostRequest {
    let request = Request {
        id: RequestId(0),
        deadline: Ts::MAX,
        origin: Default::default(),
        command,
    };
    HostRequest::Execute { cluster, request }
}
