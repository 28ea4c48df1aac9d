//! `multipart/form-data` that is passed on: where its fields lie, and one of them with another value.
//!
//! Source: RFC 7578. Files keep their bytes; only a field of text is looked at or written.

use std::ops::Range;

use bytes::Bytes;
use canonical::{Error, ErrorKind, Result};
use memchr::memmem;

/// How many parts a form may have.
const MAX_PARTS: usize = 128;

/// A form in its own bytes.
#[derive(Debug)]
pub(crate) struct Form<'a> {
    body: &'a [u8],
    /// The line between two parts, with its dashes.
    delimiter: &'a [u8],
    parts: Vec<Part>,
}

/// One part of a form.
#[derive(Debug)]
struct Part {
    name: String,
    content: Range<usize>,
}

impl<'a> Form<'a> {
    /// Finds the parts of a form. Its delimiter is the first line, as every client writes it.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self> {
        let line_end = memmem::find(body, b"\r\n").ok_or_else(not_a_form)?;
        // Not the `boundary` of the media type, which may be quoted and escaped in ways of its own.
        // RFC 2046 allows white space behind a delimiter.
        let delimiter = body.get(..line_end).unwrap_or_default().trim_ascii_end();
        if !delimiter.starts_with(b"--") || delimiter.len() < 3 {
            return Err(not_a_form());
        }
        let mut form = Self { body, delimiter, parts: vec![] };
        let mut at = line_end + 2;
        while let Some(part) = form.part(at)? {
            // Past the line break before the delimiter, the delimiter, and its own line break or
            // the two dashes that end the form.
            at = part.content.end + 2 + delimiter.len() + 2;
            form.parts.push(part);
            if MAX_PARTS < form.parts.len() {
                return Err(Error::new(ErrorKind::InvalidRequest, "The form has too many parts."));
            }
        }
        Ok(form)
    }

    /// The part that begins here; none behind the last delimiter.
    fn part(&self, start: usize) -> Result<Option<Part>> {
        let rest = self.body.get(start..).unwrap_or_default();
        if rest.trim_ascii().is_empty() {
            return Ok(None);
        }
        // A part without its delimiter was cut on the way; to pass it on would be to pass on half a
        // file.
        let head_end = memmem::find(rest, b"\r\n\r\n").ok_or_else(not_a_form)?;
        let head = rest.get(..head_end).unwrap_or_default();
        let content_start = start + head_end + 4;
        let content = self.body.get(content_start..).unwrap_or_default();
        let next = [b"\r\n", self.delimiter].concat();
        let length = memmem::find(content, &next).ok_or_else(not_a_form)?;
        let content = content_start..content_start + length;
        Ok(Some(Part { name: field_name(head)?, content }))
    }

    /// The text of a field; none where there is none of this name, or where it is no text. Two of
    /// them are refused: readers disagree on which one counts.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        let mut parts = self.parts.iter().filter(|it| it.name == name);
        let Some(part) = parts.next() else { return Ok(None) };
        if parts.next().is_some() {
            return Err(Error::invalid(name, format!("`{name}` is given twice.")));
        }
        let content = self.body.get(part.content.clone()).unwrap_or_default();
        Ok(std::str::from_utf8(content).ok())
    }

    /// The name and the content of each part.
    pub(crate) fn contents(&self) -> impl Iterator<Item = (&str, &'a [u8])> {
        let content = |it: &Part| self.body.get(it.content.clone()).unwrap_or_default();
        self.parts.iter().map(move |it| (it.name.as_str(), content(it)))
    }

    /// The form with another value for one field, which is added where there is none.
    pub(crate) fn with_text(&self, name: &str, value: &str) -> Bytes {
        let mut out = Vec::with_capacity(self.body.len() + value.len() + 128);
        match self.parts.iter().find(|it| it.name == name) {
            Some(part) => {
                out.extend_from_slice(self.body.get(..part.content.start).unwrap_or_default());
                out.extend_from_slice(value.as_bytes());
                out.extend_from_slice(self.body.get(part.content.end..).unwrap_or_default());
            }
            // The new part stands first: behind the last delimiter it would be outside of the form.
            None => {
                out.extend_from_slice(self.delimiter);
                let head = format!("\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
                out.extend_from_slice(head.as_bytes());
                out.extend_from_slice(value.as_bytes());
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(self.body);
            }
        }
        out.into()
    }
}

