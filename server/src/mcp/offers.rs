//! Tells a client when the tools or prompts that it is offered have changed, by a grant, a listing or a decision, and
//! nothing of changes that it can't see.

use std::sync::Arc;

use rmcp::service::SubscriptionContext;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use waypost_engine::api::{Engine, Session};

use super::{Server, Toolsets, offered_tools, prompts};
use crate::blocking::Bridge;
use crate::problem::Problem;

/// Which list is another than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// That of tools.
    Tools,
    /// That of prompts.
    Prompts,
}

/// Both lists, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Offer {
    tools: String,
    prompts: String,
}

impl Offer {
    fn of(session: &Session, toolsets: Toolsets) -> Option<Self> {
        Some(Self {
            tools: serde_json::to_string(&offered_tools(session, toolsets)).ok()?,
            prompts: serde_json::to_string(&prompts::offered(session, toolsets)).ok()?,
        })
    }

    fn changes_since(&self, last: &Self) -> Vec<Changed> {
        let both =
            [(self.tools != last.tools, Changed::Tools), (self.prompts != last.prompts, Changed::Prompts)];
        both.into_iter().filter(|(differs, _)| *differs).map(|(_, changed)| changed).collect()
    }
}

/// Follows what one client is offered, until it is stopped, its token ends, or nobody listens.
pub struct OfferFollower {
    engine: Arc<Engine>,
    bridge: Bridge,
    session: Session,
    toolsets: Toolsets,
    news: watch::Receiver<()>,
    stop: CancellationToken,
}

impl Server {
    /// Of what a session is offered.
    pub(super) fn offer_follower(
        &self,
        session: Session,
        toolsets: Toolsets,
        stop: CancellationToken,
    ) -> OfferFollower {
        let mut news = self.tool_news.clone();
        news.mark_unchanged();
        OfferFollower {
            engine: Arc::clone(self.asker.engine()),
            bridge: self.asker.bridge().clone(),
            session,
            toolsets,
            news,
            stop,
        }
    }

    /// Tells who listens of changes of the lists that it has asked about.
    pub(super) async fn tell_of_offers(
        &self,
        context: &SubscriptionContext,
        session: Session,
        toolsets: Toolsets,
    ) {
        let accepted = context.accepted();
        let tools = accepted.tools_list_changed == Some(true);
        let prompts = accepted.prompts_list_changed == Some(true);
        if !tools && !prompts {
            return std::future::pending().await;
        }
        let sink = context.sink().clone();
        let tell = move |changed| {
            let sink = sink.clone();
            async move {
                match changed {
                    Changed::Tools if tools => sink.notify_tool_list_changed().await.is_ok(),
                    Changed::Prompts if prompts => sink.notify_prompt_list_changed().await.is_ok(),
                    Changed::Tools | Changed::Prompts => true,
                }
            }
        };
        self.offer_follower(session, toolsets, CancellationToken::new()).follow(tell).await;
    }
}

impl OfferFollower {
    /// Calls `tell` whenever a list differs from what it was; `false` ends it.
    pub async fn follow<F: Future<Output = bool>>(mut self, tell: impl Fn(Changed) -> F) {
        let mut last = match self.offer().await {
            Ok(Some(offer)) => Some(offer),
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
            let offer = match self.offer().await {
                Ok(Some(offer)) => offer,
                Ok(None) => return,
                // A busy engine is asked again with the next news.
                Err(_) => continue,
            };
            let changes = last.as_ref().map(|last| offer.changes_since(last)).unwrap_or_default();
            for changed in changes {
                if !tell(changed).await {
                    return;
                }
            }
            last = Some(offer);
        }
    }

    /// What is offered now; `None` where the token has ended.
    async fn offer(&self) -> Result<Option<Offer>, Problem> {
        let (engine, session, toolsets) = (Arc::clone(&self.engine), self.session.clone(), self.toolsets);
        self.bridge
            .run(move || {
                let token = session.token_id();
                if !token.is_empty() && !engine.is_token_alive(token)? {
                    return Ok::<_, Problem>(None);
                }
                Ok(Offer::of(&session, toolsets))
            })
            .await
    }
}
