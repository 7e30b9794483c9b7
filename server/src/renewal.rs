//! Reads the settings of a running server again, so that a certificate or a rate changes without a stop.
//!
//! Noun: `Renewal`. Settings that can't be read, or a certificate that can't be used, change nothing.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use waypost_engine::api::CommandHook;

use crate::serve::{App, ServeOptions};
use crate::tls;

/// The settings of now, as far as a running server takes them over.
pub struct Renewed {
    /// Who is let in, how often, and with which certificate.
    pub options: ServeOptions,
    /// Programs that are started for events.
    pub commands: Vec<CommandHook>,
}

/// Gives the settings as they are now, or a sentence that says why they can't be had.
pub type Reread = Arc<dyn Fn() -> Result<Renewed, String> + Send + Sync>;

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

    /// Reads them, and makes all of them hold that can, or none.
    pub(crate) async fn apply(&self, app: &App, tls: &mut Option<TlsAcceptor>) {
        let Some((_, reread)) = &self.0 else { return };
        let (reread, engine, had_tls) = (Arc::clone(reread), Arc::clone(&app.engine), tls.is_some());
        let take = move || {
            let Renewed { options, commands } = reread()?;
            let acceptor = options.edge.tls.as_ref().map(tls::acceptor).transpose();
            let acceptor = acceptor.map_err(|error| error.to_string())?;
            if acceptor.is_some() != had_tls {
                return Err("TLS begins and ends with a restart".to_owned());
            }
            engine.set_commands(&commands).map_err(|error| error.to_string())?;
            Ok((options, acceptor))
        };
        match tokio::task::spawn_blocking(take).await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok((options, acceptor)) => {
                app.renew(&options);
                *tls = acceptor;
                tracing::info!("the settings were read again");
            }
            Err(error) => tracing::error!(error, "the settings can't be taken; they hold as before"),
        }
    }
}
