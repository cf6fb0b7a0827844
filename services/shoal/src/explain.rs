//! What the manager plans and did, for people.

use shoal_api::plan::{
    ClusterHeat, EVENTS_PATH, Event, EventPage, EventQuery, MOVES_PATH, MoveInfo, PLAN_PATH,
    PlanInfo, PlannedAction,
};
use shoal_types::{ClusterId, Ts};

use crate::cli::OperatorArgs;
use crate::operate::Manager;
use crate::output::{print, table};

/// `shoal cluster explain`
pub(crate) async fn explain(
    operator: OperatorArgs,
    cluster: Option<ClusterId>,
) -> anyhow::Result<()> {
    let output = operator.output;
    let mut info: PlanInfo = Manager::new(operator)?.get(PLAN_PATH).await?;
    if let Some(wanted) = cluster {
        info.clusters.retain(|heat| heat.cluster == wanted);
        info.actions
            .retain(|action| action.clusters.contains(&wanted));
        info.not_helped
            .retain(|not_helped| not_helped.cluster == wanted);
        anyhow::ensure!(
            !info.clusters.is_empty(),
            "{wanted} takes part in no planning: it is unknown, or retired"
        );
    }
    print(output, &info, text)
}

/// `shoal cluster events`
pub(crate) async fn events(operator: OperatorArgs, asked: EventQuery) -> anyhow::Result<()> {
    let output = operator.output;
    let mut query = Vec::new();
    query.extend(asked.after.map(|after| format!("after={after}")));
    query.extend(asked.limit.map(|limit| format!("limit={limit}")));
    let path = format!("{EVENTS_PATH}?{}", query.join("&"));
    let page: EventPage = Manager::new(operator)?.get(&path).await?;
    print(output, &page, |page| {
        if page.events.is_empty() {
            return "no events\n".to_owned();
        }
        let rows = page.events.iter().map(event_row);
        table(["NUMBER", "WHEN", "WHAT", ""], rows)
    })
}

/// `shoal move list`
pub(crate) async fn moves(operator: OperatorArgs) -> anyhow::Result<()> {
    let output = operator.output;
    let moves: Vec<MoveInfo> = Manager::new(operator)?.get(MOVES_PATH).await?;
    print(output, &moves, |moves| {
        if moves.is_empty() {
            return "nothing is under way\n".to_owned();
        }
        let rows = moves.iter().map(move_row);
        table(
            ["QUEUE", "WHAT", "FROM", "TO", "STAGE", "FOR", "WAITS FOR"],
            rows,
        )
    })
}

fn move_row(info: &MoveInfo) -> [String; 7] {
    let all = |clusters: &[ClusterId]| {
        let clusters: Vec<String> = clusters.iter().map(ClusterId::to_string).collect();
        clusters.join(" ")
    };
    [
        info.queue.to_string(),
        info.kind.clone(),
        all(&info.from),
        all(&info.to),
        info.stage.clone(),
        format!("{} s", info.under_way_s),
        info.progress.clone(),
    ]
}

fn event_row(event: &Event) -> [String; 4] {
    let queue = event
        .queue
        .as_ref()
        .map_or_else(String::new, |queue| format!(" [{queue}]"));
    [
        event.number.to_string(),
        time(event.at),
        event.kind.as_str().to_owned(),
        format!("{}{queue}", event.text),
    ]
}

fn time(at: Ts) -> String {
    shoal_api::Timestamp(at).to_string()
}

