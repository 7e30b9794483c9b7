//! Mails and mailboxes → text.
//!
//! Takes a mail as it is sent, or many in a file, gives subject, sender, receivers and date, the words of the mail,
//! and the text of what came with it where that can be read. Of the same words as text and as a web page the text is taken,
//! but where it only says that there is a page. Each message is a place, and each attachment one of its own, or as many as it
//! has pages, slides and cells; what came with a mail that came with another one is named by the way to it.

use mail_parser::mailbox::mbox::MessageIterator;
use mail_parser::{Address, MessageParser, MessagePart, MimeHeaders, PartType};

use super::rendering::Rendering;
use super::unpack::Allowance;
use super::{Rendered, archive, html, nested, plain};
use crate::location::Location;
use crate::text::document::BlockKind;
use crate::text::skip::SkipReason;

/// Messages of one mailbox; further ones are left out, with a warning.
const MAX_MESSAGES: usize = 20_000;

/// A text with more letters was written to be read.
const MAX_STUB_LETTERS: usize = 500;

/// A page with so many times the letters of the text beside it says what that does not.
const RICH_RATIO: usize = 4;

/// What there is to read of one mail.
#[derive(Debug, Default)]
pub(super) struct Letter {
    /// What it is about.
    pub(super) subject: String,
    /// Header lines that people look for; empty ones are left out.
    pub(super) headers: Vec<(&'static str, String)>,
    /// Its words, in the order in which they are shown.
    pub(super) body: Vec<Words>,
    /// Names and bytes of what came with it.
    pub(super) attachments: Vec<(String, Vec<u8>)>,
}

/// Words of a mail.
#[derive(Debug)]
pub(super) enum Words {
    /// As they are.
    Plain(String),
    /// As a web page.
    Page(String),
}

impl Words {
    fn n_letters(&self) -> usize {
        match self {
            Self::Plain(text) => n_letters(text),
            Self::Page(page) => n_letters(&html::read_whole(page).text),
        }
    }
}

/// Letters and digits, without those of addresses of pages.
fn n_letters(text: &str) -> usize {
    let words = text.split_whitespace().filter(|word| !word.contains("://"));
    words.map(|word| word.chars().filter(|ch| ch.is_alphanumeric()).count()).sum()
}

/// Which of two forms of a mail's words is to be read (RFC 2046, 5.1.4): the text, unless it stands in for a page that its
/// reader could not show.
pub(super) fn chosen(plain: Vec<Words>, rich: Vec<Words>) -> Vec<Words> {
    let is_page = |words: &Words| matches!(words, Words::Page(_));
    if plain.is_empty() {
        return rich;
    }
    if plain.iter().any(is_page) || !rich.iter().any(is_page) {
        return plain;
    }
    let n_plain: usize = plain.iter().map(Words::n_letters).sum();
    if n_plain > MAX_STUB_LETTERS {
        return plain;
    }
    let n_rich: usize = rich.iter().map(Words::n_letters).sum();
    let says_html =
        |words: &Words| matches!(words, Words::Plain(text) if text.to_lowercase().contains("html"));
    let is_stub = n_rich > n_plain && (n_rich >= n_plain * RICH_RATIO || plain.iter().any(says_html));
    if is_stub { rich } else { plain }
}

/// The text of one mail.
///
/// # Errors
/// [`SkipReason::Damaged`] where it is none.
pub(super) fn read(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    let mut rendering = Rendering::new(allowance.limits().max_text_bytes);
    let letter = parse(bytes).ok_or_else(|| SkipReason::damaged("it is no mail"))?;
    write(&mut rendering, &letter, 1, allowance)?;
    Ok(rendering.finish())
}

/// The text of a mailbox.
///
/// # Errors
/// [`SkipReason`] where a limit is hit; a message that is none is passed over with a warning.
pub(super) fn read_mailbox(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    let mut rendering = Rendering::new(allowance.limits().max_text_bytes);
    for (idx, message) in MessageIterator::new(bytes).enumerate() {
        if idx >= MAX_MESSAGES {
            rendering.warn(format!("only the first {MAX_MESSAGES} messages are read"));
        }
        if idx >= MAX_MESSAGES || rendering.is_full() {
            break;
        }
        match message.ok().and_then(|message| parse(message.contents())) {
            Some(letter) => write(&mut rendering, &letter, idx as u32 + 1, allowance)?,
            None => rendering.warn(format!("message {} can't be read", idx + 1)),
        }
    }
    Ok(rendering.finish())
}

fn parse(bytes: &[u8]) -> Option<Letter> {
    let message = MessageParser::default().parse(bytes)?;
    if message.headers().is_empty() {
        return None;
    }
    let mut letter =
        Letter { subject: message.subject().unwrap_or_default().to_owned(), ..Letter::default() };
    letter.headers.push(("From", shown(message.from())));
    letter.headers.push(("To", shown(message.to())));
    letter.headers.push(("Cc", shown(message.cc())));
    letter.headers.push(("Date", message.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default()));
    let words = |part: &MessagePart<'_>| match &part.body {
        PartType::Html(page) => Some(Words::Page(page.to_string())),
        PartType::Text(text) => Some(Words::Plain(text.to_string())),
        _ => None,
    };
    letter.body = chosen(
        message.text_bodies().filter_map(words).collect(),
        message.html_bodies().filter_map(words).collect(),
    );
    for part in message.attachments() {
        let bytes = match &part.body {
            PartType::Message(inner) => inner.raw_message().to_vec(),
            _ => part.contents().to_vec(),
        };
        let is_mail = matches!(part.body, PartType::Message(_));
        let name = part.attachment_name().unwrap_or(if is_mail { "message.eml" } else { "attachment" });
        letter.attachments.push((name.to_owned(), bytes));
    }
    Some(letter)
}

