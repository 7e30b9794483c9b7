//! Keeps a reply within the tokens that its reader grants.
//!
//! Nobody here knows the reader's tokenizer, so a token counts as [`BYTES_PER_TOKEN`] bytes of JSON: less than
//! English takes, about what code, JSON and other scripts take. The bound errs on the short side.

use serde::Serialize;
use serde_json::{Value, json};

use crate::paging::{PageParams, page_in_order};
use crate::problem::Problem;

/// Bytes of JSON that count as one token.
pub const BYTES_PER_TOKEN: usize = 3;
/// Of a reply where nothing else is asked.
const DEFAULT_MAX_TOKENS: usize = 2000;
/// The frame of a hit or of a file's text alone takes about half of it.
const LEAST_TOKENS: usize = 200;
const MOST_TOKENS: usize = 100_000;

/// What a reply may take, in bytes of JSON.
pub fn budget_bytes(max_tokens: Option<usize>) -> Result<usize, Problem> {
    let max_tokens = max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    if !(LEAST_TOKENS..=MOST_TOKENS).contains(&max_tokens) {
        let expected = format!("{LEAST_TOKENS} to {MOST_TOKENS}");
        return Err(Problem::invalid(format!("`max_tokens` is {max_tokens}: expected {expected}")));
    }
    Ok(max_tokens * BYTES_PER_TOKEN)
}

/// What a value takes as JSON.
pub fn cost(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |text| text.len())
}

/// Keeps as many of the first items as fit; gives how many went. The first one always stays.
pub fn keep_first<T: Serialize>(items: &mut Vec<T>, budget: usize) -> usize {
    let mut spent = 0;
    let fits = items.iter().take_while(|item| {
        spent += cost(item) + 1;
        spent <= budget
    });
    let n_kept = fits.count().max(1).min(items.len());
    let omitted = items.len() - n_kept;
    items.truncate(n_kept);
    omitted
}

/// One page of a list as `{NAME: […], "next_cursor"?}`: as many items, each as it is shown, as fit. The first one always stays.
///
/// # Errors
/// As [`page_in_order`].
pub fn page_within<T: Clone>(
    budget: usize,
    name: &str,
    items: &[T],
    mut params: PageParams,
    show: impl Fn(&T) -> Value,
) -> Result<Value, Problem> {
    loop {
        let page = page_in_order(items.to_vec(), &params)?;
        let shown: Vec<Value> = page.items.iter().map(&show).collect();
        if cost(&shown) <= budget || shown.len() <= 1 {
            let mut whole = json!({name: shown});
            if let Some(cursor) = page.next_cursor {
                whole["next_cursor"] = json!(cursor);
            }
            return Ok(whole);
        }
        params.limit = Some((shown.len() * 3 / 4).max(1));
    }
}

/// Cuts a text to so many bytes of JSON, at a character.
pub fn cut(text: &mut String, budget: usize) {
    let mut left = budget;
    let mut buffer = [0u8; 4];
    let end = text.char_indices().find_map(|(at, character)| {
        let width = cost(&&*character.encode_utf8(&mut buffer)) - 2;
        if width > left {
            return Some(at);
        }
        left -= width;
        None
    });
    if let Some(end) = end {
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_fits_as_json_and_keeps_whole_characters() {
        for budget in 0..12 {
            let mut text = "é\n\"a\u{1}日".to_owned();
            cut(&mut text, budget);
            assert!(cost(&text) - 2 <= budget, "{text:?} in {budget}");
        }
    }

    #[test]
    fn the_first_item_always_stays() {
        let mut items = vec!["long enough".to_owned(), "b".to_owned()];
        assert_eq!(keep_first(&mut items, 3), 1);
        assert_eq!(items.len(), 1);
        assert_eq!(keep_first::<String>(&mut Vec::new(), 3), 0);
    }
}
