//! What its consumers cannot handle goes to the dead-letter queue on another cluster, and back when it is asked
//! for: each message once, whichever hosts die meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use shoal_api::Field;
use shoal_api::redrive::RedriveStatus;
use shoal_client::{Client, Message, Queue, Receive, ReceivedExt as _, ReceivedMessage};
use shoal_e2e::kills::kill_for_ever;
use shoal_e2e::operator::Operator;
use shoal_harness::{run, wait};
use shoal_types::{ClusterId, QueueName, QueueRoute, QueueSettings};

const MESSAGES: usize = 240;
const GROUPS: usize = 24;
/// Of all messages one in so many crashes its consumer, of each group every other one.
const POISON: usize = 5;
const RECEIVES: u32 = 3;
/// From one kill to the next.
const PERIOD: Duration = Duration::from_secs(4);
/// Each crash costs a lease, and each kill a pause.
const WITHIN: Duration = Duration::from_secs(90);

#[test]
fn a_message_dies_after_just_so_many_receives_and_goes_back_once_although_hosts_die() {
    run(async |bench| {
        for ends in ["", ".fifo"] {
            let dev = bench
                .dev()
                .named(&format!("dead{ends}"))
                .clusters(2)
                .processes();
            let dev = dev.start().await?;
            let operator = Operator::of(&dev)?;
            let client = Client::new(&dev.endpoint())?;
            tokio::select! {
                died = dies_and_goes_back(&client, &operator, ends) => died?,
                killed = kill_for_ever(bench, &dev, PERIOD) => match killed? {},
            }
        }
        Ok(())
    });
}

async fn dies_and_goes_back(client: &Client, operator: &Operator, ends: &str) -> Result<()> {
    let fifo = !ends.is_empty();
    let plain = QueueSettings {
        fifo,
        ..QueueSettings::default()
    };
    let dead = queue_on(operator, ClusterId(1), "dead", ends, &plain).await?;
    let dying = QueueSettings {
        dead_letter_queue: Some(dead.name.clone()),
        max_receive_count: Some(RECEIVES),
        ..plain
    };
    let orders = queue_on(operator, ClusterId(2), "orders", ends, &dying).await?;
    let (dead_name, dead) = (dead.name.clone(), client.queue(dead.name.as_str()));
    let orders = client.queue(orders.name.as_str());

    let messages: Vec<Message> = (0..MESSAGES).map(|n| message(n, fifo)).collect();
    orders.send_batch(&messages).await?;
    let poison: BTreeSet<usize> = (0..MESSAGES).filter(|n| is_poison(*n)).collect();
    let seen = consume(&orders, true).await?;
    for (n, counts) in &seen {
        let expected: Vec<u32> = match is_poison(*n) {
            true => (1..=RECEIVES).collect(),
            false => vec![1],
        };
        ensure!(*counts == expected, "{n} was received as {counts:?}");
    }
    ensure!(seen.len() == MESSAGES, "{} of {MESSAGES} came", seen.len());

    wait::until("the dead letters to arrive", WITHIN, async || {
        let Field::Value(counts) = dead.info().await?.counts else {
            bail!("no counts");
        };
        ensure!(counts.ready == poison.len() as u64, "{counts:?}");
        Ok(())
    })
    .await?;
    let letters = dead.peek(1_000).await?.messages;
    let bodies = letters.iter().map(|one| number(one.body.as_deref()));
    let bodies: Vec<usize> = bodies.collect::<Result<_>>()?;
    let once: BTreeSet<usize> = bodies.iter().copied().collect();
    ensure!(bodies.len() == once.len() && once == poison, "{bodies:?}");

    let asked = operator.redrive(&dead_name).await?;
    let over = operator
        .until_redrive_is(&dead_name, RedriveStatus::Completed, WITHIN)
        .await?;
    ensure!(over.task == asked.task, "{over:?}");
    let moved = poison.len() as u64;
    ensure!(
        (over.to_move, over.moved, over.failed) == (moved, moved, 0),
        "{over:?}"
    );
    ensure!(dead.peek(1).await?.messages.is_empty());
    let back = consume(&orders, false).await?;
    let came: BTreeSet<usize> = back.keys().copied().collect();
    ensure!(came == poison, "{came:?}");
    ensure!(
        back.values().all(|counts| *counts == [1]),
        "counted anew: {back:?}"
    );
    Ok(())
}

