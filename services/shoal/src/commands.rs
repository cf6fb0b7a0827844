//! Commands for daily use, over REST like any other client; those about queues are in `queues`.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::Value;
use shoal_client::{Client, Message, Queue, Receive, ReceivedExt as _, ReceivedMessage};
use shoal_runtime::shutdown::Shutdown;

use crate::cli::{AckArgs, EndpointArgs, Format, ReceiveArgs, SendArgs};
use crate::output::{print, table};

/// `shoal send`
pub(crate) async fn send(args: SendArgs) -> anyhow::Result<()> {
    let mut message = Message::of_bytes(body_of(&args)?);
    if let Some(group) = args.group {
        message = message.group(group);
    }
    if let Some(id) = args.dedup_id {
        message = message.dedup_id(id);
    }
    if let Some(delay) = args.delay {
        message = message.delay_s(delay);
    }
    let sent = open(&args.endpoint, &args.queue)?.send(message).await?;
    print(args.endpoint.output, &sent, |sent| {
        let sent = sent.messages.iter().map(|item| match item {
            shoal_client::SendItemAnswer::Sent { id, sequence } => {
                format!("sent {id} as number {sequence}\n")
            }
            shoal_client::SendItemAnswer::Failed { error } => {
                format!("not sent: {}\n", error.detail)
            }
        });
        sent.collect()
    })
}

/// `shoal receive`
pub(crate) async fn receive(args: ReceiveArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let queue = open(&args.endpoint, &args.queue)?;
    let mut how = Receive::default()
        .max(args.max)
        .wait_s(if args.follow { 20 } else { args.wait });
    if let Some(seconds) = args.visibility_timeout {
        how = how.visibility_timeout_s(seconds);
    }
    if args.auto_ack {
        how = how.auto_ack();
    }
    loop {
        let received = tokio::select! {
            received = queue.receive(&how) => received?,
            () = shutdown.triggered() => return Ok(()),
        };
        if args.follow {
            received
                .iter()
                .try_for_each(|message| print_followed(args.endpoint.output, message))?;
            continue;
        }
        if received.is_empty() {
            eprintln!("nothing to receive");
        }
        return print(args.endpoint.output, &received, |all| {
            all.iter().map(message_text).collect()
        });
    }
}

/// `shoal ack`: fails if any receipt was not good any more.
pub(crate) async fn acknowledge(args: AckArgs) -> anyhow::Result<ExitCode> {
    let answer = open(&args.endpoint, &args.queue)?
        .acknowledge(&args.receipts)
        .await?;
    let all_done = answer.receipts.iter().all(|item| item.ok);
    print(args.endpoint.output, &answer, |answer| {
        let items = answer.receipts.iter().map(|item| match &item.detail {
            None => format!("{} acknowledged\n", item.receipt),
            Some(detail) => format!("{} not acknowledged: {detail}\n", item.receipt),
        });
        items.collect()
    })?;
    Ok(if all_done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// `shoal cluster list`
pub(crate) async fn clusters(endpoint: &EndpointArgs) -> anyhow::Result<()> {
    let clusters = Client::new(&endpoint.endpoint)?.clusters().await?;
    print(endpoint.output, &clusters, |clusters| {
        let rows = clusters.iter().map(|c| {
            let active = format!("{} of {}", c.active.len(), c.members.len());
            [
                c.cluster.to_string(),
                word(&c.state),
                active,
                c.view.to_string(),
                c.queues.to_string(),
                c.messages.to_string(),
            ]
        });
        table(
            ["cluster", "state", "active", "view", "queues", "messages"],
            rows,
        )
    })
}

/// `shoal host list`
pub(crate) async fn hosts(endpoint: &EndpointArgs) -> anyhow::Result<()> {
    let hosts = Client::new(&endpoint.endpoint)?.hosts().await?;
    print(endpoint.output, &hosts, |hosts| {
        let rows = hosts.iter().map(|h| {
            let said = word(&h.state);
            let state = match (h.alive, &h.trouble) {
                (true, None) => said,
                (true, Some(trouble)) => format!("{said}: {trouble}"),
                (false, _) => format!("{said}, silent for {} s", h.heard_ms_ago / 1_000),
            };
            let cluster = h.cluster.map_or_else(|| "-".to_owned(), |c| c.to_string());
            [
                h.host.to_string(),
                h.address.clone(),
                h.zone.clone(),
                h.pool.clone(),
                cluster,
                format!("{} %", h.disk_used_percent),
                state,
            ]
        });
        let header = [
            "host", "address", "zone", "pool", "cluster", "disk", "state",
        ];
        if hosts.iter().all(|h| h.pool.is_empty()) {
            table(without_pool(header), rows.map(without_pool))
        } else {
            table(header, rows)
        }
    })
}

/// Where nobody has said which pools there are, a column for them says nothing.
fn without_pool<T>([host, address, zone, _, cluster, disk, state]: [T; 7]) -> [T; 6] {
    [host, address, zone, cluster, disk, state]
}

/// A queue of the service that is asked.
pub(crate) fn open(endpoint: &EndpointArgs, queue: &str) -> anyhow::Result<Queue> {
    Ok(Client::new(&endpoint.endpoint)?.queue(queue))
}

fn body_of(args: &SendArgs) -> anyhow::Result<Vec<u8>> {
    if let Some(body) = &args.body {
        return Ok(body.clone().into_bytes());
    }
    if let Some(file) = &args.file {
        return std::fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    }
    let mut body = Vec::new();
    std::io::stdin()
        .read_to_end(&mut body)
        .context("cannot read standard input")?;
    Ok(body)
}

fn print_followed(format: Format, message: &ReceivedMessage) -> anyhow::Result<()> {
    match format {
        Format::Json => println!("{}", serde_json::to_string(message)?),
        Format::Text => print!("{}", message_text(message)),
    }
    Ok(std::io::stdout().flush()?)
}

fn message_text(message: &ReceivedMessage) -> String {
    let body = match message.bytes().map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(binary)) => format!(
            "({} bytes, not text; -o json shows them)",
            binary.as_bytes().len()
        ),
        Err(error) => format!("({error})"),
    };
    let receipt = message
        .receipt
        .map_or_else(String::new, |r| format!("\n  receipt {r}"));
    let died = message.dead_from.as_ref().map(|source| {
        let queue = source.queue.as_ref().map(|queue| queue.as_str());
        let queue = queue.unwrap_or("a queue that is gone");
        let (id, times) = (&source.id, source.receive_count);
        format!("\n  died in {queue} as {id}, received {times} times")
    });
    format!(
        "{}  {}{receipt}\n  received {} times{}\n{body}\n",
        message.sequence,
        message.id,
        message.receive_count,
        died.unwrap_or_default()
    )
}

/// An enum's name as the API spells it.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}
