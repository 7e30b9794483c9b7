//! Whole exchanges with servers on loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::super::dial::Lookup;
use super::super::{Answer, Client, Fetch, MAX_HOPS, Method, NetError, Outgoing, Reach};
use super::reach;
use super::server::{Forbidden, Server, accepting, ok, redirect};

/// Reaches 127.0.0.1 and nothing else that is private.
fn client() -> Client {
    Client::new(reach(&["127.0.0.1/32"]))
}

fn get(url: &str) -> Outgoing<'_> {
    Outgoing {
        method: Method::Get,
        url,
        headers: &[],
        body: b"",
        deadline: Duration::from_secs(20),
        max_answer_bytes: 1000,
        cut: false,
        max_hops: MAX_HOPS,
    }
}

fn post<'a>(url: &'a str, body: &'a [u8]) -> Outgoing<'a> {
    Outgoing { method: Method::Post, body, cut: true, max_hops: 0, ..get(url) }
}

fn here(reply: impl Fn(&str) -> String + Send + Sync + 'static) -> Server {
    Server::answering("127.0.0.1", reply)
}

fn names(table: &'static [(&'static str, &'static [&'static str])]) -> Lookup {
    Arc::new(|host, port| {
        let (_, found) = table.iter().find(|(name, _)| *name == host).expect("the test knows the name");
        Ok(found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect())
    })
}

fn path_of(request: &str) -> &str {
    request.split(' ').nth(1).unwrap()
}

#[track_caller]
fn assert_refused(result: Result<Answer, NetError>, address: &str) {
    match result {
        Err(NetError::Refused { address: Some(found), .. }) => assert_eq!(found.to_string(), address),
        other => panic!("expected a refusal of {address}, got {other:?}"),
    }
}

#[test]
fn a_post_arrives_as_it_was_given() {
    let server = here(|_| "HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nbusy".to_owned());
    let url = server.url("/hook?a=b");
    let headers = [("content-type", "application/json"), ("webhook-id", "w1")];
    let answer = client().send(&Outgoing { headers: &headers, ..post(&url, b"{\"x\":1}") }).unwrap();
    assert_eq!((answer.status, answer.retry_after.as_deref(), answer.is_cut), (429, Some("7"), false));
    assert_eq!(answer.body, b"busy");
    assert_eq!(answer.url.as_str(), url);
    let seen = server.seen().remove(0).to_ascii_lowercase();
    assert!(seen.starts_with("post /hook?a=b http/1.1\r\n"), "{seen}");
    for part in [
        &format!("host: {}\r\n", server.address),
        "accept-encoding: identity\r\n",
        "content-length: 7\r\n",
        "content-type: application/json\r\n",
        "webhook-id: w1\r\n",
        "user-agent: waypost/",
    ] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
    assert!(seen.ends_with("\r\n\r\n{\"x\":1}"), "{seen}");
}

#[test]
fn an_empty_post_and_a_get_work() {
    let server = here(|_| ok("x"));
    assert_eq!(client().send(&post(&server.url("/"), b"")).unwrap().status, 200);
    let answer = client().send(&Outgoing { body: b"ignored", ..get(&server.url("/")) }).unwrap();
    assert_eq!(answer.content_type.as_deref(), Some("text/plain"));
    let seen = server.seen();
    assert!(seen[0].to_ascii_lowercase().contains("content-length: 0\r\n"), "{}", seen[0]);
    assert!(!seen[1].contains("ignored") && seen[1].starts_with("GET / "), "{}", seen[1]);
}

#[test]
fn loopback_is_refused_before_any_connection() {
    let server = Forbidden::at("127.0.0.1");
    let url = format!("http://{}/", server.address());
    assert_refused(Client::new(Reach::default()).send(&get(&url)), "127.0.0.1");
    assert!(server.is_untouched());
}

#[test]
fn a_name_may_not_lead_inside() {
    let server = Forbidden::at("127.0.0.1");
    let url = format!("http://a.example:{}/", server.address().port());
    let inside: &[&str] = &["127.0.0.1"];
    let mixed: &[&str] = &["93.184.216.34", "127.0.0.1"];
    let mapped: &[&str] = &["::ffff:127.0.0.1"];
    for found in [inside, mixed, mapped] {
        let lookup: Lookup = Arc::new(move |_, port| {
            Ok(found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect())
        });
        let result = Client::with_lookup(Reach::default(), lookup).send(&get(&url));
        let error = result.unwrap_err();
        assert!(matches!(&error, NetError::Refused { host, .. } if host == "a.example"), "{error}");
        assert!(!error.to_string().contains("127.0.0.1"), "internal addresses stay secret: {error}");
    }
    assert!(server.is_untouched());
}

