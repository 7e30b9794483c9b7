//! One URL → its bytes: streamed to the disk, gone on with where the line broke, asked for only where they have changed.
//!
//! Takes a [`Wanted`] and whoever watches. Gives a [`Fetched`]. A body that breaks off is gone on with (`Range` with `If-Range`, RFC
//! 9110, sections 14.2 and 13.1.5) where its `etag` is strong, and begun anew where it is not.

use std::path::Path;
use std::time::{Duration, Instant};

use super::ImportError;
use super::kinds::Accept;
use super::spool::Spool;
use crate::net::{Client, Fetch, Incoming, MAX_HOPS, Method, NetError, Url};

/// How often a body that breaks off is asked for.
const MAX_TRIES: usize = 4;
/// Bytes read at once; after each such part whoever asked may end it.
const PART_BYTES: usize = 64 << 10;
/// Longer validators are not kept, in bytes.
const MAX_VALIDATOR_BYTES: usize = 1024;

/// What is wanted, and what may be spent on it.
pub struct Wanted<'a> {
    /// Where from.
    pub url: &'a Url,
    /// Of the bytes that are here already: then only other ones are wanted.
    pub known: Option<&'a Validators>,
    /// Which types.
    pub accept: &'a Accept,
    /// The name of the file that it will be; it tells types of text apart.
    pub name: &'a str,
    /// No more than this.
    pub max_bytes: u64,
    /// Then it must be whole.
    pub deadline: Instant,
    /// Whether only hosts that the operator listed may be asked.
    pub only_listed: bool,
    /// Where bytes are kept on their way.
    pub folder: &'a Path,
}

/// What a host said of its bytes, for asking again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// The header `etag`.
    pub etag: Option<String>,
    /// The header `last-modified`.
    pub last_modified: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub enum Fetched {
    /// The bytes that are known already are still the newest.
    Unchanged {
        /// Where the answer came from.
        url: Url,
    },
    /// New bytes.
    Page(Box<Page>),
}

/// The bytes behind a URL.
#[derive(Debug)]
pub struct Page {
    /// All of them.
    pub bytes: Vec<u8>,
    /// Where they came from, after redirects.
    pub url: Url,
    /// As it was declared.
    pub content_type: Option<String>,
    /// For asking again.
    pub validators: Validators,
}

/// Whoever waits for it.
pub struct Watch<'a> {
    /// Whether nobody waits any more.
    pub is_stopped: &'a dyn Fn() -> bool,
    /// Told how many bytes are here, and how many there will be where that is known.
    pub told: &'a mut dyn FnMut(u64, Option<u64>),
}

impl Validators {
    fn of(incoming: &Incoming) -> Self {
        let short = |value: &Option<String>| value.clone().filter(|value| value.len() <= MAX_VALIDATOR_BYTES);
        Self { etag: short(&incoming.etag), last_modified: short(&incoming.last_modified) }
    }

    /// Whether there is anything to ask with.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// What may stand in `If-Range`: a weak tag may name other bytes.
    fn strong(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/"))
    }
}

/// Reads what is behind a URL.
///
/// # Errors
/// [`ImportError`].
pub fn fetch(client: &Client, wanted: &Wanted<'_>, watch: &mut Watch<'_>) -> Result<Fetched, ImportError> {
    let mut spool = Spool::new(wanted.folder)?;
    let mut begun: Option<Validators> = None;
    for n_tries in 1.. {
        let mut incoming = open(client, wanted, begun.as_ref(), spool.len())?;
        if incoming.status == 304 && wanted.known.is_some() && begun.is_none() {
            return Ok(Fetched::Unchanged { url: incoming.url });
        }
        let goes_on =
            begun.is_some() && incoming.status == 206 && continues_at(&incoming) == Some(spool.len());
        if !goes_on {
            spool.clear()?;
            if incoming.status != 200 {
                return Err(ImportError::Status {
                    host: incoming.host().to_owned(),
                    status: incoming.status,
                });
            }
            wanted.accept.check_declared(incoming.host(), incoming.content_type.as_deref())?;
        }
        let validators = Validators::of(&incoming);
        match receive(&mut incoming, wanted, &mut spool, watch) {
            Ok(()) => {
                let (url, content_type) = (incoming.url.clone(), incoming.content_type.clone());
                let bytes = spool.into_bytes()?;
                let host = url.host_str().unwrap_or_default();
                wanted.accept.check(host, content_type.as_deref(), wanted.name, &bytes)?;
                return Ok(Fetched::Page(Box::new(Page { bytes, url, content_type, validators })));
            }
            Err(ImportError::Net(NetError::Protocol { .. })) if n_tries < MAX_TRIES => {
                if validators.strong().is_none() {
                    spool.clear()?;
                }
                begun = Some(validators);
            }
            Err(error) => return Err(error),
        }
    }
    unreachable!("the loop counts without an end")
}

/// Asks for all bytes, or, after a break, for those that are missing.
fn open(
    client: &Client,
    wanted: &Wanted<'_>,
    begun: Option<&Validators>,
    have: u64,
) -> Result<Incoming, ImportError> {
    let accept = wanted.accept.header();
    let range = format!("bytes={have}-");
    let mut headers = vec![("accept", accept.as_str())];
    match (begun.and_then(Validators::strong), wanted.known) {
        (Some(etag), _) if have > 0 => headers.extend([("range", range.as_str()), ("if-range", etag)]),
        (_, Some(known)) if begun.is_none() => {
            headers.extend(known.etag.as_deref().map(|etag| ("if-none-match", etag)));
            headers.extend(known.last_modified.as_deref().map(|date| ("if-modified-since", date)));
        }
        _ => {}
    }
    Ok(client.open(&Fetch {
        method: Method::Get,
        url: wanted.url.as_str(),
        headers: &headers,
        deadline: left(wanted.deadline),
        max_hops: MAX_HOPS,
        only_listed: wanted.only_listed,
    })?)
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Where a part of a body begins: `bytes 100-199/200`.
fn continues_at(incoming: &Incoming) -> Option<u64> {
    let range = incoming.content_range.as_deref()?.trim().strip_prefix("bytes")?.trim_start();
    range.split('-').next()?.parse().ok()
}

/// Takes a body to its end.
fn receive(
    incoming: &mut Incoming,
    wanted: &Wanted<'_>,
    spool: &mut Spool,
    watch: &mut Watch<'_>,
) -> Result<(), ImportError> {
    let too_large =
        |host: &str| ImportError::TooLarge { host: host.to_owned(), limit_bytes: wanted.max_bytes };
    let whole = incoming.length.map(|length| spool.len().saturating_add(length));
    if whole.is_some_and(|whole| whole > wanted.max_bytes) {
        return Err(too_large(incoming.host()));
    }
    let mut buffer = vec![0; PART_BYTES];
    loop {
        if (watch.is_stopped)() {
            return Err(ImportError::Cancelled);
        }
        let n_read = incoming.read(&mut buffer)?;
        if n_read == 0 {
            return Ok(());
        }
        if spool.len() + n_read as u64 > wanted.max_bytes {
            return Err(too_large(incoming.host()));
        }
        spool.append(&buffer[..n_read])?;
        (watch.told)(spool.len(), whole);
    }
}
