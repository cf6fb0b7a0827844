//! A manager whose store was lost or set back: it decides nothing and tells nobody that something is gone,
//! and is rebuilt from what the hosts report.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::json;
use shoal_api::manager::{ClusterInfo, ClusterState};
use shoal_api::plan::{EventPage, MoveInfo};
use shoal_api::rebuild::{REBUILD_PATH, RebuildInfo, RebuildReport};
use shoal_types::{
    ClusterId, Command, GroupRange, PartitionState, QueueRoute, QueueSettings, Revision,
};

use crate::support::{Client, Fails, Host, Running, Small, World, eventually, problem};

async fn begin(client: &Client, body: serde_json::Value) {
    let begun = client.send_json(Method::POST, REBUILD_PATH, &body).await;
    let status = begun.status();
    assert_eq!(status, StatusCode::ACCEPTED, "{:?}", begun.text().await);
}

async fn ended(client: &Client) -> RebuildInfo {
    eventually("the rebuilding has ended", async || {
        let info: RebuildInfo = client.get(REBUILD_PATH).await;
        (!info.running).then_some(info)
    })
    .await
}

pub(crate) async fn rebuild(client: &Client) -> RebuildReport {
    begin(client, json!({})).await;
    let info = ended(client).await;
    info.report.unwrap_or_else(|| panic!("{:?}", info.failed))
}

/// An empty folder in the place of the one that was lost, and the hosts report to the new manager.
pub(crate) async fn on_an_empty_store(hosts: &[Host]) -> (Running, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    let manager = lacking(data.path(), hosts).await;
    (manager, data)
}

/// A manager whose hosts have told it that its store lacks something.
async fn lacking(data: &Path, hosts: &[Host]) -> Running {
    let manager = Running::with(data, |config| {
        (config.round_ms, config.move_queues) = (100, true);
    })
    .await;
    for host in hosts {
        host.reports_to(&manager.client);
    }
    eventually("it knows that it lacks something", async || {
        let info: RebuildInfo = manager.client.get(REBUILD_PATH).await;
        info.lacking
    })
    .await;
    eventually("all hosts have reported", async || {
        (manager.client.hosts().await.len() == hosts.len()).then_some(())
    })
    .await;
    manager
}

/// What users and frontends see of a queue, but for the revision.
fn seen(route: &QueueRoute) -> QueueRoute {
    QueueRoute {
        revision: Revision(0),
        ..route.clone()
    }
}

fn settings() -> QueueSettings {
    QueueSettings {
        delay_s: 7,
        tags: [("team".to_owned(), "shop".to_owned())].into(),
        ..QueueSettings::default()
    }
}

#[tokio::test]
async fn a_lost_store_is_rebuilt_with_every_queue_as_it_was() {
    let small = Small::start().await;
    for n in 0..5 {
        small.client().create(&format!("q{n}")).await;
    }
    small.client().put("tagged", &settings()).await;
    small.client().create("gone").await;
    small.client().delete("gone").await;
    // Also what clusters need not know for themselves.
    let path = "/v1/queues/q0";
    let changed = small
        .client()
        .send_json(Method::PATCH, path, &settings())
        .await;
    assert_eq!(changed.status(), StatusCode::OK);
    let before = small.client().feed(Revision(0), 0).await;
    let Small {
        manager,
        world,
        hosts,
        data,
    } = small;
    manager.stop().await;
    drop(data);

    let (manager, _data) = on_an_empty_store(&hosts).await;
    let client = &manager.client;
    let report = rebuild(client).await;
    assert_eq!((report.queues_added, report.clusters.len()), (6, 1));
    assert!(report.findings.is_empty(), "{report:?}");
    let cluster = &client.until_serving(1).await[0];
    assert_eq!((cluster.cluster, cluster.queues), (ClusterId(1), 6));

    let after = client.feed(before.revision, 0).await;
    let all = |feed: &shoal_api::manager::Feed| -> Vec<QueueRoute> {
        let mut all: Vec<_> = feed.queues.iter().map(seen).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    };
    assert_eq!(all(&after), all(&before), "as news to whoever followed");
    assert_eq!(after.clusters[0].members, before.clusters[0].members);
    assert_eq!(client.queue("gone").await, None);

    // Ids and fences are none that were in use.
    let used: BTreeSet<_> = before.queues.iter().map(|route| route.queue).collect();
    let next = client.create("next").await;
    assert!(!used.contains(&next.queue) && next.revision > before.revision);
    assert_eq!(client.delete("q1").await.status(), StatusCode::NO_CONTENT);
    let again = client.create("q1").await;
    assert_eq!(client.queue("q1").await, Some(again));
    assert_eq!(world.partitions(), 7);
}

