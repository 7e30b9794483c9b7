//! How long do search, opening and ingest take, the query's own embedding left out?
//!
//! Data: made here from a fixed seed. Texts draw words from a Zipf distribution; vectors are unit vectors around 500
//! centres, which is easier than some real embeddings and harder than others. Real quality stands beside these times in
//! `waypost eval`; the share of the true ten nearest that the semantic arm finds is printed here.
//! It does not tell how fast texts are embedded: `waypost models bench` does.
//!
//! Every query is asked of all files and inside scopes of scattered files, in turns, so that a ratio compares times of the
//! same minute. A scope's [`FileSet`] is made once, before: what is measured is the search.
//!
//! `cargo bench -p waypost-engine` (sizes: `WAYPOST_BENCH_CHUNKS=10000,100000`).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use waypost_engine::embed::{EmbedError, Embedder, Manifest, ModelId};
use waypost_engine::id::{FileId, VersionId};
use waypost_engine::index::{
    ANALYZER_VERSION, ChunkRecord, FileSet, Fingerprint, INDEX_FORMAT, NewChunk, Position, Searcher,
    WorkspaceIndex,
};
use waypost_engine::search::{Hits, Mode, SearchRequest, Source, parse_plain, search};
use waypost_engine::span::Span;

const DIM: usize = 384;
const N_CENTRES: usize = 500;
const N_WORDS: usize = 30_000;
const WORDS_PER_CHUNK: usize = 90;
const CHUNKS_PER_FILE: usize = 4;
const N_QUERIES: usize = 400;
/// Files in ten thousand that the measured scopes allow; each is a restricted scope, even where it allows all.
const SCOPES: [u64; 5] = [10_000, 5_000, 1_000, 100, 10];

/// The same numbers on every machine (PCG-like multiplier, seed fixed).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn word(&mut self) -> String {
        // Rank r with weight about 1/r.
        let rank = ((N_WORDS as f64).powf(self.next()) as usize).min(N_WORDS - 1);
        format!("w{}", letters(rank))
    }

    fn vector(&mut self, centres: &[Vec<f32>], spread: f32) -> Vec<f32> {
        let centre = &centres[(self.next() * centres.len() as f64) as usize];
        unit(centre.iter().map(|value| value + spread * (self.next() as f32 - 0.5)).collect())
    }
}

fn letters(mut number: usize) -> String {
    let mut out = String::new();
    while number > 0 {
        out.push((b'a' + (number % 26) as u8) as char);
        number /= 26;
    }
    out
}

fn unit(mut row: Vec<f32>) -> Vec<f32> {
    let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
    row.iter_mut().for_each(|value| *value /= norm);
    row
}

fn centres() -> Vec<Vec<f32>> {
    let mut numbers = Numbers(1);
    (0..N_CENTRES).map(|_| unit((0..DIM).map(|_| numbers.next() as f32 - 0.5).collect())).collect()
}

/// Hands out vectors made before: what is measured is everything but the embedding.
struct Ready {
    id: ModelId,
    vector: Vec<f32>,
}

impl Embedder for Ready {
    fn id(&self) -> &ModelId {
        &self.id
    }
    fn dim(&self) -> usize {
        DIM
    }
    fn max_tokens(&self) -> usize {
        256
    }
    fn embed_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(vec![self.vector.clone(); texts.len()])
    }
    fn embed_query(&self, _text: &str) -> Result<Vec<f32>, EmbedError> {
        Ok(self.vector.clone())
    }
    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count() + 2
    }
}

fn fingerprint() -> Fingerprint {
    Fingerprint {
        format: INDEX_FORMAT,
        analyzer: ANALYZER_VERSION,
        extractor: 1,
        chunker: 1,
        model: None,
        dim: DIM,
    }
}

fn position(generation: u64) -> Position {
    Position { generation, lexical_seq: generation, semantic_seq: generation, fingerprint: fingerprint() }
}

