//! What does a durable write through Waypost cost, beside the cheapest durable write that there is?
//!
//! Data: files of 4 KiB of pseudo-random letters, made here from a fixed seed; new paths first, then the same paths again.
//! Peers, in the same run and on the same disk, in turns: `write` + `fsync` of a new file, which keeps no history, no
//! audit record and no old version; and the same with a rename and a sync of the folder, which is what an editor that does
//! not lose files does. Reads are of files that are in the page cache on both sides.
//! It does not tell what indexing costs: no indexer runs.
//!
//! `cargo bench -p waypost-engine --bench state` (files a round: `WAYPOST_BENCH_FILES=300`, clients: 1 and 16).

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use waypost_engine::api::{Engine, EngineOptions, Session, WriteOptions};

const FILE_BYTES: usize = 4096;
const ROUNDS: usize = 5;
const N_CLIENTS: usize = 16;

fn content(number: usize) -> Vec<u8> {
    let mut state = number as u64 ^ 0x9E37_79B9_7F4A_7C15;
    (0..FILE_BYTES)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            b'a' + ((state >> 40) % 26) as u8
        })
        .collect()
}

fn plain(folder: &Path, name: &str, bytes: &[u8]) {
    let mut file = File::create(folder.join(name)).expect("a file");
    file.write_all(bytes).expect("bytes");
    file.sync_all().expect("a sync");
}

fn careful(folder: &Path, name: &str, bytes: &[u8]) {
    plain(folder, "aside", bytes);
    fs::rename(folder.join("aside"), folder.join(name)).expect("a rename");
    File::open(folder).and_then(|folder| folder.sync_all()).expect("a sync of the folder");
}

fn through(session: &Session, name: &str, bytes: &[u8]) {
    session.write_file(&format!("/w/{name}"), bytes, &WriteOptions::default()).expect("a write");
}

/// Milliseconds each, sorted.
fn times(n_files: usize, mut act: impl FnMut(usize)) -> Vec<f64> {
    let mut times: Vec<f64> = (0..n_files)
        .map(|number| {
            let begun = Instant::now();
            act(number);
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn show(name: &str, mut all: Vec<f64>, peer: Option<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    let ratio = peer.map_or_else(String::new, |peer| format!("   {:5.2} x the plain one", mean / peer));
    println!(
        "  {name:34} {:7.0} a second   p50 {:6.3} ms   p99 {:7.3} ms{ratio}",
        1e3 / mean,
        at(&all, 0.5),
        at(&all, 0.99)
    );
    mean
}

/// Everybody writes their own files at once; the wall time of all.
fn together(n_files: usize, act: impl Fn(usize, usize) + Sync) -> Duration {
    let begun = Instant::now();
    std::thread::scope(|threads| {
        for client in 0..N_CLIENTS {
            let act = &act;
            threads.spawn(move || (0..n_files / N_CLIENTS).for_each(|number| act(client, number)));
        }
    });
    begun.elapsed()
}

fn main() {
    // `cargo test` runs benches too, to see that they build; the measuring is for `cargo bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let n_files: usize =
        std::env::var("WAYPOST_BENCH_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let home = tempfile::TempDir::new().expect("a folder");
    let peer = tempfile::TempDir::new().expect("a folder");
    let engine = Arc::new(Engine::open(EngineOptions::new(home.path())).expect("a home"));
    let session = engine.owner_session();
    session.create_workspace("w", None, true).expect("a workspace");
    let (mut plains, mut carefuls, mut news, mut again, mut reads, mut plain_reads) =
        (vec![], vec![], vec![], vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        let name = |number: usize| format!("r{round}-{number}.txt");
        plains.extend(times(n_files, |number| plain(peer.path(), &name(number), &content(number))));
        carefuls.extend(times(n_files, |number| {
            careful(peer.path(), &format!("c{}", name(number)), &content(number))
        }));
        news.extend(times(n_files, |number| through(&session, &name(number), &content(number))));
        again.extend(times(n_files, |number| through(&session, &name(number), &content(number + 7))));
        reads.extend(times(n_files, |number| {
            let path = format!("/w/{}", name(number));
            std::hint::black_box(session.read_file(&path, None, None).expect("a file"));
        }));
        plain_reads.extend(times(n_files, |number| {
            std::hint::black_box(fs::read(peer.path().join(name(number))).expect("a file"));
        }));
    }
    println!("\n{} files of 4 KiB, one client", n_files * ROUNDS);
    let base = show("plain: write, fsync", plains, None);
    show("careful: and rename, fsync folder", carefuls, Some(base));
    show("waypost: new files", news, Some(base));
    show("waypost: over old ones", again, Some(base));
    show("plain read", plain_reads, None);
    show("waypost read", reads, None);
    let plain_wall = together(n_files, |client, number| {
        plain(peer.path(), &format!("t{client}-{number}"), &content(number));
    });
    let wall = together(n_files, |client, number| {
        through(&engine.owner_session(), &format!("t{client}-{number}"), &content(number));
    });
    let rate = |wall: Duration| (n_files / N_CLIENTS * N_CLIENTS) as f64 / wall.as_secs_f64();
    println!(
        "{N_CLIENTS} clients at once: plain {:.0} a second, waypost {:.0} a second ({:.2} x)",
        rate(plain_wall),
        rate(wall),
        rate(plain_wall) / rate(wall)
    );
}
