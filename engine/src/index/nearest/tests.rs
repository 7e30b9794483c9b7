//! What a restricted scope finds is a function of the allowed rows, and nearly what an exact scan finds.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::id::{FileId, VersionId};
use crate::index::kernels::dot_f32;
use crate::index::{
    ANALYZER_VERSION, ChunkRecord, FileSet, Fingerprint, INDEX_FORMAT, NewChunk, Position, WorkspaceIndex,
};
use crate::span::Span;

/// Deterministic numbers.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// In [-1, 1).
    fn signed(&mut self) -> f32 {
        self.next() as f32 / (1u64 << 30) as f32 - 1.0
    }

    fn unit(&mut self, dim: usize) -> Vec<f32> {
        unit((0..dim).map(|_| self.signed()).collect())
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for idx in (1..all.len()).rev() {
            all.swap(idx, self.next() as usize % (idx + 1));
        }
    }
}

fn unit(mut row: Vec<f32>) -> Vec<f32> {
    let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
    row.iter_mut().for_each(|value| *value /= norm);
    row
}

/// A file as its chunks' vectors.
#[derive(Clone)]
struct File {
    path: String,
    vectors: Vec<Option<Vec<f32>>>,
}

/// Files around a few centres; every eighth chunk or so has no vector, and some rows stand there twice.
fn files(n: usize, below: &str, dim: usize, numbers: &mut Numbers) -> Vec<File> {
    let centres: Vec<Vec<f32>> = (0..7).map(|_| numbers.unit(dim)).collect();
    let mut last = None;
    (0..n)
        .map(|file| {
            let n_chunks = 1 + numbers.next() % 5;
            let vectors = (0..n_chunks).map(|_| match numbers.next() % 8 {
                0 => None,
                1 if last.is_some() => last.clone(),
                _ => {
                    let centre = &centres[numbers.next() as usize % centres.len()];
                    let row = centre.iter().map(|value| value + 0.8 * numbers.signed() / (dim as f32).sqrt());
                    last = Some(unit(row.collect()));
                    last.clone()
                }
            });
            File { path: format!("{below}/{file}.md"), vectors: vectors.collect() }
        })
        .collect()
}

/// An index on disk, with the number that each path has in it.
struct Built {
    index: WorkspaceIndex,
    ids: BTreeMap<String, FileId>,
    _folder: tempfile::TempDir,
}

impl Built {
    /// The files in this order, a commit after every so-manieth.
    fn new(files: &[File], dim: usize, files_per_commit: usize) -> Self {
        let fingerprint = Fingerprint {
            format: INDEX_FORMAT,
            analyzer: ANALYZER_VERSION,
            extractor: 1,
            chunker: 1,
            model: None,
            dim,
        };
        let folder = tempfile::TempDir::new().unwrap();
        let (index, _) = WorkspaceIndex::open(folder.path(), &fingerprint).unwrap();
        let mut ids = BTreeMap::new();
        for (commit, files) in (2..).zip(files.chunks(files_per_commit)) {
            for file in files {
                let next = FileId(ids.len() as u64 * 3 + 1);
                let id = *ids.entry(file.path.clone()).or_insert(next);
                index.replace(id, chunks(file, id)).unwrap();
            }
            let fingerprint = fingerprint.clone();
            index
                .commit(Position {
                    generation: commit,
                    lexical_seq: commit,
                    semantic_seq: commit,
                    fingerprint,
                })
                .unwrap();
        }
        Self { index, ids, _folder: folder }
    }

    fn scope(&self, files: &[File]) -> Option<FileSet> {
        Some(FileSet::new(files.iter().filter_map(|file| self.ids.get(&file.path).copied()).collect()))
    }
}

fn chunks(file: &File, id: FileId) -> Vec<NewChunk> {
    let chunk = |(ordinal, vector): (usize, &Option<Vec<f32>>)| NewChunk {
        file: id,
        ordinal: ordinal as u32,
        indexed_text: "word".to_owned(),
        vector: vector.clone(),
        record: ChunkRecord {
            path: file.path.clone(),
            version: VersionId::of(file.path.as_bytes()),
            span: Span::new(0, 4),
            lines: (1, 1),
            headings: Vec::new(),
            sections: Vec::new(),
            title: None,
            mime_type: "text/plain".to_owned(),
            language: None,
            text: "word".to_owned(),
            located: Vec::new(),
        },
    };
    file.vectors.iter().enumerate().map(chunk).collect()
}