fn text(info: &PlanInfo) -> String {
    if info.at == Ts::ZERO {
        return "nothing was planned yet: the manager has just started\n".to_owned();
    }
    let mut out = format!("as of {}\n", time(info.at));
    for cluster in &info.clusters {
        out.push('\n');
        out.push_str(&cluster_text(cluster));
        for not_helped in &info.not_helped {
            if not_helped.cluster == cluster.cluster {
                out.push_str(&format!("  ! {}\n", not_helped.why));
            }
        }
    }
    out.push_str("\nplanned:\n");
    if info.actions.is_empty() {
        out.push_str("  nothing\n");
    }
    for action in &info.actions {
        out.push_str(&action_text(action));
    }
    if let Some(needed) = info.capacity_needed {
        out.push_str(&format!(
            "\ncapacity needed: {} hosts, for {} clusters and {} dead members\n",
            needed.hosts, needed.clusters, needed.replacements
        ));
    }
    out
}

fn cluster_text(cluster: &ClusterHeat) -> String {
    let mut out = match (&cluster.heat, &cluster.measure) {
        (Some(heat), Some(measure)) => {
            format!(
                "{}: heat {} ({measure})\n",
                cluster.cluster,
                hundredths(*heat)
            )
        }
        _ => format!("{}: too little measured yet\n", cluster.cluster),
    };
    if !cluster.measures.is_empty() {
        let rows = cluster.measures.iter().map(|measure| {
            [
                format!("  {}", measure.measure),
                measure.value.to_string(),
                format!("of {}", measure.target),
                hundredths(measure.heat),
            ]
        });
        out.push_str(&table(["  last window", "", "", "HEAT"], rows));
    }
    if !cluster.busiest.is_empty() {
        let rows = cluster.busiest.iter().map(|load| {
            [
                format!("  {} ({})", load.queue, load.partition),
                format!("{} messages/s", load.operations),
                format!("{} bytes/s", load.bytes),
            ]
        });
        out.push_str(&table(["  busiest", "", ""], rows));
    }
    out
}

fn action_text(action: &PlannedAction) -> String {
    let PlannedAction {
        action: what,
        reason,
        queue,
        begun,
        outcome,
        ..
    } = action;
    let queue = queue
        .as_ref()
        .map_or_else(String::new, |queue| format!(" [{queue}]"));
    let came = if *begun { "begun" } else { "NOT BEGUN" };
    format!("  {what}{queue}\n    why: {reason}\n    {came}: {outcome}\n")
}

fn hundredths(percent: u64) -> String {
    format!("{}.{:02}", percent / 100, percent % 100)
}

#[cfg(test)]
mod tests {
    use shoal_api::plan::{CapacityInfo, MeasureInfo, NotHelpedInfo};

    use super::*;

    #[test]
    fn what_is_hot_what_is_done_and_what_is_not_are_all_said() {
        let cluster = ClusterId(1);
        let info = PlanInfo {
            at: Ts(1_000_000),
            clusters: vec![ClusterHeat {
                cluster,
                heat: Some(120),
                measure: Some("operations".to_owned()),
                measures: vec![MeasureInfo {
                    measure: "operations".to_owned(),
                    value: 36_000,
                    target: 30_000,
                    heat: 120,
                }],
                busiest: Vec::new(),
            }],
            actions: vec![PlannedAction {
                action: "move q3 from c1 to c2".to_owned(),
                reason: "too hot".to_owned(),
                queue: Some("orders".parse().unwrap()),
                clusters: vec![cluster],
                begun: false,
                outcome: "its epoch is another one".to_owned(),
            }],
            not_helped: vec![NotHelpedInfo {
                cluster,
                why: "c1 is overheated, and nothing is done: none is cool".to_owned(),
            }],
            capacity_needed: Some(CapacityInfo {
                hosts: 3,
                clusters: 1,
                replacements: 0,
            }),
        };
        let text = text(&info);
        for said in [
            "c1: heat 1.20 (operations)",
            "36000",
            "of 30000",
            "! c1 is overheated",
            "move q3 from c1 to c2 [orders]",
            "why: too hot",
            "NOT BEGUN: its epoch",
            "capacity needed: 3 hosts, for 1 clusters",
        ] {
            assert!(text.contains(said), "{said}:\n{text}");
        }
    }
}
