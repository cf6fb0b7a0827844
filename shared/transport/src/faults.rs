//! Faults of the network between two processes, for tests: a proxy for one directed link.
//!
//! Whoever dials is given the proxy's address instead of the real one. What the link suffers can be
//! changed at any time, and holds for connections that are open as well as for new ones.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// What a link suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Everything arrives so much later, in both directions.
    Delay(Duration),
    /// Nothing arrives and nobody is told: a cable that was cut. What was sent arrives when it heals.
    Cut,
    /// Open connections are reset, and new ones as soon as they are made.
    Reset,
    /// Open connections are reset and new ones refused: nobody listens there.
    Refuse,
}

/// A proxy for one directed link. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    task: AbortHandle,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    target: String,
    fault: Fault,
}

/// Bytes taken from one side before they are passed on.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks on the way at once; with a delay they are what bounds the bandwidth.
const CHUNKS_ON_THE_WAY_MAX: usize = 256;

impl Proxy {
    /// Listens on a free port and passes everything on to `target` (`name:port`).
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(target: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (state, changes) = watch::channel(State {
            target: target.into(),
            fault: Fault::None,
        });
        let task = tokio::spawn(listen(listener, address, changes)).abort_handle();
        Ok(Self {
            address,
            state,
            task,
        })
    }

    /// What to dial.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the link suffers this.
    pub fn set(&self, fault: Fault) {
        self.state.send_modify(|state| state.fault = fault);
    }

    /// New connections go there from now on; open ones stay where they are.
    pub fn set_target(&self, target: impl Into<String>) {
        self.state.send_modify(|state| state.target = target.into());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(first: TcpListener, address: SocketAddr, mut state: watch::Receiver<State>) {
    let mut listener = Some(first);
    // Dropped with this task, and all connections with it.
    let mut links = JoinSet::new();
    loop {
        let refusing = state.borrow_and_update().fault == Fault::Refuse;
        if refusing {
            listener = None;
        } else if listener.is_none() {
            // Somebody may have taken the port meanwhile; then this link stays refused.
            listener = TcpListener::bind(address).await.ok();
        }
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = state.changed() => match changed {
                Ok(()) => {}
                Err(_) => return,
            },
            Ok((near, _)) = accept => {
                links.spawn(link(near, state.clone()));
            }
            Some(_) = links.join_next() => {}
        }
    }
}

async fn link(near: TcpStream, mut state: watch::Receiver<State>) {
    let broken = tokio::select! {
        () = breaks(state.clone()) => true,
        () = pass_on(&near, &mut state) => false,
    };
    if broken {
        // Instead of an orderly end: the other side sees a reset.
        _ = near.set_zero_linger();
    }
}

/// Waits until open connections are to be reset.
async fn breaks(mut state: watch::Receiver<State>) {
    let resets = |state: &State| matches!(state.fault, Fault::Reset | Fault::Refuse);
    let proxy_is_going = state.wait_for(resets).await.is_err();
    if proxy_is_going {
        std::future::pending().await
    }
}

async fn pass_on(near: &TcpStream, state: &mut watch::Receiver<State>) {
    passable(state).await;
    let target = state.borrow().target.clone();
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    _ = near.set_nodelay(true);
    _ = far.set_nodelay(true);
    // The first direction that ends, ends both: our connections are never half-closed.
    tokio::select! {
        _ = one_way(near, &far, state.clone()) => {}
        _ = one_way(&far, near, state.clone()) => {}
    }
}

/// Waits until bytes may pass, and says how late they are to arrive.
async fn passable(state: &mut watch::Receiver<State>) -> Duration {
    let fault = state
        .wait_for(|state| state.fault != Fault::Cut)
        .await
        .map(|state| state.fault);
    match fault {
        Ok(Fault::Delay(delay)) => delay,
        Ok(_) => Duration::ZERO,
        // The proxy is going.
        Err(_) => std::future::pending().await,
    }
}

async fn one_way(
    from: &TcpStream,
    to: &TcpStream,
    state: watch::Receiver<State>,
) -> io::Result<()> {
    let (chunks, on_the_way) = mpsc::channel(CHUNKS_ON_THE_WAY_MAX);
    tokio::try_join!(
        take(from, chunks, state.clone()),
        deliver(to, on_the_way, state)
    )?;
    Ok(())
}

type Chunk = (Instant, Vec<u8>);

async fn take(
    from: &TcpStream,
    chunks: mpsc::Sender<Chunk>,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    loop {
        from.readable().await?;
        let delay = passable(&mut state).await;
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        match from.try_read_buf(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(_) if chunks.send((Instant::now() + delay, chunk)).await.is_err() => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn deliver(
    to: &TcpStream,
    mut on_the_way: mpsc::Receiver<Chunk>,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    while let Some((due, chunk)) = on_the_way.recv().await {
        tokio::time::sleep_until(due).await;
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            passable(&mut state).await;
            to.writable().await?;
            match to.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
