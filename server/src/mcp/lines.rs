//! Messages of MCP as lines, over any pair of streams. What is no message is answered as well (JSON-RPC 2.0, section 5.1): rmcp's own
//! transport passes over it, and whoever sent it would wait for ever.

use std::io;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// A longer line is refused, in bytes.
const MAX_LINE_BYTES: usize = 16 << 20;
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;

/// A transport of lines.
pub struct Lines<R, W> {
    read: BufReader<R>,
    /// What of a line is there; kept here, for whoever waits for the rest may be called away.
    line: Vec<u8>,
    is_too_long: bool,
    write: Arc<Mutex<W>>,
    /// Writes the answer to what was no message.
    answering: Option<JoinHandle<()>>,
}

/// What a line is.
enum Read {
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    /// Nothing that is answered.
    Nothing,
    /// No message, with the answer.
    Wrong(Value),
}

impl<R: AsyncRead + Unpin, W> Lines<R, W> {
    /// Over a pair of streams.
    pub fn new(read: R, write: W) -> Self {
        let (read, write) = (BufReader::new(read), Arc::new(Mutex::new(write)));
        Self { read, line: Vec::new(), is_too_long: false, write, answering: None }
    }

    /// The next line as a message; `None` at the end. The last one may have no end of its own.
    async fn next_line(&mut self) -> Option<Read> {
        loop {
            let there = match self.read.fill_buf().await {
                Ok([]) if self.line.is_empty() && !self.is_too_long => return None,
                Ok(there) => there,
                Err(error) => {
                    tracing::error!(%error, "standard input can't be read");
                    return None;
                }
            };
            let is_last = there.is_empty();
            let end = there.iter().position(|byte| *byte == b'\n');
            let n_bytes = end.map_or(there.len(), |end| end + 1);
            if self.line.len() + n_bytes <= MAX_LINE_BYTES {
                self.line.extend_from_slice(&there[..n_bytes]);
            } else {
                self.is_too_long = true;
                self.line.clear();
            }
            self.read.consume(n_bytes);
            if end.is_none() && !is_last {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if std::mem::take(&mut self.is_too_long) {
                let why = format!("the line is longer than {MAX_LINE_BYTES} bytes");
                return Some(Read::Wrong(wrong(INVALID_REQUEST, &why, &Value::Null)));
            }
            return Some(read(&line));
        }
    }
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let write = Arc::clone(&self.write);
        async move { write_line(&write, serde_json::to_vec(&item)?).await }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            // Nothing more is read until it is written, so they do not heap up, and the last one is not lost at the end.
            if let Some(answering) = &mut self.answering {
                let _ = answering.await;
                self.answering = None;
            }
            match self.next_line().await? {
                Read::Message(message) => return Some(*message),
                Read::Nothing => {}
                Read::Wrong(answer) => {
                    let write = Arc::clone(&self.write);
                    // Half an answer would spoil the next one, so it is written by somebody who can't be called away.
                    self.answering = Some(tokio::spawn(async move {
                        if let Err(error) = write_line(&write, answer.to_string().into_bytes()).await {
                            tracing::debug!(%error, "an answer can't be written");
                        }
                    }));
                }
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.write.lock().await.shutdown().await
    }
}

async fn write_line<W: AsyncWrite + Unpin>(write: &Mutex<W>, mut line: Vec<u8>) -> io::Result<()> {
    line.push(b'\n');
    let mut write = write.lock().await;
    write.write_all(&line).await?;
    write.flush().await
}

fn read(line: &[u8]) -> Read {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line).trim_ascii();
    if line.is_empty() {
        return Read::Nothing;
    }
    if let Ok(message) = serde_json::from_slice(line) {
        return Read::Message(Box::new(message));
    }
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        let why = "the line is no JSON: expected one message of JSON-RPC on each line";
        return Read::Wrong(wrong(PARSE_ERROR, why, &Value::Null));
    };
    let has = |name: &str| value.get(name).is_some();
    // Notifications and answers are not answered: two sides that do so never end.
    if has("result") || has("error") || (has("method") && !has("id")) {
        return Read::Nothing;
    }
    let why = if value.is_array() {
        "a batch of messages: expected each on a line of its own"
    } else {
        "no message of JSON-RPC 2.0: expected `jsonrpc`, `id` as a text or a whole number, and `method`"
    };
    let id = value.get("id").filter(|id| id.is_string() || id.is_i64() || id.is_u64());
    Read::Wrong(wrong(INVALID_REQUEST, why, id.unwrap_or(&Value::Null)))
}

fn wrong(code: i32, message: &str, id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_message_is_answered_and_the_next_one_is_read() {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (read, write) = tokio::io::split(ours);
        let mut lines = Lines::new(read, write);
        let (read, mut write) = tokio::io::split(theirs);
        let said = "{\"jsonrpc\": \n\n[{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"ping\"}]\n{\"id\": 7}\n\
                    {\"method\": \"notifications/x\", \"params\": 5}\n{\"error\": 1}\n\
                    {\"jsonrpc\": \"2.0\", \"id\": 2, \"method\": \"ping\"}\r\n";
        write.write_all(said.as_bytes()).await.unwrap();
        assert!(lines.receive().await.is_some(), "the message is read");
        let mut answers = BufReader::new(read).lines();
        let mut told = Vec::new();
        for _ in 0..3 {
            let answer: Value = serde_json::from_str(&answers.next_line().await.unwrap().unwrap()).unwrap();
            assert!(answer.as_object().unwrap().contains_key("id"), "{answer}");
            told.push((answer["error"]["code"].as_i64().unwrap(), answer["id"].clone()));
        }
        assert_eq!(told, [(-32700, Value::Null), (-32600, Value::Null), (-32600, json!(7))]);
    }

    #[tokio::test]
    async fn a_last_line_without_an_end_is_read_and_answered() {
        for (said, is_message) in
            [("{\"jsonrpc\": \"2.0\", \"id\": 2, \"method\": \"ping\"}", true), ("{\"id\": 7}", false)]
        {
            let mut written = Vec::new();
            let (answers, write) = tokio::io::duplex(1 << 16);
            let mut lines = Lines::new(said.as_bytes(), write);
            assert_eq!(lines.receive().await.is_some(), is_message, "{said}");
            assert!(lines.receive().await.is_none());
            drop(lines);
            let mut answers = BufReader::new(answers);
            answers.read_until(b'\n', &mut written).await.unwrap();
            assert_eq!(written.is_empty(), is_message, "{said}");
        }
    }
}
