//! Ports for processes that must be told one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// Below those that systems hand out by themselves, to listeners on port 0 and to whoever dials: one of
/// these would otherwise be gone before its process listens there, or while that is down. It happened.
const PORTS: Range<u16> = 11_000..32_000;

/// A port that is free now, and that no process of the same test is given again.
pub fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let count = PORTS.end - PORTS.start;
    // Tests begin at different places, as ports of a test that just ended rest for a while.
    let first = (std::process::id() % u32::from(count)) as u16;
    for _ in 0..count {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % count;
        let port = PORTS.start + (first + step) % count;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port of {PORTS:?} is free")
}
