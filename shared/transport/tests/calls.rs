//! What a client can rely on.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use shoal_transport::faults::{Fault, Proxy};
use shoal_transport::{CallErrorKind, ClientOptions, HostClient, Identity, Role, limits};
use shoal_types::{
    Applied, ClusterId, ErrorCode, HostId, HostRequest, Incarnation, Push, ViewNumber, ViewSummary,
};
use support::{CLUSTER, HOST, SOON, Server, done, echo, in_time, script, silence};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

const STATUS: HostRequest = HostRequest::Status;

fn client(address: impl ToString) -> HostClient {
    HostClient::new(address.to_string(), ClientOptions::default())
}

/// Waits until so many calls have reached the service.
async fn arrived(count: &AtomicUsize, wanted: usize) {
    in_time(async {
        while count.load(Ordering::SeqCst) < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_pipelined_calls_get_their_own_answers_in_any_order() {
    const CALLS: usize = 10_000;
    const TOGETHER: usize = 100;
    // Answers a hundred at a time, the last one first.
    let waiting: Arc<Mutex<Vec<oneshot::Sender<()>>>> = Arc::default();
    let server = Server::start(script(move |bodies, _| {
        let (sender, turn) = oneshot::channel();
        let mut waiting = waiting.lock().unwrap();
        waiting.push(sender);
        if waiting.len() == TOGETHER {
            waiting
                .drain(..)
                .rev()
                .for_each(|sender| sender.send(()).unwrap());
        }
        async {
            turn.await.unwrap();
            done(bodies)
        }
    }))
    .await;
    let client = client(server.address);
    let mut calls = JoinSet::new();
    for n in 0..CALLS {
        let client = client.clone();
        calls.spawn(async move {
            let body = Bytes::from(n.to_string());
            let response = client
                .call(&STATUS, std::slice::from_ref(&body), SOON)
                .await
                .unwrap();
            assert_eq!(response.bodies, [body]);
        });
    }
    in_time(calls.join_all()).await;
    assert_eq!(client.in_flight(), 0);
}

#[tokio::test]
async fn four_large_bodies_come_back_whole() {
    let server = Server::start(echo()).await;
    let bodies: Vec<Bytes> = (0..4).map(|n| Bytes::from(vec![n; 1 << 20])).collect();
    let response = client(server.address)
        .call(&STATUS, &bodies, SOON)
        .await
        .unwrap();
    assert!(response.bodies == bodies);
}

#[tokio::test]
async fn the_host_is_told_how_long_the_caller_waits() {
    let server = Server::start(script(|_, wait| async move {
        done(vec![Bytes::from(wait.as_millis().to_string())])
    }))
    .await;
    let wait = Duration::from_millis(7_123);
    let response = client(server.address)
        .call(&STATUS, &[], wait)
        .await
        .unwrap();
    assert_eq!(response.bodies, ["7123"]);
}

#[tokio::test]
async fn what_fits_into_no_frame_is_not_sent() {
    let server = Server::start(echo()).await;
    let bodies = vec![Bytes::from(vec![0; 1 << 20]); 8];
    let error = client(server.address)
        .call(&STATUS, &bodies, SOON)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (CallErrorKind::TooLarge, Applied::No)
    );
}

/// A service whose calls never end, and what counts those that came and those that were dropped.
fn counting() -> (Arc<support::Scripted>, Arc<AtomicUsize>, mpsc::Receiver<()>) {
    struct Gone(mpsc::Sender<()>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.try_send(()).unwrap();
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let (dropped, drops) = mpsc::channel(2 * limits::CALLS_PER_CONNECTION_MAX);
    let counted = Arc::clone(&count);
    let service = script(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        let gone = Gone(dropped.clone());
        async move {
            let _gone = gone;
            std::future::pending().await
        }
    });
    (service, count, drops)
}

#[tokio::test]
async fn dropping_a_call_drops_the_future_at_the_host() {
    let (service, count, mut drops) = counting();
    let server = Server::start(service).await;
    let client = client(server.address);
    let (kept, cancelled) = (client.clone(), client.clone());
    let _kept = tokio::spawn(async move { kept.call(&STATUS, &[], SOON).await });
    let cancelled = tokio::spawn(async move { cancelled.call(&STATUS, &[], SOON).await });
    arrived(&count, 2).await;
    cancelled.abort();
    in_time(drops.recv()).await.unwrap();
    assert!(drops.is_empty(), "the other call goes on");
}

#[tokio::test]
async fn a_client_that_goes_away_drops_all_its_calls_at_the_host() {
    let (service, count, mut drops) = counting();
    let server = Server::start(service).await;
    let calling = client(server.address);
    let calls = tokio::spawn(async move {
        let call = || calling.call(&STATUS, &[], SOON);
        _ = tokio::join!(call(), call(), call());
    });
    arrived(&count, 3).await;
    calls.abort();
    for _ in 0..3 {
        in_time(drops.recv()).await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_connection_fails_all_pending_calls_at_once_as_unknown() {
    let (service, count, _drops) = counting();
    let server = Server::start(service).await;
    let proxy = Proxy::start(server.address.to_string()).await.unwrap();
    let client = client(proxy.address());
    let calls = (0..10).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.call(&STATUS, &[], SOON).await.unwrap_err() })
    });
    let calls: Vec<_> = calls.collect();
    arrived(&count, 10).await;
    proxy.set(Fault::Reset);
    for call in calls {
        let error = in_time(call).await.unwrap();
        assert_eq!(
            (error.kind, error.applied),
            (CallErrorKind::Closed, Applied::Unknown),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_host_that_falls_silent_is_given_up() {
    let (service, count, _drops) = counting();
    let server = Server::start(service).await;
    let proxy = Proxy::start(server.address.to_string()).await.unwrap();
    let client = client(proxy.address());
    let call =
        tokio::spawn(async move { client.call(&STATUS, &[], Duration::from_secs(60)).await });
    arrived(&count, 1).await;
    proxy.set(Fault::Cut);
    let error = in_time(call).await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (CallErrorKind::Closed, Applied::Unknown)
    );
}

#[tokio::test]
async fn a_slow_answer_is_no_silence() {
    let server = Server::start(script(|bodies, _| async {
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        done(bodies)
    }))
    .await;
    in_time(client(server.address).call(&STATUS, &[], SOON))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_call_past_its_deadline_is_unknown_if_it_was_sent() {
    let server = Server::start(silence()).await;
    let client = client(server.address);
    let error = client
        .call(&STATUS, &[], Duration::from_millis(50))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (CallErrorKind::TimedOut, Applied::Unknown)
    );
    assert_eq!(client.in_flight(), 0);
}

#[tokio::test]
async fn a_call_past_its_deadline_is_not_applied_if_it_was_never_sent() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(mute.local_addr().unwrap());
    let error = client
        .call(&STATUS, &[], Duration::from_millis(50))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (CallErrorKind::TimedOut, Applied::No)
    );
}

