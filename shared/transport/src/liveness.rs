//! Whether the other side of a connection that we dialled is still there.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Asks now and then, and gives up when no answer of any kind comes.
#[derive(Debug)]
pub(crate) struct Liveness {
    tick: Interval,
    silence_max: Duration,
    heard_at: Instant,
    /// The first ping after the last sign of life.
    asked_at: Option<Instant>,
}

/// What to do about it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Send a ping.
    Ask,
    /// Close.
    GiveUp,
}

impl Liveness {
    pub(crate) fn new(tick: Duration, silence_max: Duration) -> Self {
        let mut ticks = interval_at(Instant::now() + tick, tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            tick: ticks,
            silence_max,
            heard_at: Instant::now(),
            asked_at: None,
        }
    }

    /// Something came in.
    pub(crate) fn heard(&mut self) {
        self.heard_at = Instant::now();
        self.asked_at = None;
    }

    /// Looks at the clock. To be called after everything that can be read was read, so that a process
    /// that was stopped for a while does not blame the other side. `ask_after`: how long a silence may
    /// last before it is broken.
    pub(crate) fn poll(
        &mut self,
        cx: &mut std::task::Context<'_>,
        ask_after: Duration,
    ) -> Option<Sign> {
        let mut sign = None;
        while self.tick.poll_tick(cx).is_ready() {
            let now = Instant::now();
            match self.asked_at {
                Some(asked) if now - asked >= self.silence_max => return Some(Sign::GiveUp),
                Some(_) => {}
                None if now - self.heard_at >= ask_after => {
                    self.asked_at = Some(now);
                    sign = Some(Sign::Ask);
                }
                None => {}
            }
        }
        sign
    }
}
