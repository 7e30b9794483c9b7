//! Takes a list and a cursor, gives one page of it. Nouns: [`Page`], [`Order`].

use serde::{Deserialize, Serialize};
use waypost_engine::api::Error;

use crate::problem::Problem;

/// Items of one page where nothing else is asked.
const DEFAULT_LIMIT: usize = 100;
/// Items of one page at most.
const MAX_LIMIT: usize = 1000;

/// A part of a list.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// Give it as `cursor` for the next part; null at the end.
    pub next_cursor: Option<String>,
}

/// Which part is wanted.
#[derive(Debug, Default, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    /// 1 to 1,000.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<usize>,
    /// From an answer before.
    pub cursor: Option<String>,
}

/// Which items of a list come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// As they came.
    Oldest,
    /// The last ones.
    Newest,
}

/// Cuts one page out of a list that `key` orders. The cursor holds the last key, so a name that goes or comes
/// between two pages moves no other.
///
/// # Errors
/// A limit out of range, or a cursor that is none of ours.
pub fn page<T>(items: Vec<T>, params: &PageParams, key: impl Fn(&T) -> String) -> Result<Page<T>, Problem> {
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` is {limit}: expected 1 to {MAX_LIMIT}")));
    }
    let after = match &params.cursor {
        None => None,
        Some(cursor) => Some(decode(cursor).ok_or_else(|| {
            Problem::invalid("`cursor` is none of ours: expected the `next_cursor` of an answer before")
        })?),
    };
    let mut rest = items.into_iter().filter(|item| after.as_ref().is_none_or(|after| key(item) > *after));
    let items: Vec<T> = rest.by_ref().take(limit).collect();
    let has_more = rest.next().is_some();
    let next_cursor = items.last().filter(|_| has_more).map(|item| encode(&key(item)));
    Ok(Page { items, next_cursor })
}

/// As [`page`], for a list whose order is no key of its items: the cursor holds the place.
///
/// # Errors
/// As [`page`].
pub fn page_in_order<T>(items: Vec<T>, params: &PageParams) -> Result<Page<T>, Problem> {
    let placed: Vec<(usize, T)> = items.into_iter().enumerate().collect();
    let page = page(placed, params, |(place, _)| format!("{place:012}"))?;
    let items = page.items.into_iter().map(|(_, item)| item).collect();
    Ok(Page { items, next_cursor: page.next_cursor })
}

/// The one thing of a list that has an id.
///
/// # Errors
/// `not_found`, where there is none.
pub fn find<T>(
    items: Vec<T>,
    what: &'static str,
    id: &str,
    id_of: impl Fn(&T) -> &str,
) -> Result<T, Problem> {
    let found = items.into_iter().find(|item| id_of(item) == id);
    found.ok_or_else(|| Error::NotFound { what, name: id.chars().take(80).collect() }.into())
}

fn encode(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(cursor: &str) -> Option<String> {
    if !cursor.is_ascii() || !cursor.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        (0..cursor.len()).step_by(2).map(|at| u8::from_str_radix(&cursor[at..at + 2], 16).ok()).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_tile_the_list() {
        let all: Vec<String> = (0..7).map(|number| format!("é{number}")).collect();
        let mut params = PageParams { limit: Some(3), cursor: None };
        let mut seen = Vec::new();
        loop {
            let page = page(all.clone(), &params, String::clone).unwrap();
            seen.extend(page.items);
            params.cursor = page.next_cursor;
            if params.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_foreign_cursor_and_a_silly_limit_are_refused() {
        for (limit, cursor) in [(Some(0), None), (Some(1001), None), (None, Some("zz")), (None, Some("é1"))]
        {
            let params = PageParams { limit, cursor: cursor.map(str::to_owned) };
            assert_eq!(page(vec![1], &params, i32::to_string).unwrap_err().code, "invalid_request");
        }
    }
}