fn is_poison(n: usize) -> bool {
    n.is_multiple_of(POISON)
}

fn message(n: usize, fifo: bool) -> Message {
    let message = Message::text(format!("message {n}"));
    match fifo {
        true => message
            .group(format!("group-{}", n % GROUPS))
            .dedup_id(n.to_string()),
        false => message,
    }
}

fn number(body: Option<&str>) -> Result<usize> {
    let number = body.and_then(|body| body.strip_prefix("message "));
    Ok(number.context("a body")?.parse()?)
}

/// A queue whose name begins and ends so, on this cluster.
async fn queue_on(
    operator: &Operator,
    cluster: ClusterId,
    begins: &str,
    ends: &str,
    settings: &QueueSettings,
) -> Result<QueueRoute> {
    for n in 0..50 {
        let name: QueueName = format!("{begins}-{n}{ends}").parse()?;
        let route = operator.create(&name, settings).await?;
        if route.partitions.iter().all(|one| one.cluster == cluster) {
            return Ok(route);
        }
        operator.delete(&name).await?;
    }
    bail!("fifty names none of which belongs to {cluster}")
}

/// For how long a message is leased: longer than a kill and a slow machine hold an acknowledge up.
const LEASE_S: u32 = 5;
/// A receive waits so long, and this many in a row bring nothing once all is done: leases that run out do so
/// within.
const WAIT_S: u32 = 2;
const QUIET: usize = 4;

/// Receives until nothing is left: how often each message had been received, each time that it came. Those of a
/// group that are handled are so in order. A consumer that `crashes` handles no poison: one in four of those
/// leases runs out, the others are given back.
async fn consume(queue: &Queue, crashes: bool) -> Result<BTreeMap<usize, Vec<u32>>> {
    let how = Receive::default()
        .max(10)
        .wait_s(WAIT_S)
        .visibility_timeout_s(LEASE_S);
    let mut seen = BTreeMap::<usize, Vec<u32>>::new();
    let mut handled = BTreeMap::<String, usize>::new();
    let mut quiet = 0;
    while quiet < QUIET {
        let messages = queue.receive(&how).await?;
        quiet = match messages.is_empty() {
            true => quiet + 1,
            false => 0,
        };
        let (mut fine, mut failed) = (Vec::new(), Vec::new());
        for message in &messages {
            let n = number(message.body.as_deref())?;
            seen.entry(n).or_default().push(message.receive_count);
            if crashes && is_poison(n) {
                failed.extend(
                    message
                        .receipts()
                        .into_iter()
                        .filter(|_| !n.is_multiple_of(4)),
                );
                continue;
            }
            comes_in_order(message, n, &mut handled)?;
            fine.extend(message.receipts());
        }
        if !fine.is_empty() {
            let answer = queue.acknowledge(&fine).await?;
            ensure!(answer.receipts.iter().all(|one| one.ok), "{answer:?}");
        }
        if !failed.is_empty() {
            queue.release(&failed, 0).await?;
        }
    }
    Ok(seen)
}

fn comes_in_order(
    message: &ReceivedMessage,
    n: usize,
    handled: &mut BTreeMap<String, usize>,
) -> Result<()> {
    let Some(group) = message.group.clone() else {
        return Ok(());
    };
    let before = handled.insert(group, n);
    ensure!(
        before.is_none_or(|before| before < n),
        "{n} came after {before:?}"
    );
    Ok(())
}