/// Case 20: the first answer of the resolver may be reached, the second may not; also not over the idle connection.
#[test]
fn a_name_that_changes_its_address_is_refused() {
    let server = here(|_| ok("x"));
    let n_asked = Arc::new(AtomicUsize::new(0));
    let n = Arc::clone(&n_asked);
    let lookup: Lookup = Arc::new(move |_, port| {
        let ip = if n.fetch_add(1, Ordering::SeqCst) == 0 { [127, 0, 0, 1] } else { [127, 0, 0, 2] };
        Ok(vec![SocketAddr::from((ip, port))])
    });
    let client = Client::with_lookup(reach(&["127.0.0.1"]), lookup);
    let url = format!("http://a.example:{}/", server.address.port());
    assert_eq!(client.send(&get(&url)).unwrap().body, b"x");
    assert_eq!(n_asked.load(Ordering::SeqCst), 1, "what was judged is what is dialled");
    assert_refused(client.send(&get(&url)), "127.0.0.2");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_listed_name_may_lead_anywhere_under_its_own_name() {
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1000]);
            let _ = stream.write_all(ok("x").as_bytes());
        }
    });
    let url = format!("http://localhost:{port}/");
    assert_eq!(Client::new(reach(&["localhost"])).send(&get(&url)).unwrap().body, b"x");
    assert!(matches!(client().send(&get(&url)), Err(NetError::Refused { address: None, .. })));
}

#[test]
fn names_without_address_and_failing_lookups_are_dns_errors() {
    let send = |lookup: Lookup| {
        Client::with_lookup(Reach::default(), lookup).send(&get("http://a.example/")).unwrap_err()
    };
    let error = send(Arc::new(|_, _| Err(std::io::Error::other("no such name"))));
    assert!(matches!(error, NetError::Dns { .. }) && error.to_string().contains("no such name"), "{error}");
    assert!(matches!(send(names(&[("a.example", &[])])), NetError::Dns { .. }));
    assert!(matches!(send(Arc::new(|_, _| panic!("the lookup panics"))), NetError::Dns { .. }));
}

/// Case 21: a redirect from an allowed place to a closed one.
#[test]
fn a_redirect_may_not_lead_inside() {
    let inside = Forbidden::at("127.0.0.2");
    let port = inside.address().port();
    for host in ["127.0.0.2", "0x7f.2", "[::ffff:127.0.0.2]", "a.example"] {
        for status in [301, 302, 303, 307, 308] {
            let to = format!("http://{host}:{port}/");
            let server = here(move |_| redirect(status, &to));
            let client = Client::with_lookup(reach(&["127.0.0.1"]), names(&[("a.example", &["127.0.0.2"])]));
            let result = client.send(&get(&server.url("/")));
            assert!(matches!(result, Err(NetError::Refused { address: Some(_), .. })), "{host}: {result:?}");
        }
    }
    assert!(inside.is_untouched());
}

#[test]
fn a_redirect_to_another_scheme_or_with_a_user_is_refused() {
    for to in ["file:///etc/passwd", "ftp://example.com/", "data:,x", "//u:p@127.0.0.1/", "http://"] {
        let server = here(move |_| redirect(302, to));
        let result = client().send(&get(&server.url("/")));
        assert!(matches!(result, Err(NetError::InvalidUrl { .. })), "{to}: {result:?}");
    }
}

#[test]
fn five_hops_are_followed_and_six_are_refused() {
    let server = here(|request| match path_of(request).trim_start_matches('/').parse::<u8>() {
        Ok(0) => ok("end"),
        Ok(n) => redirect(302, &format!("./{}#part", n - 1)),
        Err(_) => ok("not found"),
    });
    let answer = client().send(&get(&server.url("/5"))).unwrap();
    assert_eq!((answer.body.as_slice(), answer.url.path(), answer.url.fragment()), (&b"end"[..], "/0", None));
    for max_hops in [MAX_HOPS, 255] {
        let result = client().send(&Outgoing { max_hops, ..get(&server.url("/6")) });
        assert!(matches!(result, Err(NetError::TooManyHops { max_hops: 5, .. })), "{result:?}");
    }
    let result = client().send(&Outgoing { max_hops: 1, ..get(&server.url("/2")) });
    assert!(matches!(result, Err(NetError::TooManyHops { max_hops: 1, .. })), "{result:?}");
}