#[tokio::test]
async fn until_it_is_rebuilt_an_empty_store_says_what_is_the_matter_and_changes_nothing() {
    let small = Small::start().await;
    small.client().create("orders").await;
    let since = small.client().feed(Revision(0), 0).await.revision;
    let Small {
        manager,
        world,
        hosts,
        ..
    } = small;
    manager.stop().await;
    let executed = world.executed().len();

    let (manager, _data) = on_an_empty_store(&hosts).await;
    let spares = world.hosts(&manager.client, &["a", "b", "c"]).await;
    let create = serde_json::to_vec(&QueueSettings::default()).unwrap();
    for (method, path, body) in [
        (Method::PUT, "/v1/queues/orders", create.clone()),
        (Method::PATCH, "/v1/queues/orders", create),
        (Method::DELETE, "/v1/queues/orders", vec![]),
        (Method::GET, "/v1/queues/orders", vec![]),
        (Method::GET, "/v1/queues", vec![]),
        (Method::GET, "/v1/feed", vec![]),
        (Method::GET, &format!("/v1/feed?since={since}"), vec![]),
        (Method::POST, "/v1/clusters", b"{}".to_vec()),
    ] {
        let refused = problem(manager.client.send(method.clone(), path, body).await).await;
        assert_eq!(
            (refused.code.as_str(), refused.status),
            ("manager_unavailable", 503),
            "{method} {path}: {refused}"
        );
        assert!(
            refused.detail.contains("shoal manager rebuild"),
            "{refused}"
        );
    }
    // Time enough to form a cluster of the free hosts, were that allowed.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(manager.client.clusters().await.is_empty());
    assert_eq!(world.executed().len(), executed);

    rebuild(&manager.client).await;
    let clusters = manager.client.until_serving(2).await;
    assert_eq!(clusters[1].cluster, ClusterId(2), "no id is given twice");
    drop(spares);
}

#[tokio::test]
async fn an_empty_store_that_nobody_knows_more_than_listens_first_and_is_a_new_one() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::with(data.path(), |config| {
        config.first_look_ms = config.silence_ms
    })
    .await;
    let world = World::default();
    let hosts = world.hosts(&manager.client, &["a", "b", "c"]).await;
    let early = manager.client.send(Method::GET, "/v1/feed", "").await;
    let early = problem(early).await;
    assert_eq!(early.code.as_str(), "manager_unavailable");
    assert!(early.detail.contains("waits a moment"), "{early}");
    manager.client.until_serving(1).await;
    manager.client.create("orders").await;
    drop(hosts);
}

#[tokio::test]
async fn looking_says_what_would_be_done_and_does_nothing() {
    let small = Small::start().await;
    small.client().create("orders").await;
    let hosts = small.hosts;
    small.manager.stop().await;
    let (manager, _data) = on_an_empty_store(&hosts).await;
    begin(&manager.client, json!({ "look_only": true })).await;
    let report = ended(&manager.client).await.report.unwrap();
    assert!(report.look_only);
    assert_eq!(report.queues_added, 1);
    assert!(report.clusters[0].added && report.clusters[0].silent.is_empty());
    assert!(manager.client.clusters().await.is_empty());
    let info: RebuildInfo = manager.client.get(REBUILD_PATH).await;
    assert!(info.lacking.is_some());
}

