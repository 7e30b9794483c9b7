//! The characters of a page with their places, as the foreign reader tells them.
//!
//! Takes a page, gives its glyphs in the order in which they are drawn, each in the coordinates of its own writing
//! direction: along the line, and down the page.

use pdf_extract::{Document, MediaBox, OutputDev, OutputError, Transform, output_doc_page};
use unicode_normalization::UnicodeNormalization;

/// Glyphs of one page; what is drawn after them is left out.
const MAX_GLYPHS: usize = 400_000;

/// One character, or the few of a ligature.
#[derive(Debug, Clone)]
pub(super) struct Glyph {
    /// What it says.
    pub(super) text: String,
    /// Where it begins, along its line, in points.
    pub(super) along: f64,
    /// Where it ends.
    pub(super) end: f64,
    /// Where its line stands; grows down the page.
    pub(super) down: f64,
    /// The height of its type, in points.
    pub(super) size: f64,
    /// The direction of its line, in quarter turns; 0 is upright.
    pub(super) turn: u8,
}

/// Collects a page's glyphs.
#[derive(Debug, Default)]
pub(super) struct Glyphs(Vec<Glyph>);

impl Glyphs {
    /// The glyphs of one page, counted from 1.
    ///
    /// # Errors
    /// What the reader says of a page that it can't follow.
    pub(super) fn of_page(document: &Document, page: u32) -> Result<Vec<Glyph>, String> {
        let mut glyphs = Self::default();
        match output_doc_page(document, &mut glyphs, page) {
            Ok(()) => Ok(glyphs.0),
            // What was drawn before the page broke off is as good as the rest would have been.
            Err(_) if !glyphs.0.is_empty() => Ok(glyphs.0),
            Err(error) => Err(crate::text::outline::shortened(&error.to_string(), 120)),
        }
    }
}

impl OutputDev for Glyphs {
    fn begin_page(
        &mut self,
        _page: u32,
        _media_box: &MediaBox,
        _art_box: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn output_character(
        &mut self,
        place: &Transform,
        width: f64,
        _spacing: f64,
        font_size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        let (right, up) = ((place.m11, place.m12), (place.m21, place.m22));
        let length = |vector: (f64, f64)| vector.0.hypot(vector.1);
        let (advance, size) = (width * font_size * length(right), font_size.abs() * length(up));
        let fits =
            [advance, size, place.m31, place.m32].iter().all(|value| value.is_finite() && value.abs() < 1e6);
        if !fits || self.0.len() >= MAX_GLYPHS || text.is_empty() {
            return Ok(());
        }
        let turn = if right.0.abs() >= right.1.abs() {
            if right.0 >= 0.0 { 0 } else { 2 }
        } else if right.1 > 0.0 {
            1
        } else {
            3
        };
        let (along, down) = match turn {
            0 => (place.m31, -place.m32),
            1 => (place.m32, place.m31),
            2 => (-place.m31, place.m32),
            _ => (-place.m32, -place.m31),
        };
        self.0.push(Glyph { text: plain_letters(text), along, end: along + advance, down, size, turn });
        Ok(())
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}

/// Ligatures, the forms that Arabic letters take in a word, and radicals in place of characters become what people type.
fn plain_letters(text: &str) -> String {
    let is_form = |ch: char| matches!(ch, '\u{fb00}'..='\u{fb06}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{2e80}'..='\u{2fdf}' | '\u{f900}'..='\u{faff}');
    if text.contains(is_form) { text.nfkc().collect() } else { text.to_owned() }
}
