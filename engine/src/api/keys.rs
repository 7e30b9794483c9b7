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

/// Bytes of a reader's name that are sealed with its positions: enough to tell readers apart.
const READER_BYTES: usize = 8;
/// `sq_` and a place of the journal, in digits of 16.
const BARE_LEN: usize = 15;

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

    /// How a position among the changes that a reader may see is shown: the same position gives the same text, which tells nobody
    /// anything (AES-GCM-SIV, RFC 8452, with a fixed nonce: deterministic, and no more than that). `reader`: a name of what it may see.
    pub fn seal(&self, reader: &[u8; 32], position: Position) -> String {
        let place = [&position.at_ms.to_le_bytes()[..], &position.nth.to_le_bytes(), &reader[..READER_BYTES]];
        format!("sq_{}", hex(&self.close("seq", &place.concat())))
    }

    /// Reads what [`Self::seal`] gave to anybody: the position, and whether it is one among what this reader may see.
    pub fn unseal(&self, reader: &[u8; 32], shown: &str) -> Option<(Position, bool)> {
        let place = self.open("seq", &unhex(shown.strip_prefix("sq_")?)?)?;
        let (at_ms, rest) = place.split_first_chunk()?;
        let (nth, of) = rest.split_first_chunk()?;
        let position = Position { at_ms: i64::from_le_bytes(*at_ms), nth: u32::from_le_bytes(*nth) };
        Some((position, of == &reader[..READER_BYTES]))
    }

    /// How a place in the journal is shown to who reads everything: as it is, with a proof that it was shown, by which others
    /// may use it too. Later ones sort after earlier ones.
    pub fn show_place(&self, seq: Seq) -> String {
        format!("sq_{:012x}{}", seq.0, self.proof_of(seq))
    }

    /// Reads what [`Self::show_place`] gave.
    pub fn read_place(&self, shown: &str) -> Option<Seq> {
        let (bare, proof) = shown.split_at_checked(BARE_LEN)?;
        let seq = read_bare(bare)?;
        (proof == self.proof_of(seq)).then_some(seq)
    }

    fn proof_of(&self, seq: Seq) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.names);
        hasher.update(b"seq").update(&seq.0.to_le_bytes());
        hasher.finalize().to_hex()[..16].to_owned()
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

    /// A proof that this home wrote some bytes for a purpose.
    pub fn proof(&self, purpose: &str, bytes: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.names);
        hasher
            .update(b"proof")
            .update(&(purpose.len() as u64).to_le_bytes())
            .update(purpose.as_bytes())
            .update(bytes);
        hasher.finalize().to_hex()[..32].to_owned()
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

/// Reads a place without proof, as somebody types it who reads everything anyway: `sq_` and twelve hexadecimal digits.
pub fn read_bare(text: &str) -> Option<Seq> {
    let digits = text.strip_prefix("sq_").filter(|_| text.len() == BARE_LEN)?;
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
    fn a_sealed_place_says_whose_it_is() {
        let keys = Keys::derive(&[7; 32]);
        let place = Position { at_ms: 1_790_000_000_000, nth: 42 };
        let shown = keys.seal(&[1; 32], place);
        assert_eq!(shown, keys.seal(&[1; 32], place));
        assert_ne!(shown, keys.seal(&[2; 32], place));
        assert_eq!(keys.unseal(&[1; 32], &shown), Some((place, true)));
        assert_eq!(keys.unseal(&[2; 32], &shown), Some((place, false)));
        assert_eq!(keys.unseal(&[1; 32], "sq_00000000002a"), None);
        assert_eq!(Keys::derive(&[8; 32]).unseal(&[1; 32], &shown), None);
    }

    #[test]
    fn a_place_without_its_proof_is_none() {
        let keys = Keys::derive(&[7; 32]);
        let shown = keys.show_place(Seq(42));
        assert_eq!(keys.read_place(&shown), Some(Seq(42)));
        assert!(
            keys.show_place(Seq(7)) < shown && shown < keys.show_place(Seq(300)),
            "later ones sort after"
        );
        assert_eq!(read_bare("sq_00000000002a"), Some(Seq(42)));
        for made_up in ["sq_00000000002a", "sq_", "42", &shown.replacen('2', "3", 1), &format!("{shown}0")] {
            assert_eq!(keys.read_place(made_up), None, "{made_up}");
        }
        assert_eq!(Keys::derive(&[8; 32]).read_place(&shown), None);
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