#[test]
fn without_hops_a_redirect_is_the_answer() {
    let inside = Forbidden::at("127.0.0.2");
    let to = format!("http://{}/", inside.address());
    let expected = to.clone();
    let server = here(move |_| redirect(301, &to));
    let answer = client().send(&post(&server.url("/"), b"x")).unwrap();
    assert_eq!((answer.status, answer.location), (301, Some(expected)));
    assert!(inside.is_untouched());
}

#[test]
fn redirects_change_the_method_as_browsers_do() {
    for (status, method, expected) in [
        (301, Method::Post, "GET"),
        (302, Method::Post, "GET"),
        (303, Method::Post, "GET"),
        (307, Method::Post, "POST"),
        (308, Method::Post, "POST"),
        (303, Method::Get, "GET"),
        (307, Method::Get, "GET"),
    ] {
        let server =
            here(move |request| if path_of(request) == "/end" { ok("x") } else { redirect(status, "/end") });
        let url = server.url("/");
        let headers = [("content-type", "text/x-own")];
        client().send(&Outgoing { method, body: b"BODY", headers: &headers, ..get(&url) }).unwrap();
        let last = server.seen().pop().unwrap();
        assert!(last.starts_with(&format!("{expected} /end ")), "{status} {method:?}: {last}");
        let is_post = expected == "POST";
        assert_eq!(last.contains("BODY"), is_post, "{status} {method:?}: {last}");
        if method == Method::Post {
            assert_eq!(last.contains("text/x-own"), is_post, "{status}: {last}");
        }
    }
}

#[test]
fn secrets_stay_with_their_origin() {
    let headers = [("Authorization", "Bearer geheim"), ("x-api-key", "geheim"), ("accept", "text/plain")];
    let other = here(|_| ok("x"));
    let to = other.url("/");
    let server = here(move |request| match path_of(request) {
        "/same" => redirect(302, "/end"),
        "/other" => redirect(302, &to),
        _ => ok("x"),
    });
    for path in ["/same", "/other"] {
        client().send(&Outgoing { headers: &headers, ..get(&server.url(path)) }).unwrap();
    }
    assert_eq!(server.seen()[1].matches("geheim").count(), 2, "{}", server.seen()[1]);
    let seen = other.seen().remove(0);
    assert!(!seen.contains("geheim") && seen.contains("accept: text/plain"), "{seen}");
}

#[test]
fn headers_of_the_connection_are_refused() {
    for name in ["Host", "content-length", "Transfer-Encoding", "connection", "accept-encoding", "expect"] {
        let request = Outgoing { headers: &[(name, "x")], ..get("http://127.0.0.1:1/") };
        let error = client().send(&request).unwrap_err();
        assert!(matches!(&error, NetError::Header { name: named, .. } if named == name), "{error}");
    }
    for (name, value) in [("x-a", "geheim\r\nx-b: c"), ("x a", "geheim"), ("", "geheim"), ("x-a", "geheim\0")]
    {
        let error = client().send(&Outgoing { headers: &[(name, value)], ..get("http://127.0.0.1:1/") });
        let error = error.unwrap_err();
        assert!(matches!(error, NetError::Header { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
    }
}

/// Case 22, first half.
#[test]
fn an_endless_answer_is_cut_or_refused() {
    let endless = Server::start("127.0.0.1", |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    });
    let chunked = Server::start("127.0.0.1", |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            stream.write_all(b"8\r\nxxxxxxxx\r\n")?;
        }
    });
    for server in [endless, chunked] {
        let url = server.url("/");
        let answer = client().send(&Outgoing { cut: true, ..get(&url) }).unwrap();
        assert_eq!((answer.body.len(), answer.is_cut), (1000, true));
        let result = client().send(&get(&url));
        assert!(matches!(result, Err(NetError::TooLarge { limit_bytes: 1000, .. })), "{result:?}");
    }
}

#[test]
fn an_answer_as_long_as_the_limit_is_whole() {
    let server = here(|request| ok(&"x".repeat(path_of(request)[1..].parse().unwrap())));
    for cut in [true, false] {
        let answer = client().send(&Outgoing { cut, ..get(&server.url("/1000")) }).unwrap();
        assert_eq!((answer.body.len(), answer.is_cut), (1000, false));
    }
    let result = client().send(&get(&server.url("/1001")));
    assert!(matches!(result, Err(NetError::TooLarge { .. })), "{result:?}");
    let url = server.url("/1");
    let answer = client().send(&Outgoing { cut: true, max_answer_bytes: 0, ..get(&url) }).unwrap();
    assert_eq!((answer.body.len(), answer.is_cut), (0, true));
}

