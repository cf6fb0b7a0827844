//! `shoal dev`: the whole system on one machine, in one process or with one process per role. Both run
//! the same hosts over the same sockets and disks; only the process boundary differs.

mod in_process;
mod layout;
mod processes;
mod ready;
mod welcome;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use shoal_runtime::shutdown::Shutdown;
use shoal_storage::FolderLock;

use crate::cli::DevArgs;
use layout::{Layout, Shape};

pub(crate) use processes::PARENT_VARIABLE;

/// Runs until Ctrl-C or SIGTERM, or until a role fails.
pub(crate) async fn run(args: DevArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    let folder = Folder::open(&args)?;
    let shape = Shape {
        clusters: args.clusters,
        hosts: args.hosts,
    }
    .check()?
    .settle(folder.path())?;
    let layout = Layout::new(shape, args.listen, folder.path())?;
    if args.processes {
        run_processes(&layout, &folder, shutdown).await
    } else {
        run_in_process(&layout, &folder, shutdown).await
    }
}

async fn run_in_process(
    layout: &Layout,
    folder: &Folder,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let mut roles = in_process::start(layout, shutdown.clone()).await?;
    tokio::select! {
        ready = ready::wait(layout) => ready?,
        end = roles.next_end() => return end,
        () = shutdown.triggered() => return roles.stop().await,
    }
    print!(
        "{}",
        welcome::text(layout, folder.path(), folder.is_ephemeral(), &[])
    );
    tokio::select! {
        end = roles.next_end() => return end,
        () = shutdown.triggered() => {}
    }
    roles.stop().await
}

async fn run_processes(layout: &Layout, folder: &Folder, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut children = processes::start(layout)?;
    let mut ready = std::pin::pin!(ready::wait(layout));
    let mut welcomed = false;
    loop {
        tokio::select! {
            result = &mut ready, if !welcomed => {
                result?;
                welcomed = true;
                print!("{}", welcome::text(layout, folder.path(), folder.is_ephemeral(), &children.roles));
            }
            (name, end) = children.next_end() => match end {
                Ok(status) => eprintln!("{name} ended: {status}; its line above starts it again"),
                Err(error) => eprintln!("{name} ended: {error}"),
            },
            () = shutdown.triggered() => break,
        }
    }
    children.stop().await;
    Ok(())
}

/// The data folder, locked against a second `dev`, or a temporary one.
struct Folder {
    path: PathBuf,
    /// Deletes the folder when dropped.
    temporary: Option<tempfile::TempDir>,
    _lock: FolderLock,
}

impl Folder {
    fn open(args: &DevArgs) -> anyhow::Result<Self> {
        let temporary = if args.ephemeral {
            let folder = tempfile::Builder::new().prefix("shoal-dev-").tempdir();
            Some(folder.context("cannot make a temporary folder")?)
        } else {
            None
        };
        let path = match &temporary {
            Some(folder) => folder.path().to_path_buf(),
            None => std::path::absolute(&args.data)?,
        };
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        let lock = FolderLock::take(&path)?;
        Ok(Self {
            path,
            temporary,
            _lock: lock,
        })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn is_ephemeral(&self) -> bool {
        self.temporary.is_some()
    }
}
