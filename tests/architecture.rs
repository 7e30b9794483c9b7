//! Holds the table of rooms in `ARCHITECTURE.md` against the code: who may use whom, and which crate is named where.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Rows of the table under a heading, without its two head lines; cells trimmed, back quotes dropped.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(top().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let section = text.split(heading).nth(1).unwrap_or_else(|| panic!("ARCHITECTURE.md has `{heading}`"));
    let rows: Vec<Vec<String>> = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect())
        .collect();
    assert!(!rows.is_empty(), "the table under `{heading}` has rows");
    rows
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The first path segment below `engine/src`, without `.rs`.
fn room_of(file: &Path, root: &Path) -> String {
    let below = file.strip_prefix(root).expect("the file lies below the root");
    let first =
        below.components().next().expect("a file has a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Rooms that a line of code names by `crate::room`, comments left out.
fn named_rooms(line: &str) -> BTreeSet<String> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
        .collect()
}

#[test]
fn rooms_use_only_whom_the_table_allows() {
    let root = top().join("engine/src");
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut floors: BTreeMap<String, u32> = BTreeMap::new();
    for row in table("## Rooms of the engine") {
        let [floor, room, _, uses] = &row[..] else { panic!("a row has four cells: {row:?}") };
        let words = |cell: &str| {
            cell.split([',', ' '])
                .filter(|word| !word.is_empty() && *word != "–")
                .map(str::to_owned)
                .collect::<BTreeSet<_>>()
        };
        for name in words(room) {
            floors.insert(name.clone(), floor.parse().expect("a floor is a number"));
            allowed.insert(name, words(uses));
        }
    }
    let ground: BTreeSet<String> =
        floors.iter().filter(|(_, floor)| **floor == 0).map(|(room, _)| room.clone()).collect();
    for (room, uses) in &allowed {
        for used in uses.iter().filter(|used| *used != "all") {
            assert!(
                floors[used] < floors[room],
                "`{room}` may use `{used}` only if that lies on a lower floor"
            );
        }
    }
    let mut n_files = 0;
    for file in rust_files(&root) {
        let room = room_of(&file, &root);
        if room == "lib" {
            continue;
        }
        n_files += 1;
        let uses = allowed.get(&room).unwrap_or_else(|| panic!("the table knows the room `{room}`"));
        let text = fs::read_to_string(&file).expect("the file can be read");
        for (line_idx, line) in text.lines().enumerate() {
            for named in named_rooms(line) {
                let fine = named == room
                    || !floors.contains_key(&named)
                    || ground.contains(&named)
                    || uses.contains("all")
                    || uses.contains(&named);
                assert!(fine, "{}:{}: `{room}` may not use `{named}`", file.display(), line_idx + 1);
            }
        }
    }
    assert!(n_files > 30, "the test saw the engine's files, not {n_files}");
}

#[test]
fn a_foreign_crate_is_named_where_the_table_says() {
    let root = top().join("engine/src");
    for row in table("## Foreign crates") {
        let [name, place, _] = &row[..] else { panic!("a row has three cells: {row:?}") };
        let mut seen = false;
        for file in rust_files(&root) {
            let below = file.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
            let text = fs::read_to_string(&file).expect("the file can be read");
            let names = text
                .lines()
                .map(|line| line.split("//").next().unwrap_or_default())
                .any(|code| code.contains(&format!("{name}::")));
            let is_home = place.split(", ").any(|place| below.starts_with(place));
            assert!(!names || is_home, "{below} names `{name}`, whose place is {place}");
            seen |= names && is_home;
        }
        assert!(seen, "`{name}` is named in {place}");
    }
}

#[test]
fn the_top_level_is_what_the_architecture_says() {
    let allowed: BTreeSet<String> =
        table("## Top level").into_iter().map(|row| row[0].trim_end_matches('/').to_owned()).collect();
    for entry in fs::read_dir(top()).expect("the top can be read").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_work = name.starts_with('.') || name == "target";
        assert!(is_work || allowed.contains(&name), "`{name}` is not in ARCHITECTURE.md's top level");
    }
}
