//! What signals and the death of a parent do to a process. Each test starts this test program again
//! to play the process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio, exit};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use shoal_runtime::parent::die_with_parent;
use shoal_runtime::shutdown::{Shutdown, signals};

const SOON: Duration = Duration::from_secs(10);
/// Says which part the started program plays.
const PART: &str = "TEST_PART";

fn start(test: &str, part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--quiet"])
        .env(PART, part)
        .stdout(Stdio::piped());
    command
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Reads lines until one says this.
fn wait_for(lines: &mut BufReader<ChildStdout>, wanted: &str) {
    let said = lines
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains(wanted));
    assert!(said, "it ended without saying {wanted:?}");
}

/// Runs this in a thread, but does not wait for ever.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = mpsc::sync_channel(1);
    std::thread::spawn(move || sender.send(work()));
    done.recv_timeout(SOON).expect("it happens soon")
}

#[test]
fn the_first_signal_stops_in_order_and_the_second_leaves_at_once() {
    if std::env::var(PART).is_ok() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            tokio::spawn(signals(shutdown.clone()).unwrap());
            println!("listening");
            shutdown.triggered().await;
            println!("stopping");
            std::future::pending::<()>().await;
        });
    }
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = start(
            "the_first_signal_stops_in_order_and_the_second_leaves_at_once",
            "role",
        )
        .spawn()
        .unwrap();
        let status = in_time(move || {
            let mut lines = BufReader::new(child.stdout.take().unwrap());
            wait_for(&mut lines, "listening");
            send(&child, signal);
            wait_for(&mut lines, "stopping");
            send(&child, signal);
            child.wait().unwrap()
        });
        assert_eq!(status.code(), Some(1));
    }
}

#[test]
fn a_child_dies_with_its_parent_even_by_kill_9() {
    const TEST: &str = "a_child_dies_with_its_parent_even_by_kill_9";
    match std::env::var(PART).as_deref() {
        Ok("parent") => {
            let mut command = start(TEST, "child");
            command
                .env("TEST_PARENT", std::process::id().to_string())
                .stdout(Stdio::inherit());
            command.spawn().unwrap().wait().unwrap();
            exit(0);
        }
        Ok(_) => {
            let parent = std::env::var("TEST_PARENT").unwrap().parse().unwrap();
            die_with_parent(parent).unwrap();
            println!("child is there");
            loop {
                std::thread::park();
            }
        }
        Err(_) => {}
    }
    let mut parent = start(TEST, "parent").spawn().unwrap();
    in_time(move || {
        let mut lines = BufReader::new(parent.stdout.take().unwrap());
        wait_for(&mut lines, "child is there");
        send(&parent, Signal::KILL);
        parent.wait().unwrap();
        // Parent and child write to the same pipe, which ends when both are gone.
        lines.read_to_end(&mut Vec::new()).unwrap();
    });
}

#[test]
fn a_child_whose_parent_is_gone_already_leaves() {
    const TEST: &str = "a_child_whose_parent_is_gone_already_leaves";
    if std::env::var(PART).is_ok() {
        die_with_parent(u32::MAX).unwrap();
        exit(0);
    }
    let mut child = start(TEST, "child").spawn().unwrap();
    assert_eq!(in_time(move || child.wait().unwrap()).code(), Some(1));
}
