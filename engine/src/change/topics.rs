//! A file that is put below `events/` publishes on the topic that its folder names, in the transaction of its change.

use serde_json::Value;

use super::{ChangeError, Place};
use crate::catalog::{FileState, Tx};
use crate::id::{RelPath, join_path};
use crate::journal::{Cause, EventKind, NewEvent, topic_of};

/// Larger files are named and not told, in bytes: an event says where to look.
const MAX_NEWS_BYTES: usize = 16 << 10;

/// What a short JSON file of a topic says.
pub(super) fn short_json(path: &RelPath, bytes: &[u8]) -> Option<Value> {
    topic_of(path.as_str())?;
    if bytes.len() > MAX_NEWS_BYTES {
        return None;
    }
    serde_json::from_slice(bytes).ok()
}

/// Tells of a file whose place is a topic's folder; of any other nothing.
pub(super) fn publish(
    tx: &Tx<'_>,
    place: &Place<'_>,
    path: &RelPath,
    state: &FileState,
    news: Option<&Value>,
    actor: &str,
    trace: Option<Cause<'_>>,
) -> Result<(), ChangeError> {
    let Some(topic) = topic_of(path.as_str()) else { return Ok(()) };
    let file = join_path(&place.workspace.name, path);
    let mut data = serde_json::json!({"topic": topic, "file": file, "version": state.version});
    if let Some(news) = news {
        data["data"] = news.clone();
    }
    tx.append_event(&NewEvent {
        kind: EventKind::TopicPublished,
        workspace: place.workspace.id,
        path: path.as_str(),
        data: Some(&data.to_string()),
        actor,
        trace,
        occurred_ms: place.clock.now_ms(),
    })?;
    Ok(())
}
