//! The language of prose, where it is certain.
//!
//! Takes a document's prose blocks, gives an ISO 639-1 code. Says nothing about code, or about texts too short to
//! tell, but where one language alone is written in their script.

use super::detect;
use super::document::{Block, BlockKind};
use super::words::char_floor;

/// Bytes of prose that are looked at; more does not change the answer, only its price.
const SAMPLE_BYTES: usize = 1200;

/// Shorter samples are guesses, unless their script tells.
const MIN_SAMPLE_CHARS: usize = 24;

/// Fewer letters of a script may be a name in a text of another one.
const MIN_SCRIPT_LETTERS: usize = 4;

/// The language of the prose among `blocks`, as a two-letter code.
pub(super) fn prose_language(text: &str, blocks: &[Block]) -> Option<String> {
    let sample = sample(text, blocks);
    let info = whatlang::detect(&sample)?;
    let is_certain = if sample.chars().count() >= MIN_SAMPLE_CHARS {
        info.is_reliable()
    } else {
        let n_letters = sample.chars().filter(|ch| ch.is_alphabetic()).count();
        info.script().langs().len() == 1 && n_letters >= MIN_SCRIPT_LETTERS
    };
    if !is_certain {
        return None;
    }
    two_letters(info.lang().code()).map(str::to_owned)
}

/// Whether a text's language may have such a name: a code of two or three letters, such as `en` or `en-gb`, or the name of a
/// programming language. In lower case.
///
/// ```
/// # use waypost_engine::text::is_language;
/// assert!(is_language("en") && is_language("rust") && is_language("pt-br"));
/// assert!(!is_language("english") && !is_language(""));
/// ```
pub fn is_language(name: &str) -> bool {
    let code = name.split('-').next().unwrap_or_default();
    let is_code = (2..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_lowercase());
    is_code || detect::is_programming_language(name)
}

fn sample(text: &str, blocks: &[Block]) -> String {
    let mut sample = String::new();
    for block in blocks.iter().filter(|block| matches!(block.kind, BlockKind::Prose | BlockKind::List)) {
        let quote = block.span.of(text).unwrap_or_default();
        let room = SAMPLE_BYTES - sample.len();
        sample.push_str(&quote[..char_floor(quote, room)]);
        if quote.len() + 1 >= room {
            break;
        }
        sample.push('\n');
    }
    sample
}

/// ISO 639-1 for ISO 639-3, for the languages that have one.
fn two_letters(code: &str) -> Option<&'static str> {
    let pairs = "epo eo eng en rus ru cmn zh spa es por pt ita it ben bn fra fr deu de ukr uk kat ka ara ar hin hi \
                 jpn ja heb he yid yi pol pl amh am jav jv kor ko nob nb dan da swe sv fin fi tur tr nld nl hun hu \
                 ces cs ell el bul bg bel be mar mr kan kn ron ro slv sl hrv hr srp sr mkd mk lit lt lav lv est et \
                 tam ta vie vi urd ur tha th guj gu uzb uz pan pa aze az ind id tel te pes fa mal ml ori or mya my \
                 nep ne sin si khm km tuk tk aka ak zul zu sna sn afr af lat la slk sk cat ca tgl tl hye hy cym cy";
    let mut codes = pairs.split_ascii_whitespace();
    while let (Some(three), Some(two)) = (codes.next(), codes.next()) {
        if three == code {
            return Some(two);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Span;

    #[test]
    fn prose_is_named_and_scraps_are_not() {
        let cases = [
            (
                "The quick brown fox jumps over the lazy dog while the people of the town are watching it.",
                Some("en"),
            ),
            (
                "Der Vertrag wird zwischen den beiden Parteien geschlossen und gilt ab dem ersten Januar.",
                Some("de"),
            ),
            ("语义索引把文件的每一段文字变成向量,这样代理就能按意思找到它们,而不只是按关键词。", Some("zh")),
            ("季度报告显示收入增长了。", Some("zh")),
            ("会議は十時に始まります", Some("ja")),
            ("회의는 열 시에 시작", Some("ko")),
            ("ยินดีต้อนรับ", Some("th")),
            ("東京", None),
            ("Привет всем", None),
            ("ok", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let block =
                Block { span: Span::new(0, text.len()), headings: Vec::new(), kind: BlockKind::Prose };
            assert_eq!(prose_language(text, &[block]).as_deref(), expected, "{text}");
        }
    }
}
