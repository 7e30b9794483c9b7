//! Where a change takes effect: who may make it, and which gate stands before it.

use std::sync::Arc;

use super::approvals::GatedAct;
use super::error::{Error, Result};
use super::session::Session;
use super::workspace::OpenWorkspace;
use crate::access::{Target, Verb};
use crate::change::ChangeError;
use crate::id::{IdError, RelPath, WorkspaceName, fold, join_path, split_path};
use crate::journal::Outcome;

/// One file, with the right to change it.
pub(super) struct Site {
    pub workspace: Arc<OpenWorkspace>,
    pub path: RelPath,
    pub full: String,
    pub rule: String,
    /// Who lets it through the gate before it; `None` where there is none.
    pub approved_by: Option<String>,
}

impl Site {
    /// A place, without a right to anything.
    pub(super) fn bare(workspace: &Arc<OpenWorkspace>, path: &RelPath, full: &str) -> Self {
        Self {
            workspace: Arc::clone(workspace),
            path: path.clone(),
            full: full.to_owned(),
            rule: String::new(),
            approved_by: None,
        }
    }
}

impl Session {
    /// Authorizes a change of one path and asks the gates; `act` says what waits where one is closed.
    pub(super) fn site(
        &self,
        action: &'static str,
        verb: Verb,
        path: &str,
        act: impl FnOnce() -> Result<GatedAct>,
    ) -> std::result::Result<Site, Gated> {
        if verb == Verb::Write {
            self.check_not_private(path)?;
        }
        let (name, below) = self.split(path, "file")?;
        if below.is_root() {
            return Err(Gated::Refused(absent_file(path)));
        }
        if verb == Verb::Write {
            check_new_name(&below)?;
            check_is_file(path)?;
        }
        let rule = self.authorize(action, verb, path, "file")?;
        let workspace = self.workspace_of(&name)?;
        let full = join_path(&name, &below);
        let mut site = Site { workspace, path: below, full, rule, approved_by: None };
        let policy = self.engine.policy();
        let Some(gate) = policy.gate(verb, &site.full) else { return Ok(site) };
        let decision = self.actor.decide(&policy, Verb::Approve, Target::Path, &site.full);
        if !decision.allowed {
            return Err(Gated::Wait(Box::new(Waiting { act: act()?, gate: gate.id.clone(), site })));
        }
        site.approved_by = Some(self.actor.principal.clone());
        Ok(site)
    }

    /// What can't be made says so before anything is looked at: that follows from the name alone.
    pub(super) fn check_not_private(&self, path: &str) -> Result<()> {
        if !split_path(path).is_ok_and(|(_, below)| below.is_hidden()) {
            return Ok(());
        }
        self.record("path.refused", Verb::Write, path, "", Outcome::Denied, "private")?;
        let expected =
            "another name: those that begin with `.waypost`, and `.git`, are not for files of a workspace";
        Err(Error::Id(IdError::Path { path: path.chars().take(200).collect(), expected }))
    }

    pub(super) fn wait_or_refuse(&self, action: &'static str, gated: Gated) -> Result<Error> {
        match gated {
            Gated::Refused(error) => Err(error),
            Gated::Wait(waiting) => {
                self.ask_approval(action, &waiting.act, &waiting.gate, &waiting.site, None)
            }
        }
    }

    /// Whether a gate stands before a change of a path that this principal may pass by itself.
    pub fn opens_gate(&self, verb: Verb, path: &str) -> bool {
        let Ok((name, below)) = self.split(path, "file") else { return false };
        let path = join_path(&name, &below);
        let policy = self.engine.policy();
        let may = |verb| self.actor.decide(&policy, verb, Target::Path, &path).allowed;
        policy.gate(verb, &path).is_some() && may(verb) && may(Verb::Approve)
    }

    /// Notes that the person who was asked did not let a change through.
    ///
    /// # Errors
    /// Where it can't be written down.
    pub fn note_declined(&self, verb: Verb, path: &str) -> Result<()> {
        self.record("gate.pass", verb, path, "", Outcome::Denied, "declined")
    }

    /// A site whose gate, where there is one, this principal may pass.
    pub(super) fn open_site(&self, action: &'static str, verb: Verb, path: &str) -> Result<Site> {
        let refused = || Error::Forbidden {
            principal: self.actor.principal.clone(),
            verb: "approve",
            path: path.to_owned(),
        };
        self.site(action, verb, path, || Err(refused())).map_err(|gated| match gated {
            Gated::Refused(error) => error,
            Gated::Wait(_) => refused(),
        })
    }
}

