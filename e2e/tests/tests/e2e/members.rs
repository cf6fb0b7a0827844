//! Members come, go and restart while a load runs: nobody notices, and in the end all hosts have the same
//! state.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use shoal_e2e::{ensure_clean, start_load, steady_plan};
use shoal_harness::{Bench, Dev, Fleet, Process, Role, limits, run, wait};
use tokio::time::sleep;

use crate::support::{http, success};

#[test]
fn a_host_that_lost_its_disk_is_replaced_under_load() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        let load = start_load(&dev, steady_plan(Duration::from_secs(20))).await?;
        sleep(Duration::from_secs(3)).await;
        let old = id_of(&dev, dev.role("h2")?).await?;
        let lost = dev.role("h2")?;
        lost.kill9().await?;
        std::fs::remove_dir_all(data_of(lost)?)?;
        // On the same machine, at the same address, with an empty folder: a new host.
        let again = lost.start_again(bench)?;
        let new = free_host(&dev).await?;
        let said = format!("looks for {old} at this address");
        let url = format!("http://{}/readyz", again.role.admin()?);
        wait::until(
            "the new host to be taken for the old one",
            limits::READY,
            async || {
                let text = reqwest::get(&url).await?.text().await?;
                ensure!(text.contains(&said), "{text}");
                Ok(())
            },
        )
        .await?;
        shoal(bench, &["host", "replace", &old, &new], &dev).await?;
        let members = all_act(&dev).await?;
        ensure!(members.len() == 3 && members.contains(&new), "{members:?}");
        ensure!(!members.contains(&old), "{members:?}");
        // The same command again finds everything done.
        shoal(bench, &["host", "replace", &old, &new], &dev).await?;
        ensure_clean(&load.finish().await)?;
        Fleet::at(&dev.endpoint()).same_state().await
    });
}

#[test]
fn a_cluster_grows_to_four_and_shrinks_to_three_under_load() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        let load = start_load(&dev, steady_plan(Duration::from_secs(24))).await?;
        sleep(Duration::from_secs(3)).await;
        let first = id_of(&dev, dev.role("h1")?).await?;
        let _new = spare(bench, &dev, "new")?;
        let new = free_host(&dev).await?;
        shoal(bench, &["cluster", "add", "c1", &new], &dev).await?;
        let members = all_act(&dev).await?;
        ensure!(members.len() == 4 && members.contains(&new), "{members:?}");
        sleep(Duration::from_secs(2)).await;
        shoal(bench, &["cluster", "shrink", "c1", &first], &dev).await?;
        let members = all_act(&dev).await?;
        ensure!(
            members.len() == 3 && !members.contains(&first),
            "{members:?}"
        );
        let gone = host(&dev, |host| host["host"] == first.as_str()).await?;
        ensure!(gone["state"] == "removed", "{gone}");
        ensure_clean(&load.finish().await)?;
        Fleet::at(&dev.endpoint()).same_state().await
    });
}

#[test]
fn every_host_is_restarted_in_turn_under_load() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        let load = start_load(&dev, steady_plan(Duration::from_secs(20))).await?;
        sleep(Duration::from_secs(3)).await;
        let mut back = Vec::new();
        for name in ["h1", "h2", "h3"] {
            let role = dev.role(name)?;
            role.terminate().await?;
            let mut again = role.start_again(bench)?;
            again.ready().await?;
            back.push(again);
        }
        ensure_clean(&load.finish().await)?;
        Fleet::at(&dev.endpoint()).same_state().await
    });
}

#[test]
fn one_host_alone_takes_commands_while_it_can_and_then_all_again_under_load() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        let fleet = Fleet::at(&dev.endpoint());
        let load = start_load(&dev, steady_plan(Duration::from_secs(24))).await?;
        sleep(Duration::from_secs(3)).await;
        let role = dev.role("h2")?;
        let alone = id_of(&dev, role).await?;
        let mut others = all_act(&dev).await?;
        others.retain(|id| *id != alone);
        let alone = vec![alone];

        shoal(
            bench,
            &["cluster", "active", "c1", "--only", &alone[0]],
            &dev,
        )
        .await?;
        until_these_act(&fleet, &alone).await?;
        // The same command again finds everything done.
        shoal(
            bench,
            &["cluster", "active", "c1", "--only", &alone[0]],
            &dev,
        )
        .await?;
        sleep(Duration::from_secs(2)).await;
        until_these_act(&fleet, &alone).await?;

        // It cannot: the others do. Once it can again, it alone does, without another word.
        role.kill9().await?;
        until_these_act(&fleet, &others).await?;
        let mut again = role.start_again(bench)?;
        again.ready().await?;
        until_these_act(&fleet, &alone).await?;
        ensure!(fleet.cluster().await?.only.is_some(), "it was forgotten");

        shoal(bench, &["cluster", "active", "c1", "--all"], &dev).await?;
        ensure!(all_act(&dev).await?.len() == 3, "a member is gone");
        ensure!(fleet.cluster().await?.only.is_none(), "one is still alone");
        ensure_clean(&load.finish().await)?;
        fleet.same_state().await
    });
}

