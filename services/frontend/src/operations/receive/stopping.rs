//! Receives at a frontend that stops. Those who wait are told that there is nothing, by turns, so that they
//! do not all come to the other frontends at once.

use rand::RngExt;
use shoal_api::Problem;
use shoal_runtime::shutdown::Shutdown;
use shoal_types::QueueName;

use super::{Given, Receive, Wanted};
use crate::app::App;
use crate::dispatch::Deadline;
use crate::limits::WAITERS_LEAVE_WITHIN;

/// Receives from a queue, wherever it is. Gives less than there may be before the wait is over only if the
/// frontend stops meanwhile. What is still asked for is dropped then, as when a client goes away: the host
/// forgets it, and what it had just given comes back when its lease ends.
///
/// # Errors
/// If the queue is not there or cannot be asked.
pub(crate) async fn receive(
    app: &App,
    queue: &QueueName,
    wanted: Wanted,
    deadline: Deadline,
) -> Result<Vec<Given>, Problem> {
    let mut receive = Receive::new(wanted, deadline);
    let received = app.on_queue(queue, deadline, &mut receive);
    if deadline.wait.is_zero() {
        return received.await;
    }
    let given = tokio::select! {
        biased;
        given = received => Some(given),
        () = turn_to_leave(&app.stopping) => None,
    };
    // What some of its partitions have given already is the client's.
    given.unwrap_or_else(|| receive.answer())
}

/// Ends some time after the drain begins, another one for each who waits.
async fn turn_to_leave(stopping: &Shutdown) {
    stopping.triggered().await;
    let share = rand::rng().random_range(0.0..1.0);
    tokio::time::sleep(WAITERS_LEAVE_WITHIN.mul_f64(share)).await;
}
