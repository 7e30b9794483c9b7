use serde::Deserialize;
use serde_json::Value;

use super::super::approvals::GatedAct;
use super::super::error::{Error, Result};
use super::super::keys::fresh_id;
use super::super::session::Session;
use super::super::sites::{Gated, Site, Waiting};
use super::info::TaskInfo;
use super::looking::check_address;
use crate::access::{self, Verb};
use crate::catalog::Tx;
use crate::change::{self, Author, ChangeError, Expected, Step};
use crate::clock::parse_rfc3339;
use crate::id::{RelPath, VersionId, WorkspaceName, join_path};
use crate::journal::{EventKind, NewEvent};
use crate::tasks::{
    self, MAX_ATTEMPTS, MAX_FILE_BYTES, Queue, TaskFile, TaskRow, TaskSpec, TaskState, Trouble,
};

/// A task that is to be.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// Where.
    pub workspace: String,
    /// For people; the file's name where it is missing.
    pub title: Option<String>,
    /// Whatever the worker needs.
    pub payload: Option<Value>,
    /// A principal, or an agent's name; whoever can do it where it is missing.
    pub to: Option<String>,
    /// What it takes.
    pub capability: Option<String>,
    /// Higher first; 0 where it is missing.
    #[serde(default)]
    pub priority: i64,
    /// RFC 3339; orders tasks, and hinders none.
    #[serde(alias = "due")]
    pub due_at: Option<String>,
    /// Ids or file names of tasks of the same workspace that must be done before; they are there already.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// 1 to 100; 3 where it is missing.
    pub max_attempts: Option<u32>,
    /// Whether somebody has to accept what was done.
    #[serde(default)]
    pub review: bool,
    /// `retry`, `agent:NAME` or `human`, for the first, second, … trouble; the last one repeats.
    #[serde(default)]
    pub on_trouble: Vec<String>,
    /// The wait after the first failure; it doubles with each further one.
    pub retry_delay_ms: Option<u64>,
    /// The file's name; the id and `.json` where it is missing.
    pub name: Option<String>,
    /// Puts it into the inbox of the agent that it is for.
    #[serde(default)]
    pub inbox: bool,
    /// What was reserved for it, which ends with it. The engine sets it; no request can.
    #[serde(skip)]
    pub reservation: Option<String>,
}

impl NewTask {
    fn spec(&self, name: &str) -> Result<TaskSpec> {
        let invalid = |field, found: String, expected: &str| Error::Invalid {
            field,
            found: found.chars().take(80).collect(),
            expected: expected.to_owned(),
        };
        let mut spec = TaskSpec::named(self.title.as_deref().unwrap_or(name));
        spec.to = self.to.as_deref().map(|to| check_address("to", to)).transpose()?;
        spec.capability.clone_from(&self.capability);
        spec.priority = self.priority;
        if let Some(due_at) = &self.due_at {
            let refused = || invalid("due_at", format!("`{due_at}`"), "an RFC 3339 time");
            spec.due_ms = Some(parse_rfc3339(due_at).ok_or_else(refused)?);
        }
        spec.depends_on.clone_from(&self.depends_on);
        if let Some(max_attempts) = self.max_attempts {
            if !(1..=MAX_ATTEMPTS).contains(&max_attempts) {
                return Err(invalid("max_attempts", max_attempts.to_string(), "1 to 100"));
            }
            spec.max_attempts = max_attempts;
        }
        spec.review = self.review;
        for step in &self.on_trouble {
            let refused = |expected| invalid("on_trouble", format!("`{step}`"), expected);
            spec.on_trouble.push(Trouble::try_from(step.clone()).map_err(refused)?);
        }
        spec.retry_delay_ms = self.retry_delay_ms.unwrap_or(spec.retry_delay_ms);
        spec.payload.clone_from(&self.payload);
        Ok(spec)
    }

