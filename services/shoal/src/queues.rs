//! `shoal queue …`: create, list, show, change, purge and delete queues.

use serde_json::{Map, Value, json};
use shoal_client::{Client, QueueInfo};

use crate::cli::{EndpointArgs, QueueCommand, QueueSettingsArgs};
use crate::commands::open;
use crate::output::{print, table};

/// `shoal queue …`
pub(crate) async fn run(command: QueueCommand) -> anyhow::Result<()> {
    match command {
        QueueCommand::Create {
            endpoint,
            settings,
            name,
        } => {
            let info = open(&endpoint, &name)?.create(&body(settings)?).await?;
            print(endpoint.output, &info, queue_text)
        }
        QueueCommand::Set {
            endpoint,
            settings,
            name,
        } => {
            let info = open(&endpoint, &name)?.set(&body(settings)?).await?;
            print(endpoint.output, &info, queue_text)
        }
        QueueCommand::Show { endpoint, name } => {
            let info = open(&endpoint, &name)?.info().await?;
            print(endpoint.output, &info, queue_text)
        }
        QueueCommand::Redrive(args) => crate::redrive::run(args).await,
        QueueCommand::List { endpoint, prefix } => list_queues(&endpoint, &prefix).await,
        QueueCommand::Purge { endpoint, name } => {
            open(&endpoint, &name)?.purge().await?;
            eprintln!("{name} is empty");
            Ok(())
        }
        QueueCommand::Delete { endpoint, name } => {
            open(&endpoint, &name)?.delete().await?;
            eprintln!("{name} is deleted");
            Ok(())
        }
    }
}

async fn list_queues(endpoint: &EndpointArgs, prefix: &str) -> anyhow::Result<()> {
    let client = Client::new(&endpoint.endpoint)?;
    let mut queues: Vec<QueueInfo> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = client.queues(prefix, cursor.as_deref()).await?;
        queues.extend(page.queues);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    print(endpoint.output, &queues, |queues| {
        let rows = queues.iter().map(|q| {
            let clusters = q.partitions.iter().map(|p| p.cluster.to_string());
            [q.name.to_string(), clusters.collect::<Vec<_>>().join(" ")]
        });
        table(["queue", "cluster"], rows)
    })
}

/// Only what was said, so that the service's defaults stand.
fn body(args: QueueSettingsArgs) -> anyhow::Result<shoal_api::QueueBody> {
    let no_dead_letters = args.no_dead_letters;
    let nothing = || no_dead_letters.then_some(Value::Null);
    let given = [
        (
            "visibility_timeout_s",
            args.visibility_timeout.map(Value::from),
        ),
        ("delay_s", args.delay.map(Value::from)),
        ("retention_s", args.retention.map(Value::from)),
        ("max_message_bytes", args.max_message_bytes.map(Value::from)),
        ("receive_wait_s", args.receive_wait.map(Value::from)),
        ("max_messages", args.max_messages.map(Value::from)),
        ("max_bytes", args.max_bytes.map(Value::from)),
        (
            "max_receive_count",
            args.max_receive_count.map(Value::from).or_else(nothing),
        ),
        (
            "dead_letter_queue",
            args.dead_letter_queue.map(Value::from).or_else(nothing),
        ),
        (
            "partitions",
            args.partitions.map(|partitions| json!(partitions)),
        ),
        (
            "content_deduplication",
            args.content_deduplication.then_some(Value::Bool(true)),
        ),
    ];
    let given: Map<String, Value> = given
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    Ok(serde_json::from_value(Value::Object(given))?)
}

fn queue_text(info: &QueueInfo) -> String {
    let mut value = json!(info);
    let mut lines = Vec::new();
    if let Some(fields) = value.as_object_mut() {
        flatten("", fields, &mut lines);
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    lines
        .iter()
        .map(|(name, value)| format!("{name:width$}  {value}\n"))
        .collect()
}

/// Every value under its dotted name, strings bare.
fn flatten(at: &str, fields: &Map<String, Value>, lines: &mut Vec<(String, String)>) {
    for (name, value) in fields {
        let name = if at.is_empty() {
            name.clone()
        } else {
            format!("{at}.{name}")
        };
        match value {
            Value::Object(inner) => flatten(&name, inner, lines),
            Value::String(text) => lines.push((name, text.clone())),
            other => lines.push((name, other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use shoal_types::QueueSettings;

    use super::*;
    use crate::cli::{Cli, Command};

    fn settings(options: &str) -> shoal_api::QueueBody {
        let line = format!("shoal queue set orders {options}");
        let Command::Queue(QueueCommand::Set { settings, .. }) =
            Cli::parse_from(line.split(' ')).command
        else {
            unreachable!("it says set")
        };
        body(settings).unwrap()
    }

    #[test]
    fn dead_letters_are_set_and_taken_back_and_only_if_that_is_said() {
        let orders = "orders".parse().unwrap();
        let set = settings("--dead-letter-queue dead --max-receive-count 3");
        let set = set.change(QueueSettings::default(), &orders).unwrap();
        assert_eq!(set.max_receive_count, Some(3));
        assert_eq!(set.dead_letter_queue, Some("dead".parse().unwrap()));
        let other = settings("--delay 1").change(set.clone(), &orders).unwrap();
        assert_eq!(other.dead_letter_queue, set.dead_letter_queue);
        let more = settings("--max-receive-count 5");
        let more = more.change(set.clone(), &orders).unwrap();
        assert_eq!(more.max_receive_count, Some(5));
        let none = settings("--no-dead-letters").change(set, &orders).unwrap();
        assert_eq!(none, QueueSettings::default());
    }

    #[test]
    fn a_queue_is_shown_with_its_dead_letter_queue() {
        let info: QueueInfo = serde_json::from_value(json!({
            "name": "orders", "partitions": [], "created_at": "2026-11-21T04:12:00.000123Z",
            "settings": { "max_receive_count": 3, "dead_letter_queue": "dead" },
        }))
        .unwrap();
        let lines = queue_text(&info);
        let value = |name: &str| {
            let line = lines.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{lines}")).trim().to_owned()
        };
        assert_eq!(value("settings.dead_letter_queue"), "dead");
        assert_eq!(value("settings.max_receive_count"), "3");
    }
}
