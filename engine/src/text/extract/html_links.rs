//! The links of a page, for those who walk from page to page.
//!
//! Takes HTML, gives what stands in `href`, in order, and the page's own base. Resolves nothing.

use scraper::{Html, Selector};

use super::html_depth::depth;

/// Deeper pages are machine-made nonsense; no tree is built of them.
const MAX_NESTING: usize = 512;
/// Links of one page at most.
const MAX_LINKS: usize = 5000;

/// Where a page leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageLinks {
    /// The `href` of `<base>`: what the others are relative to.
    pub base: Option<String>,
    /// As they are written, in order.
    pub links: Vec<String>,
}

/// The links of a page that a reader could follow.
pub fn page_links(html: &str) -> PageLinks {
    if depth(html) > MAX_NESTING {
        return PageLinks::default();
    }
    let document = Html::parse_document(html);
    let hrefs = |selector: &str| -> Vec<String> {
        let Ok(selector) = Selector::parse(selector) else { return Vec::new() };
        let found = document.select(&selector).filter_map(|element| element.value().attr("href"));
        found.map(|href| href.trim().to_owned()).take(MAX_LINKS).collect()
    };
    PageLinks { base: hrefs("base[href]").into_iter().next(), links: hrefs("a[href], area[href]") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_in_order_with_the_base() {
        let page = page_links(
            "<base href=/v2/><p><a href='a'>A</a><a name=x>no</a><map><area href=' b '></map><!-- <a href=c> -->",
        );
        assert_eq!(page.base.as_deref(), Some("/v2/"));
        assert_eq!(page.links, ["a", "b"]);
        assert_eq!(page_links(&"<div>".repeat(100_000)), PageLinks::default());
    }
}
