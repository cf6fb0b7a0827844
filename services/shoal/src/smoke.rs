//! `shoal smoke`: does the service work, seen from a client? One message goes through a queue of its own, by
//! REST and then by SQS, and the queue is deleted again, whatever happened. May look at nothing but what the
//! frontend's port answers.

mod rest;
mod sqs;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Between attempts of a step: a new system is ready some seconds after its last process started.
const AGAIN: Duration = Duration::from_millis(250);
/// For deleting the queue when patience has ended.
const CLEANING_UP: Duration = Duration::from_secs(10);
/// Seconds that a receive waits for the message.
const RECEIVE_WAIT_S: u32 = 2;

#[derive(Args)]
pub(crate) struct SmokeArgs {
    /// A frontend's address, or several with commas between them
    #[arg(long, env = "SHOAL_ENDPOINT", default_value = "http://127.0.0.1:9324")]
    endpoint: String,
    /// Seconds for everything together; what may go better later is tried again until then
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience_s: u32,
    /// Fail if the frontend takes no unsigned requests of SQS, instead of passing that part over
    #[arg(long)]
    require_sqs: bool,
}

/// Exit code 0: all steps passed, 1: one failed, which is named.
pub(crate) async fn run(args: SmokeArgs) -> anyhow::Result<ExitCode> {
    let patience = Duration::from_secs(args.patience_s.into());
    let deadline = Instant::now() + patience;
    let queue = queue_name();
    let rest = rest::Rest::new(&args.endpoint, &queue)?;
    if let Err(failed) = round_trip(&rest, deadline).await {
        return Ok(failed.told());
    }
    let sqs = sqs::Sqs::new(&args.endpoint, &queue)?;
    match round_trip(&sqs, deadline).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(failed) if failed.is_unsigned && !args.require_sqs => {
            println!("sqs: passed over: {}", failed.why);
            Ok(ExitCode::SUCCESS)
        }
        Err(failed) => Ok(failed.told()),
    }
}

/// Not used by anybody else, and by no other run.
fn queue_name() -> String {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since_1970.unwrap_or_default().as_micros();
    format!("smoke-{micros}-{}", std::process::id())
}

/// What a client does, in one of the two APIs.
trait Api {
    /// In front of each step.
    const NAME: &str;

    async fn create(&self) -> Attempt<()>;
    async fn send(&self) -> Attempt<()>;
    /// The receipt of the message, once it came.
    async fn receive(&self) -> Attempt<String>;
    async fn acknowledge(&self, receipt: &str) -> Attempt<()>;
    async fn delete(&self) -> Attempt<()>;
}

type Attempt<T> = Result<T, Refused>;

/// Why an attempt came to nothing.
struct Refused {
    why: String,
    /// It may go better later.
    may_try_again: bool,
    /// Requests have to be signed, or none are taken.
    is_unsigned: bool,
}

impl Refused {
    fn nothing_came() -> Self {
        Self {
            may_try_again: true,
            ..Self::unexpected("nothing came")
        }
    }

    fn other_body() -> Self {
        Self::unexpected("another message than the one that was sent")
    }

    fn unexpected(why: &str) -> Self {
        Self {
            why: why.to_owned(),
            may_try_again: false,
            is_unsigned: false,
        }
    }
}

/// A step that did not come about.
struct Failed {
    step: String,
    why: String,
    is_unsigned: bool,
}

impl Failed {
    fn told(&self) -> ExitCode {
        println!("{}: failed: {}", self.step, self.why);
        ExitCode::FAILURE
    }
}

async fn round_trip<A: Api>(api: &A, deadline: Instant) -> Result<(), Failed> {
    let created = step::<A, _>("create queue", deadline, async || api.create().await).await;
    if let Err(failed) = created {
        // It may be there all the same: an answer can get lost. Whether it was is told by nobody then.
        _ = timeout(CLEANING_UP, api.delete()).await;
        return Err(failed);
    }
    let passed = message(api, deadline).await;
    let cleaned_up = deadline.max(Instant::now() + CLEANING_UP);
    let deleted = step::<A, _>("delete queue", cleaned_up, async || api.delete().await).await;
    match (passed, deleted) {
        (Err(failed), Err(left_over)) => {
            left_over.told();
            Err(failed)
        }
        (passed, deleted) => passed.and(deleted),
    }
}

