//! Takes a token once, gives a cookie that stands for it for a while, in the browser that showed it.
//!
//! Nouns: [`Sign`] (who is signed in), [`Signed`] (one of them), [`Opened`] (the two halves that a browser gets). A sign-in
//! has two halves: a cookie that no script can read, and a key that a page of ours keeps and sends in the header
//! `X-Waypost-Console`. Neither is worth anything alone: a page of others can make a browser send the cookie, and another
//! server on the same machine even sees it, for cookies know no ports; but neither of them has the key. Kept are hashes of
//! both and the token's public id; the token itself is not kept, and one that is revoked ends its sign-ins at once. A
//! restart ends them all.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use waypost_engine::id::VersionId;

use crate::auth::TokenId;
use crate::problem::Problem;

/// Carries the second half.
pub const KEY: HeaderName = HeaderName::from_static("x-waypost-console");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// A sign-in that is not used ends after so long.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// Every sign-in ends after so long.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// Sign-ins of all and of one token; beyond them the one that was used least lately ends.
const MAX_SIGNED: usize = 4096;
const MAX_OF_TOKEN: usize = 32;
/// Random bytes of a half.
const HALF_BYTES: usize = 32;

type Hash = [u8; 32];

/// Who is signed in at this moment.
#[derive(Debug)]
pub struct Sign {
    cookie: String,
    is_secure: bool,
    signed: Mutex<HashMap<Hash, Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    key: Hash,
    token: TokenId,
    begun: Instant,
    used: Instant,
}

/// What a browser gets when it signs in.
#[derive(Debug)]
pub struct Opened {
    /// Of `Set-Cookie`.
    pub cookie: HeaderValue,
    /// For the header.
    pub key: String,
    /// Until it ends at the latest.
    pub lasts: Duration,
}

/// In a request's extensions: it was signed by a cookie and not by a token.
#[derive(Debug, Clone)]
pub struct Signed {
    name: Hash,
    /// The token that it stands for.
    pub token: TokenId,
}

impl Sign {
    /// For a server at an address. Cookies know no ports, so the name tells the servers of one machine apart.
    pub fn new(address: SocketAddr, is_tls: bool) -> Self {
        // A browser takes a name that begins so only with `Secure`, for this host alone.
        let prefix = if is_tls { "__Host-" } else { "" };
        let cookie = format!("{prefix}waypost-{}", address.port());
        Self { cookie, is_secure: is_tls, signed: Mutex::default() }
    }

    /// Signs the holder of a token in.
    pub fn open(&self, token: &TokenId, now: Instant) -> Opened {
        let (id, key) = (random(), random());
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        signed.retain(|_, entry| entry.is_alive(now));
        make_room(&mut signed, MAX_OF_TOKEN, |entry| entry.token == *token);
        make_room(&mut signed, MAX_SIGNED, |_| true);
        let entry = Entry { key: hash(&key), token: token.clone(), begun: now, used: now };
        signed.insert(hash(&id), entry);
        Opened { cookie: self.set_cookie(&id, LONGEST.as_secs()), key, lasts: LONGEST }
    }

    /// Who signed a request, where somebody did: by both halves, on a route of the API, from a page of ours.
    ///
    /// # Errors
    /// A problem with status 401 where a half is missing, or is not known any more; 403 for pages of others.
    pub fn check(&self, head: &Parts, now: Instant) -> Result<Signed, Problem> {
        let expected = || Problem::unauthorized("expected one bearer token");
        let id = self.cookie_of(&head.headers).filter(|_| head.uri.path().starts_with("/v1/"));
        let id = id.ok_or_else(expected)?;
        let key = head.headers.get(KEY).ok_or_else(expected)?;
        check_page(&head.method, &head.headers)?;
        let ended = || Problem::unauthorized("this sign-in has ended: sign in again");
        let name = hash(id);
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = signed.get_mut(&name).filter(|entry| entry.is_alive(now)).ok_or_else(ended)?;
        // Hashes of random halves: how long their comparison takes tells nothing of them.
        if entry.key != hash_of(key.as_bytes()) {
            return Err(ended());
        }
        entry.used = now;
        Ok(Signed { name, token: entry.token.clone() })
    }