/// The announced length is enough to refuse; the body never comes.
#[test]
fn an_announced_length_over_the_limit_is_refused_at_once() {
    let server = here(|_| "HTTP/1.1 200 OK\r\ncontent-length: 5000000000\r\n\r\n".to_owned());
    let result = client().send(&get(&server.url("/")));
    assert!(matches!(result, Err(NetError::TooLarge { .. })), "{result:?}");
}

#[test]
fn a_compressed_answer_is_refused_or_bounded_by_what_it_expands_to() {
    // Whether `ureq` expands it depends on the features that other crates of the build ask of it.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![b'x'; 10 << 20]).unwrap();
    let packed = packed.finish().unwrap();
    let server = Server::start("127.0.0.1", move |_, stream| {
        let head = format!("content-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes())?;
        stream.write_all(&packed)
    });
    let whole = client().send(&get(&server.url("/")));
    assert!(matches!(whole, Err(NetError::Encoding { .. } | NetError::TooLarge { .. })), "{whole:?}");
    let cut = client().send(&post(&server.url("/"), b"")).unwrap();
    assert!(cut.is_cut && cut.body.len() <= 1000, "{} bytes", cut.body.len());
}

#[test]
fn an_answer_that_breaks_off_is_no_answer() {
    for reply in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "",
    ] {
        let server = Server::start("127.0.0.1", move |_, stream| {
            stream.write_all(reply.as_bytes())?;
            stream.shutdown(std::net::Shutdown::Both)
        });
        let result = client().send(&get(&server.url("/")));
        assert!(matches!(result, Err(NetError::Protocol { .. })), "{reply:?}: {result:?}");
    }
}

#[test]
fn a_long_head_is_refused() {
    let server = here(|request| {
        let filler = "x".repeat(path_of(request)[1..].parse().unwrap());
        format!("HTTP/1.1 200 OK\r\nx-filler: {filler}\r\ncontent-length: 0\r\n\r\n")
    });
    assert_eq!(client().send(&get(&server.url("/20000"))).unwrap().status, 200);
    let endless = Server::start("127.0.0.1", |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nx-filler: ")?;
        loop {
            stream.write_all(&[b'x'; 4096])?;
        }
    });
    for url in [server.url("/33000"), endless.url("/")] {
        let result = client().send(&get(&url));
        assert!(matches!(result, Err(NetError::Protocol { .. })), "{url}: {result:?}");
    }
}

/// Sends with a short deadline and sees that it ends not long after. Nothing here ends by itself.
#[track_caller]
fn assert_timeout(client: &Client, url: &str, body: &[u8], max_hops: u8) {
    let deadline = Duration::from_millis(400);
    let started = Instant::now();
    let result = client.send(&Outgoing { deadline, max_hops, ..post(url, body) });
    let took = started.elapsed();
    assert!(matches!(&result, Err(NetError::Timeout { after, .. }) if *after == deadline), "{result:?}");
    assert!(took >= deadline && took < deadline * 5, "{took:?}");
}

fn drip(stream: &mut std::net::TcpStream, byte: &[u8]) -> std::io::Result<()> {
    loop {
        stream.write_all(byte)?;
        thread::sleep(Duration::from_millis(50));
    }
}

/// Case 22, second half, at each stage of an exchange.
#[test]
fn the_deadline_ends_slow_receivers() {
    let body = Server::start("127.0.0.1", |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        drip(stream, b"x")
    });
    assert_timeout(&client(), &body.url("/"), b"x", 0);
    let head = Server::start("127.0.0.1", |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ")?;
        drip(stream, b"x")
    });
    assert_timeout(&client(), &head.url("/"), b"x", 0);
    let interim = Server::start("127.0.0.1", |_, stream| drip(stream, b"HTTP/1.1 100 Continue\r\n\r\n"));
    assert_timeout(&client(), &interim.url("/"), b"x", 0);
}

