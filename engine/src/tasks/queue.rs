//! Where tasks live: a pure translation between paths and places in a queue.

use serde::{Deserialize, Serialize};

use crate::access::kind_of;
use crate::id::{RelPath, WorkspaceName};

/// Where a task stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// Whoever can do it may have it.
    Pending,
    /// A person has to decide; the file lies where those that are pending lie.
    Waiting,
    /// Somebody holds it under a lease.
    #[serde(alias = "in_progress")]
    InProgress,
    /// It is done, and somebody has to look at it.
    Review,
    /// Done, and accepted where that was asked for.
    Done,
    /// Given up.
    Failed,
}

impl TaskState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Waiting, Self::InProgress, Self::Review, Self::Done, Self::Failed];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Waiting => "waiting",
            Self::InProgress => "in-progress",
            Self::Review => "review",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// The state of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The folder of a task queue that it stands for; two states share one.
    fn folder(self) -> &'static str {
        if self == Self::Waiting { "pending" } else { self.as_str() }
    }
}

/// A place in a workspace where tasks live as plain files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queue {
    /// `tasks/<state>/NAME`: for whoever can do them.
    Tasks,
    /// `inbox/<agent>/NAME`: for one agent. Ended tasks lie in a folder of their state below it.
    Inbox {
        /// Its name, without `agent:`.
        agent: String,
        /// Whether the workspace itself is the one of inboxes: `/inbox/<agent>/NAME`.
        is_at_root: bool,
    },
}

/// A file's place in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Which queue.
    pub queue: Queue,
    /// What its folder says; in an inbox a task keeps its place while somebody works on it.
    pub state: TaskState,
    /// The file's name, which it keeps while it moves.
    pub name: String,
}

/// The workspace whose folders are inboxes.
const INBOX: &str = "inbox";

/// The place of a file in a queue; `None` for every other file, and for names that begin with a dot.
pub fn spot(workspace: &WorkspaceName, path: &RelPath) -> Option<Spot> {
    let is_at_root = workspace.as_str() == INBOX;
    let names: Vec<&str> = path.as_str().split('/').collect();
    if names.iter().any(|name| name.is_empty() || name.starts_with('.')) {
        return None;
    }
    let below = match names.as_slice() {
        ["tasks", folder, name] if !is_at_root => {
            let state = TaskState::named(folder).filter(|state| *state != TaskState::Waiting)?;
            return Some(Spot { queue: Queue::Tasks, state, name: (*name).to_owned() });
        }
        [INBOX, below @ ..] if !is_at_root => below,
        below if is_at_root => below,
        _ => return None,
    };
    let (agent, state, name) = match below {
        [agent, name] => (agent, TaskState::Pending, name),
        [agent, folder, name] => {
            let is_end =
                |state: &TaskState| matches!(state, TaskState::Review | TaskState::Done | TaskState::Failed);
            (agent, TaskState::named(folder).filter(is_end)?, name)
        }
        _ => return None,
    };
    kind_of(&format!("agent:{agent}")).ok()?;
    let queue = Queue::Inbox { agent: (*agent).to_owned(), is_at_root };
    Some(Spot { queue, state, name: (*name).to_owned() })
}

impl Queue {
    /// The inbox of an agent in a workspace.
    pub fn inbox(workspace: &WorkspaceName, agent: &str) -> Self {
        Self::Inbox { agent: agent.to_owned(), is_at_root: workspace.as_str() == INBOX }
    }

    /// Where a task of a name lies in a state.
    pub fn path(&self, state: TaskState, name: &str) -> RelPath {
        match (self, state) {
            (Self::Tasks, state) => self.folder().join("tasks").join(state.folder()).join(name),
            (_, TaskState::Pending | TaskState::Waiting | TaskState::InProgress) => self.folder().join(name),
            (_, ended) => self.folder().join(ended.folder()).join(name),
        }
    }

    /// The folder of what a task of this queue brought about: an agent that has rights on its inbox alone can hand it in.
    pub fn artifacts(&self, task: &str) -> RelPath {
        self.folder().join("artifacts").join(task)
    }

    fn folder(&self) -> RelPath {
        let root = RelPath::root();
        match self {
            Self::Tasks => root,
            Self::Inbox { agent, is_at_root: true } => root.join(agent),
            Self::Inbox { agent, is_at_root: false } => root.join(INBOX).join(agent),
        }
    }

    /// Whom every task of this queue is for.
    pub fn addressee(&self) -> Option<String> {
        match self {
            Self::Tasks => None,
            Self::Inbox { agent, .. } => Some(format!("agent:{agent}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(workspace: &str, path: &str, expected: Option<(Option<&str>, TaskState)>) {
        let (workspace, path) = (WorkspaceName::new(workspace).unwrap(), RelPath::new(path).unwrap());
        let found = spot(&workspace, &path);
        let shown = found.as_ref().map(|spot| (spot.queue.addressee(), spot.state));
        assert_eq!(shown, expected.map(|(to, state)| (to.map(str::to_owned), state)), "{path}");
        if let Some(spot) = found {
            assert_eq!(spot.queue.path(spot.state, &spot.name), path, "there and back");
        }
    }

    #[test]
    fn a_path_is_a_place_in_a_queue_and_back() {
        use TaskState::{Done, Failed, InProgress, Pending, Review};
        let bob = Some("agent:bob");
        check("w", "tasks/pending/x.json", Some((None, Pending)));
        check("w", "tasks/in-progress/x.json", Some((None, InProgress)));
        check("w", "tasks/review/x", Some((None, Review)));
        check("w", "inbox/bob/x.md", Some((bob, Pending)));
        check("w", "inbox/bob/done/x.md", Some((bob, Done)));
        check("inbox", "bob/x.md", Some((bob, Pending)));
        check("inbox", "bob/failed/x.md", Some((bob, Failed)));
        for other in [
            "tasks/x.json",
            "tasks/waiting/x",
            "tasks/pending/.keep",
            "tasks/pending/a/b",
            "inbox/bob/other/x",
            "inbox/bob",
            "inbox/b b/x",
            "Tasks/pending/x",
            "a/tasks/pending/x",
        ] {
            check("w", other, None);
        }
        check("inbox", "x.md", None);
        check("inbox", "bob/artifacts/tk_1/result.json", None);
        check("inbox", "bob/artifacts/x", None);
    }

    #[test]
    fn a_task_keeps_its_place_in_an_inbox_while_it_is_worked_on() {
        let queue = Queue::inbox(&WorkspaceName::new("w").unwrap(), "bob");
        for state in [TaskState::Pending, TaskState::Waiting, TaskState::InProgress] {
            assert_eq!(queue.path(state, "x").as_str(), "inbox/bob/x");
        }
        assert_eq!(queue.path(TaskState::Done, "x").as_str(), "inbox/bob/done/x");
        assert_eq!(queue.artifacts("tk_1").as_str(), "inbox/bob/artifacts/tk_1");
        let queue = Queue::inbox(&WorkspaceName::new("inbox").unwrap(), "bob");
        assert_eq!(queue.artifacts("tk_1").as_str(), "bob/artifacts/tk_1");
        assert_eq!(Queue::Tasks.artifacts("tk_1").as_str(), "artifacts/tk_1");
    }
}
