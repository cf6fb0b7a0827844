//! What the admin port answers.

use std::net::SocketAddr;

use shoal_runtime::admin::{self, AdminState, Readiness};
use shoal_runtime::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

async fn start(readiness: watch::Receiver<Readiness>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = "zone = \"a\"  # from default\n".to_owned();
    tokio::spawn(admin::serve(
        listener,
        AdminState { readiness, config },
        Shutdown::new(),
    ));
    address
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn readiness_is_followed_and_its_reason_shown() {
    let (sender, readiness) = watch::channel(Readiness::NotReady("catching up".into()));
    let address = start(readiness).await;
    let answer = get(address, "/readyz").await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\ncatching up\n"),
        "{answer}"
    );
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
    sender.send(Readiness::Ready).unwrap();
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200 "));
    drop(sender);
    assert!(
        get(address, "/readyz").await.ends_with("is stopping\n"),
        "a role that is gone is not ready"
    );
}

#[tokio::test]
async fn metrics_and_settings_are_shown_as_text() {
    let (_sender, readiness) = watch::channel(Readiness::Ready);
    let address = start(readiness).await;
    shoal_runtime::telemetry::describe(&[]);
    metrics::counter!("shoal_test_total").increment(3);
    let answer = get(address, "/metrics").await;
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4"),
        "{answer}"
    );
    assert!(answer.contains("\nshoal_test_total 3\n"), "{answer}");
    assert!(
        get(address, "/debug/config")
            .await
            .ends_with("zone = \"a\"  # from default\n")
    );
    assert!(
        get(address, "/elsewhere")
            .await
            .starts_with("HTTP/1.1 404 ")
    );
}
