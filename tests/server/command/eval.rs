use std::path::Path;
use std::process::Output;

use serde_json::{Value, json as value};

use super::{json, waypost};

const CORPUS: &str = r#"{"id": "p1", "title": "Eiffel", "text": "The Eiffel Tower is in Paris. It was completed in 1889."}
{"id": "p2", "title": "Moai", "text": "The moai statues stand on Easter Island."}
{"id": "p3", "title": "Basalt", "text": "Basalt is a dark volcanic rock."}
"#;
const QUERIES: &str = r#"{"id": "q1", "text": "Eiffel Tower completed"}
{"id": "q2", "text": "volcanic rock"}
"#;
const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\tp1\t1\nq2\tp3\t2\n";
const ROUTES: &str = r#"{"route": "weather", "description": "Forecasts for cities", "examples": ["will it rain tomorrow", "is it sunny today"]}
{"route": "music", "description": "Plays songs", "examples": ["play some jazz", "skip this song"]}
{"route": "banking", "description": "Transfers", "examples": ["transfer 50 euros", "freeze my card"]}
"#;

/// A set of these files.
fn set(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn eval(kind: &str, folder: &Path, more: &[&str]) -> Output {
    waypost(folder, &[&["eval", kind, ".", "--no-model", "--json"], more].concat())
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The report, and what was said beside it.
#[track_caller]
fn report(kind: &str, folder: &Path, more: &[&str]) -> (Value, String) {
    let output = eval(kind, folder, more);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    (json(&output), told(&output))
}

#[track_caller]
fn check_refused(kind: &str, files: &[(&str, &str)], more: &[&str], expected: &[&str]) {
    let folder = set(files);
    let output = eval(kind, folder.path(), more);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    for word in expected {
        assert!(told(&output).contains(word), "{word}: {}", told(&output));
    }
    assert_eq!(json(&output)["error"]["exit_code"], 2);
}

#[test]
fn a_set_that_asks_nothing_is_refused_by_the_name_of_its_file() {
    let (corpus, queries) = (("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES));
    check_refused("answers", &[corpus, ("qa.jsonl", "\n")], &[], &["qa.jsonl", "no question"]);
    check_refused(
        "answers",
        &[("corpus.jsonl", ""), ("qa.jsonl", "")],
        &[],
        &["corpus.jsonl", "no document"],
    );
    check_refused(
        "retrieval",
        &[corpus, ("queries.jsonl", ""), ("qrels.tsv", QRELS)],
        &[],
        &["queries.jsonl"],
    );
    for judged in ["", "\n\n", "q1\tp1\t0\nq2\tp2\t0\n", "q9\tp1\t1\n"] {
        let files = [corpus, queries, ("qrels.tsv", judged)];
        check_refused("retrieval", &files, &[], &["qrels.tsv", "judges no query", "queries.jsonl"]);
    }
    check_refused("routing", &[("routes.jsonl", ROUTES), ("queries.jsonl", "")], &[], &["queries.jsonl"]);
    check_refused("routing", &[("routes.jsonl", ""), ("queries.jsonl", "")], &[], &["routes.jsonl"]);
}

#[test]
fn a_gold_answer_stands_where_it_is_said_to() {
    let question = |doc_id: &str, answer: &Value| {
        let asked = "When was the Eiffel Tower completed?";
        format!("\n{}\n", value!({"id": "a", "question": asked, "doc_id": doc_id, "answers": [answer]}))
    };
    let check = |question: &str, expected: &str| {
        let files = [("corpus.jsonl", CORPUS), ("qa.jsonl", question)];
        check_refused("answers", &files, &[], &["qa.jsonl`, line 2", expected]);
    };
    let right = value!({"text": "1889", "start": 50, "end": 54});
    let folder = set(&[("corpus.jsonl", CORPUS), ("qa.jsonl", &question("p1", &right))]);
    assert_eq!(report("answers", folder.path(), &[]).0["results"]["ask"]["answer_in_quotes"], 1.0);
    check(&question("p9", &right), "`p9`");
    for misplaced in [
        value!({"text": "1889", "start": 51, "end": 55}),
        value!({"text": "1889", "start": 900, "end": 904}),
        value!({"text": "1889", "start": 50}),
    ] {
        let folder = set(&[("corpus.jsonl", CORPUS), ("qa.jsonl", &question("p1", &misplaced))]);
        let (report, said) = report("answers", folder.path(), &[]);
        assert_eq!(report["results"]["ask"]["answer_in_quotes"], 1.0, "by its text: {report}");
        assert!(said.contains("where it is said: 1") && said.contains("qa.jsonl`, line 2"), "{said}");
    }
    check("\n{\"question\": \"When?\", \"answers\": [{\"text\": \"1889\"}]}\n", "`doc_id`");
}

#[test]
fn answers_are_measured_by_the_questions_that_there_are() {
    let none = r#"{"id": "n", "question": "How many calories does a banana have?", "answers": []}"#;
    let some = r#"{"id": "a", "question": "When was the Eiffel Tower completed?", "doc_id": "p1", "answers": [{"text": "1889"}]}"#;
    let has = |qa: &str, name: &str| {
        let folder = set(&[("corpus.jsonl", CORPUS), ("qa.jsonl", qa)]);
        let metrics = report("answers", folder.path(), &[]).0["results"]["ask"].clone();
        metrics.as_object().unwrap().contains_key(name)
    };
    for name in ["gold_doc_first", "gold_doc_top3", "answer_in_quotes"] {
        assert!(has(some, name) && !has(none, name), "{name}");
    }
    assert!(has(none, "abstention_recall") && !has(some, "abstention_recall"));
    assert!(!has(some, "abstention_precision"));
}

#[test]
fn a_route_that_stands_there_twice_is_one() {
    let twice = format!(
        "{ROUTES}{}",
        r#"{"route": "weather", "examples": ["will it rain tomorrow", "do I need an umbrella"]}"#
    );
    let queries = r#"{"text": "will it rain in London", "route": "weather"}
{"text": "play the next song", "routes": ["music", "music", "banking"]}
{"text": "who wrote Hamlet", "route": null}
"#;
    let folder = set(&[("routes.jsonl", &twice), ("queries.jsonl", queries)]);
    let (report, said) = report("routing", folder.path(), &[]);
    let ndcg = report["results"]["lexical"]["ndcg@5"].as_f64().unwrap();
    assert!(ndcg > 0.0 && ndcg <= 1.0, "{report}");
    assert!(said.contains("routes.jsonl") && said.contains("`weather`"), "{said}");
}

#[test]
fn routing_gives_no_figure_for_what_was_not_measured() {
    let metrics = |queries: &str| {
        let folder = set(&[("routes.jsonl", ROUTES), ("queries.jsonl", queries)]);
        report("routing", folder.path(), &[]).0["results"]["lexical"].clone()
    };
    let outside = metrics(
        "{\"text\": \"who wrote Hamlet\", \"route\": null}\n{\"text\": \"square root of nine\", \"routes\": []}\n",
    );
    for name in ["accuracy", "hit@1", "hit@5", "ndcg@5", "coverage", "error", "auroc"] {
        assert!(outside.get(name).is_none(), "{name}: {outside}");
    }
    assert!(outside["oos_recall"].is_f64(), "{outside}");
    let inside = metrics("{\"text\": \"play some jazz\", \"route\": \"music\"}\n");
    assert_eq!(inside["accuracy"], 1.0, "{inside}");
    assert!(inside.get("oos_recall").is_none() && inside.get("oos_precision").is_none(), "{inside}");
}

#[test]
fn a_query_says_where_it_goes() {
    for unsaid in
        ["{\"text\": \"play some jazz\"}\n", "{\"text\": \"play some jazz\", \"rout\": \"music\"}\n"]
    {
        let queries = format!("{{\"text\": \"skip this song\", \"route\": \"music\"}}\n{unsaid}");
        let files = [("routes.jsonl", ROUTES), ("queries.jsonl", &queries)];
        check_refused("routing", &files, &[], &["queries.jsonl`, line 2", "`route`"]);
    }
}

#[test]
fn examples_are_chosen_of_routes_alone() {
    let files = [("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels.tsv", QRELS)];
    check_refused("retrieval", &files, &["--shots", "3"], &["`--shots`", "`routing`"]);
}

#[test]
fn a_document_has_a_text() {
    let corpus =
        format!("{CORPUS}{}", "{\"id\": \"p4\", \"title\": \"Granite\", \"txt\": \"Granite is hard.\"}\n");
    let files = [("corpus.jsonl", corpus.as_str()), ("queries.jsonl", QUERIES), ("qrels.tsv", QRELS)];
    check_refused("retrieval", &files, &[], &["corpus.jsonl`, line 4", "`text`"]);
}

#[test]
fn parts_of_a_set_may_be_named_by_language_and_by_split() {
    let folder =
        set(&[("corpus.en.jsonl", CORPUS), ("queries.test.jsonl", QUERIES), ("qrels.test.tsv", QRELS)]);
    let (report, said) = report("retrieval", folder.path(), &[]);
    assert_eq!(report["split"], "test", "{report}");
    assert_eq!(report["results"]["lexical"]["ndcg@10"], 1.0, "{report}");
    assert!(said.contains("corpus.en.jsonl` is taken") && said.contains("for `corpus`"), "{said}");
}

#[test]
fn a_query_for_an_unknown_route_is_named_with_its_line() {
    let queries = "{\"text\": \"play some jazz\", \"route\": \"music\"}\n\n{\"text\": \"fix my car\", \"route\": \"garage\"}\n";
    let files = [("routes.jsonl", ROUTES), ("queries.jsonl", queries)];
    check_refused("routing", &files, &[], &["queries.jsonl`, line 3", "`garage`"]);
}

#[test]
fn without_a_model_the_lexical_mode_alone_is_reported() {
    let folder = set(&[("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels.tsv", QRELS)]);
    let (report, said) = report("retrieval", folder.path(), &[]);
    let modes: Vec<&String> = report["results"].as_object().unwrap().keys().collect();
    assert_eq!(modes, ["lexical"]);
    assert_eq!(report["results"]["lexical"]["ndcg@10"], 1.0, "{report}");
    assert!(said.contains("note: without a model"), "{said}");
    assert!(report["split"].is_null(), "a set in one piece has no split: {report}");
}

#[test]
fn a_split_is_one_that_the_set_has() {
    let (corpus, queries) = (("corpus.jsonl", CORPUS), ("queries.train.jsonl", QUERIES));
    let files = [corpus, queries, ("qrels.train.tsv", QRELS), ("queries.dev.jsonl", QUERIES)];
    for split in ["nosuch", "../x"] {
        check_refused("retrieval", &files, &["--split", split], &[split, "`dev`, `train`"]);
    }
    check_refused("retrieval", &files, &[], &["--split", "`dev`, `train`"]);
    let folder = set(&files);
    assert_eq!(report("retrieval", folder.path(), &["--split", "train"]).0["split"], "train");
    let lone = set(&[("corpus.en.jsonl", CORPUS), ("queries.en.jsonl", QUERIES), ("qrels.en.tsv", QRELS)]);
    assert_eq!(report("retrieval", lone.path(), &[]).0["split"], "en");
}

#[test]
fn a_text_is_found_whatever_it_looks_like() {
    for text in [
        "the unique quetzal\0 feather is green",
        "\u{1}\u{2}\u{3}\u{1b} the unique quetzal feather is green",
        "%PDF-1.4 the unique quetzal feather is green",
        "PK\u{3}\u{4} the unique quetzal feather is green",
    ] {
        let corpus = format!("{CORPUS}{}\n", value!({"id": "A", "text": text}));
        let folder = set(&[
            ("corpus.jsonl", &corpus),
            ("queries.jsonl", "{\"id\": \"q\", \"text\": \"unique quetzal feather\"}\n"),
            ("qrels.tsv", "q\tA\t1\n"),
        ]);
        let (report, _) = report("retrieval", folder.path(), &[]);
        assert_eq!(report["results"]["lexical"]["mrr@10"], 1.0, "{text:?}: {report}");
    }
}

#[test]
fn what_has_one_id_counts_once() {
    let corpus = format!("{CORPUS}{}\n", value!({"id": "p1", "text": "Another Eiffel Tower completed."}));
    let queries = format!("{QUERIES}{}\n", value!({"id": "q1", "text": "nothing of the kind"}));
    let folder = set(&[("corpus.jsonl", &corpus), ("queries.jsonl", &queries), ("qrels.tsv", QRELS)]);
    let (report, said) = report("retrieval", folder.path(), &[]);
    assert_eq!(report["speed"]["queries"], 2.0, "{report}");
    assert_eq!(report["results"]["lexical"]["ndcg@10"], 1.0, "{report}");
    assert!(said.contains("more than one document") && said.contains("`p1`"), "{said}");
    assert!(said.contains("more than one query") && said.contains("`q1`"), "{said}");
}

#[test]
fn a_set_as_beir_has_it_is_read() {
    let corpus = "{\"_id\": 1, \"title\": \"\", \"text\": \"volcanic rock\", \"metadata\": {}}\n{\"_id\": 2, \"text\": \"easter island\"}\n";
    let folder = set(&[
        ("corpus.jsonl", corpus),
        (
            "queries.jsonl",
            "{\"_id\": 7, \"text\": \"volcanic rock\"}\n{\"_id\": 8, \"text\": \"unjudged\"}\n",
        ),
        ("qrels/test.tsv", "\nquery-id corpus-id score\n7 1 1\n"),
        ("qrels/dev.tsv", "query-id\tcorpus-id\tscore\n7\t2\t1\n"),
    ]);
    let (test, _) = report("retrieval", folder.path(), &[]);
    assert_eq!((&test["split"], &test["speed"]["queries"]), (&value!("test"), &value!(1.0)), "{test}");
    assert_eq!(test["results"]["lexical"]["mrr@10"], 1.0, "{test}");
    let (dev, _) = report("retrieval", folder.path(), &["--split", "dev"]);
    assert_eq!(dev["results"]["lexical"]["mrr@10"], 0.0, "{dev}");
}
