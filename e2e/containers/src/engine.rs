//! The engine: whether one answers, and what a test left there.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptionsBuilder,
};
use testcontainers::core::client::docker_client_instance;

/// For the engine to answer at all.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// What a test makes has this label, with the test's own name as its value.
pub(crate) const LABEL: &str = "org.shoal.e2e";

/// Where no engine has to answer, says why none does.
///
/// # Errors
/// If one has to, and does not.
pub async fn engine() -> Result<Option<String>> {
    let ping = async { Ok::<_, anyhow::Error>(docker_client_instance().await?.ping().await?) };
    let why = match tokio::time::timeout(ANSWERS_WITHIN, ping).await {
        Ok(Ok(_)) => return Ok(None),
        Ok(Err(error)) => format!("no Docker engine answers: {error:#}"),
        Err(_) => "no Docker engine answers in time".to_owned(),
    };
    let required = std::env::var("E2E_DOCKER").is_ok_and(|value| value == "required");
    ensure!(!required, "{why}, and E2E_DOCKER requires one");
    Ok(Some(why))
}

/// Removes all that has a test's name as its label: containers, volumes, the network of that name.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) name: String,
}

impl Drop for Sweep {
    /// A test may end in the middle of anything: with its time over, or in a panic. So it is done by a thread
    /// that nobody can drop, and waited for.
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        let sweeper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(remove_all(&name))
        });
        match sweeper.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("something of this test stays with the engine: {error:#}"),
            Err(_) => eprintln!("something of this test stays with the engine"),
        }
    }
}

async fn remove_all(name: &str) -> Result<()> {
    let docker = docker_client_instance().await?;
    let ours = HashMap::from([("label", vec![format!("{LABEL}={name}")])]);
    remove_containers(&docker, &ours).await?;
    remove_volumes(&docker, &ours).await?;
    docker.remove_network(name).await?;
    Ok(())
}

async fn remove_containers(docker: &Docker, ours: &HashMap<&str, Vec<String>>) -> Result<()> {
    let list = ListContainersOptionsBuilder::new().all(true).filters(ours);
    let force = RemoveContainerOptionsBuilder::new().force(true).v(true);
    let force = force.build();
    for container in docker.list_containers(Some(list.build())).await? {
        let id = container.id.unwrap_or_default();
        docker.remove_container(&id, Some(force.clone())).await?;
    }
    Ok(())
}

async fn remove_volumes(docker: &Docker, ours: &HashMap<&str, Vec<String>>) -> Result<()> {
    let list = ListVolumesOptionsBuilder::new().filters(ours).build();
    let volumes = docker.list_volumes(Some(list)).await?.volumes;
    let force = RemoveVolumeOptionsBuilder::new().force(true).build();
    for volume in volumes.into_iter().flatten() {
        let removed = docker.remove_volume(&volume.name, Some(force.clone()));
        removed.await?;
    }
    Ok(())
}
