//! Tasks with a name and a kind. Nothing in a role is spawned without saying what happens when it
//! fails and when the role ends.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::shutdown::Shutdown;

/// What a task is to its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// The role is nothing without it: a driver, a listener. If it ends before the shutdown, with an
    /// error or without, the role stops. At the shutdown it winds itself up.
    Essential,
    /// Useful, not essential: a refresher, a reporter. An error is logged and that is all. At the
    /// shutdown it is dropped where it stands.
    Helper,
    /// As a helper, but it has something to finish: at the shutdown it winds itself up.
    Finisher,
}

impl TaskKind {
    /// True if its end before the shutdown ends the role.
    fn stops_role(self) -> bool {
        self == Self::Essential
    }

    /// True if it is dropped at the shutdown instead of being awaited.
    fn dropped_at_shutdown(self) -> bool {
        self == Self::Helper
    }
}

/// Why a role stopped although nobody asked it to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskFault {
    /// The task returned an error.
    #[error("task {task} failed: {why}")]
    Failed {
        /// Its name.
        task: &'static str,
        /// The error with its causes.
        why: String,
    },
    /// The task panicked, which is a fault of ours.
    #[error("task {task} panicked: {why}")]
    Panicked {
        /// Its name.
        task: &'static str,
        /// What it said.
        why: String,
    },
    /// An essential task returned before the shutdown.
    #[error("task {task} ended by itself")]
    Ended {
        /// Its name.
        task: &'static str,
    },
    /// Tasks were still running at the end of the grace period.
    #[error("{count} tasks did not stop in time")]
    Stuck {
        /// How many.
        count: usize,
    },
}

/// The tasks of one role. Clones are handles to the same set.
#[derive(Clone)]
pub struct Tasks(Arc<Set>);

struct Set {
    role: &'static str,
    shutdown: Shutdown,
    tracker: TaskTracker,
    /// The first fault wins; later ones are mostly its consequences.
    fault: Mutex<Option<TaskFault>>,
}

impl Tasks {
    /// An empty set. A fault in it triggers `shutdown`, so a role in a process of several passes a
    /// child.
    #[must_use]
    pub fn new(role: &'static str, shutdown: Shutdown) -> Self {
        let (tracker, fault) = (TaskTracker::new(), Mutex::new(None));
        Self(Arc::new(Set {
            role,
            shutdown,
            tracker,
            fault,
        }))
    }

    /// What ends this set.
    #[must_use]
    pub fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }

    /// Starts a task. A panic in it is reported and stops the role, whatever its kind.
    pub fn spawn<E>(
        &self,
        task: &'static str,
        kind: TaskKind,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) where
        E: std::error::Error + Send + 'static,
    {
        let set = Arc::clone(&self.0);
        let mut inner = tokio::spawn(future);
        self.0.tracker.spawn(async move {
            let ended = tokio::select! {
                biased;
                ended = &mut inner => ended,
                () = set.shutdown.triggered() => {
                    if kind.dropped_at_shutdown() {
                        inner.abort();
                    }
                    inner.await
                }
            };
            match ended {
                Ok(Ok(())) if kind.stops_role() && !set.shutdown.is_triggered() => {
                    set.stop(TaskFault::Ended { task });
                }
                Ok(Ok(())) => {}
                Ok(Err(e)) if kind.stops_role() => {
                    set.stop(TaskFault::Failed {
                        task,
                        why: ErrorChain(&e).to_string(),
                    });
                }
                Ok(Err(e)) => warn!(role = set.role, task, error = %ErrorChain(&e), "task failed"),
                Err(e) if e.is_cancelled() => {}
                Err(e) => set.stop(TaskFault::Panicked {
                    task,
                    why: panic_text(e),
                }),
            }
        });
    }

    /// Waits for the shutdown and then for all tasks, at most for `grace`.
    ///
    /// # Errors
    /// The fault that stopped the role, if one did; else if tasks are still running at the end.
    pub async fn stopped(&self, grace: Duration) -> Result<(), TaskFault> {
        let set = &self.0;
        set.shutdown.triggered().await;
        set.tracker.close();
        let in_time = tokio::time::timeout(grace, set.tracker.wait()).await;
        if let Some(fault) = set
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
        {
            return Err(fault);
        }
        in_time.map_err(|_| TaskFault::Stuck {
            count: set.tracker.len(),
        })?;
        info!(role = set.role, "stopped");
        Ok(())
    }
}

