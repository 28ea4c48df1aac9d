//! What the configuration may say about fetching media.

use super::{
    FETCH_BYTES, FETCH_TIMEOUT, Fetch,
    keys::{Key, Keys, Takes},
    node::Node,
    read::need_entries,
    reader::Reader,
};

pub(super) const FETCH: Keys = Keys {
    of: "fetch",
    keys: &[
        Key::required(
            "hosts",
            Takes::List(&Takes::Text),
            "the allowed hosts: a name, or `*.` and the end of names (`*.example.org` covers `a.example.org` and `a.b.example.org`, not `example.org`). No addresses by number, no ports",
        ),
        Key::new(
            "max_bytes",
            Takes::Whole(1, MAX_BYTES),
            "10000000",
            "how many bytes all that is fetched for one request may have together; at most 100000000",
        ),
        Key::new(
            "timeout",
            Takes::Duration,
            "10s",
            "time for all of it together, and never more than half of the step's",
        ),
    ],
};
/// As much as a request may grow by: more than any provider takes in one request.
const MAX_BYTES: u64 = 100_000_000;

/// Reads what may be fetched.
pub(super) fn fetch(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Fetch> {
    let fields = reader.fields(node, &FETCH)?;
    need_entries(reader, fields, "hosts", "nothing is fetched but from the hosts named here");
    let mut hosts: Vec<String> = vec![];
    reader.list(fields, "hosts", |reader, node| {
        let host = reader.checked_text(node, host).to_ascii_lowercase();
        // Two entries for one host would hide which of them an operator has to remove.
        if hosts.contains(&host) {
            reader.report(node.at, "is given twice; remove one");
        } else if !host.is_empty() {
            hosts.push(host);
        }
        Some(())
    });
    Some(Fetch {
        hosts,
        max_bytes: reader.count(fields, "max_bytes").unwrap_or(FETCH_BYTES),
        timeout: reader.optional(fields, "timeout", Reader::time_limit).unwrap_or(FETCH_TIMEOUT),
    })
}

/// Whether this names hosts that media may be fetched from.
fn host(text: &str) -> Result<(), &'static str> {
    if text.contains("//") {
        return Err("is an address; give the host's name alone");
    }
    if text.contains('@') {
        return Err("holds credentials; give the host's name alone");
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or_default();
    // Addresses by number would pass by DNS, and with it by the rule that every address is public.
    if name.starts_with('[') || name.matches(':').count() > 1 || is_number(last) {
        return Err("is an address by number; media are fetched by name only");
    }
    // Only port 443 is ever fetched from, so a port here could not take effect.
    if name.contains(':') {
        return Err("holds a port; media are fetched from the usual port only");
    }
    if name.contains('/') {
        return Err("holds a path; give the host's name alone");
    }
    if name.contains('*') {
        return Err("has a `*` that is not `*.` at its beginning");
    }
    // Certificates and resolvers know the ASCII form; converting it would need the tables of IDNA.
    if !name.is_ascii() {
        return Err("holds letters beyond ASCII; write it as DNS does, with `xn--`");
    }
    // The same host would have two spellings, and only one would be on the list.
    if name.ends_with('.') {
        return Err("ends with a dot; leave it out");
    }
    if !name.split('.').all(is_label) || name.len() > 253 {
        return Err("is not a host's name");
    }
    // Anybody can register a name there, which makes the list no list.
    if name.len() < text.len() && !name.contains('.') {
        return Err("covers a whole top-level domain; name at least two parts behind `*.`");
    }
    Ok(())
}

/// Whether DNS may have this between two dots.
fn is_label(text: &str) -> bool {
    let fits = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_');
    (1..=63).contains(&text.len())
        && text.bytes().all(fits)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether a name that ends like this is an IPv4 address in one of its spellings (WHATWG URL,
/// "ends in a number").
fn is_number(last: &str) -> bool {
    let digits = !last.is_empty() && last.bytes().all(|it| it.is_ascii_digit());
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    digits || hex.is_some_and(|it| it.bytes().all(|it| it.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ends_of_names_are_hosts() {
        for text in [
            "images.example.com",
            "*.example.org",
            "Images.Example.com",
            "xn--bcher-kva.example",
            "cdn_1.example.com",
            "3com.example",
            "localhost",
        ] {
            assert_eq!(host(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        for (text, reason) in [
            ("https://images.example.com", "is an address;"),
            ("user@images.example.com", "holds credentials"),
            ("127.0.0.1", "by number"),
            ("2130706433", "by number"),
            ("0x7f.1", "by number"),
            ("0x7f000001", "by number"),
            ("017700000001", "by number"),
            ("*.0.0.1", "by number"),
            ("[::1]", "by number"),
            ("::1", "by number"),
            ("images.example.com:8443", "holds a port"),
            ("images.example.com/a", "holds a path"),
            ("*", "has a `*`"),
            ("images.*.com", "has a `*`"),
            ("*example.com", "has a `*`"),
            ("b\u{fc}cher.example", "beyond ASCII"),
            ("images.example.com.", "ends with a dot"),
            ("images..com", "is not a host's name"),
            ("-a.example.com", "is not a host's name"),
            ("a b.example.com", "is not a host's name"),
            ("*.com", "whole top-level domain"),
        ] {
            let refused = host(text).expect_err(text);
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }
}
