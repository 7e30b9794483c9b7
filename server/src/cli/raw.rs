//! Takes a route, gives the bytes that a server answers, read as they come.

use std::io::Write;

use anyhow::Result;
use waypost_engine::api::Error;
use waypost_engine::net::{Fetch, Incoming, Method};

use super::place::{LONG_PATIENCE, Refused, Server};

/// Read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Asks a route for bytes.
pub fn open(server: &Server, way: &[&str], query: &[(&str, Option<&str>)]) -> Result<Incoming> {
    let mut url = server.route_of(way)?;
    for (name, value) in query {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    let fetch = Fetch {
        method: Method::Get,
        url: url.as_str(),
        headers: &[server.authorization()],
        deadline: LONG_PATIENCE,
        max_hops: 0,
        only_listed: true,
    };
    let mut incoming = server.client.open(&fetch).map_err(Error::from)?;
    if incoming.status != 200 {
        let mut piece = vec![0; PIECE_BYTES];
        let n_read = incoming.read(&mut piece).unwrap_or(0);
        return Err(Refused::of(incoming.status, &piece[..n_read]).into());
    }
    Ok(incoming)
}

/// Writes down what comes, to its end.
pub fn copy(incoming: &mut Incoming, out: &mut dyn Write) -> Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let n_read = incoming.read(&mut piece).map_err(Error::from)?;
        if n_read == 0 {
            return Ok(());
        }
        let written = out.write_all(&piece[..n_read]);
        written.map_err(|source| Error::Output { what: "what the server gave", source })?;
    }
}
