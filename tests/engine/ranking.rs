//! How hits are found and ordered.

use waypost_engine::search::Mode;

use crate::house::{House, library, paths};

const GARAGE: &str = "
//- words.md
The zanzibar procedure is rarely used.
//- meaning.md
An automobile was left in the yard.
//- other.md
Flowers need water in the morning.
//- more.md
The bakery opens before sunrise and closes at noon.
//- code.rs
pub fn parse_http_header(raw: &str) -> Header { Header::from(raw) }
";

#[test]
fn each_arm_contributes_to_the_hybrid() {
    let house = House::new(GARAGE);
    assert_eq!(paths(&house.search("zanzibar"))[0], "words.md");
    assert!(
        house.search_in("vehicle", Mode::Lexical, 5).results.is_empty(),
        "no word of it stands in a file"
    );
    assert_eq!(paths(&house.search("vehicle"))[0], "meaning.md");
}

#[test]
fn the_query_language_does_what_its_users_expect() {
    let house = House::new(GARAGE);
    let cases: &[(&str, &[&str])] = &[
        ("\"rarely used\"", &["words.md"]),
        ("\"used rarely\"", &[]),
        ("ext:rs header", &["code.rs"]),
        ("http header", &["code.rs"]),
        ("parse_http_header", &["code.rs"]),
        ("parseHttpHeader", &["code.rs"]),
        ("path:words procedure", &["words.md"]),
    ];
    for (query, expected) in cases {
        assert_eq!(paths(&house.search_in(query, Mode::Lexical, 10)), *expected, "{query}");
    }
    assert!(!paths(&house.search("flowers -water")).contains(&"other.md"));
    assert_eq!(paths(&house.search("\"rarely used\" anything")), ["words.md"]);
}

#[test]
fn a_word_is_found_however_it_was_written() {
    let house = House::new(
        "
//- decomposed.md
Der Ka\u{308}ufer zahlt die Gebu\u{308}hr in Zu\u{308}rich.
//- composed.md
Die Verk\u{e4}ufer in M\u{fc}nchen.
//- hindi.md
यह विश्वविद्यालय बड़ा है।
//- pointed.md
שָׁלוֹם לְכֻלָּם
//- unpointed.md
محمد في المدينة
",
    );
    let cases = [
        ("K\u{e4}ufer", "decomposed.md", "Ka\u{308}ufer"),
        ("zurich", "decomposed.md", "Zu\u{308}rich"),
        ("\"die Geb\u{fc}hr in Z\u{fc}rich\"", "decomposed.md", "Gebu\u{308}hr"),
        ("Mu\u{308}nchen", "composed.md", "M\u{fc}nchen"),
        ("विश्वविद्यालय", "hindi.md", "विश्वविद्यालय"),
        ("שלום", "pointed.md", "שָׁלוֹם"),
        ("مُحَمَّد", "unpointed.md", "محمد"),
    ];
    for (query, file, said) in cases {
        let reply = house.search_in(query, Mode::Lexical, 5);
        assert_eq!(paths(&reply), [file], "{query}");
        let hit = &reply.results[0];
        let marked: Vec<Option<&str>> =
            hit.highlights.iter().map(|[from, to]| hit.snippet.get(*from..*to)).collect();
        assert!(marked.contains(&Some(said)), "{query}: {marked:?} in {}", hit.snippet);
    }
}

#[test]
fn a_query_without_a_word_says_so() {
    let house = House::new(GARAGE);
    for query in ["ext:md", "-water", " "] {
        let reply = house.search(query);
        assert!(reply.results.is_empty(), "{query}");
        let said: Vec<&str> = reply.index.degraded.iter().map(|one| one.reason.as_str()).collect();
        assert!(said.len() == 1 && said[0].contains("no word"), "{query}: {said:?}");
    }
    assert!(house.search("ext:md flowers").index.degraded.is_empty());
}

#[test]
fn any_string_is_a_query() {
    let house = House::new(GARAGE);
    let mut state = 7u64;
    let alphabet: Vec<char> = "ab \"-:()[]{}*?~^\\/&|+!'\u{0}\n\t中é🦀\u{202e}AND OR NOT".chars().collect();
    for _ in 0..300 {
        let text: String = (0..state % 24)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                alphabet[(state >> 33) as usize % alphabet.len()]
            })
            .collect();
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        for mode in [Mode::Hybrid, Mode::Lexical, Mode::Semantic] {
            house.search_in(&text, mode, 3);
        }
    }
    house.search(&"long ".repeat(20_000));
}

#[test]
fn the_limit_changes_no_order() {
    let mut fixture = String::new();
    for (path, text) in library(60) {
        fixture.push_str(&format!("//- {path}\n{text}"));
    }
    let house = House::new(&fixture);
    for query in ["harbour lantern", "worker 7 sells", "day 33 compass"] {
        for mode in [Mode::Hybrid, Mode::Lexical, Mode::Semantic] {
            let all = house.search_in(query, mode, 40);
            for limit in [1, 5, 10, 20] {
                let some = house.search_in(query, mode, limit);
                assert_eq!(paths(&some), paths(&all)[..some.results.len()], "{query} {mode:?} {limit}");
            }
        }
    }
}

#[test]
fn copies_stand_once_with_their_other_places() {
    let house = House::new(
        "
//- one/note.md
Copper pipes are soldered under the floor.
//- two/note.md
Copper   pipes are soldered
under the floor.
//- three.md
Steel pipes are welded.
",
    );
    let reply = house.search("copper pipes");
    let first = &reply.results[0];
    let mut places = vec![first.citation.path.clone()];
    places.extend(first.copies.clone());
    places.sort();
    assert_eq!(places, ["/w/one/note.md", "/w/two/note.md"]);
    assert_eq!(paths(&reply).iter().filter(|path| path.ends_with("note.md")).count(), 1);
}
