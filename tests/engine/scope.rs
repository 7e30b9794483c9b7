//! Non-interference: what lies outside a scope changes nothing inside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use waypost_engine::catalog::FileFilter;
use waypost_engine::embed::Embedder;
use waypost_engine::id::{FileId, RelPath, VersionId};
use waypost_engine::index::{
    ANALYZER_VERSION, ChunkRecord, FileSet, Fingerprint, INDEX_FORMAT, NewChunk, Position, WorkspaceIndex,
    terms,
};
use waypost_engine::search::{Hits, Mode, SearchRequest, Source, parse, search};
use waypost_engine::span::Span;

use crate::house::{DIM, House, WordTable, library};

/// Everything that a search shows, with the file's path in place of its number.
fn shown(house: &House, query: &str, mode: Mode, below: Option<&str>) -> String {
    let prefix = below.map(|below| RelPath::new(below).unwrap());
    let filter = FileFilter { path_prefix: prefix, ..FileFilter::default() };
    let source: Source = house.engine.source(&crate::house::name(), below.map(|_| &filter)).unwrap();
    let embedder = house.table.clone().map(|table| table as Arc<dyn Embedder>);
    let parsed = parse(query);
    let request = SearchRequest { query: &parsed, mode, limit: 25, vector: None };
    told(&search(&[source], embedder.as_ref(), None, &request).unwrap())
}

fn told(hits: &Hits) -> String {
    let lines =
        hits.hits.iter().map(|hit| format!("{} {:?} {:?}", hit.record.path, hit.score.to_bits(), hit.ranks));
    format!("{}\n{:?}\n{:?}", lines.collect::<Vec<_>>().join("\n"), hits.terms, hits.degraded)
}

#[test]
fn a_scoped_search_equals_a_search_over_the_visible_files_alone() {
    let visible = library(40);
    let mut alone = String::new();
    for (path, text) in &visible {
        alone.push_str(&format!("//- open/{path}\n{text}"));
    }
    // The hidden files share the visible ones' words, and have some of their own.
    let mut both = alone.clone();
    for (path, text) in library(90) {
        both.push_str(&format!(
            "//- hidden/{path}\n{} zanzibar quagga harbour harbour\n",
            text.replace("lantern", "harbour")
        ));
    }
    let (alone, both) = (House::new(&alone), House::new(&both));
    // Deleted and rewritten hidden files leave dead chunks behind, which must not count either.
    std::fs::remove_dir_all(both.root().join("hidden/d3")).unwrap();
    both.write("hidden/d1/file001.md", "entirely different harbour words\n");
    both.index();
    let queries = [
        "harbour",
        "worker 7 sells the violin",
        "zanzibar",
        "\"the anvil\"",
        "compass -ferry",
        "day 33",
        "quagga harbour ferry",
    ];
    for query in queries {
        for mode in [Mode::Hybrid, Mode::Lexical, Mode::Semantic] {
            let expected = shown(&alone, query, mode, None);
            let found = shown(&both, query, mode, Some("open"));
            assert_eq!(found, expected, "{query} {mode:?}");
        }
    }
    assert_ne!(
        shown(&both, "harbour", Mode::Lexical, None),
        shown(&both, "harbour", Mode::Lexical, Some("open"))
    );
}

/// Chunks that a large workspace has: above the number from which sketches spare the scan.
const N_VISIBLE: usize = 22_000;
/// With these a segment has a graph, without them it has none.
const N_HIDDEN: usize = 11_000;

/// Files of one chunk: a path, and a text whose words depend on the number.
fn large(n: usize, below: &str, own: &str) -> Vec<(String, String)> {
    let words = ["harbour", "lantern", "ferry", "anvil", "violin", "compass", "orchard", "mill", "quarry"];
    let word = |number: usize| words[number % words.len()];
    (0..n)
        .map(|file| {
            let text = format!("{} {} {} n{} {own}", word(file), word(file / 9), word(file / 81), file % 700);
            (format!("{below}/{file}.md"), text)
        })
        .collect()
}

