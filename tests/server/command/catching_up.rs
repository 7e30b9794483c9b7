use std::path::Path;

use super::{json, waypost};

fn indexed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.md"), "A walrus swims in the bay.\n").unwrap();
    assert_eq!(waypost(folder.path(), &["index", "."]).status.code(), Some(0));
    folder
}

/// The names of the files that a search finds.
fn found(home: &Path, word: &str) -> Vec<String> {
    let answer = json(&waypost(home, &["search", word, "--mode", "lexical", "--json"]));
    let hits = answer["results"].as_array().unwrap();
    let path = |hit: &serde_json::Value| hit["citation"]["path"].as_str().unwrap().to_owned();
    hits.iter().map(|hit| path(hit).rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn a_question_sees_what_other_programs_have_written_since() {
    let home = indexed();
    assert_eq!(found(home.path(), "walrus"), ["a.md"]);
    std::fs::write(home.path().join("b.md"), "A heron stands at the harbour gate.\n").unwrap();
    assert_eq!(found(home.path(), "heron"), ["b.md"]);
    std::fs::write(home.path().join("c.md"), "The osprey nests on the lighthouse.\n").unwrap();
    let asked =
        json(&waypost(home.path(), &["ask", "Where on the lighthouse does the osprey nest?", "--json"]));
    assert_eq!(asked["citations"][0]["quote"], "The osprey nests on the lighthouse.", "{asked}");
    std::fs::remove_file(home.path().join("a.md")).unwrap();
    assert!(found(home.path(), "walrus").is_empty());
    let quiet = waypost(home.path(), &["search", "heron", "--json"]);
    let said = String::from_utf8_lossy(&quiet.stderr).into_owned();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("searching by words alone"), "{said}");
}

#[test]
fn a_workspace_that_is_not_asked_is_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let run =
        |arguments: &[&str]| waypost(folder.path(), &[&["--home", "home", "--json"], arguments].concat());
    for name in ["docs", "notes"] {
        assert_eq!(run(&["workspace", "add", name]).status.code(), Some(0));
        let file = folder.path().join("home/workspaces").join(name).join("a.md");
        std::fs::write(file, "A walrus swims in the bay.\n").unwrap();
    }
    let results = |arguments: &[&str]| json(&run(arguments))["results"].as_array().unwrap().len();
    assert_eq!(results(&["search", "walrus", "--workspace", "docs"]), 1);
    let shown = json(&run(&["workspace", "show", "notes"]));
    assert_eq!(shown["indexed_files"], 0, "{shown}");
    let found = json(&run(&["search", "walrus", "--workspace", shown["id"].as_str().unwrap()]));
    assert_eq!(found["results"][0]["citation"]["path"], "/notes/a.md", "an id stands for its workspace");
}

#[test]
fn a_restored_home_answers_by_words_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| waypost(folder.path(), arguments).status.code();
    assert_eq!(run(&["--home", "home", "init"]), Some(0));
    assert_eq!(run(&["--home", "home", "workspace", "add", "docs"]), Some(0));
    let file = folder.path().join("home/workspaces/docs/a.md");
    std::fs::write(file, "A walrus swims in the bay.\n").unwrap();
    assert_eq!(run(&["--home", "home", "index"]), Some(0));
    assert_eq!(run(&["--home", "home", "backup", "home.tar"]), Some(0));
    assert_eq!(run(&["restore", "home.tar", "new"]), Some(0));
    assert_eq!(found(&folder.path().join("new"), "walrus"), ["a.md"]);
}
