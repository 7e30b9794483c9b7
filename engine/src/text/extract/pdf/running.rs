//! Heads and feet that run through all pages.
//!
//! Takes the paragraphs of all pages, leaves out those at the top or bottom of a page that an earlier page has there, too,
//! word for word but for the number of the page. The first page that has one keeps it, so that it is still found. What is
//! set as a heading stays, and so does all where pages are few: there a repetition may be meant. [`heads`] tells what runs
//! before that is decided, for a head may be set larger than the text.

use std::collections::{HashMap, HashSet};

use super::layout::Paragraph;

/// On fewer pages nothing runs.
const MIN_PAGES: usize = 4;

/// What is said on fewer pages is no head, whatever it looks like.
const MIN_HEAD_PAGES: usize = 3;

/// One in so many pages has a head, at least: left ones, right ones, and a chapter's first one may differ.
const ONE_IN: usize = 3;

/// Longer paragraphs are no heads.
const MAX_CHARS: usize = 160;

/// A number that is further from the number of its page is something else, such as that of an invoice.
const MAX_OFFSET: i64 = 30;

/// What is said beside the number of a page.
const BESIDE_NUMBERS: &[&str] = &[
    "page", "pages", "p", "pg", "sheet", "of", "seite", "von", "s", "página", "de", "pág", "sur", "pagina",
    "di", "van", "стр", "из",
];

/// Heads may be two paragraphs: what runs, and the number.
const N_ROUNDS: usize = 2;

/// Leaves out what runs.
pub(super) fn drop_repeated(pages: &mut [(u32, Vec<Paragraph>)], is_heading: impl Fn(&Paragraph) -> bool) {
    if pages.len() < MIN_PAGES {
        return;
    }
    for _ in 0..N_ROUNDS {
        drop_edge(pages, &is_heading, |_| 0);
        drop_edge(pages, &is_heading, |paragraphs| paragraphs.len().saturating_sub(1));
    }
}

/// What stands at the top or at the bottom of half of the pages, as each of them says it. At the bottom it may be numbered
/// whatever it is: no heading stands there.
pub(super) fn heads(pages: &[(u32, Vec<Paragraph>)]) -> HashSet<String> {
    let said = |edge: fn(&[Paragraph]) -> Option<&Paragraph>| {
        let of_page = move |(page, paragraphs): &(u32, Vec<Paragraph>)| {
            (*page, edge(paragraphs).map_or_else(String::new, |paragraph| paragraph.text.clone()))
        };
        pages.iter().map(of_page).collect::<Vec<_>>()
    };
    let mut heads = running_in(said(|paragraphs| paragraphs.first()), keys);
    let last = said(|paragraphs| paragraphs.get(1..)?.last());
    heads.extend(running_in(last, |text, page| keys_where(text, page, |_| true)));
    heads.remove("");
    heads
}

/// What half of the pages say, by its keys.
fn running_in(said: Vec<(u32, String)>, keys: fn(&str, u32) -> Vec<String>) -> HashSet<String> {
    let n_needed = MIN_HEAD_PAGES.max(said.len().div_ceil(2));
    let keys: Vec<Vec<String>> = said.iter().map(|(page, text)| keys(text, *page)).collect();
    let counts = counts(&keys);
    let runs = |keys: &[String]| keys.iter().any(|key| counts[key] >= n_needed);
    let running: Vec<bool> = keys.iter().map(|keys| runs(keys)).collect();
    said.into_iter().zip(running).filter(|(_, runs)| *runs).map(|((_, text), _)| text).collect()
}

