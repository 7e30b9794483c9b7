//! Mails and mailboxes → text.
//!
//! Takes a mail as it is sent, or many in a file, gives subject, sender, receivers and date, the words of the mail,
//! and the text of what came with it where that can be read. Each message is a place, and each attachment one of its own.

use mail_parser::mailbox::mbox::MessageIterator;
use mail_parser::{Address, MessageParser, MimeHeaders, PartType};

use super::rendering::Rendering;
use super::unpack::Allowance;
use super::{Rendered, html, nested, plain};
use crate::location::Location;
use crate::text::document::BlockKind;
use crate::text::skip::SkipReason;

/// Messages of one mailbox; further ones are left out, with a warning.
const MAX_MESSAGES: usize = 20_000;

/// What there is to read of one mail.
#[derive(Debug, Default)]
pub(super) struct Letter {
    /// What it is about.
    pub(super) subject: String,
    /// Header lines that people look for; empty ones are left out.
    pub(super) headers: Vec<(&'static str, String)>,
    /// Its words.
    pub(super) text: String,
    /// Its words as a web page, where they come so alone.
    pub(super) html: Option<String>,
    /// Names and bytes of what came with it.
    pub(super) attachments: Vec<(String, Vec<u8>)>,
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
    for part in message.text_bodies() {
        match &part.body {
            PartType::Html(page) => letter.html = Some(letter.html.unwrap_or_default() + page),
            PartType::Text(text) => {
                letter.text.push_str(text);
                letter.text.push('\n');
            }
            _ => {}
        }
    }
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
    match &letter.html {
        Some(page) if letter.text.trim().is_empty() => rendering.append_rendered(html::read_whole(page)),
        _ => {
            let structure = plain::paragraphs(&letter.text);
            for block in structure {
                rendering.block(block, BlockKind::Prose);
            }
        }
    }
    rendering.locate(start, Location::Message { message, attachment: None });
    for (name, bytes) in &letter.attachments {
        let start = rendering.len();
        rendering.enter(2, name);
        match nested(name, bytes, allowance) {
            Ok(document) => rendering.append(&document),
            Err(reason @ SkipReason::Explodes { .. }) => return Err(reason),
            Err(reason) => rendering.warn(format!("attachment `{name}`: {reason}")),
        }
        rendering.locate(start, Location::Message { message, attachment: Some(name.clone()) });
    }
    Ok(())
}
