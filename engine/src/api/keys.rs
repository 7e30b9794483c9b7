//! The home's secret, and what is derived from it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};

use super::error::{Error, Result};
use super::visible::Position;
use crate::id::{Seq, WorkspaceName};

/// Keys of one home, none of which ever leaves the process.
pub struct Keys {
    seal: Aes256GcmSiv,
    /// Seals the head of the audit chain.
    pub audit: [u8; 32],
    names: [u8; 32],
}

impl Keys {
    /// From the home's secret (BLAKE3's key derivation, one context a use).
    pub fn derive(secret: &[u8; 32]) -> Self {
        let seal = blake3::derive_key("waypost 2026-11 seal of sequence numbers", secret);
        Self {
            seal: Aes256GcmSiv::new(&seal.into()),
            audit: blake3::derive_key("waypost 2026-11 head of the audit chain", secret),
            names: blake3::derive_key("waypost 2026-11 shown ids", secret),
        }
    }

    /// How a place in the journal is shown to one principal: the same place gives the same text, which tells nobody
    /// else anything (AES-GCM-SIV, RFC 8452, with a fixed nonce: deterministic, and no more than that).
    pub fn seal(&self, principal: &str, position: Position) -> String {
        let place = [&position.at_ms.to_le_bytes()[..], &position.nth.to_le_bytes()].concat();
        format!("sq_{}", hex(&self.close(principal, &place)))
    }

    /// Reads what [`Self::seal`] gave to the same principal.
    pub fn unseal(&self, principal: &str, shown: &str) -> Option<Position> {
        let place = self.open(principal, &unhex(shown.strip_prefix("sq_")?)?)?;
        let (at_ms, nth) = place.split_at_checked(size_of::<i64>())?;
        let at_ms = i64::from_le_bytes(at_ms.try_into().ok()?);
        Some(Position { at_ms, nth: u32::from_le_bytes(nth.try_into().ok()?) })
    }

    /// A delivery's id: it says nothing to anybody, and here which event it is that a webhook was told of.
    pub fn delivery_id(&self, webhook: &str, seq: Seq) -> String {
        format!("dl_{}", hex(&self.close(webhook, &seq.0.to_le_bytes())))
    }

    /// Reads what [`Self::delivery_id`] gave for the same webhook.
    pub fn read_delivery_id(&self, webhook: &str, shown: &str) -> Option<Seq> {
        let seq = self.open(webhook, &unhex(shown.strip_prefix("dl_")?)?)?;
        Some(Seq(u64::from_le_bytes(seq.try_into().ok()?)))
    }

    /// Seals bytes for one purpose; the same bytes give the same result.
    pub fn close(&self, purpose: &str, bytes: &[u8]) -> Vec<u8> {
        let payload = Payload { msg: bytes, aad: purpose.as_bytes() };
        self.seal.encrypt(&Nonce::default(), payload).expect("a few bytes can be sealed")
    }

    /// Opens what [`Self::close`] gave for the same purpose.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload { msg: sealed, aad: purpose.as_bytes() };
        self.seal.decrypt(&Nonce::default(), payload).ok()
    }

    /// An event's id: the same each time, and no number that tells of others.
    pub fn event_id(&self, seq: Seq) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.names);
        hasher.update(b"event").update(&seq.0.to_le_bytes());
        format!("evt_{}", &hasher.finalize().to_hex()[..20])
    }

    /// A workspace's id as it is shown: not its number, which would tell how many there are.
    pub fn workspace_id(&self, name: &WorkspaceName, created_ms: i64) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.names);
        hasher.update(name.as_str().as_bytes()).update(&created_ms.to_le_bytes());
        format!("ws_{}", &hasher.finalize().to_hex()[..12])
    }
}

/// How the owner sees a place in the journal: as it is.
pub fn show_plain(seq: Seq) -> String {
    format!("sq_{:012x}", seq.0)
}

/// Reads what [`show_plain`] gave.
pub fn read_plain(text: &str) -> Option<Seq> {
    let digits = text.strip_prefix("sq_").filter(|digits| digits.len() == 12)?;
    u64::from_str_radix(digits, 16).ok().map(Seq)
}

/// A fresh id that tells nothing, such as `lk_4f0c…`.
///
/// # Panics
/// Where the operating system has no random numbers to give.
pub fn fresh_id(kind: &str) -> String {
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).expect("the operating system gives random numbers");
    format!("{kind}_{}", hex(&random))
}

/// The home's secret, made at the first opening.
///
/// # Errors
/// [`Error::Folder`] where it can't be kept, or what is kept is no secret.
pub fn open_secret(path: &Path) -> Result<[u8; 32]> {
    let in_file = |source| Error::Folder { path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(text) => unhex(text.trim()).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
            in_file(std::io::Error::other("expected 64 hexadecimal digits; restore it from a backup"))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut secret = [0u8; 32];
            getrandom::fill(&mut secret).expect("the operating system gives random numbers");
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(in_file)?;
            }
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(in_file)?;
            file.write_all(hex(&secret).as_bytes()).and_then(|()| file.sync_all()).map_err(in_file)?;
            Ok(secret)
        }
        Err(error) => Err(in_file(error)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_place_is_read_by_its_principal_alone() {
        let keys = Keys::derive(&[7; 32]);
        let place = Position { at_ms: 1_790_000_000_000, nth: 42 };
        let shown = keys.seal("agent:a", place);
        assert_eq!(shown, keys.seal("agent:a", place));
        assert_eq!(keys.unseal("agent:a", &shown), Some(place));
        assert_eq!(keys.unseal("agent:b", &shown), None);
        assert_eq!(keys.unseal("agent:a", "sq_00000000002a"), None);
        assert_eq!(Keys::derive(&[8; 32]).unseal("agent:a", &shown), None);
    }

    #[test]
    fn a_secret_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/home.key");
        assert_eq!(open_secret(&path).unwrap(), open_secret(&path).unwrap());
        fs::write(&path, "short").unwrap();
        assert!(open_secret(&path).is_err());
    }
}