/// The name of a field in the head of its part; empty where it has none. Two of them are refused,
/// and one that is encoded (RFC 2231): readers disagree on them.
fn field_name(head: &[u8]) -> Result<String> {
    // Names of files come in any charset.
    let head = String::from_utf8_lossy(head);
    let lines = head.lines().filter(|it| {
        it.get(..20).is_some_and(|start| start.eq_ignore_ascii_case("content-disposition:"))
    });
    let parameters = lines.flat_map(parameters).filter_map(|it| it.split_once('='));
    let mut names = parameters.filter(|it| it.0.trim().to_ascii_lowercase().starts_with("name"));
    let Some((key, name)) = names.next() else { return Ok(String::new()) };
    if names.next().is_some() || !key.trim().eq_ignore_ascii_case("name") {
        return Err(not_a_form());
    }
    Ok(name.trim().trim_matches('"').to_owned())
}

/// The parameters of a header, of which semicolons within quotes are a part.
fn parameters(header: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    header.split(move |it: char| {
        is_quoted ^= it == '"' && !is_escaped;
        is_escaped = it == '\\' && is_quoted && !is_escaped;
        it == ';' && !is_quoted
    })
}

fn not_a_form() -> Error {
    Error::new(ErrorKind::InvalidRequest, "The body is not `multipart/form-data`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &[u8] = b"--xYz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--xYz\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a; name=b.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n\r\n\xff--\r\n--xYz--\r\n";

    #[test]
    fn a_field_is_read_and_written_and_files_keep_their_bytes() {
        let form = Form::parse(FORM).unwrap();
        assert_eq!(form.text("model").unwrap(), Some("whisper-1"));
        assert_eq!(form.text("file").unwrap(), None);
        let changed = form.with_text("model", "large");
        let at = memmem::find(FORM, b"whisper-1").unwrap();
        let expected = [&FORM[..at], b"large", &FORM[at + 9..]].concat();
        assert_eq!(changed, expected);
        assert_eq!(Form::parse(&changed).unwrap().text("model").unwrap(), Some("large"));
    }

    #[test]
    fn a_missing_field_is_added() {
        let added = Form::parse(FORM).unwrap().with_text("language", "de");
        let form = Form::parse(&added).unwrap();
        assert_eq!(form.text("language").unwrap(), Some("de"));
        assert_eq!(form.text("model").unwrap(), Some("whisper-1"));
    }

    fn part(parameters: &str, value: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; {parameters}\r\n\r\n{value}\r\n")
    }

    #[test]
    fn a_field_given_twice_is_refused() {
        let second = ["name=\"model\"", "NAME = \"model\"", "filename=\"a;\\\"b\"; name=\"model\""];
        for second in second {
            let body = format!("{}{}--b--\r\n", part("name=\"model\"", "a"), part(second, "b"));
            let error = Form::parse(body.as_bytes()).unwrap().text("model").unwrap_err();
            assert_eq!(error.param.as_deref(), Some("model"), "{second}");
        }
    }

    #[test]
    fn a_part_has_one_name_and_none_within_quotes() {
        for (parameters, name) in [
            ("filename=\"a; name=model\"; name=\"file\"", Some("file")),
            ("name=\"file\"; filename=\"a; name=model\"", Some("file")),
            ("filename=\"a\"", Some("")),
            ("name=\"file\"; name=\"model\"", None),
            ("name*=UTF-8''model", None),
        ] {
            let head = format!("Content-Disposition: form-data; {parameters}");
            assert_eq!(field_name(head.as_bytes()).ok().as_deref(), name, "{parameters}");
        }
        let latin = b"Content-Disposition: form-data; name=\"file\"; filename=\"\xe4\"";
        assert_eq!(field_name(latin).unwrap(), "file");
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for body in [&b""[..], b"{}", b"--x", b"--x\r\nhead", b"--x\r\na: b\r\n\r\nvalue\r\n"] {
            assert_eq!(Form::parse(body).unwrap_err().kind, ErrorKind::InvalidRequest);
        }
    }
}