fn build(folder: &Path, n_chunks: usize) -> Duration {
    let centres = centres();
    let mut numbers = Numbers(2);
    let (index, _) = WorkspaceIndex::open(folder, &fingerprint()).expect("an index opens");
    let begun = Instant::now();
    for file in 0..n_chunks / CHUNKS_PER_FILE {
        let chunks = (0..CHUNKS_PER_FILE).map(|ordinal| {
            let words: Vec<String> = (0..WORDS_PER_CHUNK).map(|_| numbers.word()).collect();
            let text = words.join(" ");
            NewChunk {
                file: FileId(file as u64),
                ordinal: ordinal as u32,
                indexed_text: text.clone(),
                vector: Some(numbers.vector(&centres, 0.12)),
                record: ChunkRecord {
                    path: format!("d{}/file{file}.md", file % 100),
                    version: VersionId::of(&file.to_le_bytes()),
                    span: Span::new(0, text.len()),
                    lines: (1, 1),
                    headings: Vec::new(),
                    sections: Vec::new(),
                    title: None,
                    mime_type: "text/markdown".to_owned(),
                    language: None,
                    text,
                    located: Vec::new(),
                },
            }
        });
        index.replace(FileId(file as u64), chunks.collect()).expect("chunks are taken");
    }
    index.commit(position(2)).expect("a commit");
    index.optimize().expect("one segment");
    let took = begun.elapsed();
    index.close().expect("merges end");
    took
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn measure(criterion: &mut Criterion, n_chunks: usize) {
    let folder = tempfile::TempDir::new().expect("a folder");
    let built = build(folder.path(), n_chunks);
    let before = resident_bytes();
    let begun = Instant::now();
    let (index, rebuilt) = WorkspaceIndex::open(folder.path(), &fingerprint()).expect("an index opens");
    let opened = begun.elapsed();
    assert!(rebuilt.is_none(), "the index was opened, not rebuilt: {rebuilt:?}");
    let searcher = index.searcher();
    assert_eq!(searcher.n_chunks(), n_chunks as u64);

    let centres = centres();
    let mut numbers = Numbers(3);
    let id =
        ModelId::new(Manifest::built_in().default_model(), &"0".repeat(64), &"0".repeat(64)).expect("an id");
    let queries: Vec<(String, Arc<dyn Embedder>)> = (0..N_QUERIES)
        .map(|_| {
            let n_words = 5 + (numbers.next() * 8.0) as usize;
            let words: Vec<String> = (0..n_words).map(|_| numbers.word()).collect();
            let vector = numbers.vector(&centres, 0.12);
            (words.join(" "), Arc::new(Ready { id: id.clone(), vector }) as Arc<dyn Embedder>)
        })
        .collect();
    let n_files = (n_chunks / CHUNKS_PER_FILE) as u64;
    let scopes: Vec<Option<Arc<FileSet>>> =
        std::iter::once(None).chain(SCOPES.map(|share| Some(Arc::new(scattered(n_files, share))))).collect();
    let ask = |mode: Mode, files: &Option<Arc<FileSet>>, (query, embedder): &(String, Arc<dyn Embedder>)| {
        let source = Source { searcher: Arc::clone(&searcher), files: files.clone() };
        let parsed = parse_plain(query);
        let request = SearchRequest { query: &parsed, mode, limit: 10, vector: None };
        search(&[source], Some(embedder), None, &request).expect("hits")
    };
    println!(
        "\n{n_chunks} chunks: built in {:.1} s, opened in {:.1} ms",
        built.as_secs_f64(),
        opened.as_secs_f64() * 1e3
    );
    let mut ways = vec![(Mode::Lexical, &scopes[0]), (Mode::Semantic, &scopes[0])];
    ways.extend(scopes.iter().map(|files| (Mode::Hybrid, files)));
    let mut times = vec![Vec::with_capacity(N_QUERIES); ways.len()];
    for (mode, files) in &ways {
        queries.iter().take(20).for_each(|query| drop(ask(*mode, files, query)));
    }
    for query in &queries {
        for ((mode, files), times) in ways.iter().zip(&mut times) {
            let begun = Instant::now();
            std::hint::black_box(ask(*mode, files, query));
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    let in_memory = resident_bytes().saturating_sub(before);
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    let unrestricted = percentile(&times[2], 0.5);
    for ((mode, files), times) in ways.iter().zip(&times) {
        let (p50, p99) = (percentile(times, 0.5), percentile(times, 0.99));
        let of_files = files.as_ref().map_or_else(String::new, |files| {
            format!(", scope of {} % of the files", files.ids().len() as f64 * 100.0 / n_files as f64)
        });
        print!("  {:42} p50 {p50:6.2} ms   p99 {p99:6.2} ms", format!("{mode:?}{of_files}").to_lowercase());
        if *mode == Mode::Hybrid {
            let recall = recall(&searcher, files, &queries[..100], &ask);
            print!("   {:.2} of unrestricted   recall@10 {recall:.3}", p50 / unrestricted);
        }
        println!();
    }
    let on_disk: u64 = std::fs::read_dir(folder.path())
        .expect("the folder")
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum();
    println!(
        "  per chunk {} bytes of memory, {} bytes on disk (mapped)",
        in_memory / n_chunks as u64,
        on_disk / n_chunks as u64
    );
    let mut next = queries.iter().cycle();
    criterion.bench_function(&format!("search/hybrid/{n_chunks}"), |bencher| {
        bencher.iter(|| ask(Mode::Hybrid, &None, next.next().expect("a cycle has no end")));
    });
    drop(searcher);
    index.close().expect("merges end");
    criterion.bench_function(&format!("open/{n_chunks}"), |bencher| {
        bencher.iter(|| {
            let (index, _) = WorkspaceIndex::open(folder.path(), &fingerprint()).expect("an index opens");
            index.close().expect("merges end");
        });
    });
}

/// So many files in ten thousand, chosen by a hash.
fn scattered(n_files: u64, share: u64) -> FileSet {
    let mut files: Vec<u64> = (0..n_files).collect();
    files.sort_by_key(|file| file.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    files.truncate((n_files * share / 10_000) as usize);
    FileSet::new(files.into_iter().map(FileId).collect())
}

type Ask<'a> = dyn Fn(Mode, &Option<Arc<FileSet>>, &(String, Arc<dyn Embedder>)) -> Hits + 'a;

/// The share of the true ten nearest in a scope that the semantic arm finds: against all cosines, computed exactly.
fn recall(
    searcher: &Searcher,
    files: &Option<Arc<FileSet>>,
    queries: &[(String, Arc<dyn Embedder>)],
    ask: &Ask<'_>,
) -> f64 {
    let allowed = |file: &FileId| files.as_ref().is_none_or(|files| files.contains(*file));
    let all: Vec<_> = searcher
        .files()
        .iter()
        .filter(|(file, _)| allowed(file))
        .flat_map(|(file, _)| searcher.chunks_of(*file).expect("chunks"))
        .collect();
    let (mut n_found, mut n_true) = (0, 0);
    for query in queries {
        let vector = query.1.embed_query("").expect("a vector");
        let mut exact: Vec<_> =
            all.iter().map(|chunk| (searcher.cosine(&vector, *chunk).unwrap_or(-1.0), *chunk)).collect();
        exact.sort_by(|a, b| b.0.total_cmp(&a.0));
        exact.truncate(10);
        let hits = ask(Mode::Semantic, files, query);
        n_true += exact.len();
        n_found += exact.iter().filter(|(_, chunk)| hits.hits.iter().any(|hit| hit.chunk == *chunk)).count();
    }
    n_found as f64 / n_true as f64
}

fn main() {
    // `cargo test` runs benches too, to see that they build; the measuring is for `cargo bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let sizes = std::env::var("WAYPOST_BENCH_CHUNKS").unwrap_or_else(|_| "10000,100000".to_owned());
    let mut criterion = Criterion::default().sample_size(30).configure_from_args();
    for size in sizes.split(',') {
        measure(&mut criterion, size.trim().parse().expect("a number of chunks"));
    }
    criterion.final_summary();
}
