//! `shoal smoke`, as an installation is tried.

use anyhow::{Result, ensure};
use shoal_harness::{Bench, free_address, limits, run, wait};

use crate::support::{http, success};

const STEPS: [&str; 5] = [
    "create queue",
    "send",
    "receive",
    "acknowledge",
    "delete queue",
];

fn smoke(bench: &Bench, endpoint: &str, words: &[&str]) -> Result<(Option<i32>, String)> {
    let words = [&["smoke", "--endpoint", endpoint], words].concat();
    let output = bench.shoal(words)?.output()?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?))
}

async fn no_queue_is_left(endpoint: &str) -> Result<()> {
    let listed = success(http().get(format!("{endpoint}/v1/queues"))).await?;
    ensure!(
        listed["queues"].as_array().is_some_and(Vec::is_empty),
        "{listed}"
    );
    Ok(())
}

#[test]
fn every_step_passes_by_rest_and_by_sqs_as_often_as_one_likes() {
    run(async |bench| {
        let dev = bench.dev().ephemeral().start().await?;
        let passed: String = ["rest", "sqs"]
            .iter()
            .flat_map(|api| STEPS.map(|step| format!("{api}: {step}: ok\n")))
            .collect();
        for _ in 0..2 {
            let (code, said) = smoke(bench, &dev.endpoint(), &["--require-sqs"])?;
            ensure!((code, &said) == (Some(0), &passed), "{code:?}: {said}");
        }
        no_queue_is_left(&dev.endpoint()).await
    });
}

#[test]
fn a_frontend_without_credentials_is_tried_by_rest_alone_unless_sqs_is_asked_for() {
    run(async |bench| {
        let dev = bench.dev().ephemeral().processes().start().await?;
        let manager = dev.role("manager")?.listen()?;
        let closed = free_address()?.to_string();
        let manager = format!("http://{manager}");
        let words = [
            "frontend",
            "--listen",
            &closed,
            "--admin",
            "127.0.0.1:0",
            "--manager",
        ];
        let _frontend = bench.start("closed", [&words[..], &[&*manager]].concat())?;
        let endpoint = format!("http://{closed}");
        // It waits for the frontend as well.
        let (code, said) = smoke(bench, &endpoint, &[])?;
        ensure!(code == Some(0), "{code:?}: {said}");
        ensure!(said.contains("rest: delete queue: ok"), "{said}");
        ensure!(
            said.contains("sqs: passed over") && said.contains("AccessDenied"),
            "{said}"
        );
        let (code, said) = smoke(bench, &endpoint, &["--require-sqs"])?;
        ensure!(
            code == Some(1) && said.contains("sqs: create queue: failed"),
            "{code:?}: {said}"
        );
        no_queue_is_left(&dev.endpoint()).await
    });
}

#[test]
fn a_step_that_fails_is_named_when_patience_ends() {
    run(async |bench| {
        let dev = bench.dev().ephemeral().processes().start().await?;
        for name in ["h2", "h3"] {
            dev.role(name)?.kill9().await?;
        }
        let begun = std::time::Instant::now();
        let (code, said) = smoke(bench, &dev.endpoint(), &["--patience-s", "5"])?;
        ensure!(code == Some(1), "{code:?}: {said}");
        ensure!(said.contains("failed: "), "{said}");
        ensure!(begun.elapsed() < limits::START, "{:?}", begun.elapsed());

        let nobody = format!("http://{}", free_address()?);
        wait::until("nobody to answer", limits::START, async || {
            let (code, said) = smoke(bench, &nobody, &["--patience-s", "1"])?;
            let named = said.starts_with("rest: create queue: failed: ");
            ensure!(code == Some(1) && named, "{code:?}: {said}");
            Ok(())
        })
        .await
    });
}
