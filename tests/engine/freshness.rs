//! What is gone or changed is never served, and what is unchanged costs nothing.

use std::fs;

use waypost_engine::search::Mode;

use crate::house::{House, paths};

const FILES: &str = "
//- a.md
# Alpha
The lighthouse keeper writes letters.
//- b.md
# Beta
The lighthouse stands on a rock.
//- c.md
# Gamma
Bread rises in the warm kitchen.
";

#[test]
fn a_deleted_file_is_no_hit_even_before_the_index_knows() {
    let house = House::new(FILES);
    assert_eq!(house.search_in("lighthouse", Mode::Lexical, 10).results.len(), 2);
    fs::remove_file(house.root().join("a.md")).unwrap();
    for mode in [Mode::Hybrid, Mode::Lexical, Mode::Semantic] {
        assert!(!paths(&house.search_in("lighthouse keeper", mode, 10)).contains(&"a.md"), "{mode:?}");
    }
    house.index();
    assert_eq!(paths(&house.search_in("lighthouse", Mode::Lexical, 10)), ["b.md"]);
}

#[test]
fn a_changed_file_is_no_hit_until_it_is_read_again() {
    let house = House::new(FILES);
    house.write("a.md", "# Alpha\nNow about windmills and nothing else at all.\n");
    assert!(!paths(&house.search("lighthouse keeper letters")).contains(&"a.md"));
    house.index();
    assert_eq!(paths(&house.search("windmills"))[0], "a.md");
    assert!(!paths(&house.search_in("letters", Mode::Lexical, 10)).contains(&"a.md"));
}

#[test]
fn as_many_hits_as_asked_for_come_though_the_best_files_are_gone() {
    let fixture: String = (0..60)
        .map(|file| format!("//- {file:02}.md\nLighthouse {} number {file}.\n", "keeper ".repeat(60 - file)))
        .collect();
    let house = House::new(&fixture);
    let best = house.search_in("keeper", Mode::Lexical, 40);
    assert_eq!(best.results.len(), 40);
    paths(&best).iter().for_each(|path| fs::remove_file(house.root().join(path)).unwrap());
    for mode in [Mode::Hybrid, Mode::Lexical, Mode::Semantic] {
        assert_eq!(house.search_in("keeper", mode, 10).results.len(), 10, "{mode:?}");
    }
}

#[test]
fn unchanged_files_moves_and_touches_embed_nothing() {
    let house = House::new(FILES);
    let before = house.n_embedded();
    assert!(before >= 3, "three files were embedded, not {before}");
    assert_eq!(house.index().chunks_embedded, 0);
    let old = fs::read(house.root().join("b.md")).unwrap();
    fs::write(house.root().join("b.md"), old).unwrap();
    fs::create_dir(house.root().join("sub")).unwrap();
    fs::rename(house.root().join("a.md"), house.root().join("sub/a.md")).unwrap();
    let report = house.index();
    assert_eq!((report.scan.created, report.scan.deleted, report.scan.updated), (1, 1, 0));
    assert_eq!((report.chunks_embedded, house.n_embedded()), (0, before));
    assert_eq!(paths(&house.search("lighthouse keeper letters"))[0], "sub/a.md");
    assert!(house.engine.check(false).unwrap().findings.is_empty());
}

#[test]
fn an_index_that_is_thrown_away_comes_back_the_same_and_embeds_nothing() {
    let house = House::new(FILES);
    let before = serde_json::to_value(&house.search("lighthouse letters").results).unwrap();
    let n_embedded = house.n_embedded();
    house.engine.drop_indexes().unwrap();
    assert!(house.search("lighthouse letters").results.is_empty());
    house.index();
    // The query is known as well.
    assert_eq!(house.n_embedded(), n_embedded);
    assert_eq!(serde_json::to_value(&house.search("lighthouse letters").results).unwrap(), before);
}

#[test]
fn without_a_model_words_are_found_and_the_missing_arm_is_named() {
    let house = House::lexical(FILES);
    let reply = house.search("lighthouse");
    assert_eq!(reply.results.len(), 2);
    assert_eq!(reply.index.degraded[0].stage, "semantic");
    assert!(house.search_in("lighthouse", Mode::Lexical, 10).index.degraded.is_empty());
}
