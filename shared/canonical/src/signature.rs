//! The signature with which a provider recognizes its own reasoning, and how it travels through
//! other formats.
//!
//! Providers sign reasoning and demand the signature back with the next request. Clients of another
//! format have no field for it, so it rides inside one that they echo, tagged with its maker. The
//! tag is also how a foreign signature is known, and kept from a provider that did not make it.

/// The signature with which its maker recognizes a part. Opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The wire format of the maker, such as `anthropic`; only its providers are shown the data.
    pub maker: String,
    /// The maker's data.
    pub data: String,
}

/// The start of a tag: letters, digits, `_` and `-` only, as the strictest ids demand.
pub const TAG_PREFIX: &str = "__lgsig_";

impl Signature {
    /// A signature of this maker.
    pub fn new(maker: impl Into<String>, data: impl Into<String>) -> Self {
        Self { maker: maker.into(), data: data.into() }
    }

    /// The signature and its maker as one text of letters, digits, `_` and `-`, for a field of its own
    /// or the end of an id.
    pub fn tagged(&self) -> String {
        let data = encoded(self.data.as_bytes());
        format!("{TAG_PREFIX}{}_{data}", encoded(self.maker.as_bytes()))
    }

    /// Decodes what [`Signature::tagged`] encoded.
    pub fn from_tag(text: &str) -> Option<Self> {
        // `_` within either is encoded, so that the first one separates them.
        let (maker, data) = text.strip_prefix(TAG_PREFIX)?.split_once('_')?;
        Some(Self { maker: decoded(maker)?, data: decoded(data)? })
    }

    /// The id with this signature attached.
    pub fn attach_to_id(&self, id: &str) -> String {
        format!("{id}{}", self.tagged())
    }

    /// Splits an id into the plain id and the signature that is attached to it.
    pub fn split_id(id: &str) -> (&str, Option<Self>) {
        match id.find(TAG_PREFIX) {
            // From the first tag on: ids of providers never hold one.
            Some(at) => {
                let (plain, tag) = id.split_at(at);
                (plain, Self::from_tag(tag))
            }
            None => (id, None),
        }
    }
}

/// Signatures are nearly always base64, so letters and digits stay and little grows.
fn encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + bytes.len() / 8);
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(*byte)),
            // The other letters of base64, and those of ids, in two letters each; anything else
            // takes four.
            b'+' => out.push_str("-p"),
            b'/' => out.push_str("-s"),
            b'=' => out.push_str("-e"),
            b'-' => out.push_str("-d"),
            b'_' => out.push_str("-u"),
            b' ' => out.push_str("-w"),
            _ => out.push_str(&format!("-x{byte:02x}")),
        }
    }
    out
}

fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'-' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next()? {
            b'p' => b'+',
            b's' => b'/',
            b'e' => b'=',
            b'd' => b'-',
            b'u' => b'_',
            b'w' => b' ',
            b'x' => digit(bytes.next()?)? * 16 + digit(bytes.next()?)?,
            _ => return None,
        });
    }
    String::from_utf8(out).ok()
}

fn digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_gives_back_what_it_was_made_of() {
        for data in ["", "Ab+/9==", "a-b_c", "{\"text\": \"gr\u{fc}n\"}\n", "__lgsig_x"] {
            let signature = Signature::new("anthropic", data);
            let tag = signature.tagged();
            let allowed = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-');
            assert!(tag.bytes().all(allowed), "{tag}");
            assert_eq!(Signature::from_tag(&tag), Some(signature));
        }
    }

    #[test]
    fn an_id_carries_a_signature_and_gives_it_back() {
        let signature = Signature::new("gemini", "c2ln/w==");
        let id = signature.attach_to_id("call_1");
        assert_eq!(Signature::split_id(&id), ("call_1", Some(signature)));
        assert_eq!(Signature::split_id("call_1"), ("call_1", None));
        assert_eq!(Signature::split_id("call_1__lgsig_broken"), ("call_1", None));
    }
}
