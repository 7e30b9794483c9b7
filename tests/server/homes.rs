use std::fs::File;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::command::{json, waypost};
use crate::outage::Process;

/// What moves with the clock, or with being looked at.
const MOVING: [&str; 3] = ["resets_at", "records", "index"];

fn kept() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/homes");
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect()
}

/// Everything that was said then is said today; more may be said.
fn assert_says(then: &Value, now: &Value, at: &str) {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => {
            for (name, value) in then.iter().filter(|(name, _)| !MOVING.contains(&name.as_str())) {
                let said = now.get(name).unwrap_or_else(|| panic!("{at}: `{name}` is not said any more"));
                assert_says(value, said, &format!("{at}.{name}"));
            }
        }
        (Value::Array(then), Value::Array(now)) => {
            assert_eq!(then.len(), now.len(), "{at}");
            for (idx, (then, now)) in then.iter().zip(now).enumerate() {
                assert_says(then, now, &format!("{at}[{idx}]"));
            }
        }
        // A place is shown with a proof since, and is the same place.
        (Value::String(then), Value::String(now)) if then.starts_with("sq_") => {
            assert!(now.starts_with(then.as_str()), "{at}: {now} is not {then}");
        }
        (then, now) => assert_eq!(then, now, "{at}"),
    }
}

#[test]
fn every_home_of_an_older_release_opens_and_says_what_it_said() {
    let homes = kept();
    assert!(!homes.is_empty(), "`tests/homes/make` makes one");
    for path in homes {
        let told: Value = serde_json::from_reader(File::open(&path).unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let packed = path.to_string_lossy().replace(".json", ".tar.gz");
        let packed = GzDecoder::new(File::open(packed).unwrap());
        tar::Archive::new(packed).unpack(folder.path()).unwrap();
        let home = folder.path().join("home");
        // What reads files may have become better since; the index is then built anew.
        assert_eq!(waypost(&home, &["index"]).status.code(), Some(0));
        for (command, then) in told["answers"].as_object().unwrap() {
            let mut words: Vec<&str> = command.split(' ').collect();
            words.push("--json");
            let answer = waypost(&home, &words);
            assert_eq!(
                answer.status.code(),
                Some(0),
                "{command}: {}",
                String::from_utf8_lossy(&answer.stderr)
            );
            assert_says(then, &json(&answer), command);
        }
        assert_eq!(waypost(&home, &["check"]).status.code(), Some(0), "{}", path.display());

        // The version of before is still to be read, and found by a search of then.
        let history = &told["answers"]["file history /docs/invoices.md"]["items"];
        let first = history[1]["version"].as_str().unwrap();
        let read = waypost(&home, &["file", "read", "/docs/invoices.md", "--version", first]);
        assert!(String::from_utf8_lossy(&read.stdout).contains("ten years"), "{}", path.display());
        let found = json(&waypost(&home, &["search", "duty officer", "--json"]));
        assert_eq!(found["results"][0]["citation"]["path"], "/docs/guide/deploy.md");

        // A token of then opens what it opened, and nothing else.
        let process = Process::start(&home, "127.0.0.1:0");
        let status = |path: &str| {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let token = format!("Bearer {}", told["token"].as_str().unwrap());
            let request = agent.get(format!("{}/v1/files{path}", process.url)).header("authorization", token);
            request.call().unwrap().status().as_u16()
        };
        assert_eq!((status("/docs/guide/deploy.md"), status("/docs/invoices.md")), (200, 404));
    }
}