    fn queue(&self, workspace: &WorkspaceName, spec: &TaskSpec) -> Result<Queue> {
        if !self.inbox && workspace.as_str() != "inbox" {
            return Ok(Queue::Tasks);
        }
        match spec.to.as_deref().and_then(|to| to.strip_prefix("agent:")) {
            Some(agent) => Ok(Queue::inbox(workspace, agent)),
            None => Err(Error::Invalid {
                field: "to",
                found: self.to.as_ref().map_or("missing".to_owned(), |to| format!("`{to}`")),
                expected: "an agent, whose inbox it is to lie in".to_owned(),
            }),
        }
    }
}

/// A task that is about to be made.
pub(in crate::api) struct PreparedTask {
    pub id: String,
    pub workspace: WorkspaceName,
    pub path: RelPath,
    spec: TaskSpec,
    bytes: Vec<u8>,
    /// What was set aside for it.
    pub reservation: Option<String>,
}

impl PreparedTask {
    fn row(&self, site: &Site, creator: &str, now_ms: i64) -> TaskRow {
        let file = TaskFile {
            workspace: site.workspace.row.id,
            path: site.path.clone(),
            version: VersionId::of(&self.bytes),
            size_bytes: self.bytes.len() as u64,
        };
        let mut row = TaskRow::new(self.id.clone(), file, self.spec.clone(), creator, now_ms);
        row.reservation.clone_from(&self.reservation);
        row
    }
}

impl Session {
    /// Makes a task: a JSON file among those that are pending, or in an agent's inbox.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::Forbidden`], [`Error::NotFound`], [`Error::ApprovalRequired`]: it takes `write` on
    /// the file's path, and `read` as well where its name is given. What it waits for must be there.
    pub fn create_task(&self, new: &NewTask) -> Result<TaskInfo> {
        self.engine.adopt_tasks()?;
        let task = self.prepare_task(new)?;
        let path = join_path(&task.workspace, &task.path);
        if new.name.is_some() {
            self.check_may_look(&path)?;
        }
        if self.decide(Verb::Write, &path).allowed {
            let checked = self.check_named(&task);
            self.note_failure("task.create", Verb::Write, &path, checked)?;
        }
        let site = self.task_site(&path, &task.bytes)?;
        let put = self.put_task(&site, task, ("task.create", Verb::Write), &mut |_, _| Ok(()));
        let put = put.map_err(|error| self.without_hidden_name(error));
        self.note_failure("task.create", Verb::Write, &path, put)
    }

    /// What a new task's file will say, and where it will lie; nothing is decided or done.
    pub(in crate::api) fn prepare_task(&self, new: &NewTask) -> Result<PreparedTask> {
        let id = fresh_id("tk");
        let name = new.name.clone().unwrap_or_else(|| format!("{id}.json"));
        let workspace = WorkspaceName::new(&new.workspace)?;
        let spec = new.spec(&name)?;
        let queue = new.queue(&workspace, &spec)?;
        check_name(&workspace, &queue, &name)?;
        let path = queue.path(TaskState::Pending, &name);
        let bytes = spec.write(&id);
        if bytes.len() > MAX_FILE_BYTES {
            return Err(Error::Invalid {
                field: "payload",
                found: format!("{} bytes with the rest", bytes.len()),
                expected: format!("at most {MAX_FILE_BYTES}; put more into a file and name its path"),
            });
        }
        Ok(PreparedTask { id, workspace, path, spec, bytes, reservation: new.reservation.clone() })
    }

    /// Whom a task is for, and what it waits for, must be there. A task that may not be read counts as not there. Who exists
    /// is told to nobody but the admin, who may list them: for others a task may be for anybody.
    fn check_named(&self, task: &PreparedTask) -> Result<()> {
        let to = task.spec.to.as_deref().filter(|to| *to != access::ADMIN && self.is_admin());
        if let Some(to) = to.filter(|to| !self.engine.policy().principals.contains_key(*to)) {
            return Err(Error::NotFound { what: "principal", name: to.to_owned() });
        }
        let Some(workspace) = self.engine.workspace(&task.workspace) else { return Ok(()) };
        let scope = self.scope(Verb::Read);
        for name in &task.spec.depends_on {
            let named = tasks::newest_named(&self.engine.catalog, workspace.row.id, name)?;
            if !named.iter().any(|(path, _)| scope.allows(&join_path(&task.workspace, path))) {
                return Err(Error::Invalid {
                    field: "depends_on",
                    found: format!("`{}`", name.chars().take(80).collect::<String>()),
                    expected: format!(
                        "the id or file name of a task in `{}` that you may read",
                        task.workspace
                    ),
                });
            }
        }
        Ok(())
    }