/// Generation, place and score, to the bit.
type Named = (usize, (u64, u64), u32);

/// Everything that the arm says, with places in the stead of this index's own numbers.
fn said(
    limits: Limits,
    sources: &[(&Built, Option<FileSet>)],
    query: &[f32],
    n_best: usize,
) -> (Vec<Named>, ScanStats) {
    let searchers: Vec<Arc<Searcher>> = sources.iter().map(|(built, _)| built.index.searcher()).collect();
    let sets: Vec<Arc<DocSet>> = searchers
        .iter()
        .zip(sources)
        .map(|(searcher, (_, files))| searcher.doc_set(files.as_ref()))
        .collect();
    let scopes: Vec<(&Searcher, &DocSet)> =
        searchers.iter().zip(&sets).map(|(searcher, set)| (searcher.as_ref(), set.as_ref())).collect();
    let nearest = nearest_by(limits, &scopes, query, n_best);
    let named = |(source, chunk, score): &(usize, ChunkRef, f32)| {
        (*source, searchers[*source].place(*chunk), score.to_bits())
    };
    (nearest.chunks.iter().map(named).collect(), nearest.stats)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Two workspaces, one asked in a scope and one wholly; beside the same visible files stand hidden ones in another
    /// order, in other segments, some rewritten or deleted, and the answer is the same to the bit.
    #[test]
    fn hidden_files_and_segments_change_nothing(
        seed: u64,
        n_visible in 1usize..60,
        n_hidden in 0usize..120,
        files_per_commit in 20usize..200,
        is_merged: bool,
        n_best in 1usize..30,
        sketch_min_rows in prop::sample::select(vec![1u64, 60, 120, 10_000]),
        min_rescored in prop::sample::select(vec![1usize, 25, 100]),
        sample_rows in prop::sample::select(vec![1u64, 10, 40]),
    ) {
        let dim = 70;
        let mut numbers = Numbers(seed);
        let visible = files(n_visible, "open", dim, &mut numbers);
        let other = files(20, "other", dim, &mut numbers);
        let mut hidden = files(n_hidden, "hidden", dim, &mut numbers);
        // Hidden rows that are as near as can be to what is asked for.
        for file in hidden.iter_mut().step_by(3) {
            file.vectors[0] = visible[0].vectors[0].clone();
        }
        let alone = (Built::new(&visible, dim, usize::MAX), Built::new(&other, dim, usize::MAX));
        let mut mixed = visible.clone();
        mixed.extend(hidden.iter().cloned());
        numbers.shuffle(&mut mixed);
        // Written once more: the first chunks are dead rows.
        mixed.extend(hidden.iter().take(10).cloned());
        let mut shuffled = other.clone();
        numbers.shuffle(&mut shuffled);
        let both = (Built::new(&mixed, dim, files_per_commit), Built::new(&shuffled, dim, 9));
        if is_merged {
            both.0.index.optimize().unwrap();
        }
        let limits = Limits { sketch_min_rows, min_rescored, sample_rows };
        for _ in 0..5 {
            let query = numbers.unit(dim);
            let expected =
                said(limits, &[(&alone.0, alone.0.scope(&visible)), (&alone.1, None)], &query, n_best);
            let found = said(limits, &[(&both.0, both.0.scope(&visible)), (&both.1, None)], &query, n_best);
            prop_assert_eq!(&found, &expected);
            prop_assert!(expected.0.len() <= n_best);
        }
    }
}

#[test]
fn the_way_is_chosen_by_allowed_rows_over_all_generations() {
    let mut numbers = Numbers(5);
    let (one, two) = (files(30, "one", 32, &mut numbers), files(30, "two", 32, &mut numbers));
    let built = (Built::new(&one, 32, usize::MAX), Built::new(&two, 32, usize::MAX));
    let n_rows = |built: &Built| built.index.searcher().doc_set(None).n_vectors;
    let both = n_rows(&built.0) + n_rows(&built.1);
    let query = numbers.unit(32);
    let stats = |sketch_min_rows| {
        let limits = Limits { sketch_min_rows, min_rescored: 5, sample_rows: both / 4 };
        let sources = [(&built.0, built.0.scope(&one)), (&built.1, built.1.scope(&two))];
        said(limits, &sources, &query, 5).1
    };
    assert_eq!(stats(both + 1).n, both, "all are scored");
    assert!(stats(both).n < both, "a sample is");
}