#[test]
fn the_deadline_ends_silent_receivers() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let silent = accepting("127.0.0.1", move |stream| kept.lock().unwrap().push(stream));
    assert_timeout(&client(), &format!("http://{silent}/"), b"x", 0);
    // More than the socket's buffers take, so that sending it stops too.
    assert_timeout(&client(), &format!("http://{silent}/"), &vec![0; 32 << 20], 0);
    assert_timeout(&client(), &format!("https://{silent}/"), b"x", 0);
    let handshake = accepting("127.0.0.1", |mut stream| {
        // The head of a TLS record of 16,000 bytes, which come one by one.
        let _ = stream.write_all(b"\x16\x03\x03\x3e\x80");
        thread::spawn(move || drip(&mut stream, b"\x02"));
    });
    assert_timeout(&client(), &format!("https://{handshake}/"), b"x", 0);
}

/// Each write makes progress here, so a deadline per write would never end it.
#[test]
fn the_deadline_ends_receivers_that_read_slowly() {
    let slow = accepting("127.0.0.1", |mut stream| {
        thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while stream.read(&mut buffer).is_ok_and(|n| n > 0) {
                thread::sleep(Duration::from_millis(20));
            }
        });
    });
    assert_timeout(&client(), &format!("http://{slow}/"), &vec![0; 32 << 20], 0);
}

#[test]
fn the_deadline_covers_names_and_all_hops() {
    let lookup: Lookup = Arc::new(|_, _| {
        thread::sleep(Duration::from_secs(60));
        Ok(Vec::new())
    });
    let slow_name = Client::with_lookup(Reach::default(), lookup);
    assert_timeout(&slow_name, "http://a.example/", b"x", 0);
    let hops = here(|_| {
        thread::sleep(Duration::from_millis(150));
        redirect(307, "/")
    });
    assert_timeout(&client(), &hops.url("/"), b"x", 5);
    let none = Outgoing { deadline: Duration::ZERO, ..get("http://127.0.0.1:1/") };
    assert!(matches!(client().send(&none), Err(NetError::Timeout { .. })));
}

#[test]
fn the_longest_deadline_is_no_overflow() {
    let server = here(|_| ok("x"));
    let answer = client().send(&Outgoing { deadline: Duration::MAX, ..get(&server.url("/")) });
    assert_eq!(answer.unwrap().status, 200);
}

#[test]
fn nobody_listening_and_no_tls_have_their_own_errors() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let result = client().send(&get(&format!("http://{gone}/")));
    assert!(matches!(&result, Err(error @ NetError::Connect { .. }) if error.may_pass()), "{result:?}");
    let server = Server::start("127.0.0.1", |_, _| Ok(()));
    let plain = accepting("127.0.0.1", |mut stream| {
        let _ = stream.read(&mut [0; 1000]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    });
    let result = client().send(&get(&format!("https://{plain}/")));
    assert!(matches!(result, Err(NetError::Tls { .. })), "{result:?}");
    drop(server);
}

#[test]
fn connections_are_used_again_and_by_many_threads() {
    let server = here(|_| ok("x"));
    let url = server.url("/");
    let client = client();
    for _ in 0..3 {
        assert_eq!(client.send(&post(&url, b"x")).unwrap().status, 200);
    }
    assert_eq!(server.n_connections(), 1);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(client.clone().send(&get(&url)).unwrap().body, b"x");
                }
            });
        }
    });
    assert_eq!(server.seen().len(), 3 + 16 * 20);
}

/// Runs another test of this file in a process whose environment names a proxy.
#[test]
fn a_proxy_in_the_environment_is_ignored() {
    let proxy = Forbidden::at("127.0.0.1");
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("{module}::a_post_arrives_as_it_was_given")]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, format!("http://{}", proxy.address()));
    }
    let output = command.env_remove("no_proxy").env_remove("NO_PROXY").output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
    assert!(proxy.is_untouched());
}

#[test]
fn cookies_are_not_kept() {
    let server =
        here(|_| "HTTP/1.1 200 OK\r\nset-cookie: a=b; path=/\r\ncontent-length: 0\r\n\r\n".to_owned());
    let client = client();
    for _ in 0..2 {
        client.send(&get(&server.url("/"))).unwrap();
    }
    assert!(!server.seen()[1].to_ascii_lowercase().contains("cookie"), "{}", server.seen()[1]);
}

#[test]
fn debug_shows_no_secret() {
    let server =
        here(|_| "HTTP/1.1 302 x\r\nlocation: /geheim\r\ncontent-length: 6\r\n\r\ngeheim".to_owned());
    let url = server.url("/geheim?k=geheim");
    let headers = [("authorization", "Bearer geheim")];
    let request = Outgoing { headers: &headers, ..post(&url, b"geheim") };
    let answer = client().send(&request).unwrap();
    let shown = format!("{request:?} {answer:?} {:?}", client());
    assert!(!shown.contains("geheim"), "{shown}");
    assert!(shown.contains("authorization") && shown.contains("302"), "{shown}");
}

