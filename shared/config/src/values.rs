//! Prices, addresses and names: what one text may say.
//!
//! Each function either gives the value or the sentence that says what is wrong.

/// No model costs a million dollars per million tokens.
const MAX_PRICE: u64 = 1_000_000 * MICROS;
/// Micro-dollars in a dollar.
const MICROS: u64 = 1_000_000;
/// As long as a name may be, in bytes, so that it fits the keys of every store.
const MAX_NAME_BYTES: usize = 256;

/// Headers that carry a key.
const KEY_HEADERS: [&str; 4] = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];
/// As long as a parameter of the free tier may be, in bytes.
const MAX_SECRET_BYTES: usize = 4096;

/// Reads US dollars per million tokens, such as `0.35`, into micro-dollars, exactly.
pub(super) fn money(text: &str) -> Result<u64, String> {
    if text.starts_with('-') {
        return Err("is negative; a price is zero or more".to_owned());
    }
    let (dollars, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(dollars) || !are_digits(decimals) {
        return Err("is not a price: write US dollars per million tokens, such as 0.35".to_owned());
    }
    if decimals.len() > 6 {
        return Err("has more than 6 decimals; a price is exact to a millionth of a dollar".into());
    }
    let too_dear = || "is more than a million dollars per million tokens".to_owned();
    // Digits, not floating point: 0.1 has no exact double, and prices are multiplied by millions.
    let micros: u64 = format!("{decimals:0<6}").parse().map_err(|_not_in_range| too_dear())?;
    let dollars: u64 = dollars.parse().map_err(|_not_in_range| too_dear())?;
    let total = dollars.checked_mul(MICROS).and_then(|it| it.checked_add(micros));
    total.filter(|it| *it <= MAX_PRICE).ok_or_else(too_dear)
}

/// Writes micro-dollars as dollars.
pub(super) fn write_money(micros: u64) -> String {
    let (dollars, rest) = (micros / MICROS, micros % MICROS);
    let decimals = format!("{rest:06}");
    let decimals = decimals.trim_end_matches('0');
    if decimals.is_empty() { dollars.to_string() } else { format!("{dollars}.{decimals}") }
}

/// Whether a provider may have this as its base URL. The sentence never holds the URL.
pub(super) fn base_url(text: &str) -> Result<(), &'static str> {
    let scheme_ends = text.find("://").ok_or("is not a URL: write https://host/path")?;
    let (scheme, rest) = text.split_at(scheme_ends);
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err("begins with neither http:// nor https://");
    }
    // The URL parser would encode some of these by itself, and the configuration would show another
    // address than the one that is called.
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
        return Err("holds a character that a URL cannot hold; encode it with %");
    }
    let rest = rest.trim_start_matches("://");
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // Addresses are logged and shown in errors; keys are not.
    if authority.contains('@') {
        return Err("holds credentials; a key belongs in api_key");
    }
    if text.contains('?') {
        return Err("holds a query; leave out everything from the `?` on");
    }
    if text.contains('#') {
        return Err("holds a fragment; leave out everything from the `#` on");
    }
    check_authority(authority)
}

/// Whether something can be posted to this URL, which may have a path and a query. The sentence
/// never holds the URL.
pub(super) fn http_url(text: &str) -> Result<(), &'static str> {
    base_url(text.split_once('?').map_or(text, |(address, _)| address))
}

/// Whether connections may pass through a proxy at this URL. The sentence never holds the URL.
pub(super) fn proxy_url(text: &str) -> Result<(), &'static str> {
    let bad = "begins with none of http://, https://, socks5:// and socks5h://, and is not `none`";
    let (scheme, rest) = text.split_once("://").ok_or(bad)?;
    if !["http", "https", "socks5", "socks5h"].contains(&&*scheme.to_ascii_lowercase()) {
        return Err(bad);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
        return Err("holds a character that a URL cannot hold; encode it with %");
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err("has a path; a proxy is a host and a port");
    }
    // The password of a proxy stands before the last `@`.
    check_authority(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

fn check_authority(authority: &str) -> Result<(), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(address) => {
            let (address, port) = address.split_once(']').ok_or("has a host without its `]`")?;
            let known = address.parse::<std::net::Ipv6Addr>();
            known.map_err(|_not_an_address| "has a bad IPv6 address between `[` and `]`")?;
            // The address was parsed as one already and has colons, which no host's name has.
            ("known", port.strip_prefix(':').or(if port.is_empty() { None } else { Some("bad") }))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err("has no host");
    }
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
        return Err("has a bad host name");
    }
    let port = port.map_or(Ok(1), str::parse::<u16>);
    if port.is_ok_and(|port| port > 0) { Ok(()) } else { Err("has a bad port") }
}

