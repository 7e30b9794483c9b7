//! Killed at any instant, a home opens again at a consistent generation, and ends where an undisturbed run ends.
//!
//! `WAYPOST_KILLS` sets the number of kills: 6 by default, 50 and more for the long form.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use waypost_engine::search::Mode;

use crate::house::{WordTable, index, library, open, search, write};

const N_FILES: usize = 160;
/// Enough that an undisturbed run takes a second or so.
const EFFORT: usize = 6_000;
const HOME: &str = "WAYPOST_CRASH_HOME";

fn table() -> Option<Arc<WordTable>> {
    Some(Arc::new(WordTable::with_effort(EFFORT)))
}

/// Not a test of its own: the process that is killed.
#[test]
#[ignore = "started by `killed_at_any_instant_nothing_is_lost`, which needs a process to kill"]
fn child_indexes() {
    let home = std::env::var(HOME).expect("the parent names the home");
    index(&open(Path::new(&home), table()));
}

fn start_child(home: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::child_indexes"])
        .env(HOME, home)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn fill(home: &Path, changed: usize) {
    for (path, text) in library(N_FILES) {
        write(&home.join("workspaces/w"), &path, text.as_bytes());
    }
    for round in 0..changed {
        write(
            &home.join("workspaces/w"),
            &format!("d0/extra{round}.md"),
            format!("Round {round} about the walrus.\n").as_bytes(),
        );
    }
}

/// What every query gives, as bytes.
fn outcome(home: &Path) -> Value {
    let engine = open(home, table());
    index(&engine);
    let report = engine.check(false).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let session = engine.owner_session();
    let queries = ["harbour lantern", "worker 7 sells the violin", "walrus", "day 33"];
    let replies = queries.iter().flat_map(|query| {
        [Mode::Hybrid, Mode::Lexical, Mode::Semantic].map(|mode| search(&session, query, mode, 20).results)
    });
    serde_json::to_value(replies.collect::<Vec<_>>()).unwrap()
}

#[test]
fn killed_at_any_instant_nothing_is_lost() {
    let kills: u64 = std::env::var("WAYPOST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let calm = TempDir::new().unwrap();
    fill(calm.path(), kills as usize);
    let begun = Instant::now();
    let expected = outcome(calm.path());
    let whole_run = begun.elapsed();

    let home = TempDir::new().unwrap();
    fill(home.path(), 0);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ kills;
    let mut n_killed = 0;
    for kill in 0..kills {
        write(
            &home.path().join("workspaces/w"),
            &format!("d0/extra{kill}.md"),
            format!("Round {kill} about the walrus.\n").as_bytes(),
        );
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        // The calm run also looked at everything afterwards; the child only works.
        let moment = whole_run.mul_f64(0.5 * (state >> 40) as f64 / (1u64 << 24) as f64);
        let mut child = start_child(home.path());
        let deadline = Instant::now() + moment;
        let ended = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() >= deadline => break None,
                None => std::thread::sleep(Duration::from_micros(200)),
            }
        };
        match ended {
            Some(status) => assert!(status.success(), "the run ended by itself, badly: {status}"),
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                n_killed += 1;
            }
        }
        let engine = open(home.path(), table());
        assert!(engine.rebuilt().is_empty(), "after kill {kill}: {:?}", engine.rebuilt());
        let report = engine.check(false).unwrap();
        assert!(report.findings.is_empty(), "after kill {kill} at {moment:?}: {:?}", report.findings);
    }
    assert!(n_killed > 0, "no run was killed: the subject is missing");
    assert_eq!(outcome(home.path()), expected);
}
