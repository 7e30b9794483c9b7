//! Keeps an answer within so many bytes of JSON: a pure function.

use serde_json::{Value, json};

/// What is left of an answer within `max_bytes`; whether something is missing.
///
/// The answer as JSON goes first, since its text mostly says the same; then blocks from the end, of which a text is cut.
/// An answer that is JSON alone is cut as text.
pub fn bound(content: &mut Vec<Value>, structured: &mut Option<Value>, max_bytes: usize) -> bool {
    let size = |value: &Value| value.to_string().len() + 1;
    let told: usize = content.iter().map(size).sum();
    let json_size = structured.as_ref().map_or(0, size);
    if told + json_size <= max_bytes {
        return false;
    }
    let whole = structured.take();
    if content.is_empty() {
        content.extend(whole.map(|value| json!({"type": "text", "text": value.to_string()})));
    }
    let mut left = max_bytes;
    let mut kept = Vec::new();
    for block in content.drain(..) {
        let Some(block) = fit(block, left) else { break };
        let needed = size(&block);
        left = left.saturating_sub(needed);
        kept.push(block);
    }
    *content = kept;
    true
}

/// A block within so many bytes, cut where it is text; `None` where nothing of it fits.
fn fit(mut block: Value, left: usize) -> Option<Value> {
    let whole = block.to_string().len() + 1;
    if whole <= left {
        return Some(block);
    }
    let text = block.get("text")?.as_str()?;
    let escaped = Value::from(text).to_string().len();
    let room = left.checked_sub(whole - escaped + 2)?;
    let kept = prefix(text, room);
    if kept.is_empty() {
        return None;
    }
    block["text"] = Value::from(kept);
    Some(block)
}

/// The longest beginning of a text that takes so many bytes within JSON.
fn prefix(text: &str, room: usize) -> &str {
    let mut spent = 0;
    for (at, c) in text.char_indices() {
        spent += match c {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            c if (c as u32) < 0x20 => 6,
            c => c.len_utf8(),
        };
        if spent > room {
            return &text[..at];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Value {
        json!({"type": "text", "text": text})
    }

    #[test]
    fn what_fits_stays_and_json_goes_first() {
        let (mut content, mut structured) = (vec![text("a")], Some(json!({"a": 1})));
        assert!(!bound(&mut content, &mut structured, 1000));
        assert_eq!(structured, Some(json!({"a": 1})));
        let long = "x".repeat(100);
        let (mut content, mut structured) = (vec![text(&long)], Some(json!({"a": long})));
        assert!(bound(&mut content, &mut structured, 150));
        assert_eq!((content, structured), (vec![text(&long)], None));
    }

    #[test]
    fn json_alone_is_cut_as_text() {
        let (mut content, mut structured) = (Vec::new(), Some(json!({"a": "x".repeat(1000)})));
        assert!(bound(&mut content, &mut structured, 100));
        assert!(content[0]["text"].as_str().unwrap().starts_with("{\"a\":\"xxx"), "{content:?}");
    }

    proptest! {
        #[test]
        fn an_answer_fits_and_keeps_the_beginning(
            texts in prop::collection::vec("\\PC{0,40}|[\"\\\\\n\u{1}é]{0,20}", 0..6), max_bytes in 0usize..400)
        {
            let all: Vec<Value> = texts.iter().map(|t| text(t)).collect();
            let mut content = all.clone();
            let cut = bound(&mut content, &mut None, max_bytes);
            let size: usize = content.iter().map(|block| block.to_string().len() + 1).sum();
            prop_assert!(size <= max_bytes);
            prop_assert_eq!(cut, content != all);
            for (kept, whole) in content.iter().zip(&texts) {
                prop_assert!(whole.starts_with(kept["text"].as_str().unwrap()));
            }
        }
    }
}
