//! How many messages a queue has.

use shoal_api::{Problem, QueueCounts};
use shoal_types::{Query, QueryReply, QueueRoute};

use crate::app::App;
use crate::dispatch::Deadline;
use crate::partitions::{in_partition, is_drained, with_messages};

/// The sum over all partitions. One that cannot be asked leaves it unknown: a part would pass for all.
pub(crate) async fn counts(
    app: &App,
    route: &QueueRoute,
    deadline: Deadline,
) -> Result<QueueCounts, Problem> {
    let mut sum = QueueCounts::default();
    for place in with_messages(route) {
        let query = Query::Counts {
            partition: place.partition,
        };
        let answer = app.dispatcher.query(place.cluster, deadline, query);
        let answer = match answer.await.map_err(Problem::from) {
            Ok(answer) => answer,
            Err(problem) if is_drained(place, &problem) => continue,
            Err(problem) => return Err(in_partition(place, &problem)),
        };
        let QueryReply::Counts(counts) = answer.reply else {
            continue;
        };
        sum.ready += counts.ready;
        sum.in_flight += counts.in_flight;
        sum.delayed += counts.delayed;
        sum.bytes += counts.bytes;
        let age = counts
            .oldest_sent_at
            .map(|sent| answer.clock.since(sent) / 1_000_000);
        sum.oldest_age_s = sum.oldest_age_s.max(age);
    }
    Ok(sum)
}
