//! Takes files in the folders of queues, gives tasks: who may have which one next, who has it under which lease, and what
//! becomes of it after each trouble.
//!
//! Nouns: [`Queue`] (a place in a workspace where tasks live as plain files), [`TaskState`] (the folder that one stands
//! in), [`TaskSpec`] (what its file says), [`TaskRow`] (what the catalog knows of it). The file is the truth for whether a
//! task exists and where it stands: [`adopt`] carries the rows on from the journal. It decides no access and moves no file.

mod adopt;
mod error;
mod lease;
mod plan;
mod queue;
mod reserved;
mod rows;
mod spec;

pub use adopt::{Adoption, adopt};
pub use error::TaskError;
pub use lease::{LeaseTerms, drop_lease, extend_lease, take_lease};
pub use plan::{Hindrance, Mishap, Next, Worker, after_trouble, hindrance};
pub use queue::{Queue, Spot, TaskState, spot};
pub use reserved::{drop_reserved, settle_reserved};
pub use rows::{
    Lease, Past, TaskFile, TaskFilter, TaskRow, each_pending, last_ended, newest_named, overdue, task,
    task_cursor, tasks,
};
pub use spec::{
    DEFAULT_MAX_ATTEMPTS, MAX_ATTEMPTS, MAX_FILE_BYTES, Note, TaskSpec, Trouble, address, rewrite,
};