async fn message<A: Api>(api: &A, deadline: Instant) -> Result<(), Failed> {
    step::<A, _>("send", deadline, async || api.send().await).await?;
    let receipt = step::<A, _>("receive", deadline, async || api.receive().await).await?;
    let acknowledge = async || api.acknowledge(&receipt).await;
    step::<A, _>("acknowledge", deadline, acknowledge).await
}

/// Tries until it passes, fails for good, or the deadline is there; says that it passed.
async fn step<A: Api, T>(
    what: &str,
    deadline: Instant,
    attempt: impl AsyncFn() -> Attempt<T>,
) -> Result<T, Failed> {
    let step = format!("{}: {what}", A::NAME);
    let mut last = "no answer".to_owned();
    loop {
        let refused = match timeout_at(deadline, attempt()).await {
            Ok(Ok(done)) => {
                println!("{step}: ok");
                return Ok(done);
            }
            Ok(Err(refused)) => refused,
            Err(_) => Refused::unexpected(&format!("patience has ended: {last}")),
        };
        if !refused.may_try_again || Instant::now() + AGAIN > deadline {
            let Refused {
                why, is_unsigned, ..
            } = refused;
            return Err(Failed {
                step,
                why,
                is_unsigned,
            });
        }
        last = refused.why;
        sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Notes what it is asked, and refuses one step.
    struct Fake {
        refuses: &'static str,
        for_good: bool,
        asked: Mutex<Vec<&'static str>>,
    }

    impl Fake {
        fn refusing(refuses: &'static str, for_good: bool) -> Self {
            let asked = Mutex::default();
            Self {
                refuses,
                for_good,
                asked,
            }
        }

        fn ask(&self, step: &'static str) -> Attempt<()> {
            self.asked.lock().unwrap().push(step);
            match step == self.refuses {
                true => Err(Refused {
                    may_try_again: !self.for_good,
                    ..Refused::unexpected("refused")
                }),
                false => Ok(()),
            }
        }

        fn asked(&self) -> Vec<&'static str> {
            self.asked.lock().unwrap().clone()
        }
    }

    impl Api for Fake {
        const NAME: &str = "fake";

        async fn create(&self) -> Attempt<()> {
            self.ask("create")
        }

        async fn send(&self) -> Attempt<()> {
            self.ask("send")
        }

        async fn receive(&self) -> Attempt<String> {
            self.ask("receive").map(|()| "receipt".to_owned())
        }

        async fn acknowledge(&self, receipt: &str) -> Attempt<()> {
            assert_eq!(receipt, "receipt");
            self.ask("acknowledge")
        }

        async fn delete(&self) -> Attempt<()> {
            self.ask("delete")
        }
    }

    #[tokio::test]
    async fn the_queue_is_deleted_also_when_a_step_fails_and_the_step_is_named() {
        for (refuses, named) in [
            ("create", "fake: create queue"),
            ("send", "fake: send"),
            ("receive", "fake: receive"),
            ("acknowledge", "fake: acknowledge"),
        ] {
            let fake = Fake::refusing(refuses, true);
            let failed = round_trip(&fake, Instant::now() + CLEANING_UP).await;
            assert_eq!(failed.unwrap_err().step, named);
            let asked = fake.asked();
            assert_eq!(asked[asked.len() - 2..], [refuses, "delete"]);
        }
    }

    #[tokio::test]
    async fn what_may_go_better_is_tried_until_patience_ends_and_then_cleaned_up() {
        let fake = Fake::refusing("receive", false);
        let begun = Instant::now();
        let failed = round_trip(&fake, begun + 3 * AGAIN).await.unwrap_err();
        assert_eq!((&*failed.step, &*failed.why), ("fake: receive", "refused"));
        let tried = fake
            .asked()
            .iter()
            .filter(|step| **step == "receive")
            .count();
        assert!((2..=4).contains(&tried), "{tried} times");
        assert_eq!(fake.asked().last(), Some(&"delete"));
    }
}
