/// Data sets, whole and broken.
mod eval;

/// What a command refuses, and how a program learns of it.
mod refusals;

/// Commands that manage a home while a server has it.
mod remote;

/// Who may act and who may do what, told alike at a server and at home.
mod remote_access;

/// Files, their locks and snapshots, and tools, told alike at a server and at home.
mod remote_files;

/// Questions to a home whose files have changed.
mod catching_up;

/// Folders of a home that come, go and are none.
mod folders;

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::bare_command;

/// Runs the binary in a folder, offline and without a model.
pub fn waypost(folder: &Path, arguments: &[&str]) -> Output {
    bare_command()
        .current_dir(folder)
        .env("WAYPOST_MODELS", folder.join("no-models"))
        .arg("--offline")
        .args(arguments)
        .output()
        .unwrap()
}

pub fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_folder_is_indexed_searched_asked_checked_and_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("travel.md"), "# Travel\n\nClaims are sent within thirty days.\n").unwrap();
    std::fs::write(docs.join("blob.bin"), [0u8, 159, 146, 150, 0, 1]).unwrap();

    let indexed = json(&waypost(folder.path(), &["index", "docs", "--json"]));
    assert_eq!((&indexed["files"], &indexed["chunks"]), (&2.into(), &1.into()));
    assert_eq!(indexed["skipped"][0]["code"], "binary");
    let again = json(&waypost(folder.path(), &["index", "docs", "--json"]));
    assert_eq!((&again["created"], &again["files_indexed"]), (&0.into(), &0.into()));

    let found = waypost(&docs, &["search", "claims thirty days", "--json"]);
    assert_eq!(found.status.code(), Some(0));
    assert_eq!(json(&found)["results"][0]["citation"]["path"], "/docs/travel.md");
    assert_eq!(json(&found)["index"]["degraded"][0]["stage"], "semantic", "the missing arm is named");
    assert_eq!(waypost(&docs, &["search", "zanzibar"]).status.code(), Some(1));
    let asked = json(&waypost(&docs, &["ask", "When are claims sent?", "--json"]));
    assert_eq!(asked["citations"][0]["quote"], "Claims are sent within thirty days.");

    assert_eq!(waypost(&docs, &["check"]).status.code(), Some(0));
    assert_eq!(json(&waypost(&docs, &["reindex", "--json"]))["chunks"], 1);
}

#[test]
fn a_folder_keeps_the_name_that_it_has_in_a_home() {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("a.md"), "Claims are sent within thirty days.\n").unwrap();
    let index = |more: &[&str]| waypost(folder.path(), &[&["index", "docs", "--json"][..], more].concat());
    // In a home beside it, and in its own.
    for home in ["home", "docs"] {
        let in_home = ["--home", home];
        let named = |name: &'static str| index(&[&in_home[..], &["--name", name]].concat());
        assert_eq!(json(&named("papers"))["workspace"], "papers", "{home}");
        assert_eq!(json(&index(&in_home))["workspace"], "papers", "{home}");
        let refused = named("docs");
        assert_eq!(refused.status.code(), Some(2), "{home}");
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains("the workspace `papers` already"), "{told}");
        let listed = json(&waypost(folder.path(), &["workspace", "list", "--home", home, "--json"]));
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    }
}

#[test]
fn what_is_remembered_is_pointed_out_recalled_listed_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("a.md"), "Claims are sent within thirty days.\n").unwrap();
    waypost(folder.path(), &["index", "docs"]);
    let memory = |arguments: &[&str]| waypost(&docs, &[&["memory"], arguments, &["--json"]].concat());
    let kept = json(&memory(&[
        "remember",
        "The gate closes at 22:00.",
        "--topic",
        "harbour",
        "--source",
        "/docs/a.md",
    ]));
    assert_eq!((&kept["status"], &kept["written"]), (&"kept".into(), &true.into()));
    let path = kept["path"].as_str().unwrap().to_owned();
    assert!(path.starts_with("/docs/memory/admin/notes/harbour/"), "{path}");
    let again = json(&memory(&["remember", "the gate closes at 22:00"]));
    assert_eq!((&again["status"], &again["path"]), (&"duplicate".into(), &kept["path"]));
    let found = json(&memory(&["recall", "when does the gate close"]));
    assert_eq!(found["results"][0]["text"], "The gate closes at 22:00.");
    assert_eq!(json(&memory(&["list"]))["items"][0]["path"].as_str(), Some(path.as_str()));
    assert_eq!(memory(&["forget", &path]).status.code(), Some(0));
    assert_eq!(memory(&["forget", &path]).status.code(), Some(1));
    assert_eq!(memory(&["recall", "gate"]).status.code(), Some(1));

    let said = json(&memory(&["append", "planning", "Who paints the boats?"]));
    assert_eq!((&said["thread"], &said["last"]), (&"planning".into(), &1.into()));
    memory(&["append", "planning", "Priya", "does.", "--role", "assistant"]);
    let thread = json(&memory(&["thread", "planning"]));
    assert_eq!(
        (&thread["messages"][1]["role"], &thread["messages"][1]["text"]),
        (&"assistant".into(), &"Priya does.".into())
    );
    assert_eq!(json(&memory(&["recall", "boats"]))["results"][0]["text"], "Who paints the boats?");
    assert_eq!(memory(&["append", "planning", " "]).status.code(), Some(2));
}

