//! Decides what a scan has to do, from plain data; does nothing itself.

use crate::catalog::FileRow;
use crate::store::Entry;

/// One thing to do.
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// The file is new or looks changed: read it.
    Read(&'a Entry, Option<&'a FileRow>),
    /// The file is gone.
    Remove(&'a FileRow),
}

/// Compares what is in the tree with what was last seen of it; both ascend by path. A file of the same size and
/// modification time counts as unchanged.
pub fn plan<'a>(found: &'a [Entry], known: &'a [FileRow]) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    let mut known = known.iter().peekable();
    for entry in found {
        while let Some(gone) = known.next_if(|row| row.path < entry.path) {
            steps.push(Step::Remove(gone));
        }
        match known.next_if(|row| row.path == entry.path) {
            Some(row) if row.state.size_bytes == entry.size_bytes && row.state.mtime_ns == entry.mtime_ns => {
            }
            before => steps.push(Step::Read(entry, before)),
        }
    }
    steps.extend(known.map(Step::Remove));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::FileState;
    use crate::id::{FileId, RelPath, Seq, VersionId};

    fn entry(path: &str, mtime_ns: i64) -> Entry {
        Entry { path: RelPath::new(path).unwrap(), size_bytes: 1, mtime_ns }
    }

    fn row(path: &str, mtime_ns: i64) -> FileRow {
        let state = FileState {
            version: VersionId::of(b"x"),
            size_bytes: 1,
            mtime_ns,
            mime_type: String::new(),
            language: None,
            skipped: None,
            notes: String::new(),
            extractor: 1,
            explicit: false,
            approved_by: None,
        };
        FileRow { id: FileId(1), path: RelPath::new(path).unwrap(), state, seq: Seq(1) }
    }

    #[test]
    fn only_new_changed_and_gone_files_make_work() {
        let found = [entry("a", 1), entry("b", 2), entry("d", 1)];
        let known = [row("a", 1), row("b", 1), row("c", 1), row("e", 1)];
        let expected = [
            Step::Read(&found[1], Some(&known[1])),
            Step::Remove(&known[2]),
            Step::Read(&found[2], None),
            Step::Remove(&known[3]),
        ];
        assert_eq!(plan(&found, &known), expected);
    }
}
