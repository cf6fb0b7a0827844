//! `shoal queue redrive`: start, list and end tasks that move a queue's messages.

use std::time::Duration;

use anyhow::{Context as _, bail};
use shoal_api::redrive::RedriveStatus;
use shoal_api::{RedriveBody, RedriveTask, Whole};
use shoal_client::Queue;
use shoal_types::limits::MOVED_PER_SECOND_MAX;
use tokio::time::Instant;

use crate::cli::RedriveArgs;
use crate::commands::{open, word};
use crate::output::{print, table};

/// Between looks at a task that is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// `shoal queue redrive`: fails if a task that was waited for did.
pub(crate) async fn run(args: RedriveArgs) -> anyhow::Result<()> {
    let queue = open(&args.endpoint, &args.queue)?;
    let output = args.endpoint.output;
    if args.list {
        let tasks = queue.redrives().await?;
        return print(output, &tasks, |tasks| list_text(tasks));
    }
    let mut task = match args.cancel {
        true => queue.cancel_redrive().await?,
        false => queue.redrive(&body(&args)?).await?,
    };
    if let Some(seconds) = args.wait {
        task = follow(&queue, task, Duration::from_secs(seconds)).await?;
    }
    print(output, &task, task_text)?;
    if task.status == RedriveStatus::Failed {
        bail!("task {} failed", task.task);
    }
    Ok(())
}

fn body(args: &RedriveArgs) -> anyhow::Result<RedriveBody> {
    let to = args.to.as_ref().map(|to| to.parse()).transpose();
    let rate = |rate: u16| {
        let rate = Whole::new(rate.into());
        rate.with_context(|| format!("--max-per-second is 1 to {MOVED_PER_SECOND_MAX}"))
    };
    Ok(RedriveBody {
        to: to.context("--to")?,
        max_per_second: args.max_per_second.map(rate).transpose()?,
    })
}

/// The task once it is over, or when `patience` is.
async fn follow(
    queue: &Queue,
    mut task: RedriveTask,
    patience: Duration,
) -> anyhow::Result<RedriveTask> {
    let until = Instant::now() + patience;
    while task.status.is_under_way() {
        if Instant::now() >= until {
            eprintln!(
                "it goes on; see `shoal queue redrive {} --list`",
                task.queue
            );
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        let tasks = match queue.redrives().await {
            Ok(tasks) => tasks,
            // The task goes on while the manager is away.
            Err(error) if error.is_retryable() => continue,
            Err(error) => return Err(error.into()),
        };
        let now = tasks.into_iter().find(|now| now.task == task.task);
        let now =
            now.with_context(|| format!("nothing is known of task {} any more", task.task))?;
        if now.moved != task.moved {
            eprintln!("{} of {} moved", now.moved, now.to_move);
        }
        task = now;
    }
    Ok(task)
}

fn task_text(task: &RedriveTask) -> String {
    let to = match &task.to {
        Some(to) => format!("to {to}"),
        None => "back to where they died".to_owned(),
    };
    let (id, queue, status) = (task.task, &task.queue, word(&task.status));
    let mut text = format!("task {id}, from {queue} {to}: {status}");
    // How many there are is known a moment after it began.
    if task.to_move > 0 || !task.status.is_under_way() {
        text += &format!(", {} of {} moved", task.moved, task.to_move);
    }
    if task.failed > 0 {
        text += &format!(", {} stay since nobody knows where they died", task.failed);
    }
    if let Some(reason) = &task.reason {
        text += &format!("; {reason}");
    }
    text + "\n"
}

fn list_text(tasks: &[RedriveTask]) -> String {
    let rows = tasks.iter().map(|task| {
        let to = task.to.as_ref();
        let status = match &task.reason {
            Some(reason) => format!("{}: {reason}", word(&task.status)),
            None => word(&task.status),
        };
        [
            task.task.to_string(),
            task.started_at.to_string(),
            to.map_or_else(|| "-".to_owned(), ToString::to_string),
            task.to_move.to_string(),
            task.moved.to_string(),
            task.failed.to_string(),
            status,
        ]
    });
    table(
        [
            "task", "started", "to", "messages", "moved", "stay", "status",
        ],
        rows,
    )
}

#[cfg(test)]
mod tests {
    use shoal_api::Timestamp;
    use shoal_types::Ts;

    use super::*;

    fn task() -> RedriveTask {
        RedriveTask {
            task: 7,
            queue: "dead".parse().unwrap(),
            to: None,
            max_per_second: None,
            status: RedriveStatus::Completed,
            to_move: 3,
            moved: 3,
            failed: 0,
            started_at: Timestamp(Ts(951_782_400_000_000)),
            reason: None,
        }
    }

    #[test]
    fn a_task_is_told_in_a_line_with_what_went_wrong() {
        assert_eq!(
            task_text(&task()),
            "task 7, from dead back to where they died: completed, 3 of 3 moved\n"
        );
        let begun = RedriveTask {
            status: RedriveStatus::Running,
            to_move: 0,
            moved: 0,
            ..task()
        };
        assert_eq!(
            task_text(&begun),
            "task 7, from dead back to where they died: running\n"
        );
        let failed = RedriveTask {
            to: Some("orders".parse().unwrap()),
            status: RedriveStatus::Failed,
            moved: 1,
            failed: 2,
            reason: Some("orders is gone".to_owned()),
            ..task()
        };
        assert_eq!(
            task_text(&failed),
            "task 7, from dead to orders: failed, 1 of 3 moved, 2 stay since nobody knows where they \
             died; orders is gone\n"
        );
    }

    #[test]
    fn tasks_are_listed_one_a_row() {
        let running = RedriveTask {
            to: Some("orders".parse().unwrap()),
            status: RedriveStatus::Running,
            ..task()
        };
        let listed = list_text(&[running, task()]);
        let rows: Vec<&str> = listed.lines().collect();
        assert_eq!(rows.len(), 3);
        assert!(rows[1].contains("orders") && rows[1].ends_with("running"));
        assert!(rows[2].ends_with("completed"), "{listed}");
    }
}
