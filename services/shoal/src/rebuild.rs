//! `shoal manager rebuild`: asked of the manager itself, which is running with an empty or an old store,
//! and followed to its end. Given again while it is under way, it follows the same one.

use anyhow::bail;
use shoal_api::rebuild::{
    REBUILD_PATH, RebuildInfo, RebuildReport, RebuildRequest, RebuiltCluster,
};
use shoal_types::HostId;

use crate::cli::RebuildArgs;
use crate::operate::{LOOK_AGAIN, Manager};
use crate::output::{print, table};

pub(crate) async fn run(args: RebuildArgs) -> anyhow::Result<()> {
    let RebuildArgs {
        operator,
        without,
        look,
    } = args;
    let (output, wait) = (operator.output, operator.wait);
    let manager = Manager::new(operator)?;
    let request = RebuildRequest {
        without,
        look_only: look,
    }
    .in_order();
    let before: RebuildInfo = manager.get(REBUILD_PATH).await?;
    let mut info: RebuildInfo = manager.post(REBUILD_PATH, &request).await?;
    eprintln!("{}", found(&before, &request));
    let mut told = String::new();
    while info.running && info.asked.as_ref() == Some(&request) {
        if info.progress != told {
            told.clone_from(&info.progress);
            eprintln!("{told}");
        }
        if manager.is_late() {
            bail!(
                "not done after {wait} s: {told}. It goes on; give the same command again to follow it"
            );
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        info = manager.get(REBUILD_PATH).await?;
    }
    if let Some(other) = info.asked.as_ref().filter(|asked| **asked != request) {
        bail!(
            "it ended, and `{}` was begun meanwhile: what came of it is in the manager's events",
            other.command()
        );
    }
    if let Some(why) = info.failed {
        bail!("{why}");
    }
    let Some(report) = info.report else {
        bail!("the manager was started again meanwhile; give the same command again");
    };
    print(output, &report, text)
}

/// What the command meets, in words.
fn found(before: &RebuildInfo, request: &RebuildRequest) -> String {
    if before.running && before.asked.as_ref() == Some(request) {
        return format!(
            "it is under way, begun {} s ago: following it",
            before.begun_s_ago
        );
    }
    match &before.lacking {
        Some(why) => format!("the store lacks what hosts know: {why}"),
        None => "nobody has told the manager of anything that its store lacks".to_owned(),
    }
}

fn text(report: &RebuildReport) -> String {
    let mut out = String::new();
    if !report.clusters.is_empty() {
        let header = ["CLUSTER", "PARTITIONS", "MEMBERS", "SILENT", ""];
        out += &table(header, report.clusters.iter().map(row));
    }
    let RebuildReport {
        queues_added,
        queues_changed,
        queues_kept,
        queues_removed,
        ..
    } = report;
    out += &format!(
        "queues: {queues_added} added, {queues_changed} changed, {queues_kept} kept, {queues_removed} removed\n"
    );
    for moving in &report.moves {
        out += &format!("move: {moving}\n");
    }
    for finding in &report.findings {
        out += &format!("note: {finding}\n");
    }
    if report.more_findings > 0 {
        out += &format!("and {} more notes\n", report.more_findings);
    }
    out += &match report.look_only {
        true => "nothing was written\n".to_owned(),
        false => format!("rebuilt, at revision {}\n", report.revision),
    };
    out
}

fn row(cluster: &RebuiltCluster) -> [String; 5] {
    let hosts = |hosts: &[HostId]| {
        let hosts: Vec<String> = hosts.iter().map(HostId::to_string).collect();
        hosts.join(" ")
    };
    [
        cluster.cluster.to_string(),
        cluster.partitions.to_string(),
        hosts(&cluster.members),
        hosts(&cluster.silent),
        if cluster.added { "added" } else { "" }.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Given again, as it says itself, it was refused because it was under way.
    #[test]
    fn given_again_it_says_that_it_follows_the_one_that_is_under_way() {
        let asked = RebuildRequest::default();
        let under_way = RebuildInfo {
            lacking: Some("h1 knows more".to_owned()),
            running: true,
            asked: Some(asked.clone()),
            begun_s_ago: 12,
            ..RebuildInfo::default()
        };
        let said = found(&under_way, &asked);
        assert_eq!(said, "it is under way, begun 12 s ago: following it");
        let over = RebuildInfo {
            running: false,
            ..under_way
        };
        assert!(found(&over, &asked).ends_with("h1 knows more"));
    }
}
