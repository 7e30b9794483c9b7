//! Where memories lie: `memory/<agent>/notes/<topic>/<name>.md` and `memory/<agent>/threads/<thread>.<part>.jsonl`.

use super::MemoryError;
use crate::claims::normal_form;
use crate::id::{RelPath, fold};

/// The folder of a workspace that holds the memories of all its agents.
pub const FOLDER: &str = "memory";

const NOTES: &str = "notes";
const THREADS: &str = "threads";
/// Characters of a note's name that come from its text.
const MAX_SLUG_CHARS: usize = 48;
const MAX_TOPIC_CHARS: usize = 64;
const MAX_TOPIC_DEPTH: usize = 4;
const MAX_NAME_CHARS: usize = 64;

/// What a file below `memory/` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Something that stays.
    Note,
    /// A part of something that grows.
    Thread,
}

/// Whose memory a file is, and what kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The folder's name: an agent's id without its kind.
    pub agent: String,
    /// What it is.
    pub kind: Kind,
    /// The folders of a note's topic; the name of a thread.
    pub name: String,
    /// Of a thread, from 1; 0 for a note.
    pub part: u32,
}

/// What a path below a workspace's root is; `None` for what is no memory. A Markdown file that somebody puts anywhere below an
/// agent's folder is a note.
pub fn place_of(path: &RelPath) -> Option<Place> {
    let rest = path.as_str().strip_prefix(FOLDER)?.strip_prefix('/')?;
    let (agent, rest) = rest.split_once('/')?;
    let agent = agent.to_owned();
    if let Some(file) = rest.strip_prefix(THREADS).and_then(|rest| rest.strip_prefix('/')) {
        let (name, part) = file.strip_suffix(".jsonl")?.rsplit_once('.')?;
        let part = part.parse().ok().filter(|part| *part > 0)?;
        check_thread(name).ok()?;
        return Some(Place { agent, kind: Kind::Thread, name: name.to_owned(), part });
    }
    let file = rest.strip_suffix(".md")?;
    let topic = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let topic = topic.strip_prefix(NOTES).map_or(topic, |topic| topic.trim_start_matches('/'));
    Some(Place { agent, kind: Kind::Note, name: topic.to_owned(), part: 0 })
}

/// The name of an agent's folder, from `researcher` or `agent:researcher`.
///
/// # Errors
/// [`MemoryError`] for what is no name of a principal.
pub fn agent_name(agent: &str) -> Result<&str, MemoryError> {
    let name = agent.split_once(':').map_or(agent, |(_, name)| name);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_name = !name.is_empty() && name.len() <= MAX_NAME_CHARS && name.chars().all(is_plain);
    if is_name && !name.starts_with('.') {
        return Ok(name);
    }
    Err(MemoryError::new("agent", agent, "an agent such as `researcher` or `agent:researcher`"))
}

/// A topic as the folders that it becomes: `Late fees/EU` is `late-fees/eu`.
///
/// # Errors
/// [`MemoryError`] for a topic without letters, or with too many levels.
pub fn topic_slug(topic: &str) -> Result<String, MemoryError> {
    let levels: Vec<String> = topic
        .split('/')
        .filter(|level| !level.trim().is_empty())
        .map(|level| slug(level, MAX_TOPIC_CHARS))
        .collect();
    if levels.is_empty() || levels.len() > MAX_TOPIC_DEPTH || levels.iter().any(String::is_empty) {
        let expected = "words such as `billing` or `billing/late-fees`, at most four levels";
        return Err(MemoryError::new("topic", topic, expected));
    }
    Ok(levels.join("/"))
}

/// Where a note is put. Its name follows from what it says, so two writers of the same text meet at one path.
pub fn note_path(agent: &str, topic: Option<&str>, text: &str) -> RelPath {
    let normal = normal_form(text);
    let hash = blake3::hash(if normal.is_empty() { text.as_bytes() } else { normal.as_bytes() }).to_hex();
    let words = slug(text, MAX_SLUG_CHARS);
    let words = if words.is_empty() { "note" } else { &words };
    let folder = RelPath::root().join(FOLDER).join(agent).join(NOTES);
    let folder =
        topic.into_iter().flat_map(|topic| topic.split('/')).fold(folder, |at, level| at.join(level));
    folder.join(&format!("{words}-{}.md", &hash[..8]))
}

