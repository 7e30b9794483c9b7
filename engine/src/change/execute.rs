use serde_json::Value;

use super::external::keep;
use super::{ChangeError, Place, Prepared, look, take_in, topics};
use crate::catalog::{FileRow, FileState, Tx};
use crate::id::{FileId, RelPath, Seq, VersionId, join_path, split_path};
use crate::journal::{Cause, ChangeKind, NewChange};
use crate::store::Folder;

/// What must stand under a path for a change to happen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expected {
    /// Anything, also nothing.
    #[default]
    Any,
    /// Nothing.
    Absent,
    /// A file, whichever bytes it has.
    Present,
    /// A file with one of these versions; with none of them, no file at all.
    OneOf(Vec<VersionId>),
}

impl Expected {
    /// In words, for a person.
    pub fn told(&self) -> String {
        match self {
            Self::Any => "anything".to_owned(),
            Self::Absent => "no file".to_owned(),
            Self::Present => "a file".to_owned(),
            Self::OneOf(versions) if versions.is_empty() => {
                "the version of a file, as the `ETag` of an answer gives it in full; what was given is none"
                    .to_owned()
            }
            Self::OneOf(versions) => {
                let versions: Vec<String> = versions.iter().map(|version| format!("`{version}`")).collect();
                format!("version {}", versions.join(" or "))
            }
        }
    }
}

/// One file's part of a change.
pub enum Step<'a> {
    /// New bytes under a path.
    Put {
        /// Where.
        place: Place<'a>,
        /// Below its root.
        path: RelPath,
        /// What must stand there.
        expected: Expected,
        /// The new bytes.
        prepared: Box<Prepared<'a>>,
        /// For a move between workspaces: where they came from, `/workspace/…`.
        from: Option<String>,
    },
    /// A file under another name of the same workspace.
    Move {
        /// Where.
        place: Place<'a>,
        /// Its name.
        from: RelPath,
        /// What must stand there.
        expected: Expected,
        /// Its new name; nothing may stand there.
        to: RelPath,
        /// Who let it through a gate.
        approved_by: Option<String>,
    },
    /// A file that goes.
    Remove {
        /// Where.
        place: Place<'a>,
        /// Below its root.
        path: RelPath,
        /// What must stand there.
        expected: Expected,
        /// For a move between workspaces: where it went, `/workspace/…`.
        to: Option<String>,
    },
}

/// Who changes something.
#[derive(Clone, Copy)]
pub struct Author<'a> {
    /// The principal.
    pub principal: &'a str,
    /// Who let it through a gate.
    pub approved_by: Option<&'a str>,
    /// The fence of the lock that it stands under.
    pub fence: Option<u64>,
    /// The request.
    pub trace: Option<Cause<'a>>,
    /// Whether a principal may write a path: a lock binds others only where its holder may.
    pub may_write: &'a dyn Fn(&str, &str) -> bool,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// `/workspace/…`; of a move the new name.
    pub path: String,
    /// Whether the path was new.
    pub created: bool,
    /// What stood there before.
    pub before: Option<VersionId>,
    /// What stands there now; `None`: nothing.
    pub after: Option<VersionId>,
    /// In bytes.
    pub size_bytes: u64,
    /// By content.
    pub mime_type: String,
    /// Its place in the journal.
    pub seq: Seq,
}

impl<'a> Step<'a> {
    fn place(&self) -> &Place<'a> {
        match self {
            Self::Put { place, .. } | Self::Move { place, .. } | Self::Remove { place, .. } => place,
        }
    }

    fn sync(&self) -> Result<(), ChangeError> {
        if let Self::Put { prepared, .. } = self {
            prepared.aside.sync()?;
        }
        Ok(())
    }

    fn paths(&self) -> Vec<&RelPath> {
        match self {
            Self::Put { path, .. } | Self::Remove { path, .. } => vec![path],
            Self::Move { from, to, .. } => vec![from, to],
        }
    }
}