#[tokio::test]
async fn a_cluster_of_which_nobody_reports_is_left_out_only_if_told_so() {
    let data = tempfile::tempdir().unwrap();
    let manager = Running::start(data.path()).await;
    let world = World::default();
    let zones = ["a", "b", "c"];
    let mut hosts = world.hosts(&manager.client, &zones).await;
    manager.client.until_serving(1).await;
    hosts.extend(world.hosts(&manager.client, &zones).await);
    manager.client.until_serving(2).await;
    for n in 0..20 {
        manager.client.create(&format!("q{n}")).await;
    }
    let feed = manager.client.feed(Revision(0), 0).await;
    let on_second = |route: &&QueueRoute| route.partitions[0].cluster == ClusterId(2);
    let on_second = feed.queues.iter().filter(on_second).count() as u64;
    manager.stop().await;

    let second = hosts.split_off(3);
    drop(hosts);
    let (manager, _data) = on_an_empty_store(&second).await;
    begin(&manager.client, json!({})).await;
    let failed = ended(&manager.client).await.failed.unwrap();
    assert!(failed.contains("no host of c1 reports"), "{failed}");
    assert!(failed.contains("--without c1"), "{failed}");
    begin(&manager.client, json!({ "without": ["c1"] })).await;
    let report = ended(&manager.client).await.report.unwrap();
    assert_eq!((report.queues_added, report.clusters.len()), (on_second, 1));
}

/// A backup that is older than what was decided since.
#[tokio::test]
async fn an_old_copy_of_a_store_is_taken_up_to_what_the_hosts_know() {
    let small = Small::start().await;
    let kept = small.client().create("kept").await;
    small.client().create("changed").await;
    small.client().create("deleted").await;
    let Small {
        manager,
        world,
        hosts,
        data,
    } = small;
    manager.stop().await;
    let old = copy_of(data.path());
    let manager = Running::start(data.path()).await;
    for host in &hosts {
        host.reports_to(&manager.client);
    }
    let client = &manager.client;
    client.delete("deleted").await;
    let path = "/v1/queues/changed";
    client.send_json(Method::PATCH, path, &settings()).await;
    let since = client.create("since").await;
    let changed = client.queue("changed").await.unwrap();
    manager.stop().await;

    let manager = lacking(old.path(), &hosts).await;
    let client = &manager.client;
    // A second life of a name that exists would be two queues.
    let refused = client.put("since", &QueueSettings::default()).await;
    assert_eq!(problem(refused).await.code.as_str(), "manager_unavailable");
    let report = rebuild(client).await;
    let counts = (
        report.queues_added,
        report.queues_changed,
        report.queues_kept,
        report.queues_removed,
    );
    assert_eq!(counts, (1, 1, 1, 1), "{report:?}");
    assert_eq!(seen(&client.queue("since").await.unwrap()), seen(&since));
    assert_eq!(
        seen(&client.queue("changed").await.unwrap()),
        seen(&changed)
    );
    assert_eq!(client.queue("kept").await, Some(kept));
    assert_eq!(client.queue("deleted").await, None);
    assert_eq!(client.clusters().await[0].queues, 3);
    let next = client.create("next").await;
    assert!(next.revision > since.revision && next.queue > since.queue);
    assert!(next.partitions[0].partition > since.partitions[0].partition);
    assert_eq!(world.partitions(), 4);
}

#[tokio::test]
async fn rebuilding_a_store_that_lacks_nothing_changes_nothing() {
    let small = Small::start().await;
    small.client().create("a").await;
    small.client().create("b").await;
    let before = small.client().feed(Revision(0), 0).await;
    let report = rebuild(small.client()).await;
    assert_eq!((report.queues_kept, report.queues_added), (2, 0));
    assert_eq!((report.queues_changed, report.queues_removed), (0, 0));
    let after = small.client().feed(Revision(0), 0).await;
    assert_eq!(after.queues, before.queues);
    let next = small.client().create("c").await;
    let far = before.revision.0 + 1_000;
    assert!(next.revision.0 < far, "revisions go on where they were");
}

/// The process may end anywhere in it.
#[tokio::test]
async fn a_rebuilding_that_was_cut_off_is_to_be_done_again() {
    let small = Small::start().await;
    small.client().create("orders").await;
    let Small {
        manager,
        world,
        hosts,
        ..
    } = small;
    manager.stop().await;
    let (manager, data) = on_an_empty_store(&hosts).await;
    world.refuse_pages(true);
    begin(&manager.client, json!({})).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    manager.stop().await;
    world.refuse_pages(false);
    let manager = lacking(data.path(), &hosts).await;
    assert_eq!(rebuild(&manager.client).await.queues_added, 1);
}