impl Session {
    /// As [`Self::open_site`], for one of many files that change as one.
    pub(super) fn site_of_many(&self, action: &'static str, verb: Verb, path: &str) -> Result<Site> {
        self.site(action, verb, path, || Err(self.crossing(verb, path))).map_err(|gated| match gated {
            Gated::Refused(error) => error,
            Gated::Wait(_) => self.crossing(verb, path),
        })
    }

    /// Refuses a change of many files, one of which lies behind a closed gate.
    pub(super) fn crossing(&self, verb: Verb, path: &str) -> Error {
        let policy = self.engine.policy();
        let gate = policy.gate(verb, path).map(|gate| gate.id.clone()).unwrap_or_default();
        Error::CrossesGate { path: path.to_owned(), gate }
    }

    /// An error that tells of nothing which may not be seen: that something stands in the way can't be hidden from who
    /// writes there, what it is can.
    pub(super) fn without_hidden_name(&self, error: Error) -> Error {
        let (path, there) = match &error {
            Error::Change(ChangeError::NameConflict { path, other }) => (path, namesake(path, other)),
            Error::Change(ChangeError::NotAFile { path } | ChangeError::Exists { path }) => {
                (path, self.obstacle(path))
            }
            _ => return error,
        };
        if there.is_some_and(|there| self.is_seen(&there)) {
            return error;
        }
        Error::Change(ChangeError::Taken { path: path.clone() })
    }

    /// What stands where a path, or a folder above it, would be.
    fn obstacle(&self, path: &str) -> Option<String> {
        let (name, below) = split_path(path).ok()?;
        let workspace = self.engine.workspace(&name)?;
        let tree = &workspace.tree;
        let ends = below.as_str().match_indices('/').map(|(end, _)| end);
        for end in ends {
            let above = RelPath::new(&below.as_str()[..end]).ok()?;
            if tree.is_taken(&above).ok()? && !tree.is_folder(&above).ok()? {
                return Some(join_path(&name, &above));
            }
        }
        tree.is_taken(&below).ok()?.then(|| join_path(&name, &below))
    }

    fn is_seen(&self, path: &str) -> bool {
        let is_folder =
            |(name, below): (WorkspaceName, RelPath)| self.is_folder_seen(&name, &below).unwrap_or(false);
        [Verb::Read, Verb::List].into_iter().any(|verb| self.decide(verb, path).allowed)
            || split_path(path).is_ok_and(is_folder)
    }
}

/// The path of what stands in the way of another path, whose name is `other`: at its end, or above it.
fn namesake(path: &str, other: &str) -> Option<String> {
    let name = other.rsplit('/').next()?;
    let mut above = path;
    loop {
        let (parent, last) = above.rsplit_once('/')?;
        if fold(last) == fold(name) {
            return Some(format!("{parent}/{name}"));
        }
        above = parent;
    }
}

/// A path that ends with `/` names a folder.
fn check_is_file(path: &str) -> Result<()> {
    if !path.ends_with('/') {
        return Ok(());
    }
    let expected =
        "a file's path, without `/` at its end; a folder is made by `POST /v1/folders` or `create_directory`";
    Err(Error::Id(IdError::Path { path: path.chars().take(200).collect(), expected }))
}

/// What somebody with `approve` decides about.
pub(super) struct Waiting {
    pub act: GatedAct,
    pub gate: String,
    pub site: Site,
}

/// Why a change can't be done at once.
pub(super) enum Gated {
    /// Never, or not so.
    Refused(Error),
    /// Somebody with `approve` decides.
    Wait(Box<Waiting>),
}

impl From<Error> for Gated {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

pub(super) fn absent_file(path: &str) -> Error {
    Error::NotFound { what: "file", name: path.to_owned() }
}

/// Names that some systems read as a device, or can't keep, are not made here; what is there already is read all the same.
pub(super) fn check_new_name(path: &RelPath) -> Result<()> {
    const RESERVED: [&str; 22] = [
        "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
        "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
    ];
    for name in path.as_str().split('/').filter(|name| !name.is_empty()) {
        let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_lowercase();
        let is_invisible = |c: char| {
            matches!(
                c,
                '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                    | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                    | '\u{e0000}'..='\u{e0fff}'
            )
        };
        let expected = if RESERVED.contains(&stem.as_str()) {
            "a name that is no device on any system"
        } else if name.ends_with(|c: char| c == '.' || c.is_whitespace())
            || name.starts_with(char::is_whitespace)
        {
            "a name without a space or dot at its end"
        } else if name.contains(is_invisible) {
            "a name without invisible or direction characters"
        } else {
            continue;
        };
        return Err(Error::Id(IdError::Path { path: path.as_str().chars().take(200).collect(), expected }));
    }
    Ok(())
}
