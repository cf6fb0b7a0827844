//! A message queue in memory that keeps every promise, unless told to break one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use shoal_load_test::{Failure, Outgoing, Received, SendAnswer, Service};
use shoal_types::Applied;
use tokio::sync::Notify;

/// The promise that a [`Shelf`] breaks, at its 50th opportunity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Keeps every promise.
    None,
    /// Accepts a message and does not keep it.
    Forget,
    /// Keeps a message after its acknowledged delete.
    Undelete,
    /// Leases a message twice at once.
    LeaseTwice,
    /// Keeps a message under two numbers.
    KeepTwice,
    /// Leaves a number out.
    SkipNumber,
    /// Flips a bit.
    Alter,
    /// Keeps a message and says that it did not.
    RefuseAndKeep,
    /// Answers nothing for a while, and keeps every promise.
    Pause(Duration),
    /// Fails an operation, and keeps every promise.
    Fail,
}

impl Fault {
    /// True if a message of a send is an opportunity for it.
    fn is_of_sends(self) -> bool {
        matches!(
            self,
            Self::Forget
                | Self::KeepTwice
                | Self::SkipNumber
                | Self::RefuseAndKeep
                | Self::Pause(_)
        )
    }
}

const OPPORTUNITY: u64 = 50;

/// The queue. Clones are the same queue.
#[derive(Clone)]
pub(crate) struct Shelf(Arc<Inner>);

struct Inner {
    fault: Fault,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    messages: BTreeMap<(String, u64), Message>,
    last_number: BTreeMap<String, u64>,
    visibility: Duration,
    opportunities: u64,
    most_unleased: usize,
}

struct Message {
    body: Bytes,
    /// Until then it is somebody's.
    leased_until: Option<Instant>,
}

impl Shelf {
    pub(crate) fn new(fault: Fault) -> Self {
        Self(Arc::new(Inner {
            fault,
            state: Mutex::default(),
            arrived: Notify::new(),
        }))
    }

    /// The most messages that were kept and leased to nobody at any time.
    pub(crate) fn most_unleased(&self) -> usize {
        self.0.state.lock().unwrap().most_unleased
    }

    fn lease(&self, queue: &str, max: usize) -> Vec<Received> {
        let mut state = self.0.state.lock().unwrap();
        let state = &mut *state;
        let now = Instant::now();
        let mut given = Vec::new();
        for ((_, sequence), message) in in_queue(&mut state.messages, queue) {
            if message.leased_until.is_some_and(|until| until > now) {
                continue;
            }
            message.leased_until = Some(now + state.visibility);
            let mut body = message.body.clone();
            if self.0.fault == Fault::Alter && is_time(&mut state.opportunities) {
                let mut bytes = body.to_vec();
                *bytes.last_mut().unwrap() ^= 1;
                body = bytes.into();
            }
            let leases_twice = self.0.fault == Fault::LeaseTwice;
            let times = if leases_twice && is_time(&mut state.opportunities) {
                2
            } else {
                1
            };
            let delivery = Received {
                sequence: *sequence,
                receipt: sequence.to_string(),
                body,
            };
            given.extend(std::iter::repeat_n(delivery, times));
            if given.len() >= max {
                break;
            }
        }
        given
    }
}

impl State {
    fn keep(&mut self, queue: &str, body: Bytes) -> u64 {
        let number = self.last_number.entry(queue.to_owned()).or_default();
        *number += 1;
        let message = Message {
            body,
            leased_until: None,
        };
        self.messages.insert((queue.to_owned(), *number), message);
        let number = *number;
        let unleased = self.messages.values().filter(|m| m.leased_until.is_none());
        self.most_unleased = self.most_unleased.max(unleased.count());
        number
    }
}

/// True once, at the fiftieth call.
fn is_time(opportunities: &mut u64) -> bool {
    *opportunities += 1;
    *opportunities == OPPORTUNITY
}

fn in_queue<'a>(
    messages: &'a mut BTreeMap<(String, u64), Message>,
    queue: &str,
) -> impl Iterator<Item = (&'a (String, u64), &'a mut Message)> {
    messages.range_mut((queue.to_owned(), 0)..=(queue.to_owned(), u64::MAX))
}

impl Service for Shelf {
    async fn create_queue(&self, _: &str, visibility: Duration, _: bool) -> Result<(), Failure> {
        self.0.state.lock().unwrap().visibility = visibility;
        Ok(())
    }

    async fn delete_queue(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn send(&self, queue: &str, messages: Vec<Outgoing>) -> Result<Vec<SendAnswer>, Failure> {
        let fault = self.0.fault;
        let mut pause = None;
        let mut answers = Vec::new();
        {
            let mut state = self.0.state.lock().unwrap();
            if fault == Fault::Fail && is_time(&mut state.opportunities) {
                return Err(Failure {
                    code: "busy".to_owned(),
                    detail: "planted".to_owned(),
                    applied: Applied::No,
                });
            }
            for Outgoing { body, .. } in messages {
                let is_time = fault.is_of_sends() && is_time(&mut state.opportunities);
                if is_time && fault == Fault::SkipNumber {
                    *state.last_number.entry(queue.to_owned()).or_default() += 1;
                }
                let number = state.keep(queue, body.clone());
                let mut answer = SendAnswer::Accepted(number);
                match fault {
                    Fault::Forget if is_time => {
                        state.messages.remove(&(queue.to_owned(), number));
                    }
                    Fault::KeepTwice if is_time => {
                        state.keep(queue, body);
                    }
                    Fault::RefuseAndKeep if is_time => {
                        answer = SendAnswer::Refused("queue_full".to_owned());
                    }
                    Fault::Pause(length) if is_time => pause = Some(length),
                    _ => {}
                }
                answers.push(answer);
            }
        }
        if let Some(length) = pause {
            tokio::time::sleep(length).await;
        }
        self.0.arrived.notify_waiters();
        Ok(answers)
    }

    async fn receive(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<Received>, Failure> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            // Leases that end wake nobody, so look again now and then.
            let arrived =
                tokio::time::timeout(Duration::from_millis(50), self.0.arrived.notified());
            let given = self.lease(queue, max);
            if !given.is_empty() || tokio::time::Instant::now() >= deadline {
                return Ok(given);
            }
            let _ = arrived.await;
        }
    }

    async fn acknowledge(&self, queue: &str, receipts: Vec<String>) -> Result<Vec<bool>, Failure> {
        let mut state = self.0.state.lock().unwrap();
        let state = &mut *state;
        let delete = |receipt: &String| {
            let key = (queue.to_owned(), receipt.parse().unwrap());
            if self.0.fault == Fault::Undelete && is_time(&mut state.opportunities) {
                return true;
            }
            state.messages.remove(&key).is_some()
        };
        Ok(receipts.iter().map(delete).collect())
    }

    async fn waiting(&self, queue: &str) -> Result<u64, Failure> {
        let mut state = self.0.state.lock().unwrap();
        Ok(in_queue(&mut state.messages, queue).count() as u64)
    }
}
