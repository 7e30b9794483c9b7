use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A real HTTP server that answers as the test says; it ends with the process.
pub struct Site {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Asked>>>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// With its query.
    pub path: String,
    /// Lines of the head, in lower case.
    pub head: String,
    /// How often this path was asked before.
    pub n_before: usize,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Site {
    /// That writes what `answer` writes, and hangs up after each answer.
    pub fn start(
        answer: impl Fn(&Asked, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, answer) = (Arc::new(Mutex::new(Vec::<Asked>::new())), Arc::new(answer));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let Some(mut asked) = read(&stream) else { return };
                    {
                        let mut log = log.lock().unwrap();
                        asked.n_before = log.iter().filter(|before| before.path == asked.path).count();
                        log.push(asked.clone());
                    }
                    // Who was asked hangs up in the middle where the test says so.
                    let _ = answer(&asked, &mut stream);
                });
            }
        });
        Self { address, seen }
    }

    /// With pages by path; anything else is a 404.
    pub fn pages(pages: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        Self::start(move |asked, stream| {
            let page = pages.iter().find(|(path, ..)| *path == asked.path);
            let answer = match page {
                Some((_, kind, body)) => ok(kind, "", body),
                None => status(404),
            };
            stream.write_all(answer.as_bytes())
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Under a name that a test's resolver knows.
    pub fn named(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.address.port())
    }

    pub fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    pub fn paths(&self) -> Vec<String> {
        self.seen().into_iter().map(|asked| asked.path).collect()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let path = head.split(' ').nth(1)?.to_owned();
    Some(Asked { path, head: head.to_ascii_lowercase(), n_before: 0 })
}

/// A whole answer; `lines` are further header lines, each with its end.
pub fn ok(kind: &str, lines: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n{lines}\r\n{body}"
    )
}

pub fn status(code: u16) -> String {
    format!("HTTP/1.1 {code} So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

pub fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 There\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}
