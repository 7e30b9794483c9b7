//! Non-interference: what lies outside a scope changes nothing inside it.

use std::sync::Arc;

use waypost_engine::catalog::FileFilter;
use waypost_engine::embed::Embedder;
use waypost_engine::id::RelPath;
use waypost_engine::search::{Mode, SearchRequest, Source, parse, search};

use crate::house::{House, library};

/// Everything that a search shows, with the file's path in place of its number.
fn shown(house: &House, query: &str, mode: Mode, below: Option<&str>) -> String {
    let prefix = below.map(|below| RelPath::new(below).unwrap());
    let filter = FileFilter { path_prefix: prefix, ..FileFilter::default() };
    let source: Source = house.engine.source(&crate::house::name(), below.map(|_| &filter)).unwrap();
    let embedder = house.table.clone().map(|table| table as Arc<dyn Embedder>);
    let parsed = parse(query);
    let request = SearchRequest { query: &parsed, mode, limit: 25 };
    let hits = search(&[source], embedder.as_ref(), None, &request).unwrap();
    let lines = hits.hits.iter().map(|hit| {
        format!(
            "{} {:?} {:?} {:?} {:?}",
            hit.record.path,
            hit.score.to_bits(),
            hit.ranks,
            hit.snippet,
            hit.highlights
        )
    });
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