#[test]
fn a_data_folder_that_was_set_back_is_refused_and_the_host_says_why() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        let role = dev.role("h3")?;
        crate::support::create(&dev, "orders").await?;
        let data = data_of(role)?;
        let copy = bench.folder().join("copy");
        role.terminate().await?;
        copy_folder(&data, &copy)?;
        let mut again = role.start_again(bench)?;
        again.ready().await?;
        crate::support::send(&dev, "orders", "since the copy was made").await?;
        again.role.terminate().await?;
        std::fs::remove_dir_all(&data)?;
        copy_folder(&copy, &data)?;
        let again = again.role.start_again(bench)?;
        let url = format!("http://{}/readyz", again.role.admin()?);
        let said = wait::until("the host to say what is wrong", limits::READY, async || {
            let answer = reqwest::get(&url).await?;
            let (status, text) = (answer.status(), answer.text().await?);
            ensure!(text.contains("forgotten"), "{status}: {text}");
            Ok(text)
        })
        .await?;
        ensure!(said.contains("Replace this host"), "{said}");
        let listed = host(&dev, |host| host["state"] == "forgotten").await?;
        ensure!(
            listed["trouble"].as_str() == Some(said.trim()),
            "{listed}: {said}"
        );
        crate::support::send(&dev, "orders", "the others go on").await?;
        ensure!(crate::support::take(&dev, "orders").await? == "since the copy was made");
        Ok(())
    });
}

/// A host that belongs to no cluster.
fn spare(bench: &Bench, dev: &Dev, name: &str) -> Result<Process> {
    let data = bench.folder().join(name);
    let words = [
        "host".to_owned(),
        format!("--data={}", data.display()),
        "--listen=127.0.0.1:0".to_owned(),
        "--admin=127.0.0.1:0".to_owned(),
        format!("--manager={}", manager(dev)?),
        "--zone=spare".to_owned(),
    ];
    bench.start(name, words)
}

fn manager(dev: &Dev) -> Result<String> {
    Ok(format!("http://{}", dev.role("manager")?.listen()?))
}

/// Runs a command of the operator's, which must succeed; other threads carry the load on.
async fn shoal(bench: &Bench, words: &[&str], dev: &Dev) -> Result<()> {
    let manager = manager(dev)?;
    let mut command = bench.shoal(words)?;
    command.args(["--manager", &manager, "--wait", "60", "-o", "json"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let complaint = String::from_utf8_lossy(&output.stderr);
    println!("{words:?}: {complaint}");
    ensure!(
        output.status.success(),
        "{words:?}: {} {complaint}",
        output.status
    );
    let cluster: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(cluster["members"].is_array(), "{cluster}");
    Ok(())
}

async fn hosts(dev: &Dev) -> Result<Vec<Value>> {
    let hosts = success(http().get(format!("{}/v1/hosts", dev.endpoint()))).await?;
    Ok(hosts.as_array().context("a list of hosts")?.clone())
}

/// The host of which something is true, once it is.
async fn host(dev: &Dev, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
    wait::until("a host", limits::READY, async || {
        let hosts = hosts(dev).await?;
        let found = hosts.iter().find(|host| is_it(host));
        found.cloned().with_context(|| format!("{hosts:?}"))
    })
    .await
}

async fn id_of(dev: &Dev, role: &Role) -> Result<String> {
    let listen = role.listen()?;
    let host = host(dev, |host| host["address"] == listen).await?;
    Ok(host["host"].as_str().context("an id")?.to_owned())
}

async fn free_host(dev: &Dev) -> Result<String> {
    let host = host(dev, |host| host["state"] == "unassigned").await?;
    Ok(host["host"].as_str().context("an id")?.to_owned())
}

async fn until_these_act(fleet: &Fleet, wanted: &[String]) -> Result<()> {
    wait::until("these to act", limits::READY, async || {
        let cluster = fleet.cluster().await?;
        let active: Vec<String> = cluster.active.iter().map(ToString::to_string).collect();
        ensure!(active == wanted, "{wanted:?}: {cluster:?}");
        Ok(())
    })
    .await
}

async fn all_act(dev: &Dev) -> Result<Vec<String>> {
    let members = Fleet::at(&dev.endpoint()).all_act().await?;
    Ok(members.iter().flatten().map(ToString::to_string).collect())
}

fn data_of(role: &Role) -> Result<std::path::PathBuf> {
    let mut words = role.command_line.split(' ');
    words.find(|word| *word == "--data");
    Ok(words.next().context("no --data")?.into())
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        ensure!(entry.file_type()?.is_file(), "{entry:?} is a folder");
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