    /// A name that is refused where it is there already tells that it is.
    fn check_may_look(&self, path: &str) -> Result<()> {
        if self.decide(Verb::Read, path).allowed || !self.decide(Verb::Write, path).allowed {
            return Ok(());
        }
        let (principal, path) = (self.actor.principal.clone(), path.to_owned());
        Err(Error::Forbidden { principal, verb: "read", path })
    }

    fn task_site(&self, path: &str, bytes: &[u8]) -> Result<Site> {
        let act = || {
            let version = VersionId::of(bytes);
            Ok(GatedAct::Write { path: path.to_owned(), version, expected: None })
        };
        match self.site("task.create", Verb::Write, path, act) {
            Ok(site) => Ok(site),
            Err(Gated::Refused(error)) => Err(error),
            Err(Gated::Wait(waiting)) => {
                let staged = self.engine.blobs.stage(bytes)?;
                let Waiting { act, gate, site } = *waiting;
                Err(self.ask_approval("task.create", &act, &gate, &site, Some(&staged))?)
            }
        }
    }

    /// Makes a task where `site` says, in one transaction with its file, its event, the act and what `in_tx` adds.
    pub(in crate::api) fn put_task(
        &self,
        site: &Site,
        task: PreparedTask,
        (action, verb): (&'static str, Verb),
        in_tx: &mut dyn FnMut(&Tx<'_>, &TaskRow) -> std::result::Result<(), ChangeError>,
    ) -> Result<TaskInfo> {
        let mut row = task.row(site, &self.actor.principal, self.now_ms());
        let place = self.engine.place(&site.workspace);
        let prepared = change::prepare(&place, &site.path, &task.bytes, site.approved_by.as_deref())?;
        let (path, expected) = (site.path.clone(), Expected::Absent);
        let steps = vec![Step::Put { place, path, expected, prepared, from: None }];
        let policy = self.engine.policy();
        let author = Author {
            principal: &self.actor.principal,
            approved_by: site.approved_by.as_deref(),
            fence: None,
            trace: Some(self.cause()),
            may_write: &|principal, path| access::may_write(&policy, principal, path),
        };
        let mut told = None;
        let done = change::execute(steps, author, &mut |tx, _| {
            tx.put_task(&mut row)?;
            in_tx(tx, &row)?;
            told = Some(tx.append_event(&NewEvent {
                kind: EventKind::TaskCreated,
                workspace: row.workspace,
                path: row.path.as_str(),
                data: Some(&row.told(None).to_string()),
                actor: &self.actor.principal,
                trace: Some(self.cause()),
                occurred_ms: row.created_ms,
            })?);
            let version = row.version.to_string();
            self.record_in(tx, action, verb, &site.full, &version, &site.rule)
        });
        self.engine.wake(&site.workspace.row.name);
        match done {
            Err(ChangeError::VersionConflict { path, .. }) => Err(ChangeError::Exists { path })?,
            done => done?,
        };
        let mut info = TaskInfo::new(row, site.workspace.row.name.as_str());
        info.seq = told.map(|seq| self.show_seq(seq)).transpose()?;
        Ok(info)
    }
}

/// A name that a queue knows as a task's.
fn check_name(workspace: &WorkspaceName, queue: &Queue, name: &str) -> Result<()> {
    let path = queue.path(TaskState::Pending, name);
    let is_spot = !name.contains('/')
        && RelPath::new(path.as_str()).is_ok_and(|path| tasks::spot(workspace, &path).is_some());
    if is_spot {
        return Ok(());
    }
    Err(Error::Invalid {
        field: "name",
        found: format!("`{}`", name.chars().take(80).collect::<String>()),
        expected: "a file's name, without `/` and without a dot at its start".to_owned(),
    })
}
