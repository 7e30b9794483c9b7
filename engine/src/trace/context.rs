//! `traceparent` of W3C Trace Context, section 3.2: `00-<trace, 32 digits>-<span, 16 digits>-<flags>`, in digits of 16.

use sha2::{Digest, Sha256};

/// Of a trace's name.
const MAX_NAME_BYTES: usize = 128;

/// The trace and the span that a `traceparent` names; `None` where it is none, or one of nothing.
pub fn read_traceparent(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_version = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    (is_version && is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2)).then_some((trace, span))
}

/// What is told to whoever goes on with something that has no span of its own: the trace, and as the parent a name that
/// follows from the thing, always the same. `None` for a trace whose name is of another kind.
pub fn traceparent_of(trace: &str, thing: &str) -> Option<String> {
    let parent: String = Sha256::digest(thing)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    is_id(trace, 32).then(|| format!("00-{trace}-{parent}-01"))
}

/// Whether a text may name a trace: 1 to 128 letters, digits, `.`, `_`, `-` and `:`.
pub fn is_trace_id(text: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':');
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(is_fine)
}

/// All zeros names nothing.
fn is_id(text: &str, n_digits: usize) -> bool {
    is_hex(text, n_digits) && text.bytes().any(|byte| byte != b'0')
}

fn is_hex(text: &str, n_digits: usize) -> bool {
    text.len() == n_digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_a_trace_and_a_span_is_read() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let (none, nobody) = ("0".repeat(32), "0".repeat(16));
        for (text, is_fine) in [
            (format!("00-{trace}-{span}-01"), true),
            (format!("00-{trace}-{span}-00"), true),
            (format!("01-{trace}-{span}-01-more"), true),
            (format!("00-{trace}-{span}-01-more"), false),
            (format!("ff-{trace}-{span}-01"), false),
            (format!("00-{none}-{span}-01"), false),
            (format!("00-{trace}-{nobody}-01"), false),
            (format!("00-{}-{span}-01", trace.to_uppercase()), false),
            (format!("00-{trace}-{span}"), false),
            (format!("00-{}-{span}-01", &trace[1..]), false),
            (String::new(), false),
        ] {
            assert_eq!(read_traceparent(&text), is_fine.then_some((trace, span)), "{text}");
        }
    }

    #[test]
    fn a_trace_has_a_plain_name() {
        for (text, is_fine) in [
            ("tr_77", true),
            ("4bf92f3577b34da6a3ce929d0e0e4736", true),
            ("urn:x:1.2", true),
            ("", false),
            ("../../x", false),
            ("a b", false),
            ("a\nb", false),
            ("ä", false),
            (&"x".repeat(129), false),
        ] {
            assert_eq!(is_trace_id(text), is_fine, "{text}");
        }
    }

    #[test]
    fn what_has_no_span_has_always_the_same_parent() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let told = traceparent_of(trace, "evt_1").unwrap();
        assert_eq!(read_traceparent(&told).unwrap().0, trace);
        assert_eq!(traceparent_of(trace, "evt_1"), Some(told.clone()));
        assert_ne!(traceparent_of(trace, "evt_2"), Some(told));
        assert_eq!(traceparent_of("tr_77", "evt_1"), None);
    }
}
