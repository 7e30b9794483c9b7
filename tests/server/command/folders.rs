use std::path::Path;
use std::process::{Output, Stdio};

use super::{json, waypost};
use crate::support::bare_command;

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn what_is_put_into_a_home_by_hand_is_indexed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| waypost(folder.path(), &[&["--home", "home"], arguments].concat());
    assert_eq!(run(&["init"]).status.code(), Some(0));
    let kept = folder.path().join("home/workspaces");
    assert!(kept.is_dir(), "there is where to put them");
    write(&kept.join("docs/a.md"), "A walrus swims in the bay.\n");
    write(&kept.join("my notes/b.md"), "A heron.\n");
    let indexed = run(&["index", "--json"]);
    let items = json(&indexed)["items"].clone();
    assert_eq!((&items[0]["workspace"], &items[0]["files"]), (&"docs".into(), &1.into()), "{items}");
    assert_eq!(items.as_array().map(Vec::len), Some(1), "{items}");
    assert_eq!(
        told(&indexed).matches("my notes").count(),
        2,
        "named once, with its place: {}",
        told(&indexed)
    );
    write(&kept.join("more/c.md"), "An osprey.\n");
    let found = json(&run(&["search", "osprey", "--json"]));
    assert_eq!(found["results"][0]["citation"]["path"], "/more/c.md", "{found}");
}

#[test]
fn a_workspace_whose_folder_is_gone_is_named_and_can_be_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| waypost(folder.path(), &[&["--home", "home"], arguments].concat());
    write(&folder.path().join("notes/a.md"), "A walrus.\n");
    assert_eq!(run(&["workspace", "add", "notes", "notes"]).status.code(), Some(0));
    std::fs::rename(folder.path().join("notes"), folder.path().join("away")).unwrap();
    let indexed = run(&["index", "--json"]);
    assert_eq!((indexed.status.code(), json(&indexed)), (Some(4), serde_json::json!({"items": []})));
    assert!(told(&indexed).contains("`notes` is not available"), "{}", told(&indexed));
    let listed = json(&run(&["workspace", "list", "--json"]));
    assert_eq!(listed["items"][0]["name"], "notes", "{listed}");
    assert!(listed["items"][0]["unavailable"].is_string(), "{listed}");
    assert_eq!(run(&["workspace", "remove", "notes"]).status.code(), Some(0));
    assert_eq!(json(&run(&["workspace", "list", "--json"])), serde_json::json!({"items": []}));
}

#[test]
fn settings_that_can_not_hold_are_shown_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    for settings in ["listen = \"nope\"\n", "[route]\nmax_error = 2.0\n"] {
        write(&folder.path().join("home/waypost.toml"), settings);
        let shown = waypost(folder.path(), &["config", "--home", "home", "--json"]);
        assert_eq!(shown.status.code(), Some(2), "{settings}: {}", told(&shown));
        assert!(told(&shown).contains("expected"), "{}", told(&shown));
        assert!(json(&shown)["listen"].is_object(), "they are shown all the same");
    }
}

#[test]
fn a_backup_lies_outside_of_its_home() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| waypost(folder.path(), &[&["--home", "home"], arguments].concat());
    assert_eq!(run(&["init"]).status.code(), Some(0));
    let refused = run(&["backup", "home/workspaces/home.tar"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(told(&refused).contains("outside"), "{}", told(&refused));
    let nowhere = run(&["backup", "missing/home.tar"]);
    assert!(told(&nowhere).contains("`missing`") && !told(&nowhere).contains(".waypost-backup"));
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_can_not_be_written_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.md"), "A walrus swims in the bay.\n");
    assert_eq!(waypost(folder.path(), &["index", "."]).status.code(), Some(0));
    for form in [&["--json"][..], &[]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = bare_command()
            .current_dir(folder.path())
            .env("WAYPOST_MODELS", folder.path().join("no-models"))
            .args([&["--offline", "search", "walrus"], form].concat())
            .stdout(Stdio::from(full))
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let told = told(&output);
        assert_eq!(output.status.code(), Some(4), "{told}");
        assert!(told.contains("standard output") && !told.contains("panicked"), "{told}");
    }
}