/// Runs inside the transaction, after the steps.
type Also<'a> = &'a mut dyn FnMut(&Tx<'_>, &[Done]) -> Result<(), ChangeError>;

/// Does all steps, or none: one transaction, then the tree. `also` runs inside the transaction, after the steps; it
/// writes the audit record, and may refuse.
///
/// # Errors
/// [`ChangeError`]; nothing has changed then. Where only the tree refuses, after the transaction, what stands in the tree is
/// taken in as an edit from outside, so that catalog and tree agree again.
pub fn execute(steps: Vec<Step<'_>>, author: Author<'_>, also: Also<'_>) -> Result<Vec<Done>, ChangeError> {
    let Some(first) = steps.first() else { return Ok(Vec::new()) };
    let catalog = first.place().catalog;
    // Turns are taken in one order, so that two changes over the same workspaces can't wait for each other.
    let mut places: Vec<Place<'_>> = steps.iter().map(|step| *step.place()).collect();
    places.sort_by_key(|place| place.workspace.id);
    places.dedup_by_key(|place| place.workspace.id);
    // Bytes are durable before they have a name.
    steps.iter().try_for_each(Step::sync)?;
    let turns: Vec<_> = places.iter().map(Place::take_turn).collect();
    places.iter().try_for_each(|place| place.tree.check_current())?;
    for step in &steps {
        for path in step.paths() {
            settle(step.place(), path)?;
        }
    }
    let paths: Vec<(Place<'_>, RelPath)> = steps
        .iter()
        .flat_map(|step| step.paths().into_iter().map(|path| (*step.place(), path.clone())))
        .collect();
    let (done, unsynced) = catalog.write_unsynced(|tx| {
        let done = steps.iter().map(|step| write_down(tx, step, author)).collect::<Result<Vec<_>, _>>()?;
        also(tx, &done)?;
        Ok::<_, ChangeError>(done)
    })?;
    let named: Result<Vec<Folders>, ChangeError> = steps.into_iter().map(publish).collect();
    let folders = match named {
        Ok(folders) => folders,
        Err(error) => {
            paths.iter().try_for_each(|(place, path)| settle(place, path))?;
            catalog.sync(unsynced)?;
            return Err(error);
        }
    };
    // Others go on while the disk makes it durable, log and folders at the same time.
    drop(turns);
    std::thread::scope(|threads| {
        let named =
            threads.spawn(|| folders.iter().flat_map(|folders| &folders.0).try_for_each(Folder::sync));
        catalog.sync(unsynced)?;
        Ok::<_, ChangeError>(named.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)
    })?;
    Ok(done)
}

/// The folders whose names a step changed.
struct Folders(Vec<Folder>);

/// Takes in what another program did to a path before this change. The caller holds the turn.
fn settle(place: &Place<'_>, path: &RelPath) -> Result<(), ChangeError> {
    let row = place.catalog.file(place.workspace.id, path)?;
    // A file that only the ignore rules keep out is not taken in by being written over: it gets a version, like any.
    if let Some(seen) = look(place, path, row.as_ref())? {
        take_in(place, &[seen])?;
    }
    // Bytes that were never kept, for the file is large, are kept before they go.
    if let Some(row) = place.catalog.file(place.workspace.id, path)?.filter(|row| row.state.skipped.is_some())
        && let Some(staged) = keep(place, &row)?
    {
        place.catalog.write(|tx| tx.put_blob(&staged))?;
    }
    Ok(())
}

fn publish(step: Step<'_>) -> Result<Folders, ChangeError> {
    Ok(Folders(match step {
        Step::Put { place, prepared, .. } => vec![place.tree.publish(prepared.aside)?],
        Step::Move { place, from, to, .. } => place.tree.rename(&from, &to)?.into(),
        Step::Remove { place, path, .. } => place.tree.remove(&path)?.into_iter().collect(),
    }))
}

fn write_down(tx: &Tx<'_>, step: &Step<'_>, author: Author<'_>) -> Result<Done, ChangeError> {
    match step {
        Step::Put { place, path, expected, prepared, from } => {
            let before = check(tx, place, path, expected, author)?;
            check_name(tx, place, path, before.as_ref())?;
            tx.put_blob(&prepared.staged)?;
            let kind = match (&before, from) {
                (None, Some(_)) => ChangeKind::Moved,
                (None, None) => ChangeKind::Created,
                (Some(_), _) => ChangeKind::Updated,
            };
            let done = put(tx, place, path, kind, &prepared.state, before.as_ref(), from.as_deref(), author)?;
            if let Some(from) = from {
                carry_origin(tx, from, place, path)?;
            }
            tell(tx, place, path, &prepared.state, prepared.news.as_ref(), author)?;
            Ok(done)
        }
        Step::Remove { place, path, expected, to } => {
            let Some(before) = check(tx, place, path, expected, author)? else {
                return Err(missing(place, path));
            };
            remove(tx, place, &before, to.as_deref(), author)
        }
        Step::Move { place, from, expected, to, approved_by } => {
            let Some(source) = check(tx, place, from, expected, author)? else {
                return Err(missing(place, from));
            };
            if check(tx, place, to, &Expected::Any, author)?.is_some() || place.tree.is_taken(to)? {
                return Err(ChangeError::Exists { path: full(place, to) });
            }
            let (from_full, to_full) = (full(place, from), full(place, to));
            if !place.tree.can_hold_file(to)? {
                return Err(ChangeError::NotAFile { path: to_full });
            }
            remove(tx, place, &source, Some(&to_full), author)?;
            if to.key() != from.key() {
                check_name(tx, place, to, None)?;
            }
            if let Some(other) = place.tree.folder_clash(&to.parent().unwrap_or_else(RelPath::root))? {
                return Err(ChangeError::NameConflict { path: to_full, other });
            }
            let mut state = source.state.clone();
            state.explicit = true;
            state.approved_by.clone_from(approved_by);
            let done = put(tx, place, to, ChangeKind::Moved, &state, None, Some(&from_full), author)?;
            carry_origin(tx, &from_full, place, to)?;
            tell(tx, place, to, &state, None, author)?;
            Ok(done)
        }
    }
}

/// Whether a path is free of others' locks and has what is expected; gives what stands there.
fn check(
    tx: &Tx<'_>,
    place: &Place<'_>,
    path: &RelPath,
    expected: &Expected,
    author: Author<'_>,
) -> Result<Option<FileRow>, ChangeError> {
    let shown = full(place, path);
    tx.check_locks(&shown, author.principal, author.fence, place.clock.now_ms(), author.may_write)?;
    let row = tx.file(place.workspace.id, path)?;
    let is_so = match (expected, &row) {
        (Expected::Any, _) | (Expected::Absent, None) | (Expected::Present, Some(_)) => true,
        (Expected::OneOf(versions), Some(row)) => versions.contains(&row.state.version),
        (Expected::Absent, Some(_)) | (Expected::Present | Expected::OneOf(_), None) => false,
    };
    if is_so {
        return Ok(row);
    }
    let wanted = expected.told();
    let found = row.map_or_else(|| "no file".to_owned(), |row| format!("version `{}`", row.state.version));
    Err(ChangeError::VersionConflict { path: shown, expected: wanted, found })
}

fn check_name(
    tx: &Tx<'_>,
    place: &Place<'_>,
    path: &RelPath,
    before: Option<&FileRow>,
) -> Result<(), ChangeError> {
    if before.is_some() {
        return Ok(());
    }
    match tx.name_clash(place.workspace.id, path)? {
        Some(row) => {
            let other = row.path.as_str().split('/').nth(path.as_str().matches('/').count());
            let other = other.unwrap_or(row.path.file_name()).to_owned();
            Err(ChangeError::NameConflict { path: full(place, path), other })
        }
        None => Ok(()),
    }
}

#[expect(clippy::too_many_arguments, reason = "each is one column of the same row")]
fn put(
    tx: &Tx<'_>,
    place: &Place<'_>,
    path: &RelPath,
    kind: ChangeKind,
    state: &FileState,
    before: Option<&FileRow>,
    from: Option<&str>,
    author: Author<'_>,
) -> Result<Done, ChangeError> {
    let change = NewChange {
        kind,
        workspace: place.workspace.id,
        file: before.map_or(FileId(0), |row| row.id),
        path: path.as_str(),
        version: Some(state.version),
        gone: None,
        size_bytes: state.size_bytes,
        mime_type: &state.mime_type,
        other_path: from,
        actor: author.principal,
        approved_by: state.approved_by.as_deref(),
        trace: author.trace,
        occurred_ms: place.clock.now_ms(),
    };
    let seq = tx.append(&change)?;
    let file = tx.put_file(place.workspace.id, path, state, seq)?;
    if before.is_none() {
        tx.name_file(seq, file)?;
    }
    Ok(Done {
        path: full(place, path),
        created: before.is_none(),
        before: before.map(|row| row.state.version),
        after: Some(state.version),
        size_bytes: state.size_bytes,
        mime_type: state.mime_type.clone(),
        seq,
    })
}

/// Where a moved file's bytes were imported from moves with it.
fn carry_origin(tx: &Tx<'_>, from: &str, place: &Place<'_>, to: &RelPath) -> Result<(), ChangeError> {
    if let Ok((name, path)) = split_path(from) {
        tx.move_origin((&name, &path), (place.workspace.id, to))?;
    }
    Ok(())
}

/// Tells the subscribers of a topic of a file that was put into its folder.
fn tell(
    tx: &Tx<'_>,
    place: &Place<'_>,
    path: &RelPath,
    state: &FileState,
    news: Option<&Value>,
    author: Author<'_>,
) -> Result<(), ChangeError> {
    topics::publish(tx, place, path, state, news, author.principal, author.trace)
}

fn remove(
    tx: &Tx<'_>,
    place: &Place<'_>,
    row: &FileRow,
    to: Option<&str>,
    author: Author<'_>,
) -> Result<Done, ChangeError> {
    let seq = tx.append(&NewChange {
        kind: ChangeKind::Deleted,
        workspace: place.workspace.id,
        file: row.id,
        path: row.path.as_str(),
        version: None,
        gone: Some(row.state.version),
        size_bytes: row.state.size_bytes,
        mime_type: &row.state.mime_type,
        other_path: to,
        actor: author.principal,
        approved_by: author.approved_by,
        trace: author.trace,
        occurred_ms: place.clock.now_ms(),
    })?;
    tx.remove_file(row.id)?;
    Ok(Done {
        path: full(place, &row.path),
        created: false,
        before: Some(row.state.version),
        after: None,
        size_bytes: 0,
        mime_type: row.state.mime_type.clone(),
        seq,
    })
}

fn full(place: &Place<'_>, path: &RelPath) -> String {
    join_path(&place.workspace.name, path)
}

fn missing(place: &Place<'_>, path: &RelPath) -> ChangeError {
    ChangeError::Missing { path: full(place, path) }
}
