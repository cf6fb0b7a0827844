//! What can be seen of the image's files without building one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Story: whoever builds from source gets an image that runs as every other one does.
#[test]
fn both_dockerfiles_make_images_that_are_run_alike() -> Result<()> {
    let how_it_is_run = |file: &str| -> Result<String> {
        let text = std::fs::read_to_string(docker().join(file))?;
        let at = text.find("VOLUME /data").context("it has no volume")?;
        Ok(text[at..].to_owned())
    };
    let built_here = how_it_is_run("Dockerfile")?;
    assert_eq!(built_here, how_it_is_run("Dockerfile.source")?);
    for said in [
        "USER 10001:10001",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "STOPSIGNAL",
    ] {
        ensure!(built_here.contains(said), "{said} is missing");
    }
    Ok(())
}

#[test]
fn docker_build_refuses_what_does_not_fit_together() -> Result<()> {
    for words in [
        "--base debian",
        "--binary target/release/shoal --source rust",
        "--cache",
        "shoal -- --network host",
        "--source",
    ] {
        let mut build = Command::new(docker().join("build"));
        let output = build.args(words.split(' ')).output()?;
        ensure!(!output.status.success(), "docker/build {words} is taken");
        let said = String::from_utf8(output.stderr)?;
        ensure!(
            said.contains("docker/build"),
            "docker/build {words}: {said}"
        );
    }
    Ok(())
}

fn docker() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker")
}
