//! What the fake manager shows of a fleet's life.

use axum::Json;
use axum::extract::{Query, State};
use shoal_api::manager::{ClusterInfo, ClusterState, HostInfo};
use shoal_api::plan::{Event, EventKind, EventPage, EventQuery, MoveInfo};
use shoal_types::{
    ClusterId, ClusterMember, HostId, HostState, Incarnation, PartitionId, Ts, ViewNumber,
};

use super::cluster::CLUSTER;
use super::manager::Store;

/// One move.
pub(super) async fn moves() -> Json<Vec<MoveInfo>> {
    Json(vec![MoveInfo {
        id: PartitionId(2),
        queue: "orders".parse().unwrap(),
        kind: "move".to_owned(),
        stage: "draining".to_owned(),
        seals: vec![PartitionId(1)],
        opens: vec![PartitionId(2)],
        from: vec![ClusterId(1)],
        to: vec![ClusterId(2)],
        text: "why".to_owned(),
        progress: "how far".to_owned(),
        begun_at: Ts(1),
        under_way_s: 2,
    }])
}

/// Events 1 to 5.
pub(super) async fn events(Query(asked): Query<EventQuery>) -> Json<EventPage> {
    let limit = asked.limit.unwrap_or(100);
    let after = asked.after.unwrap_or_else(|| 5_u64.saturating_sub(limit));
    let numbers = (1..=5)
        .filter(|number| *number > after)
        .take(limit as usize);
    let events: Vec<Event> = numbers
        .map(|number| Event {
            number,
            at: Ts(number),
            kind: EventKind::Decided,
            clusters: vec![ClusterId(1)],
            queue: None,
            text: "what".to_owned(),
        })
        .collect();
    let next = events.last().map_or(after, |event| event.number);
    Json(EventPage { events, next })
}

/// The first cluster, as if all were well.
pub(super) async fn clusters(State(store): State<Store>) -> Json<Vec<ClusterInfo>> {
    let hosts: Vec<HostId> = store.members().iter().map(|member| member.host).collect();
    Json(vec![ClusterInfo {
        cluster: CLUSTER,
        state: ClusterState::Serving,
        view: ViewNumber(1),
        members: hosts.clone(),
        active: hosts,
        queues: 0,
        messages: 0,
        only: None,
        change: None,
    }])
}

/// Its hosts.
pub(super) async fn hosts(State(store): State<Store>) -> Json<Vec<HostInfo>> {
    let host = |member: &ClusterMember| HostInfo {
        host: member.host,
        address: member.address.clone(),
        zone: "a".to_owned(),
        pool: String::new(),
        cluster: Some(CLUSTER),
        state: HostState::Acting,
        alive: true,
        heard_ms_ago: 1,
        incarnation: Incarnation(1),
        view: ViewNumber(1),
        messages: 0,
        message_bytes: 0,
        disk_used_percent: 1,
        executed: "1/0/h0".to_owned(),
        state_hash: "0000000000000000".to_owned(),
        trouble: None,
    };
    Json(store.members().iter().map(host).collect())
}
