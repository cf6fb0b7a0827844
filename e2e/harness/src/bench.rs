//! Where one test works: its turn on the machine, its folder, its bounds.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tempfile::TempDir;

use crate::binary::Release;
use crate::cluster::ProcessesOptions;
use crate::dev::DevOptions;
use crate::limits::TEST;
use crate::process::{Process, log_tail};
use crate::turn::Turn;

/// What a test has to work with.
pub struct Bench {
    folder: TempDir,
}

/// Runs one test: waits for its turn, builds the binary, gives it a folder, ends it after
/// [`TEST`]. The folder is deleted if the test succeeds and kept, with its path and the ends of all
/// logs printed, if not.
///
/// # Panics
/// If the test fails.
pub fn run(test: impl AsyncFnOnce(&Bench) -> Result<()>) {
    run_within(TEST, test);
}

/// As [`run`], for measurements that take longer than a test.
///
/// # Panics
/// If it fails.
pub fn run_within(bound: Duration, test: impl AsyncFnOnce(&Bench) -> Result<()>) {
    // reqwest's TLS needs it, though no test uses TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = prepare().and_then(|(runtime, bench, turn)| {
        let mut bench = KeptOnPanic(Some(bench));
        let limited = async {
            let bench = bench.0.as_ref().expect("taken at the end only");
            tokio::time::timeout(bound, test(bench)).await
        };
        let result = runtime
            .block_on(limited)
            .unwrap_or_else(|_| Err(anyhow!("it took longer than {bound:?}")));
        // Everything ends before the next test's turn.
        drop(runtime);
        drop(turn);
        match (bench.0.take(), result) {
            (Some(bench), Err(error)) => Err(bench.keep(error)),
            (_, result) => result,
        }
    });
    if let Err(error) = result {
        panic!("{error:#}");
    }
}

fn prepare() -> Result<(tokio::runtime::Runtime, Bench, Turn)> {
    Release::This.binary()?;
    let turn = Turn::take()?;
    let folder = tempfile::Builder::new().prefix("shoal-e2e-").tempdir()?;
    // On this very thread, see `Process::start`; the load needs no more than one anyway.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    Ok((runtime, Bench { folder }, turn))
}

/// A test that panics keeps its folder too.
struct KeptOnPanic(Option<Bench>);

impl Drop for KeptOnPanic {
    fn drop(&mut self) {
        if let Some(bench) = self.0.take() {
            eprintln!("{:#}", bench.keep(anyhow!("the test panicked")));
        }
    }
}

impl Bench {
    /// The test's own folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The `shoal` under test.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn binary(&self) -> Result<&'static Path> {
        self.binary_of(Release::This)
    }

    /// The binary of a release; that of the next one is built when it is asked for first, which takes
    /// minutes and is for [`run_within`].
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn binary_of(&self, release: Release) -> Result<&'static Path> {
        release.binary()
    }

    /// `shoal` with these words, run to its end or in the background as the test likes.
    ///
    /// # Errors
    /// If the binary cannot be built.
    pub fn shoal<W: AsRef<str>>(&self, words: impl IntoIterator<Item = W>) -> Result<Command> {
        self.shoal_of(Release::This, words)
    }

    /// The same of any release.
    ///
    /// # Errors
    /// If the binary cannot be built.
    pub fn shoal_of<W: AsRef<str>>(
        &self,
        release: Release,
        words: impl IntoIterator<Item = W>,
    ) -> Result<Command> {
        let mut command = Command::new(release.binary()?);
        for word in words {
            command.arg(word.as_ref());
        }
        // Whatever it leaves behind, it leaves here.
        command
            .current_dir(self.folder())
            .env("TMPDIR", self.folder());
        Ok(command)
    }

    /// Starts `shoal` in the background.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start<W: AsRef<str>>(
        &self,
        name: &str,
        words: impl IntoIterator<Item = W>,
    ) -> Result<Process> {
        Process::start(name, self.shoal(words)?, self.folder())
    }

    /// A whole system; see [`DevOptions`].
    #[must_use]
    pub fn dev(&self) -> DevOptions<'_> {
        DevOptions::new(self)
    }

    /// One cluster whose hosts can be hurt; see [`ProcessesOptions`].
    #[must_use]
    pub fn processes(&self) -> ProcessesOptions<'_> {
        ProcessesOptions::new(self)
    }

    /// Keeps the folder and says where it is and what the logs end with.
    fn keep(self, error: anyhow::Error) -> anyhow::Error {
        let folder = self.folder.keep();
        let mut text = format!("kept in {}", folder.display());
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in files.map(|file| file.path()) {
            if path.extension().is_some_and(|e| e == "log") {
                text += &format!("\n--- end of {}\n{}", path.display(), log_tail(&path));
            }
        }
        error.context(text)
    }
}