/// Accepts a region such as `eu-west-1`, which becomes part of a host's name.
pub(super) fn region(text: &str) -> Result<(), &'static str> {
    // Nothing else may pass: a dot or a slash would send signed requests to another host.
    let allowed = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    if text.len() <= 32 && text.bytes().all(allowed) && !text.starts_with('-') {
        return Ok(());
    }
    Err("is no region of AWS: write it as AWS does, such as eu-west-1")
}

/// Whether a provider may be called this: it becomes part of a parameter's name and of a header.
pub(super) fn provider_name(text: &str) -> Result<(), &'static str> {
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if fits && text.len() <= 64 && text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err("is not a provider's name: at most 64 letters without accents, digits, `-`, `_` and `.`")
}

/// Whether a model or route may be called this.
pub(super) fn model_name(text: &str) -> Result<(), &'static str> {
    // Names of models stand in headers and log lines.
    if text.chars().any(char::is_control) {
        return Err("holds a line break or another control character");
    }
    if text.trim() != text {
        return Err("begins or ends with a space");
    }
    if text.len() > MAX_NAME_BYTES { Err("is longer than 256 bytes") } else { Ok(()) }
}

/// Whether a configured header may have this name, which also becomes part of a parameter's name.
pub(super) fn header_name(text: &str) -> Result<(), &'static str> {
    let ours = [
        "connection",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    // The HTTP client derives these from the request; a second one makes two readings of one
    // message.
    if ours.iter().any(|it| text.eq_ignore_ascii_case(it)) {
        return Err("is a header that the gateway itself sets; remove it");
    }
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if fits && !text.is_empty() { Ok(()) } else { Err("is not a header's name") }
}

/// Whether a header carries a key.
pub fn is_key_header(name: &str) -> bool {
    KEY_HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a secret can travel in a header. The sentence never holds the secret.
pub(super) fn secret(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("is empty; give a value, or remove the line");
    }
    // The usual cause is a file whose last line break was pasted along.
    if text.trim() != text {
        return Err("begins or ends with a space or line break; remove it");
    }
    if text.len() > MAX_SECRET_BYTES {
        return Err("is longer than 4096 bytes, which is all that a parameter in AWS holds");
    }
    let fits = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if fits { Ok(()) } else { Err("holds a character that cannot travel in a header") }
}

/// Whether AWS may know a parameter, or a secret through its reference path, by this name.
pub(super) fn parameter_name(text: &str) -> Result<(), &'static str> {
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-:+=@".contains(&byte));
    if fits && text.len() > 1 && text.len() <= 1011 && text.starts_with('/') {
        return Ok(());
    }
    Err("after `ssm:` comes a parameter's full name, such as ssm:/team/key")
}

/// Whether YAML 1.2 reads this, without quotes, as a number or a truth value.
pub(super) fn is_no_text(text: &str) -> bool {
    if matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE") {
        return true;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let hex = unsigned.strip_prefix("0x").is_some_and(|it| u128::from_str_radix(it, 16).is_ok());
    let octal = unsigned.strip_prefix("0o").is_some_and(|it| u128::from_str_radix(it, 8).is_ok());
    let begins_as_number =
        unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let special = matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN");
    special || hex || octal || (begins_as_number && unsigned.parse::<f64>().is_ok())
}

/// The candidate that was probably meant.
pub(super) fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let length = word.chars().count();
    // In short words two changes reach nearly anything.
    let allowed = if length < 4 { 1 } else { 2.max(length / 3) };
    let ranked = candidates.iter().map(|candidate| (distance(word, candidate), *candidate));
    ranked.filter(|(away, _)| *away <= allowed).min().map(|(_, candidate)| candidate)
}

/// How many characters must be put in, taken out or changed to make one word of the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, character) in from.to_lowercase().chars().enumerate() {
        // One row of the table is enough, if the value up and to the left is kept aside.
        let mut corner = above;
        row[0] = above + 1;
        for (index, other) in to.iter().enumerate() {
            let change = corner + usize::from(character != *other);
            corner = row[index + 1];
            row[index + 1] = change.min(corner + 1).min(row[index] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests;
