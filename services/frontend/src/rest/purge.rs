//! Emptying a queue.

use axum::extract::{Request, State};
use axum::response::Response;
use shoal_api::Problem;
use shoal_types::{Applied, Command, PartitionId, QueueRoute};

use super::call::{Call, no_content};
use super::path::{QueuePart, queue_name};
use super::{Shared, body, headers};
use crate::admission::Class;
use crate::app::{App, QueueOperation};
use crate::dispatch::Deadline;
use crate::limits::SETTINGS_BODY_BYTES_MAX;
use crate::partitions::{in_partition, is_drained, is_not_there, with_messages};

/// `POST /v1/queues/{queue}/purge`
pub(super) async fn purge(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("purge");
    let purged = try_purge(&app, &call, queue, request).await;
    call.finish(purged)
}

/// What a purge takes: nothing yet.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn try_purge(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let taken = body::take(
        &app.admission,
        Class::Finish,
        request,
        SETTINGS_BODY_BYTES_MAX,
    )
    .await?;
    let name = queue_name(queue)?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    taken.json_or_default::<Nothing>()?;
    let mut purge = Purge {
        deadline,
        purged: Vec::new(),
    };
    app.on_queue(&name, deadline, &mut purge).await?;
    Ok(no_content())
}

struct Purge {
    deadline: Deadline,
    /// The partitions that are empty by now.
    purged: Vec<PartitionId>,
}

impl QueueOperation for Purge {
    type Done = ();

    async fn run(&mut self, app: &App, route: &QueueRoute) -> Result<(), Problem> {
        for place in with_messages(route) {
            let partition = place.partition;
            if self.purged.contains(&partition) {
                continue;
            }
            let purged = app
                .dispatcher
                .execute(place.cluster, self.deadline, &[], |_| Command::Purge {
                    partition,
                });
            match purged.await.map_err(Problem::from) {
                Ok(_) => {}
                Err(problem) if is_drained(place, &problem) => {}
                Err(problem) if is_not_there(&problem) => return Err(problem),
                Err(problem) if route.partitions.len() > 1 => {
                    return self.fail(in_partition(place, &problem));
                }
                Err(problem) => return Err(problem),
            }
            self.purged.push(partition);
        }
        Ok(())
    }

    fn fail(&mut self, problem: Problem) -> Result<(), Problem> {
        if self.purged.is_empty() {
            return Err(problem);
        }
        let purged: Vec<String> = self.purged.iter().map(ToString::to_string).collect();
        let detail = format!("{}; purged is {}", problem.detail, purged.join(", "));
        Err(Problem::new(problem.code, detail).applied(Applied::Unknown))
    }
}
