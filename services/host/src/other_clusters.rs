//! Calls to hosts of other clusters (or of the own one), beside the driver's loop. What is to be said is
//! decided in the core.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use shoal_transport::{ClientOptions, HostClient, Identity, Role};
use shoal_types::{
    ClusterId, ClusterMember, ErrorCode, HostId, HostReply, HostRequest, Outcome, Refusal,
};
use tokio::sync::mpsc;

use crate::bodies::BodyReader;
use crate::core::{Carriage, NotCarried, Telling};
use crate::driver::Input;
use crate::limits::{CARRYING_TIMEOUT, OTHER_CLUSTERS_CLIENTS_MAX, TELLING_TIMEOUT};

/// The connections. Clones share them.
#[derive(Clone)]
pub(crate) struct OtherClusters {
    me: Identity,
    clients: Arc<Mutex<BTreeMap<Whom, HostClient>>>,
}

/// A host, the cluster that it is to belong to, and where it is dialled.
type Whom = (HostId, ClusterId, String);

/// What a host made of it.
enum Answered {
    With(Outcome),
    /// Another host may be able to.
    AskAnother(String),
}

impl OtherClusters {
    pub(crate) fn new() -> Self {
        Self {
            me: Identity::caller(Role::Client),
            clients: Arc::default(),
        }
    }

    /// Tells one host of the cluster after the other until one has taken it; what came of it is reported
    /// as an input. Takes at most [`TELLING_TIMEOUT`] for each host.
    pub(crate) fn tell(&self, telling: Telling, done: &mpsc::Sender<Input>) {
        let (others, done) = (self.clone(), done.clone());
        tokio::spawn(async move {
            let place = (telling.cluster, telling.members.as_slice());
            let asked = others.ask_any(place, &telling.request, &[], TELLING_TIMEOUT);
            let answer = asked.await;
            // If the loop has ended, nobody needs to know.
            let _ = done.send(Input::Told(telling.told(answer))).await;
        });
    }

    /// Reads the bodies of a piece and brings it to one host of the cluster after the other, as
    /// [`OtherClusters::tell`] does.
    pub(crate) fn carry(
        &self,
        mut carriage: Carriage,
        reader: &BodyReader,
        done: &mpsc::Sender<Input>,
    ) {
        let (others, reader, done) = (self.clone(), reader.clone(), done.clone());
        tokio::spawn(async move {
            let bodies = std::mem::take(&mut carriage.bodies);
            let result = match Carriage::at_hand(reader.read_all(bodies).await) {
                Ok(bodies) => {
                    let place = (carriage.cluster, carriage.members.as_slice());
                    let asked = others.ask_any(place, &carriage.request, &bodies, CARRYING_TIMEOUT);
                    asked.await.map_err(NotCarried::NotTaken)
                }
                Err(missing) => Err(NotCarried::Unreadable(missing)),
            };
            let _ = done.send(Input::Carried(carriage.carried(result))).await;
        });
    }

    /// The first answer of a host that is one, or why there is none.
    async fn ask_any(
        &self,
        (cluster, members): (ClusterId, &[ClusterMember]),
        request: &HostRequest,
        bodies: &[Bytes],
        timeout: Duration,
    ) -> Result<Outcome, String> {
        let mut last = "its cluster has no hosts".to_owned();
        for member in in_any_order(members) {
            let client = self.client(member, cluster);
            match ask(&client, member.host, request, bodies, timeout).await {
                Answered::With(outcome) => return Ok(outcome),
                Answered::AskAnother(why) => last = why,
            }
        }
        Err(last)
    }

    /// The client of a host at this address.
    fn client(&self, member: &ClusterMember, cluster: ClusterId) -> HostClient {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        // A client knows whom it means: another host at the same address is another client's.
        let key = (member.host, cluster, member.address.clone());
        if let Some(client) = clients.get(&key) {
            return client.clone();
        }
        if clients.len() >= OTHER_CLUSTERS_CLIENTS_MAX {
            // Calls under way keep theirs.
            clients.pop_first();
        }
        let options = ClientOptions {
            identity: self.me.clone(),
            host: Some(member.host),
            cluster: Some(cluster),
            ..Default::default()
        };
        let client = HostClient::new(member.address.clone(), options);
        clients.insert(key, client.clone());
        client
    }
}

async fn ask(
    client: &HostClient,
    host: HostId,
    request: &HostRequest,
    bodies: &[Bytes],
    timeout: Duration,
) -> Answered {
    let answer = client.call(request, bodies, timeout).await;
    match answer.map(|answer| answer.result) {
        Ok(Ok(HostReply::Outcome(Outcome::Refused(refusal))) | Err(refusal)) => {
            judge(host, refusal)
        }
        Ok(Ok(HostReply::Outcome(outcome))) => Answered::With(outcome),
        Ok(Ok(other)) => Answered::AskAnother(format!("{host} answered {other:?}")),
        Err(error) => Answered::AskAnother(format!("{host}: {error}")),
    }
}

/// What a host refuses is final if all others would refuse it too.
fn judge(host: HostId, refusal: Refusal) -> Answered {
    match refusal.code {
        ErrorCode::InvalidRequest | ErrorCode::Fenced | ErrorCode::QueueNotFound => {
            Answered::With(Outcome::Refused(refusal))
        }
        _ => Answered::AskAnother(format!("{host}: {refusal}")),
    }
}

/// All of them, beginning anywhere: the hosts share the work.
fn in_any_order(members: &[ClusterMember]) -> impl Iterator<Item = &ClusterMember> {
    let first = rand::random_range(0..=members.len());
    let (before, from) = members.split_at(first);
    from.iter().chain(before)
}