/// Somebody who waited for a while and gave the command again was told that it was wrong.
#[tokio::test]
async fn asking_for_the_same_again_follows_the_one_under_way_and_another_is_told_of_it() {
    let small = Small::start().await;
    small.client().create("orders").await;
    let Small {
        manager,
        world,
        hosts,
        ..
    } = small;
    manager.stop().await;
    let (manager, _data) = on_an_empty_store(&hosts).await;
    let client = &manager.client;
    world.refuse_pages(true);
    begin(client, json!({})).await;
    begin(client, json!({ "without": [], "look_only": false })).await;
    let info: RebuildInfo = client.get(REBUILD_PATH).await;
    assert!(info.running && info.lacking.is_some(), "{info:?}");
    assert_eq!(info.asked, Some(Default::default()));
    for other in [json!({ "look_only": true }), json!({ "without": ["c2"] })] {
        let refused = client.send_json(Method::POST, REBUILD_PATH, &other).await;
        let refused = problem(refused).await;
        assert_eq!((refused.status, refused.code.as_str()), (409, "busy"));
        let words = "that of `shoal manager rebuild`";
        assert!(refused.detail.contains(words), "{refused}");
    }
    world.refuse_pages(false);
    let report = ended(client).await.report.unwrap();
    assert_eq!(report.queues_added, 1, "it was begun once");
}

/// The store of a small system, set back to before `since` was created. Its hosts have started again, so that
/// they know no more than what their cluster carried out.
async fn set_back() -> (World, Vec<Host>, tempfile::TempDir) {
    let small = Small::start().await;
    small.client().create("kept").await;
    let Small {
        manager,
        world,
        hosts,
        data,
    } = small;
    manager.stop().await;
    let old = copy_of(data.path());
    let manager = Running::start(data.path()).await;
    for host in &hosts {
        host.reports_to(&manager.client);
    }
    manager.client.create("since").await;
    manager.stop().await;
    world.forget_told();
    (world, hosts, old)
}

fn copy_of(data: &Path) -> tempfile::TempDir {
    let old = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(data).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), old.path().join(file.file_name())).unwrap();
    }
    old
}

/// An event says so.
async fn is_told(client: &Client, words: &str) {
    eventually(words, async || {
        let page: EventPage = client.get("/v1/events").await;
        let mut texts = page.events.iter().map(|event| &event.text);
        texts.any(|text| text.contains(words)).then_some(())
    })
    .await;
}

async fn lacks(client: &Client) -> String {
    eventually("it knows that it lacks something", async || {
        let info: RebuildInfo = client.get(REBUILD_PATH).await;
        info.lacking
    })
    .await
}

/// Those who reported first had it write so much that it came past what the others knew, and it took itself for
/// whole.
#[tokio::test]
async fn an_old_store_writes_nothing_before_it_has_heard_those_who_know_more() {
    let (world, hosts, old) = set_back().await;
    let manager = Running::with(old.path(), |config| {
        (config.silence_ms, config.first_look_ms) = (10_000, 10_000);
    })
    .await;
    // Strangers come first, each of them a record.
    let strangers = world.hosts(&manager.client, &["x"; 20]).await;
    for stranger in &strangers {
        let answered = manager.client.heartbeat(&stranger.status()).await;
        assert!(answered.is_some(), "it is heard");
    }
    let known = manager.client.hosts().await;
    assert_eq!(known.len(), hosts.len(), "none of them is written");
    let refused = manager.client.put("new", &QueueSettings::default()).await;
    let refused = problem(refused).await;
    assert_eq!(refused.code.as_str(), "manager_unavailable");
    assert!(refused.detail.contains("waits a moment"), "{refused}");

    hosts[0].reports_to(&manager.client);
    let why = lacks(&manager.client).await;
    assert!(why.contains(&hosts[0].id().to_string()), "{why}");
    is_told(&manager.client, &why).await;
}