#[test]
fn a_generator_is_what_the_settings_say() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.md"), "Claims are sent within thirty days.\n").unwrap();
    waypost(folder.path(), &["index", "."]);
    let ask = || waypost(folder.path(), &["ask", "When are claims sent?", "--generator", "openai:small"]);
    let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let refused = ask();
    assert_eq!(refused.status.code(), Some(2));
    assert!(told(&refused).contains("`url` and `models` under `[generate]`"), "{}", told(&refused));
    let settings = folder.path().join("waypost.toml");
    std::fs::write(
        &settings,
        "[generate]\nurl = \"http://127.0.0.1:9/v1\"\nmodels = [\"small\"]\ntimeout_s = 601\n",
    )
    .unwrap();
    assert!(told(&ask()).contains("`generate.timeout_s`"), "{}", told(&ask()));
    std::fs::write(
        &settings,
        "[generate]\nurl = \"http://127.0.0.1:9/v1\"\nmodels = [\"small\"]\ntimeout_s = 300\nidle_timeout_s = 90\n",
    )
    .unwrap();
    // Nobody listens there: quotes, and why.
    let answered = ask();
    let shown = String::from_utf8_lossy(&answered.stdout).into_owned();
    assert!(shown.contains("Claims are sent within thirty days. [1]"), "{shown}{}", told(&answered));
    assert!(shown.contains("generator did not run: can't connect"), "{shown}");
}

#[test]
fn exit_codes_tell_what_kind_of_failure_it_was() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(waypost(folder.path(), &["search", "x"]).status.code(), Some(2), "no index here");
    for command in ["search", "ask"] {
        let missing = folder.path().join("missing");
        let asked = waypost(folder.path(), &[command, "x", "--home", &missing.to_string_lossy()]);
        assert_eq!(asked.status.code(), Some(2), "{command} in no home");
        assert!(!missing.exists(), "{command} makes no home");
    }
    assert_eq!(waypost(folder.path(), &["nonsense"]).status.code(), Some(2));
    assert_eq!(waypost(folder.path(), &["index", "missing"]).status.code(), Some(2));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let served = waypost(folder.path(), &["serve", "--home", "home", "--listen", &listen]);
    assert_eq!(served.status.code(), Some(4), "{}", String::from_utf8_lossy(&served.stderr));
    let pulled = waypost(folder.path(), &["models", "pull"]);
    assert_eq!(pulled.status.code(), Some(4), "{}", String::from_utf8_lossy(&pulled.stderr));
}

#[test]
fn the_record_of_acts_is_read_from_either_end() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two", "three"] {
        waypost(folder.path(), &["workspace", "add", name, "--home", "home"]);
    }
    let numbers = |flags: &[&str]| -> Vec<u64> {
        let listed = &[&["audit", "list", "--home", "home", "--json"], flags].concat();
        let listed = json(&waypost(folder.path(), listed));
        let number = |row: &Value| row["number"].as_u64().unwrap();
        listed["items"].as_array().unwrap().iter().map(number).collect()
    };
    assert_eq!(numbers(&["-n", "2"]), [1, 2]);
    let newest = numbers(&["--newest", "-n", "2"]);
    assert!(newest.len() == 2 && newest[0] == newest[1] + 1 && newest[1] > 1, "{newest:?}");
    assert_eq!(numbers(&["--newest", "--after", "3"]), [2, 1]);
    assert_eq!(numbers(&["--after", "1", "-n", "1"]), [2]);
}

