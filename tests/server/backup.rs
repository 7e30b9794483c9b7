use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use waypost_engine::api::{Engine, EngineOptions, FindRequest, restore_home};

use crate::support::{Server, bare_command};

/// The binary, offline and without a model.
fn waypost(folder: &Path, arguments: &[&str]) -> Output {
    bare_command()
        .current_dir(folder)
        .env("WAYPOST_MODELS", folder.join("no-models"))
        .arg("--offline")
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Text that does not shrink, so that it becomes a blob of its own file.
fn noise(seed: usize, n_bytes: usize) -> String {
    let mut word = seed as u64 + 1;
    let next = |word: &mut u64| {
        *word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (*word >> 33) as u8 % 90)
    };
    (0..n_bytes).map(|_| next(&mut word)).collect()
}

#[test]
fn a_backup_under_write_load_is_one_instant_and_restores_whole() {
    let server = Server::start("//- a.md\nAlpha.\n");
    std::fs::write(server.folder.path().join("docs/outside.md"), "Written by another program.").unwrap();
    let (stop, n_done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let acknowledged = std::sync::Mutex::new(BTreeMap::<String, String>::new());
    let mut archive = Vec::new();
    let mut before = BTreeMap::new();
    std::thread::scope(|threads| {
        for writer in 0..3_usize {
            let (server, stop, n_done, acknowledged) = (&server, &stop, &n_done, &acknowledged);
            threads.spawn(move || {
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (path, text) = if round % 5 == 4 {
                        (format!("/docs/w{writer}/large.txt"), noise(round, 90_000))
                    } else {
                        (format!("/docs/w{writer}/{round}.txt"), format!("writer {writer} round {round}"))
                    };
                    let put = server.ask("PUT", &format!("/v1/files{path}"), &[], &text);
                    assert!(put.status < 300, "{}", put.text());
                    acknowledged.lock().unwrap().insert(path, text);
                    n_done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        crate::users::eventually("writers are at work", || {
            (n_done.load(Ordering::Relaxed) > 30).then_some(())
        });
        before = acknowledged.lock().unwrap().clone();
        let answer = server.ask("POST", "/v1/backup", &[], "");
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-tar"));
        archive = answer.body;
        let so_far = n_done.load(Ordering::Relaxed);
        crate::users::eventually("writers go on", || {
            (n_done.load(Ordering::Relaxed) > so_far + 10).then_some(())
        });
        stop.store(true, Ordering::Relaxed);
    });

    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("elsewhere/home");
    let restored = restore_home(&mut archive.as_slice(), &home).unwrap();
    assert_eq!(restored.left_out, Vec::<String>::new());
    assert!(restored.workspaces[0].attached.is_some(), "{restored:?}");
    let engine = std::sync::Arc::new(Engine::open(EngineOptions::new(&home)).unwrap());
    let report = engine.check(false).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(report.acts > 30, "the audit chain is there");

    // Every write that was acknowledged before is in it, but for paths that were written again since.
    let session = engine.owner_session();
    let now: BTreeMap<String, String> = acknowledged.into_inner().unwrap();
    let mut is_newer = BTreeSet::new();
    for (path, text) in &before {
        let found = String::from_utf8(session.read_file(path, None, None).unwrap().bytes).unwrap();
        if found != *text {
            assert!(path.ends_with("large.txt"), "{path} is not what was acknowledged");
            is_newer.insert(path);
        }
    }
    assert_eq!(
        session.read_file("/docs/outside.md", None, None).unwrap().bytes,
        b"Written by another program."
    );
    // None is there by half: each file is a whole one that a writer wrote, and tree and catalog are one.
    let paths = session
        .find_files(&FindRequest { below: "/docs", pattern: "w", limit: 10_000, ..FindRequest::default() })
        .unwrap();
    assert!(paths.len() >= before.len() && paths.len() <= now.len(), "{} of {}", paths.len(), now.len());
    for path in &paths {
        let file = session.read_file(path, None, None).unwrap();
        let info = session.info(path).unwrap();
        assert_eq!(info.version, Some(file.version), "{path}");
        assert_eq!(session.versions(path).unwrap()[0].version, Some(file.version), "{path}");
        let is_large = path.ends_with("large.txt");
        assert!(is_large == (file.bytes.len() == 90_000) && !file.bytes.is_empty(), "{path}");
    }
    // Older versions came along, and nothing has to be taken in.
    let before_scan = session.events(None, &Default::default(), 1000).unwrap().items.len();
    for name in engine.workspace_names() {
        engine.index(&name, &AtomicBool::new(false), &mut |_| {}).unwrap();
    }
    assert_eq!(session.events(None, &Default::default(), 1000).unwrap().items.len(), before_scan);
    let large = session.versions("/docs/w0/large.txt").unwrap();
    assert!(large.iter().all(|version| version.available), "{large:?}");
    assert!(engine.check(false).unwrap().findings.is_empty());
    assert!(engine.session(&server.token).is_ok(), "its tokens hold in the new place");
}

#[test]
fn only_the_owner_takes_a_backup() {
    let server = Server::start("//- a.md\nAlpha.\n");
    let agent = server.user("agent:a", &["read,list,write /docs/**"]);
    agent.ask("POST", "/v1/backup", &[], "").refuses(403, "forbidden");
    server.ask("POST", "/v1/backup", &[("authorization", "Bearer nothing")], "").refuses(401, "unauthorized");
    let audit = server.admin().items("/v1/audit?action=home.backup");
    assert_eq!(audit.len(), 1, "{audit:?}");
}

#[test]
fn a_backup_that_is_cut_or_changed_is_refused_and_leaves_nothing() {
    let server = Server::start("//- a.md\nAlpha alpha alpha.\n");
    let whole = server.ask("POST", "/v1/backup", &[], "").body;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let refuse = |bytes: &[u8]| {
        let refused = restore_home(&mut &bytes[..], &home).map(drop).unwrap_err();
        assert!(!home.exists(), "{refused}");
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "{refused}");
        refused.code()
    };
    assert_eq!(refuse(&[]), "damaged_backup");
    assert_eq!(refuse(b"no tar at all, whatever its name says"), "damaged_backup");
    for part in [whole.len() / 2, whole.len() - 20_000.min(whole.len() / 3)] {
        assert_eq!(refuse(&whole[..part]), "damaged_backup");
    }
    let mut changed = whole.clone();
    let at = changed.windows(19).position(|bytes| bytes == b"Alpha alpha alpha.\n").unwrap();
    changed[at] ^= 1;
    assert_eq!(refuse(&changed), "damaged_backup");
    // A name that leads out, with a list that knows it.
    for name in
        ["workspaces/docs/../../../out", "../out", "workspaces/docs/.waypost/x", "keys/../../x", "/etc/x"]
    {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_entry_type(tar::EntryType::Regular);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, &b"x"[..]).unwrap();
        assert_eq!(refuse(&tar.into_inner().unwrap()), "damaged_backup", "{name}");
    }
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("mine"), "mine").unwrap();
    let refused = restore_home(&mut whole.as_slice(), &home).map(drop).unwrap_err();
    assert_eq!(refused.code(), "invalid_folder");
    assert_eq!(std::fs::read_to_string(home.join("mine")).unwrap(), "mine");
}

#[test]
fn the_commands_carry_a_home_away_and_back() {
    let server = Server::start("//- a.md\nAlpha walrus.\n");
    let folder = tempfile::tempdir().unwrap();
    let home = server.folder.path().join("home");
    let home = home.to_str().unwrap();
    let busy = waypost(folder.path(), &["--home", home, "backup", "home.tar"]);
    assert_eq!(busy.status.code(), Some(4), "{}", said(&busy));
    assert!(said(&busy).contains("--url"), "{}", said(&busy));
    let url = server.url("");
    let wrong = waypost(folder.path(), &["backup", "home.tar", "--url", &url, "--token", "wp_no_no"]);
    assert_eq!(wrong.status.code(), Some(3), "{}", said(&wrong));
    assert!(!folder.path().join("home.tar").exists());
    let wrote = waypost(folder.path(), &["backup", "home.tar", "--url", &url, "--token", &server.token]);
    assert_eq!(wrote.status.code(), Some(0), "{}", said(&wrote));
    let mode = std::fs::metadata(folder.path().join("home.tar")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");

    let restored = waypost(folder.path(), &["restore", "home.tar", "new", "--json"]);
    assert_eq!(restored.status.code(), Some(0), "{}", said(&restored));
    let report: Value = serde_json::from_slice(&restored.stdout).unwrap();
    assert_eq!(report["findings"], serde_json::json!([]), "{report}");
    let secret =
        std::fs::metadata(folder.path().join("new/.waypost/keys/home.key")).unwrap().permissions().mode();
    assert_eq!(secret & 0o777, 0o600);
    let again = waypost(folder.path(), &["restore", "home.tar", "new"]);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    assert_eq!(waypost(folder.path(), &["--home", "new", "reindex"]).status.code(), Some(0));
    let found = waypost(folder.path(), &["--home", "new", "search", "walrus", "--json"]);
    assert_eq!(found.status.code(), Some(0), "{}", said(&found));
    assert_eq!(waypost(folder.path(), &["--home", "new", "check"]).status.code(), Some(0));
    // And from the home itself, where nobody serves it.
    let second = waypost(folder.path(), &["--home", "new", "backup", "second.tar"]);
    assert_eq!(second.status.code(), Some(0), "{}", said(&second));
    assert_eq!(waypost(folder.path(), &["restore", "second.tar", "third"]).status.code(), Some(0));
}