/// An index over files, with a commit after every so-manieth; their numbers are their places in the list.
fn index_of(files: &[(String, String)], files_per_commit: usize) -> (tempfile::TempDir, WorkspaceIndex) {
    let fingerprint = Fingerprint {
        format: INDEX_FORMAT,
        analyzer: ANALYZER_VERSION,
        extractor: 1,
        chunker: 1,
        model: None,
        dim: DIM,
    };
    let (folder, table) = (tempfile::TempDir::new().unwrap(), WordTable::new());
    let (index, _) = WorkspaceIndex::open(folder.path(), &fingerprint).unwrap();
    for (generation, first) in (2..).zip((0..files.len()).step_by(files_per_commit)) {
        for (idx, (path, text)) in files.iter().enumerate().skip(first).take(files_per_commit) {
            let record = ChunkRecord {
                path: path.clone(),
                version: VersionId::of(text.as_bytes()),
                span: Span::new(0, text.len()),
                lines: (1, 1),
                headings: Vec::new(),
                sections: Vec::new(),
                title: None,
                mime_type: "text/plain".to_owned(),
                language: None,
                text: text.clone(),
                located: Vec::new(),
            };
            let vector = table.embed_query(text).ok();
            let (file, indexed_text) = (FileId(idx as u64), text.clone());
            index.replace(file, vec![NewChunk { file, ordinal: 0, indexed_text, vector, record }]).unwrap();
        }
        let fingerprint = fingerprint.clone();
        index
            .commit(Position { generation, lexical_seq: generation, semantic_seq: generation, fingerprint })
            .unwrap();
    }
    (folder, index)
}

#[test]
fn nor_does_it_in_a_workspace_that_is_too_large_to_be_scanned() {
    let visible = large(N_VISIBLE, "open", "");
    let hidden = large(N_HIDDEN, "hidden", "zanzibar");
    // A hidden file behind every second visible one.
    let mut mixed = Vec::new();
    let mut hidden = hidden.into_iter();
    for (idx, file) in visible.iter().enumerate() {
        mixed.push(file.clone());
        mixed.extend((idx % 2 == 0).then(|| hidden.next()).flatten());
    }
    let alone = index_of(&visible, usize::MAX);
    alone.1.optimize().unwrap();
    let one_segment = index_of(&mixed, usize::MAX);
    one_segment.1.optimize().unwrap();
    let segments = index_of(&mixed, 9_000);
    let few = index_of(&visible[..60], 25);
    let embedder = Some(Arc::new(WordTable::new()) as Arc<dyn Embedder>);
    let ask = |index: &WorkspaceIndex,
               files: &[(String, String)],
               scope: &[(String, String)],
               query: &str,
               mode: Mode| {
        let paths: BTreeSet<&String> = scope.iter().map(|(path, _)| path).collect();
        let open = files.iter().enumerate().filter(|(_, (path, _))| paths.contains(path));
        let files = FileSet::new(open.map(|(idx, _)| FileId(idx as u64)).collect());
        let source = Source { searcher: index.searcher(), files: Some(Arc::new(files)) };
        let parsed = parse(query);
        let request = SearchRequest { query: &parsed, mode, limit: 25, vector: None };
        told(&search(&[source], embedder.as_ref(), None, &request).unwrap())
    };
    for query in ["harbour lantern", "n17 violin", "zanzibar ferry", "\"mill quarry\" n5", "n33 -anvil"] {
        for mode in [Mode::Hybrid, Mode::Lexical, Mode::Semantic] {
            for (alone, scope) in [(&alone.1, &visible[..]), (&few.1, &visible[..60])] {
                let expected = ask(alone, scope, scope, query, mode);
                for mixed_index in [&one_segment.1, &segments.1] {
                    let found = ask(mixed_index, &mixed, scope, query, mode);
                    assert_eq!(found, expected, "{query} {mode:?}, {} files", scope.len());
                }
            }
        }
    }
}

/// Texts in which word `x<k>` stands about once in `k` of them, up to three times.
fn skewed(n: u64) -> Vec<(String, String)> {
    let hash = |file: u64, word: u64| (file * 64 + word).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let text = |file| {
        let times = |word| if hash(file, word) % word == 0 { 1 + hash(file, word + 32) % 3 } else { 0 };
        let words = (1..26).map(|word| format!("x{} ", letter(word)).repeat(times(word) as usize));
        format!("n{file} {}", words.collect::<String>())
    };
    (0..n).map(|file| (format!("{file}.md"), text(file))).collect()
}

fn letter(number: u64) -> char {
    char::from_u32('a' as u32 + number as u32).unwrap()
}