#[tokio::test]
async fn nobody_listening_fails_the_call_as_not_applied() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let client = client(gone);
    for _ in 0..3 {
        let error = in_time(client.call(&STATUS, &[], SOON)).await.unwrap_err();
        assert_eq!(
            (error.kind, error.applied),
            (CallErrorKind::Connect, Applied::No)
        );
    }
}

#[tokio::test]
async fn a_client_comes_back_after_the_host_restarted() {
    let server = Server::start(echo()).await;
    let address = server.address;
    let client = client(address);
    client.call(&STATUS, &[], SOON).await.unwrap();
    server.kill().await;
    in_time(async { while client.call(&STATUS, &[], SOON).await.is_ok() {} }).await;
    let _again = Server::start_as(address, HOST, Incarnation(2), echo()).await;
    in_time(async { while client.call(&STATUS, &[], SOON).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_host_other_than_the_one_meant_is_not_called() {
    let server = Server::start(echo()).await;
    server.identity.set_cluster(CLUSTER);
    let call = async |options: ClientOptions| {
        let client = HostClient::new(server.address.to_string(), options);
        client.call(&STATUS, &[], SOON).await
    };
    let meant = |host, cluster| ClientOptions {
        host,
        cluster,
        ..ClientOptions::default()
    };
    call(meant(Some(HOST), Some(CLUSTER))).await.unwrap();
    let error = call(meant(Some(HostId(0xbad)), None)).await.unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (CallErrorKind::Connect, Applied::No)
    );
    assert_eq!(
        error.detail,
        "refused by the other side: this is ha, not hbad"
    );
    let error = call(meant(None, Some(ClusterId(1)))).await.unwrap_err();
    assert_eq!(
        error.detail,
        "refused by the other side: ha belongs to cc, not to c1"
    );
}

#[tokio::test]
async fn news_reach_everyone_who_is_connected() {
    let server = Server::start(echo()).await;
    let (sender, mut news) = mpsc::channel(10);
    let mut clients = Vec::new();
    for _ in 0..3 {
        let sender = sender.clone();
        let options = ClientOptions {
            identity: Identity::caller(Role::Frontend),
            on_push: Arc::new(move |push| sender.try_send(push).unwrap()),
            ..ClientOptions::default()
        };
        let client = HostClient::new(server.address.to_string(), options);
        client.call(&STATUS, &[], SOON).await.unwrap();
        clients.push(client);
    }
    let view = ViewSummary {
        number: ViewNumber(2),
        members: vec![HOST],
        active: vec![HOST],
    };
    let push = Push::View {
        cluster: CLUSTER,
        view,
    };
    server.pusher.push_all(&push);
    for _ in 0..3 {
        assert_eq!(in_time(news.recv()).await, Some(push.clone()));
    }
}

#[tokio::test]
async fn a_stopping_host_answers_the_calls_under_way() {
    let (go, gone) = (
        Arc::new(tokio::sync::Notify::new()),
        Arc::new(AtomicUsize::new(0)),
    );
    let (wait, count) = (Arc::clone(&go), Arc::clone(&gone));
    let server = Server::start(script(move |bodies, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let wait = Arc::clone(&wait);
        async move {
            wait.notified().await;
            done(bodies)
        }
    }))
    .await;
    let calling = client(server.address);
    let call = tokio::spawn(async move { calling.call(&STATUS, &[], SOON).await });
    arrived(&gone, 1).await;
    let stopping = tokio::spawn(server.stop());
    tokio::task::yield_now().await;
    go.notify_one();
    in_time(call).await.unwrap().unwrap();
    in_time(stopping).await.unwrap();
}

#[tokio::test]
async fn calls_beyond_the_bound_are_busy_and_not_applied() {
    let (service, count, _drops) = counting();
    let server = Server::start(service).await;
    let client = client(server.address);
    let mut calls = JoinSet::new();
    let at_most = limits::CALLS_PER_CONNECTION_MAX;
    for _ in 0..at_most {
        let client = client.clone();
        calls.spawn(async move { client.call(&STATUS, &[], 6 * SOON).await });
    }
    arrived(&count, at_most).await;
    let error = client.call(&STATUS, &[], SOON).await.unwrap_err();
    assert_eq!(
        (error.kind, error.applied),
        (CallErrorKind::Busy, Applied::No)
    );
    let refusal = shoal_types::Refusal::from(error);
    assert_eq!(
        (refusal.code, refusal.applied),
        (ErrorCode::Busy, Applied::No)
    );
}
