//! A checker that cannot fail is worth nothing: the whole load runs against a queue that breaks one
//! promise once, and must say which.

mod support;

use std::time::Duration;

use shoal_load_test::{Kind, Load, Plan, Report};
use support::{Fault, Shelf};

fn plan() -> Plan {
    Plan {
        queues: 2,
        producers: 4,
        consumers: 4,
        rate: Some(1_000.0),
        batch: 2,
        body_bytes: 64,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(400),
        visibility: Duration::from_secs(1),
        wait: Duration::from_secs(1),
        drain: Duration::from_secs(10),
        ..Plan::default()
    }
}

async fn run(fault: Fault) -> Report {
    let load = Load::prepare(plan(), Shelf::new(fault)).await.unwrap();
    load.start(&[]).finish().await
}

async fn broken(fault: Fault) -> Vec<Kind> {
    let verdict = run(fault).await.verdict;
    assert_eq!(verdict.ok, verdict.violations.is_empty());
    verdict.violations.kinds().collect()
}

#[tokio::test]
async fn an_honest_queue_gets_a_clean_report() {
    let report = run(Fault::None).await;
    assert!(report.verdict.ok, "{report}");
    assert!(report.drained);
    assert_eq!(report.verdict.accepted, 400, "0.4 s of 1,000 a second");
    assert_eq!(report.verdict.deleted, 400);
    assert_eq!((report.failed_operations(), report.unsent), (0, 0));
    assert_eq!(report.end_to_end.count, 400);
    assert!(report.to_string().contains("every promise kept"));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["verdict"]["ok"], true);
    assert_eq!(json["plan"]["duration_s"], 0.4);
}

#[tokio::test]
async fn a_lost_message_is_named() {
    assert_eq!(broken(Fault::Forget).await, [Kind::Lost]);
}

#[tokio::test]
async fn a_message_that_returns_after_its_delete_is_named() {
    assert_eq!(broken(Fault::Undelete).await, [Kind::Returned]);
}

#[tokio::test]
async fn a_message_in_two_hands_is_named() {
    assert!(
        broken(Fault::LeaseTwice)
            .await
            .contains(&Kind::TwoReceivers)
    );
}

#[tokio::test]
async fn a_send_applied_twice_is_named() {
    assert!(broken(Fault::KeepTwice).await.contains(&Kind::SentTwice));
}

#[tokio::test]
async fn a_number_left_out_is_named() {
    assert_eq!(broken(Fault::SkipNumber).await, [Kind::NumberMissing]);
}

#[tokio::test]
async fn an_altered_body_is_named() {
    assert_eq!(broken(Fault::Alter).await, [Kind::Altered]);
}

#[tokio::test]
async fn a_refused_send_that_was_kept_is_named() {
    assert_eq!(
        broken(Fault::RefuseAndKeep).await,
        [Kind::RefusedButDelivered]
    );
}

#[tokio::test]
async fn a_failed_operation_is_counted_and_is_no_broken_promise() {
    let report = run(Fault::Fail).await;
    assert!(report.verdict.ok, "{report}");
    assert_eq!(report.failed_operations(), 1);
    assert_eq!(report.send.failed["busy"], 1);
    assert_eq!(report.verdict.refused, 2, "a batch");
}

#[tokio::test]
async fn a_pause_shows_in_the_latency_of_the_sends_that_were_due_meanwhile() {
    let mut plan = plan();
    plan.producers = 1;
    let shelf = Shelf::new(Fault::Pause(Duration::from_millis(200)));
    let load = Load::prepare(plan, shelf).await.unwrap();
    let report = load.start(&[]).finish().await;
    assert!(report.verdict.ok, "{report}");
    assert!(report.send.longest_gap_ms >= 190.0, "{report}");
    // Half of the load was due within the pause, the middle of it waited 100 ms.
    assert!(report.send.latency.p90_ms >= 100.0, "{report}");
}

#[tokio::test]
async fn without_a_rate_producers_wait_for_consumers_at_the_bound() {
    let plan = Plan {
        rate: None,
        backlog_max: Some(20),
        messages_max: 2_000,
        duration: Duration::from_secs(10),
        ..plan()
    };
    let shelf = Shelf::new(Fault::None);
    let load = Load::prepare(plan, shelf.clone()).await.unwrap();
    let report = load.start(&[]).finish().await;
    assert!(report.verdict.ok, "{report}");
    assert_eq!(report.verdict.deleted, 2_000);
    assert!(shelf.most_unleased() <= 20, "{}", shelf.most_unleased());
}

#[tokio::test]
async fn sending_and_consuming_can_be_done_one_after_the_other() {
    let load = Load::prepare(plan(), Shelf::new(Fault::None))
        .await
        .unwrap();
    load.produce().await;
    let report = load.consume().await;
    assert!(report.verdict.ok, "{report}");
    assert_eq!(report.verdict.received, 400);
}
