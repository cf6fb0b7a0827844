//! `shoal health`, as container engines and people ask it.

use std::process::Output;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use shoal_harness::{Bench, free_address, limits, run, wait};

/// What callers count on: `health` never takes longer than 3 s. Twice that for a machine that is busy.
const LONGEST: Duration = Duration::from_secs(6);

fn health(bench: &Bench, words: &[&str]) -> Result<(Option<i32>, String)> {
    let mut command = bench.shoal([&["health"], words].concat())?;
    let Output {
        status,
        stdout,
        stderr,
    } = command.env_remove("SHOAL_ADMIN").output()?;
    let said = [stdout, stderr].concat();
    Ok((status.code(), String::from_utf8(said)?))
}

#[test]
fn each_role_is_asked_at_its_admin_port_whether_it_is_alive_and_ready() {
    run(async |bench| {
        let dev = bench.dev().ephemeral().processes().start().await?;
        for role in dev.roles() {
            let admin = role.admin()?;
            let (code, said) = health(bench, &["--admin", admin])?;
            ensure!(
                (code, &*said) == (Some(0), &*format!("{admin}: ok\n")),
                "{}: {code:?}: {said}",
                role.name
            );
            let (code, said) = health(bench, &["--ready", "--admin", admin])?;
            ensure!(
                (code, &*said) == (Some(0), &*format!("{admin}: ready\n")),
                "{}: {code:?}: {said}",
                role.name
            );
        }
        // Alive, and of no use: two of three hosts are gone.
        let (left, gone) = (dev.role("h1")?, [dev.role("h2")?, dev.role("h3")?]);
        for role in gone {
            role.kill9().await?;
        }
        let admin = left.admin()?;
        wait::until("h1 to be not ready", limits::READY, async || {
            let (code, said) = health(bench, &["--ready", "--admin", admin])?;
            ensure!(code == Some(1), "{code:?}: {said}");
            // Which reason it has depends on who noticed first.
            let reason = said.strip_prefix(&format!("{admin}: ")).unwrap_or_default();
            ensure!(reason.trim().len() > 10, "it says no reason: {said:?}");
            Ok(())
        })
        .await?;
        let (code, said) = health(bench, &["--admin", admin])?;
        ensure!(code == Some(0), "{code:?}: {said}");
        Ok(())
    });
}

#[test]
fn where_nobody_listens_or_nobody_answers_it_fails_in_time_and_says_what_it_asked() {
    run(async |bench| {
        let nobody = free_address()?.to_string();
        let (code, said) = health(bench, &["--admin", &nobody])?;
        ensure!(code == Some(1), "{code:?}: {said}");
        let asked = format!("http://{nobody}/healthz does not answer");
        ensure!(said.contains(&asked), "{said}");

        let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
        let begun = Instant::now();
        let (code, said) = health(bench, &["--admin", &silent.local_addr()?.to_string()])?;
        ensure!(
            code == Some(1) && said.contains("does not answer"),
            "{code:?}: {said}"
        );
        ensure!(begun.elapsed() < LONGEST, "{:?}", begun.elapsed());

        let (code, said) = health(bench, &["--admin", "nowhere"])?;
        ensure!(
            code == Some(2) && said.contains("--admin"),
            "{code:?}: {said}"
        );
        Ok(())
    });
}

#[test]
fn the_variable_of_the_role_says_whom_to_ask_and_everywhere_is_here() {
    run(async |bench| {
        let dev = bench.dev().ephemeral().processes().start().await?;
        let port = dev
            .role("manager")?
            .admin()?
            .rsplit(':')
            .next()
            .unwrap_or_default();
        let mut command = bench.shoal(["health"])?;
        let output = command
            .env("SHOAL_ADMIN", format!("0.0.0.0:{port}"))
            .output()?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(
            output.status.success() && said == format!("127.0.0.1:{port}: ok\n"),
            "{said}"
        );
        Ok(())
    });
}
