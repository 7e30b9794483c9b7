//! The size of a picture, and the texts of PNG (ISO 15948, 11.3.4).
//!
//! Takes a file's bytes. No picture is decoded.

use png::{DecodeOptions, Decoded, DecodingError, StreamingDecoder, chunk};

use super::{MAX_LINES, MAX_TEXT_BYTES, Said, plain_text, xmp};

/// Width and height in pixels, where the file says so.
pub(super) fn dimensions(bytes: &[u8]) -> Option<(usize, usize)> {
    let size = imagesize::blob_size(bytes).ok()?;
    (size.width > 0 && size.height > 0).then_some((size.width, size.height))
}

/// Tells the texts of a PNG file; one that breaks off is read as far as it goes.
pub(super) fn png(bytes: &[u8], said: &mut Said) {
    let mut options = DecodeOptions::default();
    options.set_ignore_checksums(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = StreamingDecoder::new_with_options(options);
    let mut rest = bytes;
    loop {
        match decoder.update(rest, None) {
            Ok((_, Decoded::ChunkComplete(chunk::IEND))) => break,
            Ok((0, Decoded::Nothing)) => {
                said.fail(&"the file breaks off");
                break;
            }
            Ok((n_read, _)) => rest = &rest[n_read..],
            Err(error) => {
                said.fail(&error);
                break;
            }
        }
    }
    let Some(info) = decoder.info() else { return };
    for text in info.uncompressed_latin1_text.iter().take(MAX_LINES) {
        tell(&text.keyword, Ok(latin(&text.text)), said);
    }
    for text in info.compressed_latin1_text.iter().take(MAX_LINES) {
        let mut text = text.clone();
        let unpacked = text.decompress_text_with_limit(MAX_TEXT_BYTES).and_then(|()| text.get_text());
        tell(&text.keyword, unpacked.map(|text| latin(&text)), said);
    }
    for text in info.utf8_text.iter().take(MAX_LINES) {
        let mut text = text.clone();
        let unpacked = text.decompress_text_with_limit(xmp::MAX_PACKET_BYTES).and_then(|()| text.get_text());
        tell(&text.keyword, unpacked, said);
    }
}

fn tell(key: &str, text: Result<String, DecodingError>, said: &mut Said) {
    match text {
        // Programs hide whole files behind such a name, in digits.
        Ok(_) if key.starts_with("Raw profile") => {}
        Ok(text) if key == "XML:com.adobe.xmp" => xmp::find(text.as_bytes(), said),
        Ok(text) => said.add(key, &text),
        Err(error) => said.fail(&error),
    }
}

/// Text that was taken for Latin, byte by byte: many programs write UTF-8 there.
fn latin(text: &str) -> String {
    plain_text(&text.chars().map(|ch| u8::try_from(ch).unwrap_or(b'?')).collect::<Vec<u8>>())
}