    /// Ends a sign-in; the cookie to be forgotten.
    pub fn close(&self, signed: &Signed) -> HeaderValue {
        self.signed.lock().unwrap_or_else(PoisonError::into_inner).remove(&signed.name);
        self.set_cookie("", 0)
    }

    /// Whether it has not ended; a stream that it began ends with it.
    pub fn is_open(&self, signed: &Signed, now: Instant) -> bool {
        let mut all = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = all.get_mut(&signed.name).filter(|entry| entry.is_alive(now));
        // Somebody who watches is there.
        entry.map(|entry| entry.used = now).is_some()
    }

    fn set_cookie(&self, value: &str, seconds: u64) -> HeaderValue {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let name = &self.cookie;
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
        HeaderValue::from_str(&text).expect("hexadecimal digits and a number are plain text")
    }

    /// The cookie's value, where there is exactly one of that name.
    fn cookie_of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == self.cookie).map(|(_, value)| value);
        values.next().filter(|value| values.next().is_none() && value.len() == 2 * HALF_BYTES)
    }
}

impl Entry {
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) < IDLE && now.saturating_duration_since(self.begun) < LONGEST
    }
}

/// Ends those that were used least lately, until one more finds a place.
fn make_room(signed: &mut HashMap<Hash, Entry>, most: usize, counts: impl Fn(&Entry) -> bool) {
    while signed.values().filter(|entry| counts(entry)).count() >= most {
        let counted = signed.iter().filter(|(_, entry)| counts(entry));
        let Some(oldest) = counted.min_by_key(|(_, entry)| entry.used).map(|(name, _)| *name) else { return };
        signed.remove(&oldest);
    }
}

/// Whether a browser says that a page of this very server asks. One that changes something has to be named; what only
/// reads may come without a name, for browsers send none over plain HTTP to another machine.
///
/// # Errors
/// A problem with status 403.
pub fn check_page(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let one = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().map(|value| value.to_str().unwrap_or("?"));
        if values.next().is_some() { Some("?") } else { first }
    };
    let (site, origin, host) = (one(&FETCH_SITE), one(&header::ORIGIN), one(&header::HOST));
    let is_own_origin = |origin: &str| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest.is_some_and(|rest| host.is_some_and(|host| rest.eq_ignore_ascii_case(host)))
    };
    let is_fine = site.is_none_or(|site| site == "same-origin") && origin.is_none_or(is_own_origin);
    let only_reads = *method == Method::GET || *method == Method::HEAD;
    if is_fine && (only_reads || site.is_some() || origin.is_some()) {
        return Ok(());
    }
    let detail = "a sign-in of the console is used by pages of this server alone";
    Err(Problem::new(StatusCode::FORBIDDEN, "forbidden_origin", detail))
}

