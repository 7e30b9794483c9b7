//! Signing (Standard Webhooks 1.0, «Signature scheme»): HMAC-SHA256 over `id.timestamp.body`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::DeliveryError;

const PREFIX: &str = "whsec_";
/// Of a secret that is made here.
const FRESH_BYTES: usize = 32;

/// A key that one endpoint shares with us. It has no text of its own but [`Secret::shown`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A fresh one, of 256 bits.
    ///
    /// # Panics
    /// Where the operating system has no random numbers to give; nothing safe can be done then.
    pub fn generate() -> Self {
        let mut bytes = vec![0; FRESH_BYTES];
        getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
        Self(bytes)
    }

    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// [`DeliveryError::Secret`] for another form, or fewer than 24 or more than 64 bytes.
    pub fn read(text: &str) -> Result<Self, DeliveryError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(DeliveryError::Secret)?;
        Self::from_bytes(STANDARD.decode(encoded).map_err(|_| DeliveryError::Secret)?)
    }

    /// From the bytes of [`Self::bytes`].
    ///
    /// # Errors
    /// [`DeliveryError::Secret`] for fewer than 24 or more than 64.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, DeliveryError> {
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(DeliveryError::Secret) }
    }

    /// For keeping it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// `whsec_…`, for its owner, once.
    pub fn shown(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    fn signature(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key may have any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The header `webhook-signature`: one signature a secret. `timestamp` in seconds since 1970.
pub fn signatures(secrets: &[Secret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let all: Vec<String> = secrets.iter().map(|secret| secret.signature(id, timestamp, body)).collect();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where something it stands on fails")]

    use super::*;

    #[test]
    fn the_signature_is_that_of_the_reference_implementation() {
        // The example of the Standard Webhooks libraries.
        let secret = Secret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let given =
            signatures(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(given, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_was_shown_can_be_read_and_nothing_shorter() {
        let secret = Secret::generate();
        assert_eq!(Secret::read(&secret.shown()).unwrap(), secret);
        for text in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!"] {
            assert!(Secret::read(text).is_err(), "{text}");
        }
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
