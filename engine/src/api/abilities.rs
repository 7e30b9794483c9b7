//! Says what a session could do anywhere at all, for whoever chooses what to offer to it: over names alone, by the verbs
//! and at the places that the acts themselves ask for.

use std::collections::BTreeSet;

use super::session::Session;
use crate::access::{Scope, Verb};
use crate::memory::{self, agent_name};
use crate::pattern::Pattern;

/// Stands for the first workspace of a home that has none yet.
const FIRST: &str = "workspace";
/// Where tasks for anybody wait.
const PENDING: &str = "tasks/pending/*";
/// Where all inboxes lie in a workspace.
const INBOXES: &str = "inbox/*/*";
/// The same in the workspace of inboxes.
const ROOT_INBOXES: &str = "/inbox/*/*";

impl Session {
    /// Whether it may do something by a verb on any path at all.
    pub fn may_somewhere(&self, verb: Verb) -> bool {
        !self.scope(verb).is_nothing()
    }

    /// Whether there may be a file that it can read and change.
    pub fn may_edit(&self) -> bool {
        self.scope(Verb::Read).overlaps(&self.scope(Verb::Write))
    }

    /// Whether there may be a file that it can take elsewhere.
    pub fn may_move(&self) -> bool {
        // What may be written may be taken away as well, where no rule forbids that.
        self.may_somewhere(Verb::Write)
            && (self.may_edit() || self.scope(Verb::Read).overlaps(&self.scope(Verb::Delete)))
    }

    /// Whether there may be a workspace that it can take a snapshot of.
    pub fn may_take_snapshots(&self) -> bool {
        [Verb::List, Verb::Read].into_iter().any(|verb| self.may_in_one(&[(Verb::Write, ""), (verb, "**")]))
    }

    /// Whether there may be a topic on which it can publish.
    pub fn may_publish(&self) -> bool {
        self.may_in_one(&[(Verb::Write, "events/*/**")])
    }

    /// Whether it can make a task for anybody, or for some agent.
    pub fn may_create_tasks(&self) -> bool {
        self.may_in_one(&[(Verb::Write, PENDING)])
            || self.may_in_one(&[(Verb::Write, INBOXES)])
            || self.may_reach(Verb::Write, ROOT_INBOXES)
    }

    /// Whether there may be a task that it can claim, and then end.
    pub fn may_work(&self) -> bool {
        let own = |name: &str| {
            let (own, at_root) = (format!("inbox/{name}/*"), format!("/inbox/{name}/*"));
            self.may_in_one(&[(Verb::Read, &own), (Verb::Write, &own)])
                || (self.may_reach(Verb::Read, &at_root) && self.may_reach(Verb::Write, &at_root))
        };
        self.may_in_one(&[(Verb::Read, PENDING), (Verb::Write, "tasks/in-progress/*")])
            || self.principal_id().strip_prefix("agent:").is_some_and(own)
    }

    /// Whether there may be a task that it can see.
    pub fn may_see_tasks(&self) -> bool {
        self.may_at_tasks(Verb::Read)
    }

    /// Whether there may be a task that it can judge: by its rights, or because it made the task.
    pub fn may_review(&self) -> bool {
        let is_judge = self.may_at_tasks(Verb::Approve) || self.may_create_tasks() || self.may_dispatch();
        self.may_see_tasks() && is_judge
    }

    /// Whether there is a memory of its own that it can add to.
    pub fn may_remember(&self) -> bool {
        let notes = agent_name(self.principal_id()).map(|name| format!("{}/{name}/notes/**", memory::FOLDER));
        notes.is_ok_and(|notes| self.may_in_one(&[(Verb::Read, &notes), (Verb::Write, &notes)]))
    }

    /// Whether there may be a memory that it can read.
    pub fn may_recall(&self) -> bool {
        self.may_in_one(&[(Verb::Read, &format!("{}/*/**", memory::FOLDER))])
    }

    fn may_at_tasks(&self, verb: Verb) -> bool {
        ["tasks/*/*", INBOXES].into_iter().any(|place| self.may_in_one(&[(verb, place)]))
            || self.may_reach(verb, ROOT_INBOXES)
    }

    fn may_reach(&self, verb: Verb, place: &str) -> bool {
        Pattern::path(place).is_ok_and(|place| self.scope(verb).meets(&place))
    }

    /// Whether in one and the same workspace all of these verbs may be used at their places.
    fn may_in_one(&self, needed: &[(Verb, &str)]) -> bool {
        let needed: Vec<(Scope, &str)> =
            needed.iter().map(|(verb, place)| (self.scope(*verb), *place)).collect();
        let existing = self.engine.workspace_names();
        let mut names: BTreeSet<String> = existing.iter().map(|name| name.as_str().to_owned()).collect();
        // A grant may name a workspace that is made when it is needed, as that of inboxes is.
        names.extend(needed.iter().flat_map(|(scope, _)| scope.tops()));
        if names.is_empty() {
            names.insert(FIRST.to_owned());
        }
        names.iter().any(|name| {
            let meets = |scope: &Scope, place: &str| {
                Pattern::path(&format!("/{name}/{place}")).is_ok_and(|place| scope.meets(&place))
            };
            needed.iter().all(|(scope, place)| meets(scope, place))
        })
    }
}
