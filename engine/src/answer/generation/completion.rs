//! Reads chat completions, whole or as a stream of server-sent events, whichever the endpoint sends.

use serde_json::Value;

use super::GenerateError;

/// An answer that is read piece by piece.
#[derive(Debug, Default)]
pub(super) struct Completion {
    form: Option<Form>,
    /// What is not understood yet.
    pending: Vec<u8>,
    tokens: Option<u64>,
    has_choice: bool,
    is_done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One JSON document.
    Whole,
    /// Server-sent events, each with a JSON document.
    Events,
}

impl Completion {
    /// Takes the next bytes and gives the text in them.
    ///
    /// # Errors
    /// [`GenerateError::Shape`], [`GenerateError::Reported`].
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<String, GenerateError> {
        self.pending.extend_from_slice(bytes);
        if self.form.is_none() {
            // A field of an event, or a comment; no JSON begins like that.
            let first = self.pending.iter().find(|byte| !byte.is_ascii_whitespace());
            self.form = first.map(|first| if b"deir:".contains(first) { Form::Events } else { Form::Whole });
        }
        let mut text = String::new();
        if self.form == Some(Form::Events) {
            while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                text.push_str(&self.read_line(&line)?);
            }
        }
        Ok(text)
    }

    /// Whether the endpoint said that nothing follows.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// The rest of the text, and how many tokens were counted.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub(super) fn finish(mut self) -> Result<(String, Option<u64>), GenerateError> {
        let pending = std::mem::take(&mut self.pending);
        if self.form == Some(Form::Events) {
            let text = self.read_line(&pending)?;
            return if self.has_choice { Ok((text, self.tokens)) } else { Err(shape("`choices`")) };
        }
        let body: Value = serde_json::from_slice(&pending).map_err(|_| shape("JSON"))?;
        let content = body["choices"][0]["message"]["content"].as_str();
        let content = content.ok_or_else(|| shape("`choices[0].message.content`"))?;
        Ok((content.to_owned(), body["usage"]["total_tokens"].as_u64()))
    }

    fn read_line(&mut self, line: &[u8]) -> Result<String, GenerateError> {
        let Some(data) = line.trim_ascii().strip_prefix(b"data:") else { return Ok(String::new()) };
        let data = data.trim_ascii();
        if data.is_empty() || self.is_done {
            return Ok(String::new());
        }
        if data == b"[DONE]" {
            self.is_done = true;
            return Ok(String::new());
        }
        let body: Value = serde_json::from_slice(data).map_err(|_| shape("JSON in an event"))?;
        if !body["error"].is_null() {
            return Err(GenerateError::Reported);
        }
        self.tokens = body["usage"]["total_tokens"].as_u64().or(self.tokens);
        let choice = &body["choices"][0];
        self.has_choice |= !choice.is_null();
        let content = choice["delta"]["content"].as_str().or_else(|| choice["message"]["content"].as_str());
        Ok(content.unwrap_or_default().to_owned())
    }
}

fn shape(expected: &'static str) -> GenerateError {
    GenerateError::Shape { expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text and tokens of a body that comes in pieces of so many bytes.
    fn read(body: &str, n_bytes: usize) -> Result<(String, Option<u64>), GenerateError> {
        let mut completion = Completion::default();
        let mut text = String::new();
        for piece in body.as_bytes().chunks(n_bytes) {
            text.push_str(&completion.push(piece)?);
        }
        let (rest, tokens) = completion.finish()?;
        Ok((text + &rest, tokens))
    }

    #[test]
    fn an_answer_is_read_whole_or_as_a_stream_however_it_is_cut() {
        let whole = r#" {"choices":[{"message":{"content":"Über Nacht. [1]"}}],"usage":{"total_tokens":7}}"#;
        let events = ": hello\r\n\r\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\r\n\r\n\
             data: {\"choices\":[{\"delta\":{\"content\":\"Über \"}}]}\n\ndata:{\"choices\":[{\"delta\":{\"content\":\"Nacht. [1]\"}}]}\n\n\
             data: {\"choices\":[],\"usage\":{\"total_tokens\":7}}\n\ndata: [DONE]\n\n";
        for body in [whole, events] {
            for n_bytes in [1, 7, 4096] {
                assert_eq!(
                    read(body, n_bytes).unwrap(),
                    ("Über Nacht. [1]".to_owned(), Some(7)),
                    "{n_bytes}"
                );
            }
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"choices":[]}"#,
            r#"{"choices":[{"message":{"content":null}}]}"#,
            "data: {\n\n",
            "data: [DONE]\n\n",
        ] {
            assert!(matches!(read(body, 5), Err(GenerateError::Shape { .. })), "{body}");
        }
        let reported = read("data: {\"error\":{\"message\":\"sk-test\"}}\n\n", 5);
        assert!(matches!(reported, Err(GenerateError::Reported)), "{reported:?}");
    }
}
