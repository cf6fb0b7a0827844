//! A connection from a peer: frames in, nothing out but signs of life.

use shoal_runtime::shutdown::Shutdown;
use tokio::sync::mpsc;
use tracing::debug;

use super::PeerPlace;
use super::end::End;
use crate::frame::Kind;
use crate::handshake::Connection;
use crate::limits::SERVER_SILENCE_MAX;
use crate::peers::PeerEvent;
use crate::writer::WriteBuffer;

/// Hands the peer's frames on in their order, until the connection ends or the peer has a newer one.
/// A full channel is waited for, so a driver that cannot keep up slows its peers down.
pub(super) async fn serve<E: From<PeerEvent>>(
    connection: Connection,
    place: &PeerPlace,
    events: &mpsc::Sender<E>,
    shutdown: &Shutdown,
) {
    let peer = connection.remote.host;
    let end = tokio::select! {
        biased;
        () = shutdown.triggered() => End::Shutdown,
        () = place.replaced.triggered() => End::Replaced,
        end = receive(connection, events) => end,
    };
    end.count();
    debug!(%peer, %end, "connection from peer closed");
}

async fn receive<E: From<PeerEvent>>(mut connection: Connection, events: &mpsc::Sender<E>) -> End {
    let (from, incarnation) = (connection.remote.host, connection.remote.incarnation);
    let version = connection.version;
    let mut writer = WriteBuffer::new(version);
    loop {
        loop {
            let frame = match connection.reader.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return End::BadFrame(error),
            };
            match frame.kind {
                Kind::Peer => {
                    let event = PeerEvent::Frame {
                        from,
                        incarnation,
                        version,
                        bytes: frame.payload,
                    };
                    if events.send(event.into()).await.is_err() {
                        return End::Shutdown;
                    }
                }
                Kind::Ping => writer.push(Kind::Pong, frame.id, Vec::new()),
                other => return End::Unexpected(other),
            }
        }
        let turn = async {
            writer.write(&mut connection.stream).await?;
            connection.reader.fill(&mut connection.stream).await
        };
        match tokio::time::timeout(SERVER_SILENCE_MAX, turn).await {
            Err(_) => return End::Silent,
            Ok(Err(error)) => return End::Io(error),
            Ok(Ok(0)) => return End::Closed,
            Ok(Ok(_)) => {}
        }
    }
}
