//! The commands of daily use, as a shell runs them.

use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use shoal_harness::{Bench, run};

#[test]
fn a_message_goes_through_send_receive_and_ack() {
    run(async |bench| {
        let dev = bench.dev().ephemeral().start().await?;
        let endpoint = dev.endpoint();
        let shoal = |words: &[&str]| {
            json(
                bench,
                &[words, &["--endpoint", &endpoint, "-o", "json"]].concat(),
            )
        };
        shoal(&["queue", "create", "orders", "--visibility-timeout", "60"])?;
        shoal(&["send", "orders", "two salmon"])?;
        let received = shoal(&["receive", "orders", "--wait", "5"])?;
        let message = &received[0];
        ensure!(message["body"] == "two salmon", "{received}");
        let receipt = message["receipt"].as_str().context("no receipt")?;
        shoal(&["ack", "orders", receipt])?;
        let shown = shoal(&["queue", "show", "orders"])?;
        ensure!(shown["settings"]["visibility_timeout_s"] == 60, "{shown}");
        ensure!(shown["counts"]["in_flight"] == 0, "{shown}");
        shoal(&["queue", "delete", "orders"])?;
        let gone = output(bench, &["queue", "show", "orders", "--endpoint", &endpoint])?;
        ensure!(gone.status.code() == Some(1), "{gone:?}");
        ensure!(gone.stdout.is_empty(), "talk goes to stderr: {gone:?}");
        Ok(())
    });
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    run(async |bench| {
        let status = |words: &[&str]| Ok::<_, anyhow::Error>(output(bench, words)?.status.code());
        ensure!(status(&["--version"])? == Some(0));
        ensure!(status(&["sned"])? == Some(2));
        ensure!(status(&["send", "orders", "x", "--endpoint", "http://127.0.0.1:1"])? == Some(1));
        Ok(())
    });
}

/// Found on a machine made of nothing but Debian's base: `shoal host replace` there, and in our own image, ended
/// with "No CA certificates were loaded from the system", though no TLS was asked for.
#[test]
fn orders_need_no_certificates_where_there_is_no_tls() {
    run(async |bench| {
        let dev = bench.dev().ephemeral().processes().start().await?;
        let manager = format!("http://{}", dev.role("manager")?.listen()?);
        let (file, folder) = (bench.folder().join("none.pem"), bench.folder().join("none"));
        std::fs::write(&file, "")?;
        std::fs::create_dir(&folder)?;
        for words in [
            &["cluster", "explain", "--manager", &manager][..],
            &["cluster", "list", "--endpoint", &dev.endpoint()],
            &["smoke", "--endpoint", &dev.endpoint()],
        ] {
            let mut command = bench.shoal(words)?;
            command
                .env("SSL_CERT_FILE", &file)
                .env("SSL_CERT_DIR", &folder);
            let output = command.output()?;
            ensure!(output.status.success(), "{words:?}: {output:?}");
        }
        Ok(())
    });
}

#[test]
fn the_load_test_reports_as_json() {
    run(async |bench| {
        let dev = bench.dev().ephemeral().start().await?;
        let endpoint = dev.endpoint();
        let pid = dev.process().pid().to_string();
        let report = json(
            bench,
            &[
                "load-test",
                "--frontend",
                &endpoint,
                "--rate",
                "200",
                "--warm-up",
                "0.5",
                "--duration",
                "2",
                "--cpu-of",
                &pid,
                "--json",
            ],
        )?;
        ensure!(report["verdict"]["ok"] == true, "{report}");
        ensure!(
            report["verdict"]["accepted"] == 500,
            "2.5 s of 200 a second: {report}"
        );
        ensure!(
            report["cpu"]["per_message_us"].as_f64() > Some(0.0),
            "{report}"
        );
        Ok(())
    });
}

fn output(bench: &Bench, words: &[&str]) -> Result<Output> {
    Ok(bench.shoal(words)?.output()?)
}

/// What a command that succeeds prints.
fn json(bench: &Bench, words: &[&str]) -> Result<Value> {
    let output = output(bench, words)?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{words:?}: {} {complaint}",
        output.status
    );
    if output.stdout.is_empty() {
        return Ok(Value::Null);
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    serde_json::from_slice(&output.stdout).with_context(|| format!("{words:?} printed {printed:?}"))
}
