//! What goes through the pipes between a process and its workers: a head as JSON behind its length, then bytes.
//!
//! Both ends are the same program, so that the format needs no version. What a worker says is not trusted: a length
//! beyond the limit ends the exchange.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::Reading;
use crate::text::Limits;

/// A reply beyond is taken for nonsense.
pub const MAX_REPLY_BYTES: u64 = 192 << 20;

/// A head or a name beyond is.
const MAX_HEAD_BYTES: u64 = 1 << 20;

/// What is asked of a worker; the file's bytes follow.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// The file's name.
    pub name: String,
    /// The limits that hold.
    pub limits: Limits,
    /// Seconds of processor time for it.
    pub cpu_seconds: u64,
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    /// What it made of the file.
    pub reading: Reading,
    /// Whether the worker should be replaced: its reader panicked, and who knows what it left behind.
    pub is_spent: bool,
    /// The most memory that the worker ever had, in bytes; 0 where the system does not tell.
    pub peak_bytes: u64,
}

/// Writes a request with its bytes.
///
/// # Errors
/// Where the worker is gone.
pub fn send(to: &mut impl Write, request: &Request, bytes: &[u8]) -> io::Result<()> {
    write_part(to, &serde_json::to_vec(request)?)?;
    write_part(to, bytes)?;
    to.flush()
}

/// Reads a request; `None` once whoever asks is gone.
///
/// # Errors
/// Where it breaks off or is none.
pub fn receive(from: &mut impl Read, max_bytes: u64) -> io::Result<Option<(Request, Vec<u8>)>> {
    let Some(head) = read_part(from, MAX_HEAD_BYTES)? else { return Ok(None) };
    let request = serde_json::from_slice(&head)?;
    let bytes = read_part(from, max_bytes)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(Some((request, bytes)))
}

/// Writes a reply.
///
/// # Errors
/// Where nobody reads it.
pub fn answer(to: &mut impl Write, reply: &Reply) -> io::Result<()> {
    write_part(to, &serde_json::to_vec(reply)?)?;
    to.flush()
}

/// Reads a reply; `None` where the worker ended instead.
///
/// # Errors
/// Where it breaks off, is none, or is too long.
pub fn reply(from: &mut impl Read) -> io::Result<Option<Reply>> {
    match read_part(from, MAX_REPLY_BYTES)? {
        Some(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        None => Ok(None),
    }
}

fn write_part(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)
}

fn read_part(from: &mut impl Read, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 8];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u64::from_le_bytes(length);
    if length > max_bytes {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a part of {length} bytes")));
    }
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(Some(bytes)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
