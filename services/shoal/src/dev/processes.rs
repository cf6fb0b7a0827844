//! `dev --processes`: every role is a child process, for fault tests. A child that ends is reported and
//! not started again; running its printed command line brings it back.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use anyhow::Context as _;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::in_process::{DRAIN_MS, FIRST_LOOK_MS, PURGE_PAUSE_S};
use super::layout::{Layout, Place, SEGMENT_BYTES};

/// Tells a child which process it must not outlive. Not a setting: the printed command line works
/// without it, and the process then lives on its own.
pub(crate) const PARENT_VARIABLE: &str = "SHOAL_DEV_PARENT";

/// A child and how it was started.
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) pid: u32,
    /// Pasted into a shell, this starts the same role again.
    pub(crate) command_line: String,
}

/// All children; they end when this process ends, however it ends.
pub(crate) struct Children {
    pub(crate) roles: Vec<Role>,
    ends: JoinSet<(String, std::io::Result<ExitStatus>)>,
}

/// Starts every role of the layout.
pub(crate) fn start(layout: &Layout) -> anyhow::Result<Children> {
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    let mut children = Children {
        roles: Vec::new(),
        ends: JoinSet::new(),
    };
    children.start_one(&program, &layout.manager.name, manager_arguments(layout))?;
    for place in &layout.hosts {
        children.start_one(&program, &place.name, host_arguments(layout, place))?;
    }
    children.start_one(&program, &layout.frontend.name, frontend_arguments(layout))?;
    Ok(children)
}

impl Children {
    fn start_one(
        &mut self,
        program: &PathBuf,
        name: &str,
        arguments: Vec<String>,
    ) -> anyhow::Result<()> {
        let mut child: Child = Command::new(program)
            .args(&arguments)
            .env(PARENT_VARIABLE, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let words = std::iter::once(program.display().to_string()).chain(arguments);
        self.roles.push(Role {
            name: name.to_owned(),
            pid: child
                .id()
                .context("a child that was just started has a pid")?,
            command_line: words
                .map(|word| quoted(&word))
                .collect::<Vec<_>>()
                .join(" "),
        });
        let name = name.to_owned();
        self.ends.spawn(async move { (name, child.wait().await) });
        Ok(())
    }

    /// The next child to end, with its name. Never returns when none is left.
    pub(crate) async fn next_end(&mut self) -> (String, std::io::Result<ExitStatus>) {
        match self.ends.join_next().await {
            Some(Ok(end)) => end,
            Some(Err(panic)) => ("a child".to_owned(), Err(std::io::Error::other(panic))),
            None => std::future::pending().await,
        }
    }

    /// Asks all to stop and waits for them; the frontend first, so that no request meets a closed door.
    pub(crate) async fn stop(mut self) {
        for role in self.roles.iter().rev() {
            if let Some(pid) = rustix::process::Pid::from_raw(role.pid as i32) {
                // A child that is gone already is what was wanted.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        while self.ends.join_next().await.is_some() {}
    }
}

fn manager_arguments(layout: &Layout) -> Vec<String> {
    arguments(
        "manager",
        &layout.manager,
        &[
            ("--cluster-size", layout.shape.hosts.to_string()),
            ("--first-look-ms", FIRST_LOOK_MS.to_string()),
        ],
    )
}

fn frontend_arguments(layout: &Layout) -> Vec<String> {
    let Place { listen, admin, .. } = &layout.frontend;
    let flags = [
        ("--listen", listen.to_string()),
        ("--admin", admin.to_string()),
        ("--manager", layout.manager_url()),
        ("--credentials", "any".to_owned()),
        ("--purge-pause-s", PURGE_PAUSE_S.to_string()),
        ("--drain-ms", DRAIN_MS.to_string()),
    ];
    words("frontend", &flags)
}

fn host_arguments(layout: &Layout, place: &Place) -> Vec<String> {
    arguments(
        "host",
        place,
        &[
            ("--manager", layout.manager_url()),
            ("--zone", place.zone.clone()),
            ("--segment-bytes", SEGMENT_BYTES.to_string()),
        ],
    )
}

fn arguments(role: &str, place: &Place, more: &[(&str, String)]) -> Vec<String> {
    let mut flags = vec![
        ("--listen", place.listen.to_string()),
        ("--admin", place.admin.to_string()),
        ("--data", place.data.display().to_string()),
    ];
    flags.extend_from_slice(more);
    words(role, &flags)
}

fn words(role: &str, flags: &[(&str, String)]) -> Vec<String> {
    let flags = flags
        .iter()
        .flat_map(|(name, value)| [(*name).to_owned(), value.clone()]);
    std::iter::once(role.to_owned()).chain(flags).collect()
}

/// As a POSIX shell needs it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("--data"), "--data");
        assert_eq!(quoted("a folder/x"), "'a folder/x'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
