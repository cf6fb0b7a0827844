//! Who may connect to whom.
//!
//! The side that dialled says [`Hello`](Kind::Hello): magic, the range of versions it speaks, who it
//! is and whom it believes to be calling. The other side answers [`Welcome`](Kind::Welcome) with the
//! version and who it is, or [`Refused`](Kind::Refused) with the reason, and closes. Nothing else is
//! taken before that, and all of it has [`limits::HANDSHAKE_TIMEOUT`].
//!
//! Both sides speak the highest version that both know. The handshake itself is the same in all of them;
//! fields may be added at the end of its bodies.
//!
//! ```text
//!  Hello:    "SHOAL"  u16 LE lowest version  u16 LE highest version  postcard { from, to }
//!  Welcome:  u16 LE version  postcard remote
//!  Refused:  UTF-8 text
//! ```

use std::io;
use std::ops::RangeInclusive;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use shoal_types::{ClusterId, HostId, WireVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::frame::{FrameError, HANDSHAKE, Kind};
use crate::identity::{Identity, Remote, Role};
use crate::limits;
use crate::reader::FrameReader;
use crate::writer::WriteBuffer;

const MAGIC: &[u8] = b"SHOAL";

/// The versions of the protocol that this build speaks, lowest and highest.
pub const VERSIONS: RangeInclusive<WireVersion> = if cfg!(feature = "next-release") {
    WireVersion::V2..=WireVersion::V3
} else {
    WireVersion::V2..=WireVersion::V2
};

/// Whom a dialler means. What it does not know is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Meant {
    /// The host.
    pub host: Option<HostId>,
    /// The cluster that the host must belong to, if it belongs to one at all.
    pub cluster: Option<ClusterId>,
}

#[derive(Serialize, Deserialize)]
struct HelloBody {
    from: Remote,
    to: Meant,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// It did not come to an end in time.
    #[error("no handshake within {} s", limits::HANDSHAKE_TIMEOUT.as_secs())]
    TimedOut,
    /// The other side closed without a word.
    #[error("closed during the handshake")]
    Closed,
    /// What came is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// What came is no handshake of ours.
    #[error("not a handshake: {0}")]
    Malformed(&'static str),
    /// The other side does not want us.
    #[error("refused by the other side: {0}")]
    RefusedByRemote(String),
    /// We do not want the other side.
    #[error("refused: {0}")]
    Refused(String),
    /// A host looks for another one at our address, which is ours now.
    #[error("refused: {}", .0.reason())]
    Sought(Sought),
}

/// A host that looks for another one here: perhaps the one whose data folder was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sought {
    /// Who looks.
    pub by: HostId,
    /// Its cluster.
    pub cluster: Option<ClusterId>,
    /// Whom it looks for.
    pub meant: HostId,
    /// Whom it found.
    pub is: HostId,
}

impl Sought {
    fn reason(&self) -> String {
        let Self { meant, is, .. } = self;
        format!("this is {is}, not {meant}; if {meant} lost its data folder, replace it by {is}")
    }
}

impl HandshakeError {
    /// All that [`HandshakeError::label`] says.
    pub(crate) const LABELS: [&str; 4] = ["closed", "timeout", "malformed", "refused"];

    /// A word for metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Io(_) | Self::Closed => "closed",
            Self::TimedOut => "timeout",
            Self::Frame(_) | Self::Malformed(_) => "malformed",
            Self::RefusedByRemote(_) | Self::Refused(_) | Self::Sought(_) => "refused",
        }
    }
}

/// A connection after its handshake.
#[derive(Debug)]
pub(crate) struct Connection<S = TcpStream> {
    pub(crate) stream: S,
    pub(crate) reader: FrameReader,
    pub(crate) version: WireVersion,
    pub(crate) remote: Remote,
}

/// Dials and introduces ourselves.
pub(crate) async fn dial(
    address: &str,
    me: &Identity,
    to: Meant,
) -> Result<Connection, HandshakeError> {
    let connecting =
        tokio::time::timeout(limits::CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let stream = connecting.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    within_time(introduce(stream, me, to)).await
}

/// Takes a connection. `admit` has the last word about who it is.
pub(crate) async fn accept<T>(
    stream: TcpStream,
    me: &Identity,
    admit: impl FnOnce(&Remote) -> Result<T, String>,
) -> Result<(Connection, T), HandshakeError> {
    stream.set_nodelay(true)?;
    within_time(welcome(stream, me, admit)).await
}

async fn within_time<T>(
    handshake: impl Future<Output = Result<T, HandshakeError>>,
) -> Result<T, HandshakeError> {
    let ended = tokio::time::timeout(limits::HANDSHAKE_TIMEOUT, handshake).await;
    ended.unwrap_or(Err(HandshakeError::TimedOut))
}

async fn introduce<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    me: &Identity,
    to: Meant,
) -> Result<Connection<S>, HandshakeError> {
    let mut hello = BytesMut::from(MAGIC);
    hello.put_u16_le(me.versions().start().number());
    hello.put_u16_le(me.versions().end().number());
    send(
        &mut stream,
        Kind::Hello,
        &hello,
        Some(&HelloBody {
            from: me.shown(),
            to,
        }),
    )
    .await?;

    let mut reader = FrameReader::of_handshake();
    let (kind, mut payload) = receive(&mut stream, &mut reader).await?;
    match kind {
        Kind::Welcome if payload.len() >= 2 => {
            let version = WireVersion::numbered(payload.get_u16_le());
            let version = version
                .filter(|version| me.versions().contains(version))
                .ok_or(HandshakeError::Malformed("a version that was not offered"))?;
            let remote: Remote = decode(&payload)?;
            check_meant(to, &remote).map_err(HandshakeError::Refused)?;
            Ok(Connection {
                stream,
                reader: reader.after_handshake(version),
                version,
                remote,
            })
        }
        Kind::Refused => {
            let reason = String::from_utf8_lossy(&payload).into_owned();
            Err(HandshakeError::RefusedByRemote(reason))
        }
        _ => Err(HandshakeError::Malformed("neither a welcome nor a refusal")),
    }
}

