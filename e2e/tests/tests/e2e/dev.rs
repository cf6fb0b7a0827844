//! `shoal dev` itself: what it prints, what it locks, what it leaves behind.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use shoal_harness::{Bench, run};

use crate::support::{count, create, send, take};

#[test]
fn the_printed_lines_work_as_pasted() {
    run(async |bench| {
        let dev = bench.dev().start().await?;
        let (_, lines) = dev.text().split_once("Try it:").context("nothing to try")?;
        let (lines, _) = lines.split_once("Ctrl-C").context("no end")?;
        let output = Command::new("sh")
            .args(["-e", "-c", lines])
            .output()
            .context("these need a shell and curl")?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let complete = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{lines}\n{printed}\n{complete}");
        ensure!(printed.contains("\"sequence\":\"1\""), "{printed}");
        ensure!(complete.contains("hello"), "{complete}");
        ensure!(printed.contains("\"ok\":true"), "{printed}");
        ensure!(count(&dev, "orders").await? == 0, "it was acknowledged");
        Ok(())
    });
}

#[test]
fn two_systems_run_side_by_side_and_a_folder_has_one_owner() {
    run(async |bench| {
        let first = bench.dev().named("first").data("first").start().await?;
        let second = bench.dev().named("second").data("second").start().await?;
        for (dev, body) in [(&first, "to the first"), (&second, "to the second")] {
            create(dev, "orders").await?;
            send(dev, "orders", body).await?;
        }
        ensure!(take(&first, "orders").await? == "to the first");
        ensure!(take(&second, "orders").await? == "to the second");

        let mut third = bench.dev().named("third").data("first").spawn()?;
        let status = third.ended().await?;
        ensure!(status.code() == Some(1), "{status}");
        let said = third.log_tail();
        let holder = first.process().pid().to_string();
        ensure!(
            said.contains(&holder),
            "{said:?} does not name process {holder}"
        );
        Ok(())
    });
}

#[test]
fn processes_end_with_dev_however_it_ends() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        ensure!(dev.roles().len() == 5, "{:?}", dev.roles());
        dev.kill9().await?;

        let dev = bench.dev().named("dev-again").processes().start().await?;
        let roles = dev.roles().to_vec();
        dev.stop().await?;
        for role in roles {
            role.gone().await?;
        }
        Ok(())
    });
}

#[test]
fn ephemeral_keeps_nothing() {
    run(async |bench| {
        let before = left_behind(bench)?;
        let dev = bench.dev().ephemeral().start().await?;
        create(&dev, "orders").await?;
        send(&dev, "orders", "gone tomorrow").await?;
        ensure!(
            left_behind(bench)? != before,
            "it has its data somewhere else"
        );
        dev.stop().await?;
        let after = left_behind(bench)?;
        ensure!(after == before, "it left {after:?}");
        Ok(())
    });
}

/// Everything in the test's folder but log files. Temporary folders are made there too.
fn left_behind(bench: &Bench) -> Result<Vec<std::path::PathBuf>> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(bench.folder())? {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "log") {
            left.push(path);
        }
    }
    Ok(left)
}
