//! A server whose answers are written byte by byte by the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Ends with the test's process; each connection has its thread.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    n_connections: Arc<Mutex<usize>>,
}

impl Server {
    /// Answers each request by what `reply` gives for it.
    pub(super) fn answering(ip: &str, reply: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(ip, move |request, stream| stream.write_all(reply(request).as_bytes()))
    }

    /// Gives each request, with its body, to `handle`, until that or the client ends the connection.
    pub(super) fn start(
        ip: &str,
        handle: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let n_connections = Arc::new(Mutex::new(0));
        let (log, count, handle) = (Arc::clone(&seen), Arc::clone(&n_connections), Arc::new(handle));
        let address = accepting(ip, move |mut stream| {
            *count.lock().unwrap() += 1;
            let (log, handle) = (Arc::clone(&log), Arc::clone(&handle));
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            thread::spawn(move || {
                while let Some(request) = read_request(&mut reader) {
                    log.lock().unwrap().push(request.clone());
                    if handle(&request, &mut stream).is_err() {
                        break;
                    }
                }
            });
        });
        Self { address, seen, n_connections }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far, head and body.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn n_connections(&self) -> usize {
        *self.n_connections.lock().unwrap()
    }
}

/// Calls `serve` with each connection.
pub(super) fn accepting(ip: &str, serve: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address
}

/// A listener that nobody may reach. `is_untouched` looks into the system's queue, so no thread is needed.
pub(super) struct Forbidden(TcpListener);

impl Forbidden {
    pub(super) fn at(ip: &str) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(super) fn is_untouched(&self) -> bool {
        self.0.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

pub(super) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request).ok()? == 0 {
            return None;
        }
    }
    let lower = request.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(request + &String::from_utf8_lossy(&body))
}
