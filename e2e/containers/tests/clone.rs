//! `docker/Dockerfile` alone: what somebody needs who has cloned the repository and built the binary.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_containers::engine;
use shoal_harness::{run_within, skipped};

/// Sending 100 MB to the engine takes some seconds.
const BOUND: Duration = Duration::from_secs(120);
const TAG: &str = "shoal:e2e-clone";

#[test]
fn a_clone_with_a_built_binary_is_all_that_docker_build_needs() {
    run_within(BOUND, async |bench| -> Result<()> {
        const NAME: &str = "the image from a clone";
        if let Some(why) = engine().await? {
            skipped(NAME, &why);
            return Ok(());
        }
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        if !repository.join(".git").exists() {
            skipped(NAME, "this source was not cloned");
            return Ok(());
        }
        let clone = bench.folder().join("clone");
        let repository = repository.to_string_lossy();
        let into = clone.to_string_lossy();
        said_by(bench.folder(), &["git", "clone", "-q", &repository, &into])?;
        // What `cargo build --release -p shoal` leaves there; this one was built in another profile.
        let built = bench.binary()?;
        let release = clone.join("target/release");
        std::fs::create_dir_all(&release)?;
        std::fs::copy(built, release.join("shoal"))?;
        let image = built.with_file_name("image");
        let (image, into) = (image.to_string_lossy(), release.to_string_lossy());
        said_by(&clone, &["cp", "-r", &image, &into])?;

        // The older builder: it has none of BuildKit's syntax.
        let build = "env DOCKER_BUILDKIT=0 docker build -f docker/Dockerfile .";
        let mut words: Vec<&str> = build.split(' ').collect();
        words.extend(["-t", TAG]);
        said_by(&clone, &words)?;
        let version = said_by(&clone, &["docker", "run", "--rm", TAG, "--version"])?;
        ensure!(version.starts_with("shoal "), "{version}");
        let show = ["docker", "image", "inspect", "-f", "{{.Config.User}}", TAG];
        let user = said_by(&clone, &show)?;
        ensure!(user.trim() == "10001:10001", "it runs as {user}");
        said_by(&clone, &["docker", "image", "rm", TAG]).map(drop)
    });
}

/// What a command that succeeds prints.
fn said_by(folder: &Path, words: &[&str]) -> Result<String> {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(folder);
    let output = command
        .output()
        .with_context(|| format!("{} cannot be started", words[0]))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{words:?}: {} {complaint}",
        output.status
    );
    Ok(String::from_utf8(output.stdout)?)
}