/// Where a note is put whose place has something else by now: `n` tells several apart.
pub fn path_beside(path: &RelPath, n: usize) -> RelPath {
    let name = path.file_name().strip_suffix(".md").unwrap_or(path.file_name());
    path.parent().unwrap_or_else(RelPath::root).join(&format!("{name}-{n}.md"))
}

/// Where a part of a thread is put.
pub fn thread_path(agent: &str, thread: &str, part: u32) -> RelPath {
    RelPath::root().join(FOLDER).join(agent).join(THREADS).join(&format!("{thread}.{part:04}.jsonl"))
}

/// Holds a thread's name against what a file's name may be.
///
/// # Errors
/// [`MemoryError`].
pub fn check_thread(thread: &str) -> Result<(), MemoryError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !thread.is_empty() && thread.len() <= MAX_NAME_CHARS && thread.chars().all(is_plain) {
        return Ok(());
    }
    Err(MemoryError::new("thread", thread, "a name of a-z A-Z 0-9 _ - with 64 characters at most"))
}

/// Letters and digits, folded, with `-` between words.
fn slug(text: &str, max_chars: usize) -> String {
    let mut out = String::new();
    for word in fold(text).split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let n_chars = out.chars().count() + 1;
        if !out.is_empty() && n_chars + word.chars().count() > max_chars {
            break;
        }
        if !out.is_empty() {
            out.push('-');
        }
        out.extend(word.chars().take(max_chars));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Option<Place> {
        place_of(&RelPath::new(path).unwrap())
    }

    #[test]
    fn a_path_is_read_as_it_was_made() {
        let path = note_path("researcher", Some("late-fees/eu"), "Fees are 5 % after 30 days.");
        assert!(
            path.as_str().starts_with("memory/researcher/notes/late-fees/eu/fees-are-5-after-30-days-"),
            "{path}"
        );
        let read = place_of(&path).unwrap();
        assert_eq!(
            (read.agent.as_str(), read.kind, read.name.as_str()),
            ("researcher", Kind::Note, "late-fees/eu")
        );
        let read = place_of(&thread_path("a.b", "t_1", 12)).unwrap();
        assert_eq!((read.name.as_str(), read.part, read.kind), ("t_1", 12, Kind::Thread));
        assert_eq!(place("memory/a/own.md").unwrap().name, "");
        for other in
            ["memory/a.md", "memory/a/threads/x.jsonl", "memory/a/x.txt", "memoryx/a/b.md", "a/memory/b/c.md"]
        {
            assert_eq!(place(other), None, "{other}");
        }
    }

    #[test]
    fn the_same_words_have_the_same_path_and_others_another() {
        let path = |text| note_path("a", None, text);
        assert_eq!(path("Kept ten years."), path("kept  Ten years"));
        assert_ne!(path("The key is aB3xQ9."), path("The key is Ab3xq9."));
        assert_ne!(path("Kept ten years."), path("Kept nine years."));
        assert_ne!(path("🎉"), path("🚀"));
    }

    #[test]
    fn a_place_beside_another_is_a_note_of_the_same_topic() {
        let path = note_path("a", Some("x/y"), "Kept ten years.");
        let beside = path_beside(&path, 2);
        assert_eq!(beside.as_str(), path.as_str().replace(".md", "-2.md"));
        assert_eq!(place_of(&beside), place_of(&path));
    }

    #[test]
    fn names_stay_inside_their_folder() {
        for name in ["", ".", "..", "../x", "a/b", "agent:", ".hidden", "a b"] {
            assert!(agent_name(name).is_err(), "{name}");
        }
        assert_eq!(agent_name("human:holt"), Ok("holt"));
        assert_eq!(topic_slug(" Late fees /EU").unwrap(), "late-fees/eu");
        assert_eq!(topic_slug("../../etc").unwrap_err().field, "topic");
        assert!(topic_slug("a/b/c/d/e").is_err() && check_thread("a.b").is_err());
    }
}
