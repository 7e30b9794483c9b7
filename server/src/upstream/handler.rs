use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    ClientCapabilities, ClientConfig, Implementation, ProgressNotificationParam, ProgressToken,
    ProtocolVersion,
};
use rmcp::service::NotificationContext;
use rmcp::{ClientHandler, RoleClient};
use tokio::sync::{Notify, mpsc};

use super::calls::Progress;

/// What a server tells without being asked. It may ask us for nothing: we have no model, no roots, and nobody to question.
#[derive(Clone, Default)]
pub struct Handler {
    /// Told that the list of tools has changed.
    pub relist: Arc<Notify>,
    /// Who waits for the progress of what.
    pub listeners: Arc<Listeners>,
}

/// Who waits for the progress of which request.
#[derive(Default)]
pub struct Listeners {
    open: Mutex<HashMap<ProgressToken, mpsc::Sender<Progress>>>,
}

/// Ends the listening when it goes.
pub struct Listening<'a> {
    listeners: &'a Listeners,
    token: ProgressToken,
}

impl Listeners {
    /// Sends the progress of a request to `sender`, as long as the answer is kept.
    pub fn listen(&self, token: ProgressToken, sender: mpsc::Sender<Progress>) -> Listening<'_> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), sender);
        Listening { listeners: self, token }
    }

    fn tell(&self, params: ProgressNotificationParam) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = open.get(&params.progress_token) {
            let progress =
                Progress { progress: params.progress, total: params.total, message: params.message };
            // Who does not keep up misses a step, and is told of a later one.
            let _ = sender.try_send(progress);
        }
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.listeners.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.token);
    }
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let name = Implementation::new("waypost", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), name)
            .with_protocol_version(ProtocolVersion::V_2025_11_25)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.relist.notify_one();
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.listeners.tell(params);
    }
}
