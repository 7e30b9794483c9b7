//! Archives (zip, tar, gzip) → the texts of the files in them, where the operator allows.
//!
//! Takes bytes, gives each file's text under its path, as a place of its own, or as many as it has pages, slides and cells.
//! What is no text is counted in a warning, and so is what needs a password; an archive of which nothing else is left is
//! encrypted.
//! Nothing is unpacked onto a disk: paths that point out of an archive, links and devices mean nothing here.

use super::rendering::Rendering;
use super::unpack::{Allowance, Parts, gunzip};
use super::{Rendered, nested};
use crate::location::Location;
use crate::text::skip::SkipReason;

/// The text of an archive.
///
/// # Errors
/// [`SkipReason::ArchiveNotAllowed`], [`SkipReason::Explodes`], [`SkipReason::Damaged`].
pub(super) fn read(
    name: &str,
    bytes: &[u8],
    mime_type: &str,
    allowance: &Allowance<'_>,
) -> Result<Rendered, SkipReason> {
    if !allowance.limits().archives {
        return Err(SkipReason::ArchiveNotAllowed { mime_type: mime_type.to_owned() });
    }
    let rendering = Rendering::new(allowance.limits().max_text_bytes);
    let mut files = Files { rendering, allowance, n_unread: 0, n_encrypted: 0 };
    match mime_type {
        "application/zip" => files.zip(bytes)?,
        "application/x-tar" => files.tar(bytes)?,
        _ => {
            let inner = gunzip(bytes, allowance)?;
            let stem = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".tgz")).unwrap_or(name);
            if inner.get(257..262) == Some(b"ustar") {
                files.tar(&inner)?
            } else {
                files.file(stem, &inner)?
            }
        }
    }
    if files.n_encrypted > 0 {
        if files.rendering.len() == 0 {
            return Err(SkipReason::Encrypted);
        }
        let n_encrypted = files.n_encrypted;
        files
            .rendering
            .warn(format!("{n_encrypted} entries are encrypted and can't be read without their password"));
    }
    if files.n_unread > 0 {
        files.rendering.warn(format!("{} entries hold no text that can be read", files.n_unread));
    }
    Ok(files.rendering.finish())
}

/// The names of the files in a zip file, whether they may be read or not; none where it is no such file, or too large a one.
pub(super) fn names(bytes: &[u8], allowance: &Allowance<'_>) -> Vec<String> {
    let names = Parts::open(bytes, allowance).map(|parts| parts.names()).unwrap_or_default();
    names.into_iter().filter(|name| !name.ends_with('/')).collect()
}

struct Files<'a> {
    rendering: Rendering,
    allowance: &'a Allowance<'a>,
    n_unread: usize,
    n_encrypted: usize,
}

impl Files<'_> {
    fn zip(&mut self, bytes: &[u8]) -> Result<(), SkipReason> {
        let mut parts = Parts::open(bytes, self.allowance)?;
        for name in parts.names().iter().filter(|name| !name.ends_with('/')) {
            if self.rendering.is_full() {
                break;
            }
            match parts.read(name) {
                Ok(Some(bytes)) => self.file(name, &bytes)?,
                Ok(None) => self.n_unread += 1,
                Err(reason) => self.unread(reason)?,
            }
        }
        Ok(())
    }

    fn tar(&mut self, bytes: &[u8]) -> Result<(), SkipReason> {
        let mut archive = tar::Archive::new(bytes);
        let max_entries = self.allowance.limits().max_entries;
        for (idx, entry) in archive.entries().map_err(SkipReason::damaged)?.enumerate() {
            if idx >= max_entries {
                let detail = format!("it has more entries than the limit of {max_entries}");
                return Err(SkipReason::Explodes { detail });
            }
            if self.rendering.is_full() {
                break;
            }
            let entry = entry.map_err(SkipReason::damaged)?;
            if entry.header().entry_type().is_file() {
                let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                let bytes = self.allowance.read(entry)?;
                self.file(&name, &bytes)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), SkipReason> {
        self.rendering.enter(1, name);
        match nested(name, bytes, self.allowance) {
            Ok(document) => {
                let place = |inner: Option<&Location>| Location::in_entry(name, inner);
                self.rendering.append(&document, &format!("entry `{name}`"), place);
                Ok(())
            }
            Err(reason) => self.unread(reason),
        }
    }

    /// Counts a file that can't be read.
    fn unread(&mut self, reason: SkipReason) -> Result<(), SkipReason> {
        match reason {
            SkipReason::Explodes { .. } => return Err(reason),
            SkipReason::Encrypted => self.n_encrypted += 1,
            _ => self.n_unread += 1,
        }
        Ok(())
    }
}