/// BM25 as its formula has it, over these texts alone; best first.
fn bm25_of(texts: &[&(String, String)], query: &[String]) -> Vec<(f64, String)> {
    let words: Vec<Vec<String>> =
        texts.iter().map(|(_, text)| terms(text).into_iter().map(|term| term.text).collect()).collect();
    let n = texts.len() as f64;
    let mean_len = words.iter().map(Vec::len).sum::<usize>() as f64 / n;
    let idf = |term: &String| {
        let df = words.iter().filter(|words| words.contains(term)).count() as f64;
        (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
    };
    let idfs: Vec<f64> = query.iter().map(idf).collect();
    let score = |words: &Vec<String>| -> f64 {
        let part = |(term, idf): (&String, &f64)| {
            let tf = words.iter().filter(|word| *word == term).count() as f64;
            idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * words.len() as f64 / mean_len))
        };
        query.iter().zip(&idfs).map(part).sum()
    };
    let mut scored: Vec<(f64, String)> =
        texts.iter().zip(&words).map(|((path, _), words)| (score(words), path.clone())).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored
}

/// Most of the postings are never read in windows that come late; what is found is what reading all of them gives.
#[test]
fn the_lexical_arm_finds_the_best_of_all() {
    let files = skewed(15_000);
    let whole = index_of(&files, usize::MAX);
    whole.1.optimize().unwrap();
    let segments = index_of(&files, 6_000);
    let scopes: [&dyn Fn(usize) -> bool; 3] = [&|_| true, &|file| file % 3 != 0, &|file| file % 40 == 7];
    let queries: [&[u64]; 6] =
        [&[1], &[1, 2, 25], &[3, 7, 11, 19, 23, 24], &[24, 25], &[2, 3, 4], &[1, 2, 3, 4, 5, 22]];
    for (scope_idx, allows) in scopes.iter().enumerate() {
        let allowed: Vec<usize> = (0..files.len()).filter(|file| allows(*file)).collect();
        let texts: Vec<&(String, String)> = allowed.iter().map(|file| &files[*file]).collect();
        let set = Arc::new(FileSet::new(allowed.iter().map(|file| FileId(*file as u64)).collect()));
        for query in queries {
            let words: Vec<String> = query.iter().map(|word| format!("x{}", letter(*word))).collect();
            let expected = bm25_of(&texts, &words);
            for index in [&whole.1, &segments.1] {
                let files = (scope_idx > 0).then(|| Arc::clone(&set));
                let source = Source { searcher: index.searcher(), files };
                let parsed = parse(&words.join(" "));
                let request = SearchRequest { query: &parsed, mode: Mode::Lexical, limit: 150, vector: None };
                let found = search(&[source], None, None, &request).unwrap().hits;
                assert!(found.len() > 20, "{words:?} in scope {scope_idx}: {}", found.len());
                let own: BTreeMap<&String, f64> =
                    expected.iter().map(|(score, path)| (path, *score)).collect();
                for hit in &found {
                    let by_formula = own[&hit.record.path];
                    assert!((f64::from(hit.score) - by_formula).abs() < 1e-4, "{hit:?}: {by_formula}");
                }
                let least = f64::from(found[found.len() - 1].score);
                let n_better = expected.iter().filter(|(score, _)| *score > least + 1e-4).count();
                assert!(n_better <= found.len(), "{words:?} in scope {scope_idx}: {n_better} are better");
            }
        }
    }
}

#[test]
fn a_generation_opens_while_merges_take_files_away() {
    let files = large(40, "open", "");
    let (_folder, index) = index_of(&files, 5);
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        let refreshing: Vec<_> = (0..3)
            .map(|_| {
                threads.spawn(|| {
                    while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                        index.refresh().unwrap();
                        assert_eq!(index.searcher().n_chunks(), 40);
                    }
                })
            })
            .collect();
        for _ in 0..60 {
            for file in 0..3 {
                // The same chunks in new segments, which are then merged.
                let chunk = index.searcher().chunks_of(FileId(file)).unwrap()[0];
                let record = index.searcher().record(chunk).unwrap();
                let vector = index.searcher().vector(chunk).map(<[f32]>::to_vec);
                let (file, indexed_text) = (FileId(file), record.text.clone());
                index
                    .replace(file, vec![NewChunk { file, ordinal: 0, indexed_text, vector, record }])
                    .unwrap();
                index.commit(index.position()).unwrap();
            }
            index.optimize().unwrap();
        }
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        refreshing.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
