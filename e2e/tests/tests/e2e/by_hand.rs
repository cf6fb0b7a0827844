//! What is set up by hand, machine by machine, with a configuration file for each process.

use anyhow::{Result, ensure};
use serde_json::json;
use shoal_harness::{Bench, Fleet, Process, free_address, limits, run, wait};
use shoal_types::HostState;

use crate::support::{http, success};

#[test]
fn three_machines_with_a_file_each_form_the_cluster_that_the_operator_names() {
    run(async |bench| {
        let (manager, frontend) = (free_address()?, free_address()?);
        let manager_url = format!("http://{manager}");
        let _manager = configured(
            bench,
            "manager",
            &format!("data = 'manager-data'\nlisten = '{manager}'\nform_clusters = false\n"),
        )?;
        let _frontend = configured(
            bench,
            "frontend",
            &format!("listen = '{frontend}'\nmanager = '{manager_url}'\n"),
        )?;
        let host = |n: usize| {
            let (listen, zone) = (free_address()?, format!("rack-{n}"));
            let settings = format!(
                "data = 'h{n}-data'\nlisten = '{listen}'\nzone = '{zone}'\nmanager = '{manager_url}'\n"
            );
            configured_as(bench, "host", &format!("h{n}"), &settings)
        };
        let _hosts: Vec<Process> = (1..=3).map(host).collect::<Result<_>>()?;

        let endpoint = format!("http://{frontend}");
        let fleet = Fleet::at(&endpoint);
        let free = wait::until("three free hosts", limits::START, async || {
            let hosts = fleet.hosts().await?;
            let is_free = |host: &&_| {
                let host: &shoal_api::manager::HostInfo = host;
                host.alive && host.state == HostState::Unassigned
            };
            let free: Vec<String> = hosts
                .iter()
                .filter(is_free)
                .map(|host| host.host.to_string())
                .collect();
            ensure!(free.len() == 3, "{hosts:?}");
            Ok(free)
        })
        .await?;
        ensure!(fleet.cluster().await.is_err(), "nobody has asked for one");

        let words = [
            &["cluster", "form", "--manager", &manager_url],
            &strs(&free)[..],
        ]
        .concat();
        // A manager with an empty store first listens for hosts that know of an older one.
        wait::until("the cluster to be formed", limits::START, async || {
            let mut form = bench.shoal(&words)?;
            let output = tokio::task::spawn_blocking(move || form.output()).await??;
            ensure!(output.status.success(), "{output:?}");
            Ok(())
        })
        .await?;
        fleet.serving(3).await?;
        let zones: Vec<String> = fleet.hosts().await?.into_iter().map(|h| h.zone).collect();
        ensure!(
            (1..=3).all(|n| zones.contains(&format!("rack-{n}"))),
            "{zones:?}"
        );

        let queue = format!("{endpoint}/v1/queues/orders");
        success(http().put(&queue)).await?;
        success(
            http()
                .post(format!("{queue}/messages"))
                .json(&json!({ "body": "x" })),
        )
        .await?;
        let received = success(http().post(format!("{queue}/messages/receive"))).await?;
        ensure!(received["messages"][0]["body"] == "x", "{received}");
        Ok(())
    });
}

fn configured(bench: &Bench, role: &str, settings: &str) -> Result<Process> {
    configured_as(bench, role, role, settings)
}

/// Starts a role with nothing but a file of settings.
fn configured_as(bench: &Bench, role: &str, name: &str, settings: &str) -> Result<Process> {
    let file = bench.folder().join(format!("{name}.toml"));
    std::fs::write(&file, format!("{settings}admin = '127.0.0.1:0'\n"))?;
    bench.start(name, [role, "--config", &file.display().to_string()])
}

fn strs(strings: &[String]) -> Vec<&str> {
    strings.iter().map(String::as_str).collect()
}