async fn welcome<S: AsyncRead + AsyncWrite + Unpin, T>(
    mut stream: S,
    me: &Identity,
    admit: impl FnOnce(&Remote) -> Result<T, String>,
) -> Result<(Connection<S>, T), HandshakeError> {
    let mut reader = FrameReader::of_handshake();
    let (kind, payload) = receive(&mut stream, &mut reader).await?;
    if kind != Kind::Hello {
        return Err(HandshakeError::Malformed("a frame before the handshake"));
    }
    let checked = check_hello(payload, me).and_then(|(version, remote)| {
        let admitted = admit(&remote).map_err(HandshakeError::Refused)?;
        Ok((version, remote, admitted))
    });
    match checked {
        Ok((version, remote, admitted)) => {
            send(
                &mut stream,
                Kind::Welcome,
                &version.number().to_le_bytes(),
                Some(&me.shown()),
            )
            .await?;
            Ok((
                Connection {
                    stream,
                    reader: reader.after_handshake(version),
                    version,
                    remote,
                },
                admitted,
            ))
        }
        Err(error) => {
            let reason = match &error {
                HandshakeError::Refused(reason) => Some(reason.clone()),
                HandshakeError::Sought(sought) => Some(sought.reason()),
                _ => None,
            };
            if let Some(reason) = reason {
                send::<(), _>(&mut stream, Kind::Refused, reason.as_bytes(), None).await?;
            }
            Err(error)
        }
    }
}

/// The version to speak and who it is.
fn check_hello(mut hello: Bytes, me: &Identity) -> Result<(WireVersion, Remote), HandshakeError> {
    if hello.len() < MAGIC.len() + 4 || &hello[..MAGIC.len()] != MAGIC {
        return Err(HandshakeError::Malformed("wrong magic"));
    }
    hello.advance(MAGIC.len());
    let (lowest, highest) = (hello.get_u16_le(), hello.get_u16_le());
    // Before the rest is read: it may look different in a version that we do not speak.
    let (our_lowest, our_highest) = (*me.versions().start(), *me.versions().end());
    let version = highest.min(our_highest.number());
    if version < lowest.max(our_lowest.number()) {
        return Err(HandshakeError::Refused(format!(
            "no common version: {lowest} to {highest} offered, {our_lowest} to {our_highest} spoken here"
        )));
    }
    let version = WireVersion::numbered(version).expect("it lies within what is spoken here");
    let hello: HelloBody = decode(&hello)?;
    let ours = me.shown();
    let is_host = hello.from.role == Role::Host;
    if let Some(meant) = hello.to.host.filter(|meant| is_host && *meant != ours.host) {
        return Err(HandshakeError::Sought(Sought {
            by: hello.from.host,
            cluster: hello.from.cluster,
            meant,
            is: ours.host,
        }));
    }
    check_meant(hello.to, &ours).map_err(HandshakeError::Refused)?;
    if is_host && hello.from.host == ours.host {
        return Err(HandshakeError::Refused(format!(
            "{} is my own id",
            ours.host
        )));
    }
    if is_host {
        let theirs = Meant {
            host: None,
            cluster: hello.from.cluster,
        };
        check_meant(theirs, &ours).map_err(HandshakeError::Refused)?;
    }
    Ok((version, hello.from))
}

/// Is it the one that was meant?
fn check_meant(to: Meant, is: &Remote) -> Result<(), String> {
    if let Some(meant) = to.host
        && meant != is.host
    {
        return Err(format!("this is {}, not {meant}", is.host));
    }
    if let (Some(meant), Some(cluster)) = (to.cluster, is.cluster)
        && meant != cluster
    {
        return Err(format!("{} belongs to {cluster}, not to {meant}", is.host));
    }
    Ok(())
}

fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, HandshakeError> {
    postcard::from_bytes(body).map_err(|_| HandshakeError::Malformed("unreadable"))
}

async fn send<T: Serialize, S: AsyncWrite + Unpin>(
    stream: &mut S,
    kind: Kind,
    start: &[u8],
    body: Option<&T>,
) -> Result<(), HandshakeError> {
    let mut payload = BytesMut::from(start).writer();
    if let Some(body) = body {
        postcard::to_io(body, &mut payload).expect("writing to memory does not fail");
    }
    let mut writer = WriteBuffer::new(HANDSHAKE);
    writer.push(kind, 0, vec![payload.into_inner().freeze()]);
    writer.write(stream).await?;
    Ok(())
}

async fn receive<S: AsyncRead + Unpin>(
    stream: &mut S,
    reader: &mut FrameReader,
) -> Result<(Kind, Bytes), HandshakeError> {
    loop {
        if let Some(frame) = reader.next()? {
            return Ok((frame.kind, frame.payload));
        }
        if reader.fill(stream).await? == 0 {
            return Err(HandshakeError::Closed);
        }
    }
}