/// It was told not to listen, and decided much before the hosts that know more reported.
#[tokio::test]
async fn an_old_store_is_noticed_however_late_and_stays_so_over_a_restart() {
    let (world, hosts, old) = set_back().await;
    let manager = Running::start(old.path()).await;
    let strangers = world
        .hosts(&manager.client, &["x", "y", "z", "x", "y", "z"])
        .await;
    eventually("it has formed clusters", async || {
        let clusters = manager.client.clusters().await;
        let is_formed = |one: &ClusterInfo| one.state == ClusterState::Serving;
        (clusters.len() == 3 && clusters[1..].iter().all(is_formed)).then_some(())
    })
    .await;
    hosts[0].reports_to(&manager.client);
    let why = lacks(&manager.client).await;
    assert!(why.contains("knows of revision"), "{why}");
    is_told(&manager.client, &why).await;
    manager.stop().await;

    let manager = Running::start(old.path()).await;
    assert_eq!(
        lacks(&manager.client).await,
        why,
        "without anybody saying so"
    );
    for host in hosts.iter().chain(&strangers) {
        host.reports_to(&manager.client);
    }
    eventually("all hosts report", async || {
        let hosts = manager.client.hosts().await;
        hosts.iter().all(|host| host.alive).then_some(())
    })
    .await;
    let report = rebuild(&manager.client).await;
    assert_eq!(report.queues_added, 1, "{report:?}");
    assert!(manager.client.queue("since").await.is_some());
    manager.client.create("next").await;
}

/// A host reported from another address before the store was rebuilt. Its record, and with it the old list of
/// members, was then newer than the list that the hosts had.
#[tokio::test]
async fn a_later_list_of_members_counts_although_an_address_has_changed_since() {
    let small = Small::start().await;
    small.client().create("orders").await;
    let Small {
        manager,
        world,
        mut hosts,
        data,
    } = small;
    let spare = world.hosts(&manager.client, &["d"]).await;
    eventually("the spare is known", async || {
        (manager.client.hosts().await.len() == 4).then_some(())
    })
    .await;
    manager.stop().await;
    let old = copy_of(data.path());
    let manager = Running::start(data.path()).await;
    for host in hosts.iter().chain(&spare) {
        host.reports_to(&manager.client);
    }
    let change = json!({ "add": spare[0].id().to_string(), "remove": hosts[0].id().to_string() });
    let path = "/v1/clusters/c1/changes";
    let asked = manager.client.send_json(Method::POST, path, &change).await;
    assert_eq!(asked.status(), StatusCode::ACCEPTED);
    let wanted = [hosts[1].id(), hosts[2].id(), spare[0].id()];
    eventually("it is replaced", async || {
        let info = manager.client.clusters().await.remove(0);
        (info.members == wanted && info.change.is_none()).then_some(())
    })
    .await;
    manager.stop().await;

    hosts.remove(0);
    let manager = Running::start(old.path()).await;
    let moved = hosts.remove(0).restarted(&manager.client).await;
    let all = [vec![moved], hosts, spare].into_iter().flatten();
    let all: Vec<Host> = all.collect();
    lacks(&manager.client).await;
    for host in &all {
        host.reports_to(&manager.client);
    }
    eventually("all members report", async || {
        let known = manager.client.hosts().await;
        let alive = known.iter().filter(|host| host.alive);
        let alive = alive.filter(|known| wanted.contains(&known.host));
        (alive.count() == 3).then_some(())
    })
    .await;
    rebuild(&manager.client).await;
    let info = manager.client.clusters().await.remove(0);
    assert_eq!(info.members, wanted);
    let feed = manager.client.feed(Revision(0), 0).await;
    let told = feed.clusters[0].members.iter();
    let moved = told.filter(|member| member.host == all[0].id());
    let addresses: Vec<&str> = moved.map(|member| member.address.as_str()).collect();
    assert_eq!(addresses, [all[0].address()]);
}

/// Two clusters, a queue on the first, and its move to the second cut off.
struct CutOff {
    world: World,
    hosts: Vec<Host>,
    route: QueueRoute,
}

fn kind(command: &Command) -> &'static str {
    match command {
        Command::CreateSuccessor { .. } => "create",
        Command::Seal { .. } => "seal",
        Command::Succeed { .. } => "succeed",
        _ => "other",
    }
}

