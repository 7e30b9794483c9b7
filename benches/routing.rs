//! How long does routing take, by the number of entries, and fitting a router anew after a change?
//!
//! Data: entries with invented names and descriptions of 12 words out of 4,000, and vectors of 384 numbers from a fixed seed,
//! those of one subject near each other; intents likewise. It tells nothing of quality, for which there is
//! `waypost eval routing`, and leaves out the embedding of the intent itself, of the log and of the standings.
//! Peer, in the same run: the plain loop that computes every cosine in `f32` and keeps the best five.
//!
//! `cargo bench --workspace --bench routing` (numbers of entries: `WAYPOST_BENCH_ENTRIES=10,1000,100000`).

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use criterion::Criterion;
use waypost_engine::embed::Features;
use waypost_engine::route::{Embedded, Entry, EntryKind, Intent, Router};

const DIM: usize = 384;
const WORDS: u64 = 4000;
const SUBJECTS: u64 = 500;
const N_INTENTS: usize = 200;
/// Entries and examples of each, for which a router is fitted anew.
const REFITS: [(usize, usize); 5] = [(10, 5), (50, 5), (150, 5), (150, 25), (1000, 1)];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    fn vector(&mut self) -> Vec<f32> {
        (0..DIM).map(|_| self.next() as f32 / (1u64 << 30) as f32 - 1.0).collect()
    }

    fn text(&mut self, n_words: usize) -> String {
        (0..n_words).map(|_| format!("word{}", self.next() % WORDS)).collect::<Vec<_>>().join(" ")
    }
}

/// A vector near that of its subject.
fn near(subject: u64, random: &mut Random) -> Vec<f32> {
    let (middle, own) = (Random(subject).vector(), random.vector());
    let sum: Vec<f32> = middle.iter().zip(own).map(|(middle, own)| middle + 0.6 * own).collect();
    let norm = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    sum.into_iter().map(|x| x / norm).collect()
}

fn features(subject: u64, random: &mut Random) -> Features {
    Features { embedding: near(subject, random), middle: Some(near(subject, random)) }
}

fn entries(n_entries: usize, n_examples: usize) -> Vec<Arc<Embedded>> {
    let mut random = Random(7);
    (0..n_entries)
        .map(|number| {
            let subject = number as u64 % SUBJECTS;
            let entry = Entry {
                kind: EntryKind::Tool,
                id: format!("tool.{number:06}"),
                name: random.text(2),
                description: random.text(12),
                capabilities: Vec::new(),
                examples: (0..n_examples).map(|_| random.text(8)).collect(),
                counterexamples: Vec::new(),
                learned: Vec::new(),
            };
            let mut embedded = Embedded::new(number as i64, entry);
            for document in &mut embedded.documents {
                document.features = Some(features(subject, &mut random));
            }
            Arc::new(embedded)
        })
        .collect()
}

fn intents() -> Vec<Intent> {
    let mut random = Random(11);
    let intent = |number: usize| {
        let features = features(number as u64 % SUBJECTS, &mut random);
        Intent::new(&random.text(10), Some(features))
    };
    (0..N_INTENTS).map(intent).collect()
}

fn milliseconds(act: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    act();
    begun.elapsed().as_secs_f64() * 1e3
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn sorted(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    times
}

/// Every cosine, and the best five.
fn plain(rows: &[&[f32]], query: &[f32]) -> Vec<(usize, f32)> {
    let cosine = |row: &[f32]| row.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
    let mut all: Vec<(usize, f32)> = rows.iter().map(|row| cosine(row)).enumerate().collect();
    all.select_nth_unstable_by(5, |a, b| b.1.total_cmp(&a.1));
    all.truncate(5);
    all
}

fn latency(n_entries: usize, criterion: &mut Criterion) {
    let entries = entries(n_entries, 0);
    let rows: Vec<&[f32]> = entries
        .iter()
        .map(|entry| &*entry.documents[2].features.as_ref().expect("features").embedding)
        .collect();
    let mut router = None;
    let fitted = milliseconds(|| router = Some(Router::fit(entries.clone())));
    let router = router.expect("a router");
    let intents = intents();
    let routed = intents.iter().map(|intent| milliseconds(|| drop(black_box(router.rank(intent))))).collect();
    let looped = intents.iter().map(|intent| {
        let query = &intent.features.as_ref().expect("features").embedding;
        milliseconds(|| drop(black_box(plain(&rows, query))))
    });
    let (routed, looped) = (sorted(routed), sorted(looped.collect()));
    println!(
        "{n_entries:7} entries: route p50 {:6.3} ms, p99 {:6.3} ms; every cosine alone p50 {:6.3} ms ({:4.2} of that); fitted in {fitted:.0} ms",
        at(&routed, 0.5),
        at(&routed, 0.99),
        at(&looped, 0.5),
        at(&routed, 0.5) / at(&looped, 0.5),
    );
    criterion
        .bench_function(&format!("route/{n_entries}"), |bencher| bencher.iter(|| router.rank(&intents[0])));
}

fn refit(n_entries: usize, n_examples: usize) {
    let entries = entries(n_entries, n_examples);
    let times =
        sorted((0..3).map(|_| milliseconds(|| drop(black_box(Router::fit(entries.clone()))))).collect());
    println!("refit of {n_entries:4} entries with {n_examples:2} examples each: {:7.0} ms", at(&times, 0.5));
}

fn main() {
    let wanted = std::env::var("WAYPOST_BENCH_ENTRIES").unwrap_or_else(|_| "10,1000,100000".to_owned());
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    for n_entries in wanted.split(',').filter_map(|number| number.trim().parse().ok()) {
        latency(n_entries, &mut criterion);
    }
    for (n_entries, n_examples) in REFITS {
        refit(n_entries, n_examples);
    }
    criterion.final_summary();
}