fn fetch(url: &str) -> Fetch<'_> {
    Fetch {
        method: Method::Get,
        url,
        headers: &[],
        deadline: Duration::from_secs(20),
        max_hops: MAX_HOPS,
        only_listed: false,
    }
}

#[test]
fn a_body_is_read_as_it_comes() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = Mutex::new(told);
    let server = Server::start("127.0.0.1", move |_, stream| {
        stream.write_all(
            b"HTTP/1.1 200 OK\r\netag: \"e\"\r\nlast-modified: L\r\ncontent-length: 6\r\n\r\none",
        )?;
        // The rest comes only once the first part was read.
        told.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap();
        stream.write_all(b"two")
    });
    let url = server.url("/");
    let mut incoming = client().open(&fetch(&url)).unwrap();
    assert_eq!((incoming.status, incoming.length), (200, Some(6)));
    assert_eq!((incoming.etag.as_deref(), incoming.last_modified.as_deref()), (Some("\"e\""), Some("L")));
    let mut buffer = [0; 16];
    assert_eq!(incoming.read(&mut buffer).unwrap(), 3);
    assert_eq!(&buffer[..3], b"one");
    tell.send(()).unwrap();
    assert_eq!(incoming.read(&mut buffer).unwrap(), 3);
    assert_eq!(incoming.read(&mut buffer).unwrap(), 0);
}

#[test]
fn a_client_that_is_shut_breaks_off_what_it_has_under_way() {
    let server = Server::start("127.0.0.1", |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\none")?;
        thread::sleep(Duration::from_secs(30));
        Ok(())
    });
    let (url, client) = (server.url("/"), client());
    let mut incoming = client.begin(&post(&url, b"x")).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(incoming.read(&mut buffer).unwrap(), 3);
    let begun = Instant::now();
    let other = client.clone();
    let shutting = thread::spawn(move || other.shut());
    let broken = incoming.read(&mut buffer);
    assert!(matches!(broken, Err(NetError::Protocol { .. })), "{broken:?}");
    shutting.join().unwrap();
    assert!(client.begin(&post(&url, b"x")).is_err(), "it sends nothing any more");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_body_that_breaks_off_is_an_error_and_so_is_one_that_never_ends() {
    let cut = Server::start("127.0.0.1", |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")?;
        Err(std::io::Error::other("enough"))
    });
    let read_all = |request: &Fetch<'_>| {
        let mut incoming = client().open(request)?;
        let mut buffer = [0; 1024];
        while incoming.read(&mut buffer)? > 0 {}
        Ok::<(), NetError>(())
    };
    let url = cut.url("/");
    assert!(matches!(read_all(&fetch(&url)), Err(NetError::Protocol { .. })));
    let drip = Server::start("127.0.0.1", |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
        loop {
            stream.write_all(b".")?;
            thread::sleep(Duration::from_millis(20));
        }
    });
    let url = drip.url("/");
    let begun = Instant::now();
    let slow = read_all(&Fetch { deadline: Duration::from_millis(300), ..fetch(&url) });
    assert!(matches!(slow, Err(NetError::Timeout { .. })), "{slow:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn where_only_listed_hosts_are_open_a_redirect_leads_to_no_other() {
    let server = here(|request| match path_of(request) {
        "/away" => redirect(302, &format!("http://b.example:{}/", request_port(request))),
        _ => ok("x"),
    });
    let port = server.address.port();
    let lookup = names(&[("a.example", &["127.0.0.1"]), ("b.example", &["127.0.0.1"])]);
    let client = Client::with_lookup(reach(&["127.0.0.1", "a.example"]), lookup);
    let open = |host: &str, path: &str, only_listed| {
        let url = format!("http://{host}:{port}{path}");
        client.open(&Fetch { only_listed, ..fetch(&url) }).map(|incoming| incoming.status)
    };
    assert_eq!(open("a.example", "/", true).unwrap(), 200);
    assert_eq!(open("a.example", "/away", false).unwrap(), 200);
    assert!(matches!(open("a.example", "/away", true), Err(NetError::Refused { .. })));
    assert!(matches!(open("b.example", "/", true), Err(NetError::Refused { .. })));
}

fn request_port(request: &str) -> &str {
    let host = request.lines().find_map(|line| line.strip_prefix("host: ").or(line.strip_prefix("Host: ")));
    host.unwrap().trim().rsplit(':').next().unwrap()
}