#[test]
fn a_page_of_the_record_says_where_the_next_one_begins() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two", "three"] {
        waypost(folder.path(), &["workspace", "add", name, "--home", "home"]);
    }
    let page = |flags: &[&str]| {
        let listed =
            json(&waypost(folder.path(), &[&["audit", "list", "--home", "home", "--json"], flags].concat()));
        let items = listed["items"].as_array().unwrap().iter().map(|row| row["number"].clone()).collect();
        (Value::Array(items), listed["next_cursor"].clone())
    };
    assert_eq!(page(&["-n", "2"]), (serde_json::json!([1, 2]), "2".into()));
    assert_eq!(page(&["-n", "1", "--cursor", "2"]), (serde_json::json!([3]), "3".into()));
    assert_eq!(page(&["-n", "1", "--newest", "--cursor", "3"]), (serde_json::json!([2]), "2".into()));
    let (all, end) = page(&[]);
    assert!(all.as_array().unwrap().len() > 2 && end.is_null(), "{all}, then {end}");
}

#[test]
fn what_is_listed_is_shown_and_removed_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let manage =
        |arguments: &[&str]| waypost(folder.path(), &[&["--home", "home", "--json"], arguments].concat());
    assert_eq!(manage(&["init"]).status.code(), Some(0));
    assert_eq!(manage(&["workspace", "add", "docs"]).status.code(), Some(0));
    assert_eq!(manage(&["principal", "add", "agent:a"]).status.code(), Some(0));
    assert_eq!(manage(&["token", "add", "--principal", "agent:a"]).status.code(), Some(0));
    assert_eq!(manage(&["grant", "add", "agent:a", "read", "/docs/**"]).status.code(), Some(0));
    assert_eq!(manage(&["snapshot", "add", "docs"]).status.code(), Some(0));
    assert_eq!(manage(&["budget", "add", "agent:a", "--calls", "9"]).status.code(), Some(0));
    assert_eq!(manage(&["webhook", "add", "https://example.com/hook"]).status.code(), Some(0));
    for thing in ["token", "grant", "snapshot", "budget", "webhook", "principal"] {
        let listed = json(&manage(&[thing, "list"]));
        let one = listed["items"].as_array().unwrap().last().unwrap().clone();
        let id = one["id"].as_str().unwrap().to_owned();
        assert_eq!(json(&manage(&[thing, "show", &id]))["id"], one["id"], "{thing}");
        assert_eq!(manage(&[thing, "remove", &id]).status.code(), Some(0), "{thing}");
        assert_eq!(manage(&[thing, "show", "none"]).status.code(), Some(1), "{thing}");
    }
    assert_eq!(json(&manage(&["audit", "show", "1"]))["number"], 1);
    let verified = json(&manage(&["audit", "verify"]));
    assert!(verified["valid"] == true && verified["break"].is_null(), "{verified}");
    assert!(verified["records"].as_u64() > Some(3), "{verified}");
    let listed = json(&manage(&["audit", "list", "--verb", "admin", "--until", "2000-01-01"]));
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(0), "{listed}");
    assert_eq!(manage(&["audit", "show", "99999"]).status.code(), Some(1));
}

#[test]
fn words_alone_find_what_the_reference_finds() {
    let Some(sets) = std::env::var_os("WAYPOST_DATASETS") else {
        println!("skipped: WAYPOST_DATASETS names no folder");
        return;
    };
    // nDCG@10 of the reference figures, with a hundredth for other cut points.
    for (set, reference) in [("codebase-qa", 0.690), ("cranfield", 0.376)] {
        let folder = Path::new(&sets).join(set);
        let report = json(&waypost(
            &folder,
            &["eval", "retrieval", &folder.to_string_lossy(), "--no-model", "--json"],
        ));
        let found = report["results"]["lexical"]["ndcg@10"].as_f64().unwrap();
        assert!(found > reference - 0.01, "{set}: {found} against {reference}");
    }
}

/// With the real model, where it is at hand; a hundredth below what was measured, for another processor's rounding.
#[test]
fn routes_are_found_as_often_as_was_measured() {
    let Some(sets) = std::env::var_os("WAYPOST_DATASETS") else {
        println!("skipped: WAYPOST_DATASETS names no folder");
        return;
    };
    if std::env::var_os("WAYPOST_MODELS").is_none() {
        println!("skipped: WAYPOST_MODELS names no folder");
        return;
    }
    let folder = Path::new(&sets).join("clinc150");
    let mut eval = bare_command();
    eval.args(["eval", "routing"]).arg(&folder).args(["--shots", "5", "--json"]);
    let report = json(&eval.output().unwrap());
    let found = &report["results"]["hybrid"];
    let metric = |name: &str| found[name].as_f64().unwrap();
    assert!(metric("accuracy") > 0.89, "{found}");
    assert!(metric("auroc") > 0.95, "{found}");
    assert!((metric("error") - metric("stated_error")).abs() < 0.02 && metric("coverage") > 0.8, "{found}");
}
