//! Queues that are made and deleted all along, and what is answered instead while that cannot be done.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use shoal_client::{Client, ClientError};
use shoal_types::{Applied, ErrorCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// After each change, whether it was made or not.
const PAUSE: Duration = Duration::from_millis(20);

/// Somebody who makes queues and deletes them, one after the other. It ends when this is dropped.
pub struct Changes {
    seen: Arc<Mutex<Seen>>,
    _running: JoinSet<()>,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Changes that were made.
    pub made: usize,
    /// Answers instead: the code, and whether it may have been applied.
    pub refused: BTreeMap<String, usize>,
    /// The longest time without a change that was made.
    pub longest: Duration,
    last: Instant,
}

impl Changes {
    /// Begins.
    ///
    /// # Errors
    /// If the address is none.
    pub fn start(endpoint: &str) -> Result<Self> {
        let client = Client::new(endpoint)?;
        let seen = Arc::new(Mutex::new(Seen::nothing()));
        let mut running = JoinSet::new();
        running.spawn(change(client, Arc::clone(&seen)));
        Ok(Self {
            seen,
            _running: running,
        })
    }

    /// What was seen since the last look.
    #[must_use]
    pub fn take(&self) -> Seen {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.longest = seen.longest.max(seen.last.elapsed());
        let fresh = Seen {
            last: seen.last,
            ..Seen::nothing()
        };
        std::mem::replace(&mut seen, fresh)
    }
}

impl Seen {
    fn nothing() -> Self {
        Self {
            made: 0,
            refused: BTreeMap::new(),
            longest: Duration::ZERO,
            last: Instant::now(),
        }
    }

    fn note(&mut self, answer: Result<(), ClientError>) {
        match answer {
            Ok(()) => {
                self.made += 1;
                self.longest = self.longest.max(self.last.elapsed());
                self.last = Instant::now();
            }
            Err(error) => {
                let code = match &error {
                    ClientError::Refused(problem) => problem.code.to_string(),
                    other => other.to_string(),
                };
                let applied = match error.applied() {
                    Applied::No => "not applied",
                    Applied::Unknown => "perhaps applied",
                };
                *self
                    .refused
                    .entry(format!("{code}, {applied}"))
                    .or_default() += 1;
            }
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (made, longest) = (self.made, self.longest);
        write!(f, "{made} changes, {longest:.0?} without one at most")?;
        for (answer, count) in &self.refused {
            write!(f, "; {count} times {answer}")?;
        }
        Ok(())
    }
}

async fn change(client: Client, seen: Arc<Mutex<Seen>>) {
    let note = |answer: Result<(), ClientError>| {
        let is_made = answer.is_ok();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.note(answer);
        is_made
    };
    for number in 0_u64.. {
        let queue = client.queue(&format!("changed-{number}"));
        // Both may be repeated until they are done.
        while !note(queue.create(&Default::default()).await.map(drop)) {
            sleep(PAUSE).await;
        }
        while !note(gone(queue.delete().await)) {
            sleep(PAUSE).await;
        }
        sleep(PAUSE).await;
    }
}

/// A queue that is not there is deleted, whoever did it.
fn gone(answer: Result<(), ClientError>) -> Result<(), ClientError> {
    match answer {
        Err(ClientError::Refused(problem)) if problem.code == ErrorCode::QueueNotFound => Ok(()),
        other => other,
    }
}
