//! Frontends follow what changes.

use std::time::Duration;

use reqwest::Method;
use shoal_types::Revision;
use tokio::time::Instant;

use crate::support::{Small, problem};

#[tokio::test]
async fn pages_tell_everything_once_in_the_order_of_revisions() {
    let small = Small::start().await;
    for n in 0..5 {
        small.client().create(&format!("q{n}")).await;
    }
    let all = small.client().feed(Revision(0), 0).await;
    assert_eq!(
        (all.queues.len(), all.clusters.len(), all.more),
        (5, 1, false)
    );
    assert!(all.queues.is_sorted_by_key(|route| route.revision));
    assert_eq!(all.clusters[0].members.len(), 3);
    let third = all.queues[2].revision;
    let rest = small.client().feed(third, 0).await;
    assert_eq!(rest.queues, all.queues[3..]);
    assert!(rest.clusters.is_empty());
    assert_eq!(small.client().feed(all.revision, 0).await.queues, []);
}

#[tokio::test]
async fn a_long_poll_is_answered_as_soon_as_there_is_news() {
    let small = Small::start().await;
    let since = small.client().feed(Revision(0), 0).await.revision;
    let client = small.client().clone();
    let poll = tokio::spawn(async move { client.feed(since, 30).await });
    let route = small.client().create("orders").await;
    let page = tokio::time::timeout(Duration::from_secs(5), poll)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(page.queues, [route]);
}

#[tokio::test]
async fn a_long_poll_without_news_ends_when_it_said_and_other_writes_are_no_news() {
    let small = Small::start().await;
    let since = small.client().feed(Revision(0), 0).await.revision;
    let mut stranger = small.hosts[0].status();
    stranger.host = shoal_types::HostId(500);
    stranger.cluster = None;
    let started = Instant::now();
    let (page, _) = tokio::join!(small.client().feed(since, 1), async {
        small.client().heartbeat(&stranger).await.unwrap()
    });
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert!(page.queues.is_empty() && page.clusters.is_empty() && !page.more);
    assert!(page.revision > since, "need not be read again");
}

#[tokio::test]
async fn a_reader_that_is_ahead_of_the_store_is_not_told_that_all_is_gone() {
    let small = Small::start().await;
    let ahead = "/v1/feed?since=1099511627776&wait_s=20";
    let refused = problem(small.client().send(Method::GET, ahead, "").await).await;
    assert_eq!(refused.code.as_str(), "manager_unavailable");
    let detail = "a frontend knows of revision 1099511627776, and the store is at";
    assert!(refused.detail.contains(detail), "{refused}");
    assert!(
        refused.detail.contains("shoal manager rebuild"),
        "{refused}"
    );
}

#[tokio::test]
async fn long_polls_do_not_hold_up_a_shutdown() {
    let small = Small::start().await;
    let since = small.client().feed(Revision(0), 0).await.revision;
    let client = small.client().clone();
    let poll = tokio::spawn(async move { client.feed(since, 30).await });
    // Most likely the poll has arrived when what was asked after it is answered.
    small.client().hosts().await;
    let started = Instant::now();
    small.manager.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5));
    // Whether it was answered or came too late does not matter here.
    poll.abort();
}
