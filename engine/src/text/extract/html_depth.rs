//! How deep HTML nests, by counting tags, before a parser is let at it.
//!
//! Takes HTML, gives the depth and, for pages nested beyond reason, their text without tags. Tree builders look
//! through all open elements for many a tag, so that depth costs them its square; here every byte is read once.

/// Elements that have no end tag, or whose end tag may be left out.
const UNNESTED: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr", "p", "li", "dt", "dd", "option", "optgroup", "tr", "td", "th", "thead", "tbody", "tfoot",
    "colgroup", "html", "head", "body", "rt", "rp",
];

/// The deepest nesting of elements whose end tags are required.
pub(super) fn depth(html: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for tag in tags(html) {
        if tag.closes {
            depth = depth.saturating_sub(1);
        } else {
            depth += 1;
            deepest = deepest.max(depth);
        }
    }
    deepest
}

struct TagStart {
    closes: bool,
}

fn tags(html: &str) -> impl Iterator<Item = TagStart> {
    html.split('<').skip(1).filter_map(|rest| {
        let name = rest.strip_prefix('/').unwrap_or(rest);
        let end = name.find(|ch: char| !ch.is_ascii_alphanumeric() && ch != '-').unwrap_or(name.len());
        let name = &name[..end];
        let counts = name.starts_with(|ch: char| ch.is_ascii_alphabetic())
            && !UNNESTED.iter().any(|unnested| unnested.eq_ignore_ascii_case(name));
        counts.then(|| TagStart { closes: rest.starts_with('/') })
    })
}

/// What stands outside of tags, a line for every run of it.
pub(super) fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for part in html.split_inclusive(['<', '>']) {
        let words = part.trim_end_matches(['<', '>']).trim();
        if !inside && !words.is_empty() {
            text.push_str(words);
            text.push('\n');
        }
        inside = part.ends_with('<') || (inside && !part.ends_with('>'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_elements_that_must_be_closed_count() {
        let cases = [
            ("", 0),
            ("<p><p><br><li>", 0),
            ("<div><b>x</b></div><div>", 2),
            ("a < b <!-- x -->", 0),
            ("<DIV><Span>", 2),
        ];
        for (html, expected) in cases {
            assert_eq!(depth(html), expected, "{html}");
        }
    }

    #[test]
    fn text_is_what_stands_outside_of_tags() {
        assert_eq!(without_tags("<b class='x'>one</b> two<br>"), "one\ntwo\n");
        assert_eq!(without_tags("no tags"), "no tags\n");
    }
}