/// `Ada <ada@example.com>, Bo <bo@example.com>`.
fn shown(address: Option<&Address<'_>>) -> String {
    let one = |address: &mail_parser::Addr<'_>| match (address.name(), address.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => name.or(address).unwrap_or_default().to_owned(),
    };
    address.map(|address| address.iter().map(one).collect::<Vec<_>>().join(", ")).unwrap_or_default()
}

/// Writes a mail, and what came with it.
///
/// # Errors
/// [`SkipReason::Explodes`] where an attachment unpacks to too much; one that can't be read is named in a warning.
pub(super) fn write(
    rendering: &mut Rendering,
    letter: &Letter,
    message: u32,
    allowance: &Allowance<'_>,
) -> Result<(), SkipReason> {
    let start = rendering.len();
    rendering.enter(1, "");
    rendering.title(&letter.subject);
    rendering.heading(1, &letter.subject);
    let lines = letter.headers.iter().filter(|(_, value)| !value.trim().is_empty());
    let lines: Vec<String> = lines.map(|(name, value)| format!("{name}: {value}")).collect();
    rendering.block(&lines.join("\n"), BlockKind::Data);
    for words in &letter.body {
        match words {
            Words::Page(page) => rendering.append_rendered(html::read_whole(page)),
            Words::Plain(text) => {
                plain::paragraphs(text).for_each(|block| rendering.block(block, BlockKind::Prose));
            }
        }
    }
    rendering.locate(start, Location::Message { message, attachment: None, inner: None });
    for (name, bytes) in &letter.attachments {
        rendering.enter(2, name);
        match nested(name, bytes, allowance) {
            Ok(document) => {
                let place = |inner: Option<&Location>| Location::in_attachment(message, name, inner);
                rendering.append(&document, &format!("attachment `{name}`"), place);
            }
            Err(reason @ SkipReason::Explodes { .. }) => return Err(reason),
            Err(reason) => {
                if matches!(reason, SkipReason::ArchiveNotAllowed { .. }) {
                    let start = rendering.len();
                    rendering.block(&archive::names(bytes, allowance).join("\n"), BlockKind::Data);
                    rendering.locate(start, Location::in_attachment(message, name, None));
                }
                rendering.warn(format!("attachment `{name}`: {reason}"));
            }
        }
    }
    Ok(())
}