/// On how many pages each key is found.
fn counts(keys: &[Vec<String>]) -> HashMap<&String, usize> {
    let mut counts = HashMap::new();
    keys.iter().flatten().for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

/// Leaves out what runs at one edge, whose paragraph `edge` tells.
fn drop_edge(
    pages: &mut [(u32, Vec<Paragraph>)],
    is_heading: &impl Fn(&Paragraph) -> bool,
    edge: impl Fn(&[Paragraph]) -> usize,
) {
    let keys_of = |(page, paragraphs): &(u32, Vec<Paragraph>)| {
        let paragraph = paragraphs.get(edge(paragraphs)).filter(|paragraph| !is_heading(paragraph));
        paragraph.map(|paragraph| keys(&paragraph.text, *page)).unwrap_or_default()
    };
    let keys: Vec<Vec<String>> = pages.iter().map(keys_of).collect();
    let counts = counts(&keys);
    let n_needed = MIN_PAGES.max(pages.len().div_ceil(ONE_IN));
    let mut seen = HashSet::new();
    for ((_, paragraphs), keys) in pages.iter_mut().zip(&keys) {
        let running: Vec<&String> = keys.iter().filter(|key| counts[*key] >= n_needed).collect();
        let is_known = running.iter().any(|key| seen.contains(*key));
        seen.extend(running);
        // A page of nothing else would look like a scan.
        if is_known && paragraphs.len() > 1 {
            paragraphs.remove(edge(paragraphs));
        }
    }
}

/// Whether what stands beside a number says no more than that it counts pages; other things are numbered as well.
fn counts_pages(text: &str) -> bool {
    let words = text.split(|ch: char| !ch.is_alphabetic()).filter(|word| !word.is_empty());
    words.into_iter().all(|word| BESIDE_NUMBERS.contains(&word.to_lowercase().as_str()))
}

/// A short paragraph as it would be said on another page: as it is, and once for each number near that of the page with
/// how far it is from it, where what stands beside it says that it counts pages. None for long ones.
fn keys(text: &str, page: u32) -> Vec<String> {
    keys_where(text, page, |around| around.iter().all(|part| counts_pages(part)))
}

/// As [`keys`], for the numbers alone beside which something stands that `fits`.
fn keys_where(text: &str, page: u32, fits: impl Fn([&str; 2]) -> bool) -> Vec<String> {
    if text.chars().count() > MAX_CHARS {
        return Vec::new();
    }
    let mut keys = vec![text.to_owned()];
    let mut at = 0;
    while let Some(start) = text[at..].find(|ch: char| ch.is_ascii_digit()).map(|found| at + found) {
        let n_digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
        at = start + n_digits;
        let offset = text[start..at].parse::<i64>().ok().map(|number| number - i64::from(page));
        let around = [&text[..start], &text[at..]];
        if let Some(offset) = offset.filter(|offset| offset.abs() <= MAX_OFFSET && fits(around)) {
            keys.push(format!("{}\u{0}{offset}\u{0}{}", &text[..start], &text[at..]));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Pages with these paragraphs, of size 10, or 20 for those that begin with `#`.
    #[track_caller]
    fn check(pages: &[&[&str]], expected: &[&[&str]]) {
        let paragraph = |text: &&str| Paragraph {
            text: (*text).to_owned(),
            size: if text.starts_with('#') { 20.0 } else { 10.0 },
        };
        let mut found: Vec<(u32, Vec<Paragraph>)> =
            (1..).zip(pages.iter().map(|page| page.iter().map(paragraph).collect())).collect();
        drop_repeated(&mut found, |paragraph| paragraph.size > 15.0);
        let found: Vec<Vec<&str>> =
            found.iter().map(|(_, page)| page.iter().map(|one| one.text.as_str()).collect()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn heads_and_numbers_stay_on_the_first_page_alone() {
        check(
            &[
                &["Larkweir Ltd", "one", "Page 1 of 5"],
                &["Larkweir Ltd", "two", "Page 2 of 5"],
                &["Larkweir Ltd", "three", "Page 3 of 5"],
                &["Larkweir Ltd", "four", "Page 4 of 5"],
                &["Larkweir Ltd", "five", "Page 5 of 5"],
            ],
            &[&["Larkweir Ltd", "one", "Page 1 of 5"], &["two"], &["three"], &["four"], &["five"]],
        );
    }

    #[test]
    fn what_stands_at_the_edge_of_several_pages_is_a_head() {
        let page = |page: u32, texts: &[&str]| {
            let paragraph = |text: &&str| Paragraph { text: (*text).to_owned(), size: 10.0 };
            (page, texts.iter().map(paragraph).collect::<Vec<_>>())
        };
        let mut pages = vec![
            page(1, &["Annual report", "Costs", "one", "Draft 1 of Ada"]),
            page(2, &["Annual report", "two", "Draft 2 of Ada"]),
            page(3, &["Annual report", "Costs", "three", "Draft 3 of Ada"]),
        ];
        let found: BTreeSet<String> = heads(&pages).into_iter().collect();
        let expected = ["Annual report", "Draft 1 of Ada", "Draft 2 of Ada", "Draft 3 of Ada"];
        assert_eq!(Vec::from_iter(&found), expected.iter().collect::<Vec<_>>());
        let questions = [1, 2, 3].map(|number| page(number, &[&format!("Question {number}"), "words"]));
        assert!(!heads(&questions).contains("Question 1"));
        pages.pop();
        assert!(heads(&pages).is_empty());
    }

    #[test]
    fn headings_numbers_of_things_and_the_words_of_few_pages_stay() {
        let few: &[&[&str]] = &[&["Same", "one"], &["Same", "two"], &["Same", "three"]];
        check(few, few);
        let headings: &[&[&str]] = &[&["# A", "one"], &["# A", "two"], &["# A", "three"], &["# A", "four"]];
        check(headings, headings);
        let things: &[&[&str]] = &[
            &["Invoice 4711", "one"],
            &["Invoice 4712", "two"],
            &["Invoice 4713", "three"],
            &["Invoice 4714", "four"],
        ];
        check(things, things);
        let records: &[&[&str]] = &[
            &["Question 1", "one"],
            &["Question 2", "two"],
            &["Question 3", "three"],
            &["Question 4", "four"],
        ];
        check(records, records);
    }
}