fn random() -> String {
    let mut bytes = [0u8; HALF_BYTES];
    getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(text: &str) -> Hash {
    hash_of(text.as_bytes())
}

fn hash_of(bytes: &[u8]) -> Hash {
    *VersionId::of(bytes).as_bytes()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn sign() -> Sign {
        Sign::new("127.0.0.1:7077".parse().unwrap(), false)
    }

    fn token(id: &str) -> TokenId {
        TokenId::of(&format!("wp_{id}_x")).unwrap()
    }

    fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:7077");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn pair(opened: &Opened) -> String {
        opened.cookie.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    #[test]
    fn only_both_halves_on_a_route_of_the_api_sign_a_request() {
        let (sign, now) = (sign(), Instant::now());
        let (one, other) = (sign.open(&token("a"), now), sign.open(&token("b"), now));
        let (cookie, foreign) = (pair(&one), pair(&other));
        let twice = format!("{cookie}; {foreign}");
        let check = |path: &str, headers: &[(&str, &str)]| {
            let signed = sign.check(&head("GET", path, headers), now);
            signed.map(|signed| signed.token).map_err(|problem| problem.status.as_u16())
        };
        let both = [("cookie", cookie.as_str()), ("x-waypost-console", one.key.as_str())];
        assert_eq!(check("/v1/whoami", &both), Ok(token("a")));
        assert_eq!(check("/mcp", &both), Err(401));
        assert_eq!(check("/metrics", &both), Err(401));
        assert_eq!(check("/v1/whoami", &both[..1]), Err(401));
        assert_eq!(check("/v1/whoami", &both[1..]), Err(401));
        assert_eq!(check("/v1/whoami", &[both[0], ("x-waypost-console", "1")]), Err(401));
        assert_eq!(check("/v1/whoami", &[("cookie", &foreign), both[1]]), Err(401), "halves of two");
        assert_eq!(check("/v1/whoami", &[("cookie", &twice), both[1]]), Err(401), "one of two");
    }

    #[test]
    fn pages_of_others_are_refused_and_whoever_changes_something_is_named() {
        let (sign, now) = (sign(), Instant::now());
        let opened = sign.open(&token("a"), now);
        let cookie = pair(&opened);
        let check = |method: &str, more: &[(&str, &str)]| {
            let mut headers = vec![("cookie", cookie.as_str()), ("x-waypost-console", opened.key.as_str())];
            headers.extend(more);
            sign.check(&head(method, "/v1/x", &headers), now).map(drop).map_err(|it| it.status.as_u16())
        };
        assert_eq!(check("GET", &[]), Ok(()));
        assert_eq!(check("POST", &[]), Err(403));
        assert_eq!(check("POST", &[("origin", "http://127.0.0.1:7077")]), Ok(()));
        assert_eq!(check("DELETE", &[("sec-fetch-site", "same-origin")]), Ok(()));
        for method in ["GET", "POST"] {
            assert_eq!(check(method, &[("origin", "https://app.example")]), Err(403));
            assert_eq!(check(method, &[("origin", "http://127.0.0.1:7078")]), Err(403));
            assert_eq!(check(method, &[("origin", "null")]), Err(403));
            for site in ["same-site", "cross-site", "none"] {
                assert_eq!(check(method, &[("sec-fetch-site", site)]), Err(403), "{site}");
            }
        }
    }

    #[test]
    fn a_sign_in_ends_unused_or_old_or_closed_and_their_number_is_bounded() {
        let (sign, now) = (sign(), Instant::now());
        let opened = sign.open(&token("a"), now);
        let head = head("GET", "/v1/x", &[("cookie", &pair(&opened)), ("x-waypost-console", &opened.key)]);
        let minutes = |n: u64| now + Duration::from_secs(60 * n);
        assert!(sign.check(&head, minutes(59)).is_ok());
        assert!(sign.check(&head, minutes(59 + 61)).is_err(), "unused for an hour");
        for n in (0..12 * 60).step_by(30) {
            assert!(sign.check(&head, minutes(n)).is_ok(), "{n}");
        }
        assert!(sign.check(&head, minutes(12 * 60)).is_err(), "half a day old");
        let signed = sign.check(&head, minutes(11 * 60)).unwrap();
        assert!(sign.is_open(&signed, minutes(11 * 60)));
        let gone = sign.close(&signed);
        assert!(gone.to_str().unwrap().contains("=; Path=/") && gone.to_str().unwrap().contains("Max-Age=0"));
        assert!(!sign.is_open(&signed, now) && sign.check(&head, now).is_err());
        for n in 0..3 * MAX_OF_TOKEN {
            sign.open(&token("a"), minutes(n as u64 % 50));
        }
        assert_eq!(sign.signed.lock().unwrap().len(), MAX_OF_TOKEN);
    }

    #[test]
    fn the_cookie_tells_scripts_and_other_sites_nothing() {
        let plain = sign().open(&token("a"), Instant::now());
        let text = plain.cookie.to_str().unwrap().to_owned();
        assert!(text.starts_with("waypost-7077=") && !text.contains("Secure") && !text.contains(&plain.key));
        assert!(
            text.contains("; HttpOnly") && text.contains("; SameSite=Strict") && text.contains("; Path=/")
        );
        let tls = Sign::new("127.0.0.1:7077".parse().unwrap(), true).open(&token("a"), Instant::now());
        let text = tls.cookie.to_str().unwrap();
        assert!(text.starts_with("__Host-waypost-7077=") && text.contains("; Secure"), "{text}");
    }
}
