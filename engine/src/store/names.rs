//! How a folder on the disk spells the names of paths, which are in composed form (NFC) here.

use std::borrow::Cow;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, statat};
use unicode_normalization::UnicodeNormalization;

/// The name under which a folder holds a name of a path: that name itself, or, where it holds none of that spelling, the
/// decomposed one (NFD) that files from macOS have.
pub(super) fn held_as<'a>(folder: &OwnedFd, name: &'a str) -> Cow<'a, str> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    let decomposed: String = name.nfd().collect();
    let is_there = |name: &str| statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    if decomposed == name || is_there(name) || !is_there(&decomposed) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(decomposed)
}
