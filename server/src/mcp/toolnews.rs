//! Tells a client when the list of tools that it is offered has changed, and nothing of changes that it can't see.

use std::sync::Arc;

use rmcp::service::SubscriptionContext;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use waypost_engine::api::{Engine, Session};

use super::{Server, Toolsets, offered_tools};
use crate::blocking::Bridge;
use crate::problem::Problem;

/// Follows one client's list, until it is stopped, its token ends, or nobody listens.
pub struct ToolFollower {
    engine: Arc<Engine>,
    bridge: Bridge,
    session: Session,
    toolsets: Toolsets,
    news: watch::Receiver<()>,
    stop: CancellationToken,
}

impl Server {
    /// Of what a session is offered.
    pub(super) fn tool_follower(
        &self,
        session: Session,
        toolsets: Toolsets,
        stop: CancellationToken,
    ) -> ToolFollower {
        let mut news = self.tool_news.clone();
        news.mark_unchanged();
        ToolFollower {
            engine: Arc::clone(self.asker.engine()),
            bridge: self.asker.bridge().clone(),
            session,
            toolsets,
            news,
            stop,
        }
    }
}

impl Server {
    /// Tells who listens of changes of the list, where it has asked for that.
    pub(super) async fn tell_of_tools(
        &self,
        context: &SubscriptionContext,
        session: Session,
        toolsets: Toolsets,
    ) {
        if context.accepted().tools_list_changed != Some(true) {
            return std::future::pending().await;
        }
        let sink = context.sink().clone();
        let tell = move || {
            let sink = sink.clone();
            async move { sink.notify_tool_list_changed().await.is_ok() }
        };
        self.tool_follower(session, toolsets, CancellationToken::new()).follow(tell).await;
    }
}

impl ToolFollower {
    /// Calls `tell` whenever the list differs from what it was; `false` ends it.
    pub async fn follow<F: Future<Output = bool>>(mut self, tell: impl Fn() -> F) {
        let mut last = match self.list().await {
            Ok(Some(list)) => Some(list),
            Ok(None) => return,
            // What it was is not known; it is told from the next change on.
            Err(_) => None,
        };
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                news = self.news.changed() => {
                    if news.is_err() {
                        return;
                    }
                }
            }
            let list = match self.list().await {
                Ok(Some(list)) => list,
                Ok(None) => return,
                // A busy engine is asked again with the next news.
                Err(_) => continue,
            };
            let is_other = last.as_ref().is_some_and(|last| *last != list);
            if is_other && !tell().await {
                return;
            }
            last = Some(list);
        }
    }

    /// The list as it is now, as text; `None` where the token has ended.
    async fn list(&self) -> Result<Option<String>, Problem> {
        let (engine, session, toolsets) = (Arc::clone(&self.engine), self.session.clone(), self.toolsets);
        self.bridge
            .run(move || {
                let token = session.token_id();
                if !token.is_empty() && !engine.is_token_alive(token)? {
                    return Ok::<_, Problem>(None);
                }
                Ok(serde_json::to_string(&offered_tools(&session, toolsets)).ok())
            })
            .await
    }
}
