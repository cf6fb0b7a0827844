//! What the fake manager shows of a fleet's life.

use axum::Json;
use axum::extract::Query;
use shoal_api::plan::{Event, EventKind, EventPage, EventQuery, MoveInfo};
use shoal_types::{ClusterId, PartitionId, Ts};

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
