use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::super::error::{Error, Result};
use super::super::session::Session;
use super::super::sites::Site;
use super::info::TaskInfo;
use super::looking::Seen;
use super::passing::{Passed, Passing, Trouble};
use crate::access::Verb;
use crate::budget::UsageReport;
use crate::change::{self, Expected, Step};
use crate::id::{RelPath, Seq};
use crate::journal::EventKind;
use crate::tasks::{self, Mishap, TaskError, TaskRow, TaskState};

/// How often an act is tried again when somebody was faster.
pub(super) const MAX_TRIES: usize = 16;
/// Files of one completion at most.
const MAX_ARTIFACTS: usize = 100;
/// The name of a result's file.
const RESULT: &str = "result.json";

/// A file that a task brought about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Below the task's folder of artifacts.
    pub name: String,
    /// Text.
    pub content: String,
}

/// What a worker did.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Completion {
    /// Which task.
    #[serde(alias = "id")]
    pub task_id: String,
    /// Of the worker's lease.
    pub fence: u64,
    /// Kept as `result.json`.
    pub result: Option<Value>,
    /// Further files.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// What it took.
    pub usage: Option<UsageReport>,
}

/// Why a worker gives a task back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Which task.
    #[serde(alias = "id")]
    pub task_id: String,
    /// Of the worker's lease.
    pub fence: u64,
    /// What went wrong.
    #[serde(alias = "reason")]
    pub error: String,
    /// Whether it is worth another try; it is where nothing is said.
    pub retry: Option<bool>,
    /// What the attempt took.
    pub usage: Option<UsageReport>,
}

impl Session {
    /// Ends a task well: what it brought about, its file's move and the end of the lease are one change.
    ///
    /// # Errors
    /// [`crate::store::StoreError::LockExpired`] for who comes too late; [`Error::Forbidden`]: it takes `write` where the
    /// file goes and where the artifacts lie.
    pub fn complete_task(&self, completion: &Completion) -> Result<TaskInfo> {
        self.engine.adopt_tasks()?;
        let files = files_of(completion)?;
        for _ in 0..MAX_TRIES {
            let seen = self.held_task("task.complete", &completion.task_id, completion.fence)?;
            let done = self.complete(&seen, completion.fence, &files, completion.usage);
            let done = done.map_err(|error| self.without_hidden_name(error));
            let done = self.note_failure("task.complete", Verb::Write, &seen.path(), done)?;
            if let Some((row, seq)) = done {
                return self.task_reply(&seen, row, seq);
            }
            self.engine.adopt_tasks()?;
        }
        Err(TaskError::Busy { task: completion.task_id.clone() }.into())
    }

    fn complete(
        &self,
        seen: &Seen,
        fence: u64,
        files: &[(String, Vec<u8>)],
        usage: Option<UsageReport>,
    ) -> Result<Passed> {
        let mut after = seen.row.clone();
        after.state = if after.spec.review { TaskState::Review } else { TaskState::Done };
        after.last_error = None;
        after.note(self.now_ms(), &self.actor.principal, "completed", None);
        let queue = Self::queue_of(seen);
        let target = seen.full(&queue.path(after.state, after.path.file_name()));
        let site = self.site_of_result(&target)?;
        let folder = queue.artifacts(&after.id);
        let sites: Vec<Site> = files
            .iter()
            .map(|(name, _)| {
                let path = seen.full(&RelPath::new(&format!("{folder}/{name}"))?);
                self.site_of_result(&path)
            })
            .collect::<Result<_>>()?;
        let kept: BTreeSet<String> =
            after.artifacts.iter().cloned().chain(sites.iter().map(|site| site.full.clone())).collect();
        after.artifacts = kept.into_iter().collect();
        let mut steps = Vec::new();
        for (site, (_, bytes)) in sites.iter().zip(files) {
            let place = self.engine.place(&seen.workspace);
            let prepared = change::prepare(&place, &site.path, bytes, site.approved_by.as_deref())?;
            let (path, expected) = (site.path.clone(), Expected::Any);
            steps.push(Step::Put { place, path, expected, prepared, from: None });
        }
        let passing = Passing {
            seen,
            after,
            queue,
            action: "task.complete",
            verb: Verb::Write,
            rule: &site.rule,
            event: EventKind::TaskCompleted,
            reason: None,
            rewrites: false,
            note: None,
            lifts: None,
            steps,
            usage,
        };
        self.pass_on(passing, &mut |tx, after| {
            // The lease may have run out since it was looked at.
            if !self.holds(&seen.row, fence) {
                return Err(crate::store::StoreError::LockExpired { lock: format!("fence {fence}") }.into());
            }
            Ok(tasks::drop_lease(tx, after)?)
        })
    }

    /// Who has a task knows where its results go: a right that is missing there is named.
    fn site_of_result(&self, path: &str) -> Result<Site> {
        self.authorize_seen("task.complete", Verb::Write, path)?;
        self.open_site("task.complete", Verb::Write, path)
    }

    /// Gives a task back that could not be done: it is tried again, or given up, as its file says.
    ///
    /// # Errors
    /// [`crate::store::StoreError::LockExpired`] for who comes too late.
    pub fn fail_task(&self, failure: &Failure) -> Result<TaskInfo> {
        self.engine.adopt_tasks()?;
        for _ in 0..MAX_TRIES {
            let seen = self.held_task("task.fail", &failure.task_id, failure.fence)?;
            let trouble = Trouble {
                mishap: Mishap::Failure { is_worth_it: failure.retry.unwrap_or(true) },
                reason: &failure.error,
                what: "failed",
                action: "task.fail",
                verb: Verb::Write,
                rule: "holder",
                event: EventKind::TaskFailed,
                note: None,
                usage: failure.usage,
            };
            let met = self.meet_trouble(&seen, &trouble);
            if let Some((row, seq)) = self.note_failure("task.fail", Verb::Write, &seen.path(), met)? {
                return self.task_reply(&seen, row, seq);
            }
            self.engine.adopt_tasks()?;
        }
        Err(TaskError::Busy { task: failure.task_id.clone() }.into())
    }

    pub(super) fn task_reply(&self, seen: &Seen, row: TaskRow, seq: Seq) -> Result<TaskInfo> {
        let mut info = TaskInfo::new(row, seen.workspace.row.name.as_str());
        info.seq = Some(self.show_seq(seq)?);
        Ok(info)
    }
}

/// The files of a completion by their names.
fn files_of(completion: &Completion) -> Result<Vec<(String, Vec<u8>)>> {
    let refuse = |found: String, expected: &str| Error::Invalid {
        field: "artifacts",
        found,
        expected: expected.to_owned(),
    };
    let n_files = completion.artifacts.len();
    if n_files > MAX_ARTIFACTS {
        return Err(refuse(format!("{n_files} items"), &format!("at most {MAX_ARTIFACTS}")));
    }
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for artifact in &completion.artifacts {
        let path = RelPath::new(&artifact.name)?;
        if path.is_root() {
            return Err(refuse("a name that is empty".to_owned(), "a file's name"));
        }
        files.push((path.as_str().to_owned(), artifact.content.clone().into_bytes()));
    }
    if let Some(result) = &completion.result {
        let bytes = serde_json::to_vec_pretty(result).expect("a JSON value can be written");
        files.push((RESULT.to_owned(), bytes));
    }
    let names: BTreeSet<String> = files.iter().map(|(name, _)| crate::id::fold(name)).collect();
    if names.len() < files.len() {
        return Err(refuse("two files of one name".to_owned(), "each name once; `result` is `result.json`"));
    }
    Ok(files)
}
