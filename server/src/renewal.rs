//! Reads the settings of a running server again, so that a certificate or a rate changes without a stop.
//!
//! Noun: `Renewal`. Settings that can't be read, or a certificate that can't be used, change nothing.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use crate::serve::{App, ServeOptions};
use crate::tls;

/// Gives the options as they are now, or a sentence that says why they can't be had.
pub type Reread = Arc<dyn Fn() -> Result<ServeOptions, String> + Send + Sync>;

/// When the options are read again, and how.
pub(crate) struct Renewal(Option<(Signal, Reread)>);

impl Renewal {
    /// The options stay.
    pub(crate) fn never() -> Self {
        Self(None)
    }

    /// At each SIGHUP.
    pub(crate) fn at_hangup(reread: Reread) -> Self {
        match signal(SignalKind::hangup()) {
            Ok(hangups) => Self(Some((hangups, reread))),
            Err(error) => {
                tracing::warn!(%error, "SIGHUP can't be heard; settings change with a restart alone");
                Self(None)
            }
        }
    }

    /// Ready when the options are to be read again.
    pub(crate) async fn is_due(&mut self) {
        let heard = match &mut self.0 {
            Some((hangups, _)) => hangups.recv().await,
            None => None,
        };
        if heard.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Reads them, and makes hold what can.
    pub(crate) async fn apply(&self, app: &App, tls: &mut Option<TlsAcceptor>) {
        let Some((_, reread)) = &self.0 else { return };
        let reread = Arc::clone(reread);
        let read = move || {
            let options = reread()?;
            let acceptor = options.edge.tls.as_ref().map(tls::acceptor).transpose();
            Ok::<_, String>((options, acceptor.map_err(|error| error.to_string())?))
        };
        let read = tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(error.to_string()));
        match read {
            Ok((_, acceptor)) if acceptor.is_some() != tls.is_some() => {
                tracing::error!("TLS begins and ends with a restart; the settings hold as before");
            }
            Ok((options, acceptor)) => {
                app.renew(&options);
                *tls = acceptor;
                tracing::info!("the settings were read again");
            }
            Err(error) => tracing::error!(error, "the settings can't be read; they hold as before"),
        }
    }
}