impl CutOff {
    /// The manager's store is lost while its hosts answer no instruction of this kind.
    async fn at(what: &'static str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let manager = Running::with(data.path(), |config| {
            (config.round_ms, config.move_queues) = (100, true);
        })
        .await;
        let client = &manager.client;
        let world = World::default();
        let hosts = world.hosts(client, &["a", "b", "c", "a", "b", "c"]).await;
        client.until_serving(2).await;
        let mut found = None;
        for n in 0..100 {
            let route = client.create(&format!("queue-{n}")).await;
            if route.partitions[0].cluster == ClusterId(1) {
                found = Some(route);
                break;
            }
        }
        let route = found.expect("one of a hundred names belongs to c1");
        world.holds(route.partitions[0].partition, 1);
        world.fails(Some(Fails {
            what,
            kind,
            executed: false,
        }));
        let drain = json!({ "drain": true });
        client
            .send_json(Method::POST, "/v1/clusters/c1/drain", &drain)
            .await;
        eventually("the instruction is given", async || {
            let given = world.executed();
            let mut given = given.iter().map(|executed| kind(&executed.command));
            given.any(|one| one == what).then_some(())
        })
        .await;
        manager.stop().await;
        world.fails(None);
        Self {
            world,
            hosts,
            route,
        }
    }

    async fn rebuilt(&self) -> (Running, tempfile::TempDir, RebuildReport) {
        let (manager, data) = on_an_empty_store(&self.hosts).await;
        let report = rebuild(&manager.client).await;
        (manager, data, report)
    }
}

async fn until_over(client: &Client) {
    eventually("no move is under way", async || {
        let moves: Vec<MoveInfo> = client.get("/v1/moves").await;
        moves.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_move_of_which_nothing_is_sealed_is_undone() {
    let cut_off = CutOff::at("seal").await;
    let partitions = cut_off.world.partitions();
    let (manager, _data, report) = cut_off.rebuilt().await;
    assert_eq!(report.moves.len(), 1, "{report:?}");
    assert!(report.moves[0].contains("undone"), "{report:?}");
    let client = &manager.client;
    until_over(client).await;
    assert_eq!(cut_off.world.partitions(), partitions - 1);
    let route = client.queue(cut_off.route.name.as_str()).await.unwrap();
    assert_eq!(route.partitions, cut_off.route.partitions);
    // A seal of the lost manager that comes late is of an older revision than this.
    let old = cut_off.route.partitions[0].partition;
    let fenced = cut_off.world.partition(old).unwrap().revision;
    let sealed = cut_off.world.executed();
    let late = sealed
        .iter()
        .filter_map(|executed| match &executed.command {
            Command::Seal { revision, .. } => Some(*revision),
            _ => None,
        });
    assert!(fenced > late.max().unwrap());
}

#[tokio::test]
async fn a_move_that_is_sealed_is_finished_and_no_epoch_is_given_twice() {
    let cut_off = CutOff::at("succeed").await;
    let old = cut_off.route.partitions[0].partition;
    let (manager, _data, report) = cut_off.rebuilt().await;
    assert_eq!(report.moves.len(), 1, "{report:?}");
    let client = &manager.client;
    let name = cut_off.route.name.as_str();
    let partitions = eventually("the successor takes sends", async || {
        let partitions = client.queue(name).await.unwrap().partitions;
        let states: Vec<_> = partitions.iter().map(|one| one.state).collect();
        let moved = [PartitionState::Draining, PartitionState::Active];
        (states == moved).then_some(partitions)
    })
    .await;
    assert_eq!(partitions[0].partition, old);
    assert!(partitions[1].epoch > partitions[0].epoch);
    assert_eq!(partitions[1].groups, GroupRange::ALL);
    cut_off.world.holds(old, 0);
    until_over(client).await;
    let after = client.queue(name).await.unwrap().partitions;
    assert_eq!(after, partitions[1..]);
    assert_eq!(cut_off.world.partition(old), None);
    let clusters = client.clusters().await;
    assert!(
        clusters
            .iter()
            .all(|one| one.state == ClusterState::Serving)
    );
}