impl Set {
    fn stop(&self, fault: TaskFault) {
        error!(role = self.role, %fault, "stopping");
        self.fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(fault);
        self.shutdown.trigger();
    }
}

fn panic_text(e: tokio::task::JoinError) -> String {
    let payload = e.into_panic();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").to_owned()
}

/// Shows an error with what caused it: `Display` of each layer says only its own part.
pub struct ErrorChain<'a>(pub &'a (dyn std::error::Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;
    use std::io;

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    fn tasks() -> Tasks {
        Tasks::new("test", Shutdown::new())
    }

    #[tokio::test]
    async fn an_essential_task_that_fails_stops_the_role_and_is_named() {
        let tasks = tasks();
        tasks.spawn("driver", TaskKind::Essential, async {
            Err(io::Error::other("disk gone"))
        });
        let fault = tasks.stopped(GRACE).await.unwrap_err();
        assert_eq!(fault.to_string(), "task driver failed: disk gone");
    }

    #[tokio::test]
    async fn an_essential_task_that_just_ends_stops_the_role() {
        let tasks = tasks();
        tasks.spawn("driver", TaskKind::Essential, async {
            Ok::<(), Infallible>(())
        });
        assert_eq!(
            tasks.stopped(GRACE).await,
            Err(TaskFault::Ended { task: "driver" })
        );
    }

    #[tokio::test]
    async fn a_helper_that_fails_is_only_logged() {
        let tasks = tasks();
        tasks.spawn("helper", TaskKind::Helper, async {
            Err(io::Error::other("no matter"))
        });
        while !tasks.0.tracker.is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(!tasks.shutdown().is_triggered());
        tasks.shutdown().trigger();
        assert_eq!(tasks.stopped(GRACE).await, Ok(()));
    }

    #[tokio::test]
    async fn a_panic_stops_the_role_even_from_a_helper() {
        let tasks = tasks();
        tasks.spawn("helper", TaskKind::Helper, async {
            assert!(
                tokio::time::Instant::now().elapsed() > GRACE,
                "one is not two"
            );
            Ok::<(), Infallible>(())
        });
        let fault = tasks.stopped(GRACE).await.unwrap_err();
        assert_eq!(
            fault,
            TaskFault::Panicked {
                task: "helper",
                why: "one is not two".to_owned()
            }
        );
    }

    #[tokio::test]
    async fn at_the_shutdown_helpers_are_dropped_and_finishers_awaited() {
        let tasks = tasks();
        let (finished, awaited) = tokio::sync::oneshot::channel();
        let shutdown = tasks.shutdown().clone();
        tasks.spawn(
            "helper",
            TaskKind::Helper,
            pending::<Result<(), Infallible>>(),
        );
        tasks.spawn("finisher", TaskKind::Finisher, async move {
            shutdown.triggered().await;
            tokio::task::yield_now().await;
            finished.send(()).expect("the test waits");
            Ok::<(), Infallible>(())
        });
        tasks.shutdown().trigger();
        assert_eq!(tasks.stopped(GRACE).await, Ok(()));
        awaited.await.unwrap();
    }

    #[tokio::test]
    async fn tasks_that_do_not_stop_are_counted() {
        let tasks = tasks();
        tasks.spawn(
            "driver",
            TaskKind::Essential,
            pending::<Result<(), Infallible>>(),
        );
        tasks.shutdown().trigger();
        let grace = Duration::from_millis(10);
        assert_eq!(
            tasks.stopped(grace).await,
            Err(TaskFault::Stuck { count: 1 })
        );
    }
}
