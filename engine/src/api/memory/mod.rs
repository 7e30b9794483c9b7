//! Agent memory: notes and threads as files below `/<workspace>/memory/<agent>/`, written and read by the same rights as any other file.
//!
//! An agent has no right of its own over its memory: a grant of `list`, `read` and `write` on the folder gives it. What of others'
//! memory a principal may read it recalls beside its own; the rest is as absent.

mod course;
mod listing;
mod messages;
mod recalling;
mod remembering;
mod replies;
mod shelf;

pub use replies::{
    AppendMessages, AppendReply, MemoryFilter, MemoryInfo, MessageInput, OnConflict, RecallReply,
    RecallRequest, Recalled, RememberReply, RememberRequest, SimilarNote, Sources, ThreadReply,
    ThreadRequest,
};
pub(super) use shelf::NoteCache;
