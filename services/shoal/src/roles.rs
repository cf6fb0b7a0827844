//! One role in this process: settings together, start, run until told to end.

use shoal_frontend::{Frontend, FrontendConfig};
use shoal_host::{Host, HostConfig};
use shoal_manager::{Manager, ManagerConfig};
use shoal_runtime::config::{Loaded, Sources};
use shoal_runtime::shutdown::Shutdown;

use crate::cli::{FrontendArgs, HostArgs, ManagerArgs, SettingsArgs};

/// Runs a host.
pub(crate) async fn host(args: HostArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    let Some(loaded) = load::<HostConfig>(&args.settings, |sources| {
        sources
            .flag("data", args.data)
            .flag("listen", args.listen)
            .flag("advertise", args.advertise)
            .flag("admin", args.admin)
            .flag("manager", args.manager)
            .flag("zone", args.zone)
            .flag("pool", args.pool)
            .flag("capacity", args.capacity)
            .flag("segment_bytes", args.segment_bytes)
            .flag("log_bytes_max", args.log_bytes_max)
    })?
    else {
        return Ok(());
    };
    Host::start(loaded.settings, shutdown)
        .await?
        .stopped()
        .await
}

/// Runs a frontend.
pub(crate) async fn frontend(args: FrontendArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    let Some(loaded) = load::<FrontendConfig>(&args.settings, |sources| {
        sources
            .flag("listen", args.listen)
            .flag("admin", args.admin)
            .flag("manager", args.manager)
            .flag("credentials", args.credentials)
            .flag("public_url", args.public_url)
            .flag("purge_pause_s", args.purge_pause_s)
            .flag("drain_ms", args.drain_ms)
    })?
    else {
        return Ok(());
    };
    Frontend::start(loaded.settings, shutdown)
        .await?
        .stopped()
        .await
}

/// Runs the manager.
pub(crate) async fn manager(args: ManagerArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    let Some(loaded) = load::<ManagerConfig>(&args.settings, |sources| {
        sources
            .flag("data", args.data)
            .flag("listen", args.listen)
            .flag("admin", args.admin)
            .flag("cluster_size", args.cluster_size)
            .flag("first_look_ms", args.first_look_ms)
    })?
    else {
        return Ok(());
    };
    Manager::start(loaded.settings, shutdown)
        .await?
        .stopped()
        .await
}

/// The settings, or `None` if they were only to be printed.
fn load<T>(
    args: &SettingsArgs,
    flags: impl FnOnce(Sources) -> Sources,
) -> anyhow::Result<Option<Loaded<T>>>
where
    T: serde::Serialize + serde::de::DeserializeOwned + Default,
{
    let sources = Sources::new()
        .file(args.config.as_deref())
        .environment(std::env::vars_os());
    let loaded = flags(sources).load()?;
    if args.dump_config {
        print!("{}", loaded.dump);
        return Ok(None);
    }
    Ok(Some(loaded))
}
