//! Consumers that wait at a frontend, and what becomes of them when it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use rand::RngExt as _;
use shoal_client::{Client, Receive};
use shoal_harness::{Bench, Restarted, Role, wait};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How long each receive waits; the longest that there is.
const WAIT_S: u32 = 20;
/// Between the first receives of two consumers: what is looked at is their return, not their start.
const STAGGER: Duration = Duration::from_micros(400);
/// A consumer whose receive failed waits a random time before the next, up to so long at first, and up to
/// twice as long each time, as SDKs do.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Until all wait again after the frontend ended.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// A receive that was begun, or how one ended that was begun at some time.
#[derive(Clone, Copy, Debug)]
enum Event {
    Asked,
    Ended { begun: Instant, how: End },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Empty,
    Received,
    Failed,
}

type Log = Arc<Mutex<Vec<(Instant, Event)>>>;

/// Consumers that always wait. They end when this is dropped.
pub struct Waiters {
    count: usize,
    log: Log,
    _running: JoinSet<()>,
}

impl Waiters {
    /// Has so many of them wait, divided among these queues, which are made.
    ///
    /// # Errors
    /// If a queue cannot be made.
    pub async fn start(endpoint: &str, queues: usize, count: usize) -> Result<Self> {
        let client = Client::new(endpoint)?;
        let name = |number: usize| format!("waited-for-{number}");
        for number in 0..queues {
            let queue = client.queue(&name(number));
            queue.create(&Default::default()).await?;
        }
        let log = Log::default();
        let mut running = JoinSet::new();
        for number in 0..count {
            let (queue, log) = (client.queue(&name(number % queues)), Arc::clone(&log));
            running.spawn(async move {
                sleep(STAGGER * number as u32).await;
                let mut backoff = BACKOFF_FIRST;
                loop {
                    let begun = note(&log, Event::Asked);
                    let received = queue.receive(&Receive::default().wait_s(WAIT_S)).await;
                    let how = match &received {
                        Ok(messages) if messages.is_empty() => End::Empty,
                        Ok(_) => End::Received,
                        Err(_) => End::Failed,
                    };
                    note(&log, Event::Ended { begun, how });
                    if received.is_ok() {
                        backoff = BACKOFF_FIRST;
                        continue;
                    }
                    let share = rand::rng().random_range(0.0..1.0);
                    sleep(backoff.mul_f64(share)).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            });
        }
        Ok(Self {
            count,
            log,
            _running: running,
        })
    }

    /// Waits until this frontend says that all of them wait.
    ///
    /// # Errors
    /// If they do not.
    pub async fn all_wait(&self, frontend: &Role) -> Result<()> {
        wait::until("all to wait", BACK_WITHIN, async || {
            let waiting = frontend.metric("shoal_frontend_long_polls").await?;
            ensure!(waiting as usize == self.count, "{waiting} wait");
            Ok(())
        })
        .await
    }

    /// Messages that they received since the last look.
    #[must_use]
    pub fn take_received(&self) -> usize {
        let is_one = |event: &Event| {
            matches!(
                event,
                Event::Ended {
                    how: End::Received,
                    ..
                }
            )
        };
        let log = self.take_log();
        log.iter().filter(|(_, event)| is_one(event)).count()
    }

    /// Ends the frontend, starts it again, and waits until all wait there.
    ///
    /// # Errors
    /// If one of these fails.
    pub async fn lose(
        &self,
        bench: &Bench,
        frontend: &Role,
        how: Ending,
    ) -> Result<(Restarted, Comeback)> {
        self.take_log();
        let begun = Instant::now();
        match how {
            Ending::Asked => frontend.terminate().await?,
            Ending::Killed => frontend.kill9().await?,
        }
        let ended = begun.elapsed();
        let mut again = frontend.start_again(bench)?;
        again.ready().await?;
        self.all_wait(&again.role).await?;
        let took = begun.elapsed();
        let log = self.take_log();
        let after = |at: &Instant| at.duration_since(begun);
        let ends_of_waits = |wanted: End| {
            log.iter().filter_map(move |(at, event)| match event {
                Event::Ended { begun: asked, how } if *how == wanted && *asked <= begun => {
                    Some(after(at))
                }
                _ => None,
            })
        };
        let asked = log.iter().filter_map(|(at, event)| match event {
            Event::Asked => Some(after(at)),
            Event::Ended { .. } => None,
        });
        let comeback = Comeback {
            ended,
            took,
            answered: ends_of_waits(End::Empty).collect(),
            cut_off: ends_of_waits(End::Failed).count(),
            busiest: busiest(&asked.collect::<Vec<_>>()),
        };
        Ok((again, comeback))
    }

    fn take_log(&self) -> Vec<(Instant, Event)> {
        std::mem::take(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How a frontend ends.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// By SIGTERM.
    Asked,
    /// By SIGKILL.
    Killed,
}

/// What happened from a frontend's end until all waited at the next one.
#[derive(Clone, Debug)]
pub struct Comeback {
    /// From the signal until its process was gone.
    pub ended: Duration,
    /// From the signal until all waited again.
    pub took: Duration,
    /// Those that waited at the signal and were answered that there is nothing: when after it, in order.
    pub answered: Vec<Duration>,
    /// Those that waited at the signal and had no answer.
    pub cut_off: usize,
    /// The most receives that were begun within a tenth of a second, failed attempts included.
    pub busiest: usize,
}

/// What these hosts have been asked for so far, all together.
///
/// # Errors
/// If one of them does not tell.
pub async fn operations(hosts: &[&Role]) -> Result<u64> {
    let mut sum = 0.0;
    for host in hosts {
        sum += host.metric("shoal_host_operations_total").await?;
    }
    Ok(sum as u64)
}

/// Writes an event down: when it was.
fn note(log: &Log, event: Event) -> Instant {
    let now = Instant::now();
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.push((now, event));
    now
}

/// The most of these times that lie within a tenth of a second. They are in order.
fn busiest(times: &[Duration]) -> usize {
    const WINDOW: Duration = Duration::from_millis(100);
    let mut first = 0;
    let mut most = 0;
    for (last, at) in times.iter().enumerate() {
        while *at - times[first] > WINDOW {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_tenth_of_a_second_is_found() {
        let times = [0, 50, 90, 140, 900, 1_000, 1_001].map(Duration::from_millis);
        assert_eq!(busiest(&times), 3);
        assert_eq!(busiest(&times[..2]), 2);
        assert_eq!(busiest(&[]), 0);
    }
}
