//! Runs the tools of our own: within a time, ended at once by whoever no longer wants the answer, with a sign of life
//! for those who wait.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{CallToolResult, ContentBlock, ProgressNotificationParam, Resource};
use rmcp::service::RequestContext;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, timeout};
use tracing::Instrument;
use waypost_engine::api::{ImportProgress, Session};

use super::bound::{budget_bytes, cost};
use super::refusals::refusal;
use super::tools::{Family, Tool};
use super::{Server, Toolsets, calls, imports, reference, resources, traced};
use crate::blocking::{Bridge, Wish};
use crate::problem::Problem;
use crate::serve::REQUEST_TIMEOUT;

/// A client that asked for progress hears so often that its call still waits.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// The longest import, and a little more.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(610);
/// Links beside the hits of one reply at most.
const MAX_LINKS: usize = 10;

impl Server {
    /// Runs a tool; a refusal is a result.
    pub(super) async fn call(
        &self,
        (session, toolsets): (Session, Toolsets),
        tool: Tool,
        arguments: Value,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let asker = session.clone();
        let max_tokens = arguments["max_tokens"].as_u64().and_then(|tokens| usize::try_from(tokens).ok());
        let (session, span) = traced::call(session, tool.name(), context);
        let mut wish = Wish::new(self.asker.engine());
        let session = session.until(wish.stop());
        let (tell, told) = watch::channel(ImportProgress::default());
        let call = self.bridge_for(tool, &arguments).run(move || match tool {
            Tool::UrlImport => imports::call(&session, arguments, &tell),
            _ => calls::call(&session, toolsets, tool, arguments),
        });
        let call = call.instrument(span);
        let result = tokio::select! {
            result = timeout(patience(tool), call) => result.unwrap_or_else(|_| Err(Problem::timeout())),
            never = signs_of_life(tool, context) => match never {},
            never = imports::progress(told, context), if tool == Tool::UrlImport => match never {},
            // Nobody reads this; what the call waits for is given up, and its place is free again.
            () = context.ct.cancelled() => Err(Problem::timeout()),
        };
        if result.is_ok() || !(tool.waits() || tool == Tool::UrlImport) {
            wish.fulfil();
        }
        if let Some(app) = self.asker.app() {
            app.telemetry.tool_call(tool.name(), result.is_err());
        }
        match result {
            Ok(value) => shown(tool, value, max_tokens),
            Err(problem) => refusal(&problem, &asker, toolsets),
        }
    }

    fn bridge_for(&self, tool: Tool, arguments: &Value) -> &Bridge {
        match self.asker.app() {
            Some(app) if tool == Tool::Search && arguments["wait_for_seq"].is_null() => &app.searches,
            // Who waits for something to happen takes nobody's place.
            Some(app) if tool.waits() => &app.waits,
            Some(app) if tool == Tool::UrlImport => &app.imports,
            _ => self.asker.bridge(),
        }
    }
}

/// An import has a time of its own, which ends before this.
fn patience(tool: Tool) -> Duration {
    if tool == Tool::UrlImport { IMPORT_TIMEOUT } else { REQUEST_TIMEOUT }
}

/// Progress of a wait is the time that it took so far, in seconds; how long it will be nobody knows.
async fn signs_of_life(tool: Tool, context: &RequestContext<RoleServer>) -> Infallible {
    let Some(token) = context.meta.get_progress_token().filter(|_| tool.waits()) else {
        return pending().await;
    };
    let began = Instant::now();
    let mut ticks = interval_at(began + SIGN_OF_LIFE, SIGN_OF_LIFE);
    loop {
        ticks.tick().await;
        let mut sign = ProgressNotificationParam::new(token.clone(), began.elapsed().as_secs_f64());
        sign.message = Some("still waiting".to_owned());
        if context.peer.notify_progress(sign).await.is_err() {
            return pending().await;
        }
    }
}

fn shown(tool: Tool, value: Value, max_tokens: Option<usize>) -> CallToolResult {
    if tool.family() == Family::FilesReference {
        return reference::shown(tool, value);
    }
    let links = match tool {
        Tool::Search => links(&value, budget_bytes(max_tokens).unwrap_or_default()),
        _ => Vec::new(),
    };
    let mut result = CallToolResult::structured(value);
    result.content.extend(links);
    result
}

/// The files of hits as links, best first, as far as the bound has room beside the hits themselves.
fn links(found: &Value, budget: usize) -> Vec<ContentBlock> {
    let mut room = budget.saturating_sub(cost(found));
    let mut paths: Vec<&str> = Vec::new();
    for path in found["hits"].as_array().into_iter().flatten().filter_map(|hit| hit["path"].as_str()) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let link = |path: &str| {
        ContentBlock::resource_link(Resource::new(resources::uri_of(path), path.trim_start_matches('/')))
    };
    let fits = |link: &ContentBlock| {
        let cost = cost(link) + 1;
        let fits = cost <= room;
        room = room.saturating_sub(cost);
        fits
    };
    paths.into_iter().take(MAX_LINKS).map(link).take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_file_is_linked_once_and_only_within_the_bound() {
        let found = json!({"hits": [{"path": "/a/x y.md"}, {"path": "/a/x y.md"}, {"path": "/a/z.md"}]});
        let uris = |budget: usize| -> Vec<String> {
            let links = links(&found, budget);
            links.iter().filter_map(|link| Some(link.as_resource_link()?.uri.clone())).collect()
        };
        assert_eq!(uris(10_000), ["waypost:///a/x%20y.md", "waypost:///a/z.md"]);
        assert_eq!(uris(cost(&found) + 100), ["waypost:///a/x%20y.md"]);
        assert!(uris(cost(&found)).is_empty());
    }
}
