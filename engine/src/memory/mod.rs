//! What agents remember, as files: notes that stay, and threads that grow.
//!
//! Takes paths and bytes of files below `memory/` of a workspace, and texts that are to become some. Gives their places
//! ([`Place`]), a [`Note`] as Markdown with front matter and back, a thread's [`Message`]s as lines of JSON and back, how alike
//! two notes are ([`compare`]), and how much the age of a memory counts ([`recency`]). It reads and writes no file, decides no access and
//! searches nothing: that is the front door's.

mod error;
mod likeness;
mod note;
mod place;
mod recency;
mod thread;

pub use error::MemoryError;
pub use likeness::{Alike, Likeness, MAX_PARTS, Part, compare, sentences_of};
pub use note::{MAX_NOTE_BYTES, Note, NoteHead, read_note, write_note};
pub use place::{
    FOLDER, Kind, Place, agent_name, check_thread, note_path, path_beside, place_of, thread_path, topic_slug,
};
pub use recency::{HALF_LIFE_DAYS, RECENCY_SHARE, recency, relevance, weighed};
pub use thread::{
    MAX_MESSAGE_BYTES, MAX_PART_BYTES, Message, Window, check_role, cut_message, line_of, read_messages,
    window,
};
