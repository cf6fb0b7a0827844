//! The network between hosts, as a proxy in front of each of them: every directed link can be cut or
//! delayed on its own.
//!
//! Hosts advertise the address of their *door* here instead of their own. Who comes through a door is
//! seen from the first bytes: a host introduces itself with the address that it advertises, frontends
//! and managers have none. (Source addresses tell nothing, as everybody here dials from the same one.)

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::port::free_address;

/// Bytes taken from one side before they are passed on.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks on the way at once; with a delay they are what bounds the bandwidth.
const CHUNKS_ON_THE_WAY_MAX: usize = 256;
/// How long a door that is to be opened again tries: somebody may have its port for a moment, as the
/// near end of a connection.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A host, by its number.
    Host(usize),
    /// Everybody else: frontends, the manager.
    Caller,
}

/// What a direction of a link suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// Nothing arrives and nobody is told: a cable that was cut. What was sent arrives when it heals.
    Cut,
    /// Everything arrives so much later.
    Delay(Duration),
}

type Faults = BTreeMap<(End, End), LinkFault>;

/// The doors of all hosts. Everything ends when it is dropped.
#[derive(Debug)]
pub struct Links {
    doors: Vec<Door>,
    faults: watch::Sender<Faults>,
}

#[derive(Debug)]
struct Door {
    address: SocketAddr,
    target: SocketAddr,
    open: Option<AbortHandle>,
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(task) = self.open.take() {
            task.abort();
        }
    }
}

impl Links {
    /// A door, with a free port, before each of these; all are open.
    ///
    /// # Errors
    /// If there are no free ports.
    pub async fn before(targets: &[SocketAddr]) -> Result<Self> {
        let mut listeners = Vec::new();
        for _ in targets {
            listeners.push(TcpListener::bind(free_address()?).await?);
        }
        let (faults, _) = watch::channel(Faults::new());
        let mut doors = Vec::new();
        for (listener, target) in listeners.iter().zip(targets) {
            doors.push(Door {
                address: listener.local_addr()?,
                target: *target,
                open: None,
            });
        }
        let mut links = Self { doors, faults };
        for (host, listener) in listeners.into_iter().enumerate() {
            links.serve(host, listener);
        }
        Ok(links)
    }

    /// What a host is to advertise.
    #[must_use]
    pub fn address(&self, host: usize) -> SocketAddr {
        self.doors[host].address
    }

    /// From now on nobody listens at a host's door, as when its process is gone.
    pub fn close(&mut self, host: usize) {
        if let Some(task) = self.doors[host].open.take() {
            task.abort();
        }
    }

    /// Somebody listens again.
    ///
    /// # Errors
    /// If the port is taken.
    pub async fn open(&mut self, host: usize) -> Result<()> {
        if self.doors[host].open.is_some() {
            return Ok(());
        }
        let address = self.doors[host].address;
        let listener = crate::wait::until("the door's port", OPEN_WITHIN, async || {
            Ok(TcpListener::bind(address).await?)
        });
        let listener = listener.await.context("cannot open a door again")?;
        self.serve(host, listener);
        Ok(())
    }

    /// What one end sends to the other suffers this from now on.
    pub fn set(&self, from: End, to: End, fault: LinkFault) {
        self.faults.send_modify(|faults| {
            faults.insert((from, to), fault);
        });
    }

    /// What one end sends to the other suffers nothing any more.
    pub fn mend(&self, from: End, to: End) {
        self.faults.send_modify(|faults| {
            faults.remove(&(from, to));
        });
    }

    /// Nothing suffers anything any more.
    pub fn mend_all(&self) {
        self.faults.send_modify(BTreeMap::clear);
    }

    fn serve(&mut self, host: usize, listener: TcpListener) {
        let serving = Serving {
            host,
            target: self.doors[host].target,
            names: self
                .doors
                .iter()
                .map(|door| name_of(door.address))
                .collect(),
            faults: self.faults.subscribe(),
        };
        let task = tokio::spawn(serve(listener, Arc::new(serving)));
        self.doors[host].open = Some(task.abort_handle());
    }
}

/// How an advertised address looks in a handshake: a byte for its length, then its text.
fn name_of(address: SocketAddr) -> Vec<u8> {
    let text = address.to_string();
    let mut name = vec![text.len() as u8];
    name.extend_from_slice(text.as_bytes());
    name
}

struct Serving {
    host: usize,
    target: SocketAddr,
    names: Vec<Vec<u8>>,
    faults: watch::Receiver<Faults>,
}

impl Serving {
    /// Who says this first.
    fn who(&self, first: &[u8]) -> End {
        let says = |name: &Vec<u8>| first.windows(name.len()).any(|window| window == name);
        match self.names.iter().position(says) {
            Some(host) => End::Host(host),
            None => End::Caller,
        }
    }

    fn direction(&self, from: End, to: End) -> Direction {
        Direction {
            ends: (from, to),
            faults: self.faults.clone(),
        }
    }
}