#[test]
fn an_empty_scope_finds_nothing() {
    let mut numbers = Numbers(6);
    let visible = files(10, "open", 16, &mut numbers);
    let built = Built::new(&visible, 16, usize::MAX);
    for sketch_min_rows in [0, 1, 100] {
        let limits = Limits { sketch_min_rows, ..Limits::DEFAULT };
        let (chunks, stats) = said(limits, &[(&built, built.scope(&[]))], &numbers.unit(16), 5);
        assert!(chunks.is_empty() && stats.n == 0);
        let (chunks, _) = said(limits, &[(&built, None)], &numbers.unit(15), 5);
        assert!(chunks.is_empty(), "a query of another dimension");
        assert!(said(limits, &[(&built, None)], &numbers.unit(16), 0).0.is_empty());
    }
}

/// Where one row stands in every chunk, all tie: the best by place are found, in whatever segments they lie.
#[test]
fn when_all_rows_tie_the_place_decides() {
    let row = Numbers(8).unit(40);
    let file = |file: usize| File { path: format!("f{file}"), vectors: vec![Some(row.clone()); 3] };
    let visible: Vec<File> = (0..100).map(file).collect();
    let built = [Built::new(&visible, 40, usize::MAX), Built::new(&visible, 40, 30)];
    let limits = Limits { sketch_min_rows: 1, min_rescored: 5, sample_rows: 10 };
    let [one, many] = built.each_ref().map(|built| said(limits, &[(built, built.scope(&visible))], &row, 12));
    assert_eq!(one, many);
    assert!(one.0.len() == 12 && one.0.is_sorted_by_key(|(_, place, _)| *place));
}

/// With the limits that hold outside of tests: enough rows that the widest scope goes by sketches.
#[test]
fn recall_in_scopes_of_every_size() {
    const DIM: usize = 128;
    let mut numbers = Numbers(11);
    let centres: Vec<Vec<f32>> = (0..40).map(|_| numbers.unit(DIM)).collect();
    let spread = 1.2 / (DIM as f32).sqrt();
    let mut near_centre = || {
        let centre = &centres[numbers.next() as usize % centres.len()];
        unit(centre.iter().map(|value| value + spread * numbers.signed()).collect())
    };
    let all: Vec<File> = (0..12_000)
        .map(|file| File { path: format!("{file}"), vectors: vec![Some(near_centre()), Some(near_centre())] })
        .collect();
    let queries: Vec<Vec<f32>> = (0..40).map(|_| near_centre()).collect();
    let built = Built::new(&all, DIM, usize::MAX);
    let searcher = built.index.searcher();
    for per_mille in [1000, 100, 10, 1] {
        let scope: Vec<File> = all.iter().step_by(1000 / per_mille).cloned().collect();
        let set = searcher.doc_set(built.scope(&scope).as_ref());
        assert_eq!(set.n_vectors >= Limits::DEFAULT.sketch_min_rows, per_mille == 1000);
        let mut n_found = 0;
        for query in &queries {
            let mut exact: Vec<f32> = scope
                .iter()
                .flat_map(|file| &file.vectors)
                .flatten()
                .map(|row| dot_f32(query, row))
                .collect();
            exact.sort_by(|a, b| b.total_cmp(a));
            let nearest = nearest(&[(&searcher, &set)], query, 200);
            let mut found: Vec<f32> =
                nearest.chunks.iter().filter_map(|(_, chunk, _)| searcher.cosine(query, *chunk)).collect();
            found.sort_by(|a, b| b.total_cmp(a));
            n_found += found.iter().take(10).filter(|score| **score >= exact[9]).count();
            let (mean, std) = (nearest.stats.mean, nearest.stats.std);
            let n = exact.len() as f64;
            let true_mean = exact.iter().map(|score| f64::from(*score)).sum::<f64>() / n;
            let true_std =
                (exact.iter().map(|score| (f64::from(*score) - true_mean).powi(2)).sum::<f64>() / n).sqrt();
            assert!((mean - true_mean).abs() < 0.1 * true_std && (std / true_std - 1.0).abs() < 0.1);
        }
        let recall = n_found as f64 / (10 * queries.len()) as f64;
        assert!(recall >= 0.98, "{per_mille} of a thousand files: {recall}");
    }
}
