//! The tool that fetches a URL into a path, and tells how far it is.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use waypost_engine::api::{
    ImportFailure, ImportProgress, ImportReply, ImportRequest, ImportedFile, Recursive, Session, WriteOptions,
};
use waypost_engine::change::Expected;
use waypost_engine::id::VersionId;

use super::arguments;
use super::bound::{budget_bytes, keep_first};
use super::tools::Tool;
use crate::problem::Problem;

/// Between two signs of progress at least.
const GAP: Duration = Duration::from_millis(250);
/// Bytes of JSON around the items of a section.
const FRAME: usize = 200;

/// Of `url_import`.
#[derive(Debug, Deserialize)]
struct UrlImport {
    url: String,
    path: String,
    recursive: Option<Recursive>,
    #[serde(default = "yes")]
    refresh: bool,
    #[serde(default)]
    accept: Vec<String>,
    expected_version: Option<VersionId>,
    timeout_seconds: Option<u64>,
    max_tokens: Option<usize>,
}

fn yes() -> bool {
    true
}

/// Fetches, and tells how far it is.
pub(super) fn call(
    session: &Session,
    arguments: Value,
    told: &watch::Sender<ImportProgress>,
) -> Result<Value, Problem> {
    let arguments: UrlImport = arguments::read(Tool::UrlImport, arguments)?;
    let budget = budget_bytes(arguments.max_tokens)?.saturating_sub(FRAME);
    let version = arguments.expected_version;
    let expected = version.map_or(Expected::Any, |version| Expected::OneOf(vec![version]));
    let request = ImportRequest {
        recursive: arguments.recursive,
        refresh: arguments.refresh,
        accept: arguments.accept,
        timeout_seconds: arguments.timeout_seconds,
        ..ImportRequest::new(arguments.url, arguments.path)
    };
    let options = WriteOptions { expected, ..WriteOptions::default() };
    let reply = session.import(&request, &options, &mut |progress| {
        told.send_replace(*progress);
    })?;
    Ok(match reply {
        ImportReply::File(file) => terse(&file),
        ImportReply::Section(section) => {
            let mut failures: Vec<Value> = section.failures.iter().map(terse_failure).collect();
            let mut items: Vec<Value> = section.items.iter().map(terse).collect();
            let mut omitted = keep_first(&mut failures, budget / 3);
            omitted += keep_first(&mut items, budget - budget / 3);
            let mut shown = json!({"path": section.path, "url": section.url, "items": items});
            if !failures.is_empty() {
                shown["failures"] = json!(failures);
            }
            if let Some(why) = section.cut {
                shown["cut"] = json!(why);
            }
            if omitted > 0 {
                shown["omitted"] = json!(omitted);
            }
            shown
        }
    })
}

fn terse(file: &ImportedFile) -> Value {
    json!({
        "path": file.path,
        "version": file.version,
        "seq": file.seq,
        "status": file.status,
        "mime_type": file.mime_type,
        "size": file.size,
        "url": file.url,
    })
}

fn terse_failure(failure: &ImportFailure) -> Value {
    json!({"url": failure.url, "code": failure.code})
}

/// Tells whoever asked for it how far an import is: bytes of a file, or pages of a section.
pub(super) async fn progress(
    mut told: watch::Receiver<ImportProgress>,
    context: &RequestContext<RoleServer>,
) -> Infallible {
    let Some(token) = context.meta.get_progress_token() else { return pending().await };
    let mut last = 0.0;
    loop {
        if told.changed().await.is_err() {
            return pending().await;
        }
        let progress = *told.borrow_and_update();
        let (now, total) = match progress.pages {
            0 => (progress.bytes as f64, progress.total_bytes.map(|total| total as f64)),
            pages => (pages as f64, None),
        };
        // Each sign must be further than the one before.
        if now > last {
            last = now;
            let mut sign = ProgressNotificationParam::new(token.clone(), now);
            sign.total = total;
            sign.message = Some(if progress.pages == 0 { "bytes" } else { "pages" }.to_owned());
            if context.peer.notify_progress(sign).await.is_err() {
                return pending().await;
            }
        }
        tokio::time::sleep(GAP).await;
    }
}
