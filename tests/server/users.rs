use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{PATIENCE, Reply, Server};

/// A principal with a token.
pub struct User<'a> {
    pub server: &'a Server,
    pub id: String,
    pub token: String,
}

impl Server {
    /// The home's owner.
    pub fn admin(&self) -> User<'_> {
        User { server: self, id: "human:admin".to_owned(), token: self.token.clone() }
    }

    /// A new principal with a token, and with grants such as `read,list /docs/**`; one that begins with `!` denies.
    pub fn user(&self, id: &str, grants: &[&str]) -> User<'_> {
        let admin = self.admin();
        admin.post("/v1/principals", &json!({"id": id})).was_put();
        for grant in grants {
            admin.grant(id, grant);
        }
        let token = admin.issue(json!({"principal": id}));
        User { server: self, id: id.to_owned(), token: token["token"].as_str().unwrap().to_owned() }
    }
}

impl<'a> User<'a> {
    /// The same principal, by another token.
    pub fn with_token(&self, token: &str) -> User<'a> {
        User { server: self.server, id: self.id.clone(), token: token.to_owned() }
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        self.server.ask(method, path, &headers, body)
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
    }

    pub fn put(&self, path: &str, text: &str) -> Reply {
        self.ask("PUT", &format!("/v1/files{path}"), &[], text)
    }

    pub fn read(&self, path: &str) -> Reply {
        self.get(&format!("/v1/files{path}"))
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, &[], "")
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, &[("content-type", "application/json")], &body.to_string())
    }

    pub fn carry(&self, how: &str, from: &str, to: &str) -> Reply {
        self.post(&format!("/v1/{how}"), &json!({"from": from, "to": to}))
    }

    /// The items of a list.
    pub fn items(&self, path: &str) -> Vec<Value> {
        let reply = self.get(path).is(200).json();
        reply["items"].as_array().unwrap_or_else(|| panic!("{reply}")).clone()
    }

    /// Gives, or with `!` denies: `read,list /docs/**`.
    pub fn grant(&self, to: &str, grant: &str) -> Value {
        let (verbs, path) = grant.split_once(' ').unwrap();
        let effect = if verbs.starts_with('!') { "deny" } else { "allow" };
        let verbs: Vec<&str> = verbs.trim_start_matches('!').split(',').collect();
        let grant = json!({"to": to, "path": path, "verbs": verbs, "effect": effect});
        self.post("/v1/grants", &grant).was_put().json()
    }

    #[expect(clippy::needless_pass_by_value, reason = "`json!` is written in the call")]
    pub fn issue(&self, request: Value) -> Value {
        self.post("/v1/tokens", &request).is(201).json()
    }

    /// The paths that a search finds, best first.
    #[expect(clippy::needless_pass_by_value, reason = "`json!` is written in the call")]
    pub fn found(&self, request: Value) -> Vec<String> {
        let reply = self.post("/v1/search", &request).is(200).json();
        let results = reply["results"].as_array().unwrap_or_else(|| panic!("{reply}"));
        results.iter().map(|hit| hit["citation"]["path"].as_str().unwrap().to_owned()).collect()
    }
}

impl Reply {
    /// Itself, after a look at its status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Itself, after a look whether what was put is there: it was made, or was there already.
    #[track_caller]
    pub fn was_put(self) -> Self {
        assert!(matches!(self.status, 200 | 201), "{}", self.text());
        self
    }

    /// Refuses all but this refusal.
    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str) {
        assert_eq!(self.problem(), (status, code.to_owned()), "{}", self.text());
    }
}

/// Text under a name of a JSON object.
#[track_caller]
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

/// Looks until something that must happen has happened, and gives it.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "did not happen in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
