//! Packed files, opened within bounds.
//!
//! Takes the bytes of a zip or gzip file, gives the bytes of its parts, and counts what they come to: over all parts
//! and nested files together no more than [`Limits`] allow, whatever the file says of its own sizes. Nothing is written
//! anywhere, so that the names inside can point nowhere.

use std::cell::Cell;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::text::document::Limits;
use crate::text::skip::SkipReason;

/// Free of the ratio: small files may pack well.
const FREE_BYTES: u64 = 1 << 20;

/// How much may still be unpacked, and how deep.
#[derive(Debug)]
pub(super) struct Allowance<'a> {
    limits: &'a Limits,
    left: &'a Cell<u64>,
    depth: usize,
}

impl<'a> Allowance<'a> {
    /// For a file that is read as itself; `left` counts for all that is nested in it.
    pub(super) fn new(limits: &'a Limits, left: &'a Cell<u64>) -> Self {
        Self { limits, left, depth: 0 }
    }

    /// What a file of `n_bytes` may unpack to at first.
    pub(super) fn of(limits: &Limits, n_bytes: usize) -> u64 {
        let by_ratio = (n_bytes as u64).saturating_mul(limits.max_unpacked_ratio).saturating_add(FREE_BYTES);
        by_ratio.min(limits.max_unpacked_bytes)
    }

    /// The limits.
    pub(super) fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// For a packed file inside of this one.
    ///
    /// # Errors
    /// [`SkipReason::Explodes`] where it lies too deep.
    pub(super) fn deeper(&self) -> Result<Self, SkipReason> {
        if self.depth >= self.limits.max_depth {
            let detail = format!("files are packed in each other more than {} deep", self.limits.max_depth);
            return Err(SkipReason::Explodes { detail });
        }
        Ok(Self { depth: self.depth + 1, ..*self })
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// [`SkipReason::Explodes`] past what is left; [`SkipReason::Damaged`] where the stream is broken.
    pub(super) fn read(&self, source: impl Read) -> Result<Vec<u8>, SkipReason> {
        let left = self.left.get();
        let mut bytes = Vec::new();
        let read = source.take(left.saturating_add(1)).read_to_end(&mut bytes);
        let n_read = bytes.len() as u64;
        if n_read > left {
            self.left.set(0);
            return Err(self.explodes());
        }
        self.left.set(left - n_read);
        match read {
            Ok(_) => Ok(bytes),
            Err(error) => Err(SkipReason::damaged(error)),
        }
    }

    /// Reads to the end and keeps nothing: what somebody else is going to read.
    ///
    /// # Errors
    /// [`SkipReason::Explodes`] past what is left.
    pub(super) fn check(&self, mut source: impl Read) -> Result<(), SkipReason> {
        let (mut buffer, mut n_read) = (vec![0; 64 << 10], 0);
        // Where a stream breaks off its reader stops, too.
        while let Some(n_more) = source.read(&mut buffer).ok().filter(|n_more| *n_more > 0) {
            n_read += n_more as u64;
            if n_read > self.left.get() {
                return Err(self.explodes());
            }
        }
        Ok(())
    }

    fn explodes(&self) -> SkipReason {
        let Limits { max_unpacked_bytes, max_unpacked_ratio, .. } = self.limits;
        let detail =
            format!("more than {max_unpacked_bytes} bytes, or {max_unpacked_ratio} times what it is packed");
        SkipReason::Explodes { detail }
    }
}

/// A zip file whose parts are read one by one.
pub(super) struct Parts<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    allowance: &'a Allowance<'a>,
}

impl<'a> Parts<'a> {
    /// Opens a zip file.
    ///
    /// # Errors
    /// [`SkipReason::Explodes`] for too many entries or too large a sum, as the file itself says; [`SkipReason::Damaged`].
    pub(super) fn open(bytes: &'a [u8], allowance: &'a Allowance<'a>) -> Result<Self, SkipReason> {
        check_count(bytes, allowance.limits.max_entries)?;
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(SkipReason::damaged)?;
        if archive.len() > allowance.limits.max_entries {
            return Err(too_many(archive.len() as u64, allowance.limits.max_entries));
        }
        if archive.decompressed_size().is_some_and(|size| size > u128::from(allowance.left.get())) {
            return Err(allowance.explodes());
        }
        Ok(Self { archive, allowance })
    }

    /// The names of all parts, in the file's order.
    pub(super) fn names(&self) -> Vec<String> {
        self.archive.file_names().map(str::to_owned).collect()
    }

    /// A part by its name; `None` where there is none.
    ///
    /// # Errors
    /// As [`Allowance::read`]; [`SkipReason::Encrypted`].
    pub(super) fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, SkipReason> {
        match self.archive.by_name(name) {
            Ok(part) => self.allowance.read(part).map(Some),
            Err(zip::result::ZipError::FileNotFound) => Ok(None),
            Err(zip::result::ZipError::UnsupportedArchive(reason)) if reason.contains("assword") => {
                Err(SkipReason::Encrypted)
            }
            Err(error) => Err(SkipReason::damaged(error)),
        }
    }

    /// A part that there must be.
    ///
    /// # Errors
    /// As [`Self::read`]; [`SkipReason::Damaged`] where it is missing.
    pub(super) fn need(&mut self, name: &str) -> Result<Vec<u8>, SkipReason> {
        let missing = || SkipReason::damaged(format!("its part `{name}` is missing"));
        self.read(name)?.ok_or_else(missing)
    }
}

/// The contents of a gzip file, of its first member.
pub(super) fn gunzip(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Vec<u8>, SkipReason> {
    allowance.read(flate2::read::GzDecoder::new(bytes))
}

fn too_many(found: u64, limit: usize) -> SkipReason {
    SkipReason::Explodes { detail: format!("it has {found} entries, more than the limit of {limit}") }
}

/// Refuses a directory of a million entries before memory is spent on it: the count stands at the file's end.
fn check_count(bytes: &[u8], limit: usize) -> Result<(), SkipReason> {
    let tail_at = bytes.len().saturating_sub(66 << 10);
    let tail = &bytes[tail_at..];
    let number = |at: usize, n: usize| -> Option<u64> {
        let field = tail.get(at..at + n)?;
        Some(field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let ends = (0..tail.len().saturating_sub(3)).rev();
    let short =
        ends.clone().find(|at| tail[*at..].starts_with(b"PK\x05\x06")).and_then(|at| number(at + 10, 2));
    let long =
        ends.clone().find(|at| tail[*at..].starts_with(b"PK\x06\x06")).and_then(|at| number(at + 32, 8));
    let count = long.into_iter().chain(short).max().unwrap_or(0);
    if count > limit as u64 { Err(too_many(count, limit)) } else { Ok(()) }
}
