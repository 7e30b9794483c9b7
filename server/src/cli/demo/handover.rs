//! Drop-off, live: one agent leaves a file, a webhook wakes the other, who reads it and leaves its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use tokio::runtime::Runtime;
use waypost_engine::api::{Engine, NewWebhook, Session, WriteOptions};

use crate::output::{self, FAINT, STRONG, Voice};

/// Who leaves the file, and who is woken.
pub const AGENTS: [&str; 2] = ["agent:marketing-writer", "agent:translator-de"];

const REPORT: &str = "/marketing/outputs/research/report-1.md";
const REPORTS: &str = "/marketing/outputs/research/**";
const SUMMARY: &str = "/marketing/outputs/summaries/summary-1.md";
const WEBHOOK: &str = "demo: drop-off";
/// Until the webhook must have fired.
const PATIENCE: Duration = Duration::from_secs(10);

/// Plays it. Each of the two acts with its own token.
pub fn show(engine: &Arc<Engine>, writer_token: &str, reader_token: &str, voice: Voice) -> Result<()> {
    let [writer_id, reader_id] = AGENTS;
    let (writer, reader) = (engine.session(writer_token)?, engine.session(reader_token)?);
    let _courier = engine.start_courier();
    let (address, told, _runtime) = listen()?;
    let webhook = subscribe(&reader, address)?;

    let report = format!(
        "# Reader survey\n\n{} readers answered. Most asked for shorter articles.\n",
        240 + std::process::id() % 100
    );
    let begun = Instant::now();
    writer.write_file(REPORT, report.as_bytes(), &WriteOptions::default())?;
    voice.say(format!("{STRONG}>{STRONG:#} {writer_id} writes {REPORT}"));
    let event = told.recv_timeout(PATIENCE).context("the webhook did not fire")?;
    let event: serde_json::Value = serde_json::from_slice(&event)?;
    let text = |field: &str| output::safe(event[field].as_str().unwrap_or_default());
    voice.say(format!(
        "  {reader_id} is woken {:.1} ms later: {} {}",
        begun.elapsed().as_secs_f64() * 1e3,
        text("event"),
        text("path")
    ));
    let found = reader.read_file(event["path"].as_str().unwrap_or_default(), None, None)?;
    let found = String::from_utf8_lossy(&found.bytes).into_owned();
    let last = found.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
    let summary = format!("# Summary of {REPORT}\n\n{last}\n");
    reader.write_file(SUMMARY, summary.as_bytes(), &WriteOptions::default())?;
    voice.say(format!("  it reads the file and writes {SUMMARY}"));
    voice.say(format!(
        "  {FAINT}had it been away, the delivery would wait for it, and so would the file{FAINT:#}\n"
    ));
    reader.remove_webhook(&webhook)?;
    Ok(())
}

fn subscribe(reader: &Session, address: SocketAddr) -> Result<String> {
    // One that a tour before this one left behind.
    for old in reader.webhooks()?.iter().filter(|old| old.name == WEBHOOK) {
        reader.remove_webhook(&old.id)?;
    }
    let new = NewWebhook {
        url: format!("http://{address}/wake"),
        name: WEBHOOK.to_owned(),
        paths: vec![REPORTS.to_owned()],
        ..NewWebhook::default()
    };
    Ok(reader.create_webhook(&new)?.id)
}

/// A receiver on a free port of this machine, for as long as its runtime lives.
fn listen() -> Result<(SocketAddr, Receiver<Vec<u8>>, Runtime)> {
    let (tell, told) = sync_channel(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(wake).with_state(tell);
    runtime.spawn(async move { axum::serve(listener, router).await });
    Ok((address, told, runtime))
}

async fn wake(State(tell): State<SyncSender<Vec<u8>>>, body: axum::body::Bytes) -> StatusCode {
    // A second event finds the tour already under way.
    let _ = tell.try_send(body.to_vec());
    StatusCode::NO_CONTENT
}
