use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use waypost_engine::api::{ImportRequest, Stop, WriteOptions};

use super::{SECTION, failures_told, is_absent, server};
use crate::mcp::Client;
use crate::site::{Site, ok};
use crate::support::bare_command;

#[test]
fn who_does_not_want_it_any_more_ends_it() {
    let site = Site::start(|_, stream| {
        stream.write_all(ok("text/plain", "", &"x".repeat(9_000_000)).as_bytes()[..100].as_ref())?;
        loop {
            stream.write_all(&[b'x'; 1000])?;
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let server = server();
    let stop = Stop::default();
    let session = server.engine.owner_session().until(&stop);
    let request = ImportRequest::new(site.url("/a.txt"), "/docs/x.txt");
    let mut n_told = 0;
    let refused = session.import(&request, &WriteOptions::default(), &mut |progress| {
        n_told += 1;
        assert_eq!(progress.total_bytes, Some(9_000_000));
        if n_told == 3 {
            server.engine.stop(&stop);
        }
    });
    assert_eq!(refused.unwrap_err().code(), "cancelled");
    assert_eq!(n_told, 3);
    is_absent(&server, "/docs/x.txt");
    assert_eq!(failures_told(&server.admin()).len(), 1);
}

#[test]
fn agents_import_by_a_tool_that_tells_how_far_it_is() {
    let site = Site::start(|_, stream| {
        let answer = ok("text/plain", "", &"0123456789".repeat(100_000));
        for part in answer.as_bytes().chunks(200_000) {
            stream.write_all(part)?;
            std::thread::sleep(Duration::from_millis(150));
        }
        Ok(())
    });
    let server = server();
    let client = Client::legacy(&server, "", &server.token);
    let arguments = json!({"url": site.url("/a.txt"), "path": "/docs/big.txt"});
    let params = json!({"name": "url_import", "arguments": arguments, "_meta": {"progressToken": "p1"}});
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    let reply = client.send(&call, &[]);
    let said: Vec<Value> = reply
        .text()
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
        .collect();
    let signs: Vec<&Value> = said.iter().filter(|one| one["method"] == "notifications/progress").collect();
    assert!(!signs.is_empty(), "{said:?}");
    let amounts: Vec<f64> = signs.iter().map(|sign| sign["params"]["progress"].as_f64().unwrap()).collect();
    assert!(amounts.is_sorted_by(|a, b| a < b), "{amounts:?}");
    assert!(signs.iter().all(|sign| sign["params"]["total"] == 1_000_000.0), "{signs:?}");
    let result = &said.iter().find(|one| one["id"] == 7).unwrap()["result"]["structuredContent"];
    assert_eq!(
        (&result["status"], &result["path"]),
        (&json!("created"), &json!("/docs/big.txt")),
        "{said:?}"
    );
    let (refused, is_error) =
        client.call("url_import", json!({"url": "http://10.0.0.1/", "path": "/docs/x"}));
    assert!(is_error && refused["code"] == "address_refused", "{refused}");
    let (section, _) = client.call(
        "url_import",
        json!({"url": Site::pages(SECTION).url("/docs/"), "path": "/docs/site", "recursive": {"depth": 1}}),
    );
    assert_eq!(section["items"].as_array().map(Vec::len), Some(4), "{section}");
    assert_eq!(section["failures"][0]["code"], "robots_refused", "{section}");
}

#[test]
fn a_client_that_hangs_up_ends_its_import() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let site = Site::start(move |_, stream| {
        stream.write_all(ok("text/plain", "", &"x".repeat(9_000_000)).as_bytes()[..100].as_ref())?;
        loop {
            if let Err(error) = stream.write_all(&[b'x'; 100]) {
                tell.lock().unwrap().send(()).unwrap();
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let server = server();
    let body = json!({"url": site.url("/a.txt"), "path": "/docs/x.txt"}).to_string();
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    let (token, length, host) = (&server.token, body.len(), server.address);
    let head = format!(
        "POST /v1/import HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    crate::users::eventually("the site is asked", || (!site.seen().is_empty()).then_some(()));
    drop(stream);
    told.recv_timeout(crate::support::PATIENCE).unwrap();
    is_absent(&server, "/docs/x.txt");
}

#[test]
fn the_command_imports_and_tells_by_its_exit_code_what_came_of_it() {
    let site = Site::pages(SECTION);
    let folder = tempfile::tempdir().unwrap();
    let waypost = |arguments: &[&str]| {
        let output = bare_command()
            .env("WAYPOST_MODELS", folder.path().join("no-models"))
            .arg("--home")
            .arg(folder.path().join("home"))
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last: Value = serde_json::from_str(text.lines().next().unwrap_or_default()).unwrap_or_default();
        (output.status.code(), last)
    };
    waypost(&["init"]);
    waypost(&["workspace", "add", "docs"]);
    let (code, made) =
        waypost(&["import", &site.url("/docs/a.html"), "/docs/a.html", "--net-allow", "127.0.0.1", "--json"]);
    assert_eq!((code, &made["status"]), (Some(0), &json!("created")), "{made}");
    let all =
        ["import", &site.url("/docs/"), "/docs/all", "--recursive", "--net-allow", "127.0.0.1", "--json"];
    let (code, made) = waypost(&all);
    assert_eq!((code, made["items"].as_array().map(Vec::len)), (Some(0), Some(5)), "{made}");
    let (code, refused) = waypost(&["import", &site.url("/docs/"), "/docs/b", "--json"]);
    assert_eq!(code, Some(2), "an address that is not allowed: {refused}");
    let gone = site.url("/docs/gone.html");
    let (code, refused) = waypost(&["import", &gone, "/docs/b", "--net-allow", "127.0.0.1", "--json"]);
    assert_eq!(code, Some(4), "{refused}");
}
