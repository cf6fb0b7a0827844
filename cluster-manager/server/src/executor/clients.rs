//! One connection to each host that is being instructed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use shoal_transport::{ClientOptions, HostClient, Identity, Role};
use shoal_types::HostId;

/// The clients, made at their first use. At most one per host, so bounded by the hosts.
pub(crate) struct HostClients {
    me: Identity,
    clients: Mutex<BTreeMap<HostId, HostClient>>,
}

impl HostClients {
    pub(crate) fn new() -> Self {
        Self {
            me: Identity::caller(Role::Manager),
            clients: Mutex::default(),
        }
    }

    /// The client of a host at its present address.
    pub(crate) fn get(&self, host: HostId, address: &str) -> HostClient {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        match clients.get(&host) {
            Some(client) if client.address() == address => client.clone(),
            _ => {
                let identity = self.me.clone();
                let options = ClientOptions {
                    identity,
                    host: Some(host),
                    ..Default::default()
                };
                let client = HostClient::new(address, options);
                clients.insert(host, client.clone());
                client
            }
        }
    }
}
