//! Whatever a folder holds, indexing goes on, and what is left out is said with its reason.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;

use waypost_engine::api::WriteOptions;

use crate::house::{House, paths};

#[test]
fn each_odd_file_is_skipped_with_its_reason() {
    let house = House::new(
        "
//- good.md
A quiet sentence about herons.
//- .gitignore
ignored.md
//- ignored.md
A secret about herons.
//- .waypostignore
scratch/
//- scratch/note.md
Another secret about herons.
",
    );
    let root = house.root();
    fs::write(root.join("empty.md"), "").unwrap();
    fs::write(root.join("picture.md"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0").unwrap();
    fs::write(root.join("blob.bin"), [0u8, 1, 2, 3, 255, 254, 0, 0, 7].repeat(50)).unwrap();
    fs::write(
        root.join("latin.txt"),
        b"caf\xe9 cr\xe8me br\xfbl\xe9e, un d\xe9jeuner \xe0 la fran\xe7aise pour les h\xe9rons",
    )
    .unwrap();
    fs::write(
        root.join("utf16.txt"),
        "\u{feff}herons in sixteen bits".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
    )
    .unwrap();
    fs::write(root.join(std::ffi::OsString::from_vec(b"bad\xffname.md".to_vec())), "text").unwrap();
    symlink("/etc/passwd", root.join("outside.md")).unwrap();
    symlink("nowhere", root.join("dangling.md")).unwrap();
    symlink(".", root.join("loop")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();

    let report = house.index();
    let mut skipped: Vec<(String, String)> =
        report.skipped.iter().map(|(path, code, _)| (path.clone(), code.clone())).collect();
    skipped.extend(report.scan.skipped.iter().map(|skip| (skip.path.clone(), skip.code.to_owned())));
    let code_of = |name: &str| {
        let found = skipped.iter().find(|(path, _)| path.starts_with(name));
        found.map_or("indexed", |(_, code)| code.as_str())
    };
    for (name, code) in [
        ("empty.md", "empty"),
        ("picture.md", "unsupported_type"),
        ("blob.bin", "binary"),
        ("bad", "not_utf8"),
        ("outside.md", "symlink"),
        ("dangling.md", "symlink"),
        ("loop", "symlink"),
        ("pipe", "not_a_file"),
        ("latin.txt", "indexed"),
        ("utf16.txt", "indexed"),
    ] {
        assert_eq!(code_of(name), code, "{name} in {skipped:?}");
    }
    let reply = house.search_in("herons hérons", waypost_engine::search::Mode::Lexical, 10);
    let mut found = paths(&reply);
    found.sort_unstable();
    assert_eq!(found, ["good.md", "latin.txt", "utf16.txt"]);
    assert!(house.engine.check(false).unwrap().findings.is_empty());
}

#[test]
fn a_file_over_the_limit_is_named_and_not_read() {
    use waypost_engine::api::{Engine, EngineOptions};
    let folder = tempfile::TempDir::new().unwrap();
    let root = folder.path().join("workspaces/w");
    crate::house::write(&root, "large.txt", &b"words ".repeat(1000));
    crate::house::write(&root, "small.txt", b"words");
    let engine = Engine::open(EngineOptions::new(folder.path()).max_file_bytes(1000)).unwrap();
    engine.create_workspace(&crate::house::name()).unwrap();
    let report = crate::house::index(&engine);
    let [(path, code, reason)] = &report.skipped[..] else { panic!("{:?}", report.skipped) };
    assert_eq!((path.as_str(), code.as_str()), ("large.txt", "too_large"));
    assert!(reason.contains("6000") && reason.contains("max_file_bytes"), "{reason}");
}

#[test]
fn no_path_leads_out_of_a_workspace() {
    let house = House::new("//- good.md\nfine\n");
    fs::write(house.folder.path().join("workspaces/secret.md"), "secret").unwrap();
    fs::create_dir(house.folder.path().join("workspaces/w-secret")).unwrap();
    fs::write(house.folder.path().join("workspaces/w-secret/f.md"), "secret").unwrap();
    symlink(house.folder.path().join("workspaces"), house.root().join("up")).unwrap();
    let session = house.session();
    assert_eq!(session.read_file("/w/good.md", None, None).unwrap().bytes, b"fine\n");
    for path in [
        "/w/../secret.md",
        "/w/./good.md",
        "/w//good.md",
        "/w/up/secret.md",
        "/w-secret/f.md",
        "/w/a\\..\\b",
        "/etc/passwd",
        "/w/good.md/x",
        "/.waypost/catalog.db",
        "/w/\0",
    ] {
        assert!(session.read_file(path, None, None).is_err(), "{path} was read");
        assert!(session.list(path).is_err(), "{path} was listed");
    }
}

#[test]
fn a_decomposed_name_is_read_and_written_under_its_composed_path() {
    let house = House::lexical("//- a.md\nplain\n");
    let (folder, file) = ("U\u{308}bersicht", "Bu\u{308}cher.txt");
    let path = "/w/\u{dc}bersicht/B\u{fc}cher.txt";
    house.write(&format!("{folder}/{file}"), "herons in books\n");
    let report = house.index();
    assert!(report.scan.skipped.is_empty(), "{:?}", report.scan.skipped);
    let found = house.search_in("herons", waypost_engine::search::Mode::Lexical, 10);
    assert_eq!(paths(&found), [path.strip_prefix("/w/").unwrap()]);
    let session = house.session();
    for spelled in [path, "/w/U\u{308}bersicht/Bu\u{308}cher.txt"] {
        assert_eq!(session.read_file(spelled, None, None).unwrap().bytes, b"herons in books\n");
    }
    let listed = session.list("/w/\u{dc}bersicht").unwrap();
    assert_eq!(listed.iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>(), [path]);
    // What is written over it is the same file, under the name that it has on the disk.
    session.write_file(path, b"owls in books\n", &WriteOptions::default()).unwrap();
    assert_eq!(fs::read_dir(house.root().join(folder)).unwrap().count(), 1);
    assert_eq!(fs::read(house.root().join(folder).join(file)).unwrap(), b"owls in books\n");
    assert_eq!(session.versions(path).unwrap().len(), 2);
    assert!(house.engine.check(false).unwrap().findings.is_empty());
    let composed = "/w/\u{dc}bersicht/moved-\u{fc}.txt";
    session.move_path(path, composed, &WriteOptions::default()).unwrap();
    assert!(house.root().join(folder).join("moved-\u{fc}.txt").exists(), "a new name is composed");
    session.delete(composed, &WriteOptions::default(), false).unwrap();
    assert_eq!(fs::read_dir(house.root().join(folder)).unwrap().count(), 0);
}

#[test]
fn a_name_to_which_no_path_leads_says_what_to_rename_it_to() {
    let house = House::lexical("//- caf\u{e9}.md\ncomposed\n");
    house.write("cafe\u{301}.md", "decomposed\n");
    // The sign of the unit: it is neither a composed letter nor a decomposed one.
    house.write("\u{212b}.md", "a unit\n");
    let report = house.index();
    let reason_of = |code: &str| {
        let skipped = report.scan.skipped.iter().find(|skipped| skipped.code == code);
        skipped.unwrap_or_else(|| panic!("{code} in {:?}", report.scan.skipped)).reason.clone()
    };
    assert!(reason_of("name_conflict").contains("`caf\u{e9}.md`"), "{}", reason_of("name_conflict"));
    assert!(reason_of("bad_name").contains("rename it to `\u{c5}.md`"), "{}", reason_of("bad_name"));
    let session = house.session();
    assert_eq!(session.read_file("/w/caf\u{e9}.md", None, None).unwrap().bytes, b"composed\n");
    session.write_file("/w/caf\u{e9}.md", b"again\n", &WriteOptions::default()).unwrap();
    assert_eq!(fs::read(house.root().join("cafe\u{301}.md")).unwrap(), b"decomposed\n");
    assert_eq!(session.list("/w").unwrap().len(), 1);
}

#[test]
fn what_can_not_be_a_file_is_listed_with_its_reason() {
    use waypost_engine::access::{Effect, Grant, NewToken, Target, Verb};
    use waypost_engine::api::IndexState;
    let house = House::lexical("//- Case.md\nfirst\n//- notes/a.md\nfine\n");
    let root = house.root();
    symlink("Case.md", root.join("link.md")).unwrap();
    symlink("a.md", root.join("notes/link.md")).unwrap();
    fs::write(root.join(std::ffi::OsString::from_vec(b"bad\xffname.md".to_vec())), "text").unwrap();
    house.index();
    // It comes later, and another one has its name.
    fs::write(root.join("case.md"), "second\n").unwrap();
    house.index();
    let owner = house.session();
    let listed = |session: &waypost_engine::api::Session, path: &str| -> Vec<String> {
        let files = session.indexed_files(path, Some(IndexState::Skipped)).unwrap();
        files
            .iter()
            .map(|file| format!("{} {}", file.path, file.code.as_deref().unwrap_or_default()))
            .collect()
    };
    let expected = [
        "/w/bad\u{fffd}name.md not_utf8",
        "/w/case.md name_conflict",
        "/w/link.md symlink",
        "/w/notes/link.md symlink",
    ];
    assert_eq!(listed(&owner, "/w"), expected);
    assert_eq!(listed(&owner, "/w/notes"), expected[3..]);
    assert_eq!(owner.workspace("w").unwrap().skipped_files, 4);
    assert!(owner.indexed_files("/w", None).unwrap().iter().any(|file| file.path == "/w/Case.md"));

    // Who may read one folder is told of that folder alone.
    owner.put_principal("agent:a", None, &[]).unwrap();
    let verbs = [Verb::List, Verb::Read].into();
    let grant =
        Grant::new("agent:a", Target::Path, &["/w/notes/**".to_owned()], verbs, Effect::Allow, "").unwrap();
    owner.put_grant(&grant).unwrap();
    let new = NewToken { principal: "agent:a".to_owned(), ..NewToken::default() };
    let token = owner.issue_token(&new).unwrap().token;
    let agent = house.engine.session(&token).unwrap();
    assert_eq!(listed(&agent, "/w"), expected[3..]);
    assert_eq!(agent.workspace("w").unwrap().skipped_files, 1);
}

#[test]
fn files_that_say_what_to_leave_out_and_secrets_of_programs_are_read_and_not_found() {
    let house = House::lexical(
        "
//- .gitignore
herons
//- .waypostignore
herons
//- sub/.env.local
TOKEN=herons
//- a.md
Quiet herons.
",
    );
    assert_eq!(paths(&house.search_in("herons", waypost_engine::search::Mode::Lexical, 10)), ["a.md"]);
    let env = house.session().read_file("/w/sub/.env.local", None, None).unwrap();
    assert_eq!(env.bytes, b"TOKEN=herons\n");
    // Written through Waypost they have a row, and are not found either.
    let options = waypost_engine::api::WriteOptions::default();
    house.session().write_file("/w/.env", b"TOKEN=herons\n", &options).unwrap();
    house.index();
    assert_eq!(paths(&house.search_in("herons", waypost_engine::search::Mode::Lexical, 10)), ["a.md"]);
    assert!(house.engine.check(false).unwrap().findings.is_empty());
}