async fn serve(listener: TcpListener, serving: Arc<Serving>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // An accept that failed concerns one connection.
            Ok((near, _)) = listener.accept() => {
                let serving = Arc::clone(&serving);
                connections.spawn(async move { carry(near, &serving).await });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection to its end. Errors are an end like any other.
async fn carry(near: TcpStream, serving: &Serving) -> io::Result<()> {
    // A hello is one write of less than a segment.
    let mut first = Vec::with_capacity(CHUNK_BYTES);
    near.readable().await?;
    near.try_read_buf(&mut first)?;
    let (dialler, host) = (serving.who(&first), End::Host(serving.host));
    let mut there = serving.direction(dialler, host);
    let back = serving.direction(host, dialler);
    let delay = there.passable().await;
    let far = TcpStream::connect(serving.target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    // The first direction that ends, ends both: our connections are never half-closed.
    tokio::select! {
        ended = one_way(&near, &far, there, Some((Instant::now() + delay, first))) => ended,
        ended = one_way(&far, &near, back, None) => ended,
    }
}

#[derive(Clone)]
struct Direction {
    ends: (End, End),
    faults: watch::Receiver<Faults>,
}

impl Direction {
    /// Waits until bytes may pass, and says how late they are to arrive.
    async fn passable(&mut self) -> Duration {
        let ends = self.ends;
        let open = |faults: &Faults| faults.get(&ends) != Some(&LinkFault::Cut);
        let delay = |faults: &Faults| match faults.get(&ends) {
            Some(LinkFault::Delay(delay)) => *delay,
            _ => Duration::ZERO,
        };
        let opened = self.faults.wait_for(open).await;
        let delay = opened.map(|faults| delay(&faults));
        match delay {
            Ok(delay) => delay,
            // The links are going.
            Err(_) => std::future::pending().await,
        }
    }
}

type Chunk = (Instant, Vec<u8>);

async fn one_way(
    from: &TcpStream,
    to: &TcpStream,
    direction: Direction,
    first: Option<Chunk>,
) -> io::Result<()> {
    let (chunks, on_the_way) = mpsc::channel(CHUNKS_ON_THE_WAY_MAX);
    if let Some(first) = first {
        chunks.try_send(first).expect("the channel is empty");
    }
    tokio::try_join!(
        take(from, chunks, direction.clone()),
        deliver(to, on_the_way, direction)
    )?;
    Ok(())
}

async fn take(
    from: &TcpStream,
    chunks: mpsc::Sender<Chunk>,
    mut direction: Direction,
) -> io::Result<()> {
    loop {
        from.readable().await?;
        let delay = direction.passable().await;
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
    mut direction: Direction,
) -> io::Result<()> {
    while let Some((due, chunk)) = on_the_way.recv().await {
        tokio::time::sleep_until(due).await;
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            direction.passable().await;
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);
    /// Long enough for bytes that are not held to arrive.
    const LONG_ENOUGH: Duration = Duration::from_millis(100);

    /// Host 1 calls host 0 through its door; the dialled and the accepted end.
    async fn call(links: &Links, target: &TcpListener) -> (TcpStream, TcpStream) {
        let mut near = TcpStream::connect(links.address(0)).await.unwrap();
        near.write_all(&name_of(links.address(1))).await.unwrap();
        let (mut far, _) = target.accept().await.unwrap();
        let mut hello = vec![0; name_of(links.address(1)).len()];
        far.read_exact(&mut hello).await.unwrap();
        (near, far)
    }

    async fn arrives(at: &mut TcpStream, within: Duration) -> bool {
        let mut byte = [0];
        tokio::time::timeout(within, at.read_exact(&mut byte))
            .await
            .is_ok_and(|read| read.is_ok())
    }

    #[tokio::test]
    async fn a_cut_holds_one_direction_of_one_link_until_it_is_mended() {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = target.local_addr().unwrap();
        let links = Links::before(&[address, address]).await.unwrap();
        let (mut near, mut far) = call(&links, &target).await;

        links.set(End::Host(1), End::Host(0), LinkFault::Cut);
        near.write_all(b"x").await.unwrap();
        far.write_all(b"y").await.unwrap();
        assert!(arrives(&mut near, SOON).await, "the other way is open");
        assert!(!arrives(&mut far, LONG_ENOUGH).await, "it is cut");
        links.mend(End::Host(1), End::Host(0));
        assert!(arrives(&mut far, SOON).await, "it was held, not lost");

        links.set(End::Caller, End::Host(0), LinkFault::Cut);
        near.write_all(b"x").await.unwrap();
        assert!(arrives(&mut far, SOON).await, "a host is no caller");
    }

    #[tokio::test]
    async fn a_closed_door_refuses_until_it_is_opened() {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = target.local_addr().unwrap();
        let mut links = Links::before(&[address, address]).await.unwrap();
        let (mut near, _far) = call(&links, &target).await;

        links.close(0);
        let ended = tokio::time::timeout(SOON, near.read(&mut [0])).await;
        assert!(ended.unwrap().is_ok_and(|bytes| bytes == 0), "it goes on");
        assert!(TcpStream::connect(links.address(0)).await.is_err());
        links.open(0).await.unwrap();
        call(&links, &target).await;
    }
}
