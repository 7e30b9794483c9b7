//! How fast a model embeds here, and how near that is to what the processor can do.
//!
//! Takes an open model and texts; gives rates of whole calls, tokenising included, and the measured peak of the same
//! run. Other work on the machine slows both: compare shares and ratios, not times.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::kernels::peak_gflops;
use super::{Bert, EmbedError, Embedder};

/// How long the peak is measured.
const PEAK_DURATION: Duration = Duration::from_millis(300);

/// Texts of one call, as an indexer would pass them.
const SLICE_TEXTS: usize = 64;

/// Single queries that are timed; the median counts.
const QUERIES: usize = 21;

/// A query of about ten tokens.
const QUERY: &str = "how are tokens counted before texts are cut";

/// What [`bench()`] found.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BenchReport {
    /// The model.
    pub model: String,
    /// The kernels in use, as [`Bert::kernels`] names them.
    pub kernels: &'static str,
    /// Threads that embedded.
    pub threads: usize,
    /// Texts of one round.
    pub texts: usize,
    /// Mean tokens of a text, after the cut.
    pub mean_tokens: f64,
    /// Texts a second.
    pub chunks_per_second: f64,
    /// Tokens a second.
    pub tokens_per_second: f64,
    /// Floating-point operations of all products a second, in 1e9.
    pub gflops: f64,
    /// Measured peak of as many threads, in 1e9 a second.
    pub peak_gflops: f64,
    /// `gflops / peak_gflops`, in [0, 1].
    pub share_of_peak: f64,
    /// Median milliseconds of one short query on one thread, tokenising included.
    pub query_ms: f64,
    /// Tokens of that query.
    pub query_tokens: usize,
}

/// Embeds `texts` again and again for about `duration` on `threads` threads, after one warm-up slice.
///
/// # Errors
/// As [`Embedder::embed_documents`]; [`EmbedError::Io`] where threads can't be started.
pub fn bench(
    model: &Bert,
    texts: &[&str],
    threads: usize,
    duration: Duration,
) -> Result<BenchReport, EmbedError> {
    let threads = threads.max(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| EmbedError::io("start threads for", "bench", std::io::Error::other(error)))?;
    let lengths: Vec<usize> = model
        .count_tokens_batch(texts)
        .into_iter()
        .map(|n_tokens| n_tokens.min(model.max_tokens()))
        .collect();
    let n_tokens: usize = lengths.iter().sum();
    let flops: u64 = lengths.iter().map(|&n_tokens| model.flops(n_tokens)).sum();

    let rounds_per_second = pool.install(|| rate(model, texts, duration))?;
    let peak = peak_gflops(threads, PEAK_DURATION);
    let gflops = flops as f64 * rounds_per_second / 1e9;
    Ok(BenchReport {
        model: model.id().to_string(),
        kernels: model.kernels(),
        threads,
        texts: texts.len(),
        mean_tokens: n_tokens as f64 / texts.len().max(1) as f64,
        chunks_per_second: texts.len() as f64 * rounds_per_second,
        tokens_per_second: n_tokens as f64 * rounds_per_second,
        gflops,
        peak_gflops: peak,
        share_of_peak: gflops / peak,
        query_ms: query_ms(model)?,
        query_tokens: model.count_tokens(QUERY),
    })
}

/// Rounds over all texts a second.
fn rate(model: &Bert, texts: &[&str], duration: Duration) -> Result<f64, EmbedError> {
    if let Some(slice) = texts.chunks(SLICE_TEXTS).next() {
        model.embed_documents(slice)?;
    }
    let started = Instant::now();
    let mut n_rounds = 0.0;
    loop {
        for slice in texts.chunks(SLICE_TEXTS) {
            model.embed_documents(slice)?;
        }
        n_rounds += 1.0;
        if started.elapsed() >= duration {
            return Ok(n_rounds / started.elapsed().as_secs_f64());
        }
    }
}

fn query_ms(model: &Bert) -> Result<f64, EmbedError> {
    let mut times = Vec::with_capacity(QUERIES);
    for _ in 0..QUERIES {
        let started = Instant::now();
        model.embed_query(QUERY)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[QUERIES / 2])
}
