//! Questions are answered by sentences that stand in the files, byte for byte, or not at all.

use waypost_engine::api::SearchRequest;
use waypost_engine::search::citation::Verdict;

use crate::house::House;

const HANDBOOK: &str = "
//- travel.md
# Travel policy

Rail is first choice below six hours. Hotel nights are paid up to 140 euros.

Claims are sent within thirty days of the journey.
//- kitchen.md
# Kitchen

The dishwasher is emptied by whoever finds it clean. Coffee beans are ordered on Mondays.
//- security.md
# Security

Badges are worn visibly. A lost badge is reported to the front desk at once.
";

#[test]
fn the_answer_is_a_sentence_of_the_right_file_and_verifies() {
    let house = House::new(HANDBOOK);
    let reply = house.ask("When are claims sent after the journey?");
    assert!(!reply.abstained, "{reply:?}");
    let first = &reply.citations[0].citation;
    assert_eq!(first.path, "/w/travel.md");
    assert_eq!(first.quote, "Claims are sent within thirty days of the journey.");
    assert_eq!(first.lines, Some((5, 5)));
    let cited = reply.citations.iter().map(|cited| cited.citation.clone()).collect();
    for verified in house.session().verify(cited).unwrap() {
        assert_eq!(verified.verdict, Verdict::Valid);
    }
}

#[test]
fn a_question_that_no_file_answers_is_not_answered() {
    let house = House::new(HANDBOOK);
    let reply = house.ask("Who won the chess tournament in Reykjavik?");
    assert!(reply.abstained && reply.citations.is_empty(), "{reply:?}");
}

#[test]
fn a_heading_says_what_the_sentences_below_it_are_about_and_answers_nothing() {
    let house = House::new(
        "
//- faq.md
---
title: Locker keys, questions and answers
author: the front desk gives a locker key
---
## How do I get a locker key?

Ask at the front desk and leave your badge.

## How do I lose weight?

Swim.
//- crane.html
<h1>Who repairs the crane on the quay</h1><p>Thies Petersen from the yard by the lock does that.</p><h1>Opening hours</h1><p>Nine to five.</p>
//- sign.md
# Lanterns hang at the northern pier
",
    );
    for (question, path, quote) in [
        ("How do I get a locker key?", "/w/faq.md", "Ask at the front desk and leave your badge."),
        (
            "Who repairs the crane on the quay?",
            "/w/crane.html",
            "Thies Petersen from the yard by the lock does that.",
        ),
        ("Where do lanterns hang at the pier?", "/w/sign.md", "# Lanterns hang at the northern pier"),
    ] {
        let reply = house.ask(question);
        let first = reply.citations.first().map(|cited| &cited.citation);
        let first = first.unwrap_or_else(|| panic!("{question}: {reply:?}"));
        assert_eq!((first.path.as_str(), first.quote.as_str()), (path, quote), "{question}");
        assert!(reply.citations.iter().all(|cited| !cited.citation.quote.contains("author:")), "{reply:?}");
    }
}

#[test]
fn a_citation_outlives_its_file_and_finds_its_text_again() {
    let house = House::new(HANDBOOK);
    let cited = house.ask("When are claims sent after the journey?").citations[0].citation.clone();
    let old = std::fs::read_to_string(house.root().join("travel.md")).unwrap();
    house.write("travel.md", &format!("A new first line.\n\n{old}"));
    house.index();
    let checked = house.session().verify(vec![cited.clone()]).unwrap().remove(0);
    let Verdict::Stale { now: Some(now) } = checked.verdict else { panic!("{checked:?}") };
    assert_eq!((now.quote.as_str(), now.lines), (cited.quote.as_str(), Some((7, 7))));
    assert_eq!(house.session().verify(vec![*now]).unwrap()[0].verdict, Verdict::Valid);

    std::fs::remove_file(house.root().join("travel.md")).unwrap();
    house.index();
    let checked = house.session().verify(vec![cited]).unwrap().remove(0);
    assert_eq!((checked.valid, checked.verdict), (true, Verdict::Stale { now: None }));
}

#[test]
fn a_changed_or_borrowed_citation_does_not_verify() {
    let house = House::new(HANDBOOK);
    let cited = house.ask("When are claims sent after the journey?").citations[0].citation.clone();
    let mut forged = vec![cited.clone(); 5];
    forged[0].quote = "Claims are sent within ninety days of the journey.".to_owned();
    forged[1].start_byte += 1;
    forged[2].path = "/w/kitchen.md".to_owned();
    forged[3].path = "/w/../secret".to_owned();
    (forged[4].start_byte, forged[4].end_byte) = (usize::MAX - 1, usize::MAX);
    for checked in house.session().verify(forged).unwrap() {
        assert!(!checked.valid, "{checked:?}");
    }
}

#[test]
fn a_bound_in_tokens_holds_for_words_that_a_model_counts_as_one() {
    let word = "A".repeat(1 << 20);
    let house = House::new(&format!(
        "//- logo.md\n# Logo\n\nlogo data:image/png;base64,{word}\n\nThe heron is our logo.\n//- note.md\nThe logo is a heron.\n"
    ));
    let found = |max_tokens: usize| {
        let request = SearchRequest {
            query: "logo".to_owned(),
            max_tokens: Some(max_tokens),
            ..SearchRequest::default()
        };
        house.session().search(&request).unwrap()
    };
    for max_tokens in [300, 3_000, 30_000] {
        let results = found(max_tokens).results;
        let n_bytes: usize = results.iter().map(|hit| hit.citation.quote.len() + hit.snippet.len()).sum();
        assert!(n_bytes <= 4 * max_tokens, "{max_tokens}: {n_bytes}");
    }
    assert!(!found(30_000).results.is_empty());
}
