//! The connections that are there: how many there may be, of whom, and how they're told to end.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::deadline::Deadline;
use crate::config::{Config, Timing};

/// All connections of one accept loop.
pub(super) struct Connections {
    there: Mutex<There>,
    emptied: Notify,
    /// All of them end now, whatever they do.
    ended: CancellationToken,
    max: usize,
    per_address_max: usize,
    timing: Timing,
}

#[derive(Default)]
struct There {
    next: u64,
    all: BTreeMap<u64, CancellationToken>,
    by_address: BTreeMap<IpAddr, usize>,
}

/// One connection. It counts until the last of its tasks has dropped this.
pub(super) struct Connection {
    id: u64,
    address: SocketAddr,
    connections: Arc<Connections>,
    /// When its request must be over.
    pub deadline: Deadline,
    /// Its WebSocket is to say goodbye.
    pub stop: CancellationToken,
}

/// Why a connection isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There are as many as there may be.
    All,
    /// There are as many of its address as there may be.
    Address,
}

impl Full {
    /// A short name, for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::All => "connections",
            Self::Address => "connections_per_address",
        }
    }
}

impl Connections {
    pub fn new(config: &Config, ended: CancellationToken) -> Self {
        let (max, per_address_max) = (config.limits.connections_max, config.limits.connections_per_address_max);
        let timing = config.timing.clone();
        Self { there: Mutex::default(), emptied: Notify::new(), ended, max, per_address_max, timing }
    }

    /// Takes a connection in, if there's room.
    pub fn admit(self: &Arc<Self>, address: SocketAddr) -> Result<Arc<Connection>, Full> {
        let mut there = self.there();
        if there.all.len() >= self.max {
            return Err(Full::All);
        }
        if let Some(counted) = counted(address.ip()) {
            let count = there.by_address.entry(counted).or_default();
            if *count >= self.per_address_max {
                return Err(Full::Address);
            }
            *count += 1;
        }
        let (id, stop) = (there.next, CancellationToken::new());
        there.next += 1;
        there.all.insert(id, stop.clone());
        let deadline = Deadline::new(&self.timing);
        Ok(Arc::new(Connection { id, address, connections: self.clone(), deadline, stop }))
    }

    /// The tokens that end the WebSockets that are there, oldest first.
    pub fn stops(&self) -> Vec<CancellationToken> {
        self.there().all.values().cloned().collect()
    }

    /// Waits until none is there.
    pub async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.there().all.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn there(&self) -> MutexGuard<'_, There> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Where it comes from.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does something until it's done or all connections end.
    pub async fn while_open(&self, work: impl Future<Output = ()>) {
        self.connections.ended.run_until_cancelled(work).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut there = self.connections.there();
        there.all.remove(&self.id);
        if let Some(counted) = counted(self.address.ip())
            && let Some(count) = there.by_address.get_mut(&counted)
        {
            *count -= 1;
            if *count == 0 {
                there.by_address.remove(&counted);
            }
        }
        if there.all.is_empty() {
            self.connections.emptied.notify_waiters();
        }
    }
}

/// What counts as one address: of IPv6 a /64, for that is what one customer has. None for loopback: a proxy on the same
/// machine brings everybody.
fn counted(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)).into()),
        address => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(max: usize, per_address_max: usize) -> Arc<Connections> {
        let mut config = Config::default();
        (config.limits.connections_max, config.limits.connections_per_address_max) = (max, per_address_max);
        Arc::new(Connections::new(&config, CancellationToken::new()))
    }

    fn from(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 1)
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let connections = connections(10, 2);
        let first = connections.admit(from("192.0.2.1")).ok().unwrap();
        let _second = connections.admit(from("::ffff:192.0.2.1")).ok().unwrap();
        assert_eq!(connections.admit(from("192.0.2.1")).err(), Some(Full::Address));
        let _other = connections.admit(from("192.0.2.2")).ok().unwrap();
        drop(first);
        assert!(connections.admit(from("192.0.2.1")).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let connections = connections(10, 1);
        let _first = connections.admit(from("2001:db8:0:1::1")).ok().unwrap();
        assert_eq!(connections.admit(from("2001:db8:0:1:ffff::2")).err(), Some(Full::Address));
        assert!(connections.admit(from("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn loopback_counts_for_all_and_not_for_itself() {
        let connections = connections(3, 1);
        let all: Vec<_> =
            ["127.0.0.1", "::1", "::ffff:127.0.0.1"].map(from).map(|at| connections.admit(at).ok()).into();
        assert!(all.iter().all(Option::is_some));
        assert_eq!(connections.admit(from("127.0.0.1")).err(), Some(Full::All));
        drop(all);
        assert!(connections.there().all.is_empty() && connections.there().by_address.is_empty());
    }
}
