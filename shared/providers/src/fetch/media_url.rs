//! What a client's address names, and whether the operator allows it.
//!
//! One parser reads the address, and what it found is both what is checked and what is asked for:
//! no second one can read it differently.

use std::net::Ipv4Addr;

use http::{Uri, uri::PathAndQuery};

/// Something that may be fetched, once its host is allowed and its addresses are public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MediaUrl {
    /// The host's name, in lower case.
    pub(super) host: String,
    /// The path and query. They may hold a client's secret, so that no message quotes them.
    pub(super) target: PathAndQuery,
}

impl MediaUrl {
    /// Reads an address, or says why nothing could be fetched from it.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.parse().map_err(|_not_one| "it is not a complete address")?;
        if uri.scheme_str() != Some("https") {
            return Err("only https:// is fetched");
        }
        let authority = uri.authority().ok_or("it has no host")?.as_str();
        if authority.contains('@') {
            return Err("it holds credentials");
        }
        if authority.starts_with('[') {
            return Err("its host is given by number, not by name");
        }
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port),
            None => (authority, "443"),
        };
        if port != "443" {
            return Err("it names a port other than 443");
        }
        if host.parse::<Ipv4Addr>().is_ok() {
            return Err("its host is given by number, not by name");
        }
        let fits = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.');
        if host.is_empty() || !host.bytes().all(fits) {
            return Err("its host is not a name");
        }
        let target = uri.path_and_query().cloned();
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { host: host.to_ascii_lowercase(), target })
    }

    /// Whether one of these names, or ends of names behind a `*`, covers the host.
    pub(super) fn is_among(&self, hosts: &[String]) -> bool {
        hosts.iter().any(|it| match it.strip_prefix('*') {
            Some(end) => end.len() < self.host.len() && self.host.ends_with(end),
            None => *it == self.host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// URLs that no configuration allows, or this one does not.
    const OTHERS: &[&str] = &[
        // Other names.
        "https://example.com/",
        "https://example.org/",
        "https://.example.org/",
        "https://notexample.org/",
        "https://images.example.com.evil.test/",
        "https://images.example.com./",
        "https://a.example.org./",
        "https://evil.test/images.example.com",
        "https://evil.test/?@images.example.com",
        "https://evil.test#@images.example.com",
        "https://evil.test/.example.org",
        // Credentials, and tricks with them.
        "https://images.example.com@evil.test/",
        "https://images.example.com@169.254.169.254/",
        "https://images.example.com:443@evil.test/",
        "https://user:secret@images.example.com/",
        "https://@images.example.com/",
        "https://images.example.com%40evil.test/",
        "https://evil.test\\@images.example.com/",
        "https://images.example.com\\.evil.test/",
        "https:\\\\images.example.com/",
        // Ports.
        "https://images.example.com:80/",
        "https://images.example.com:8443/",
        "https://images.example.com:/",
        "https://images.example.com:0443/",
        "https://images.example.com:443:443/",
        // Schemes.
        "http://images.example.com/",
        "ftp://images.example.com/",
        "file:///etc/passwd",
        "gs://images.example.com/a.png",
        "s3://images.example.com/a.png",
        "data:image/png;base64,AAAA",
        "//images.example.com/",
        "/a.png",
        "images.example.com",
        "https:images.example.com",
        "https://",
        "https:///a.png",
        "",
        // Numbers, in every spelling.
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.0.0.1./",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1%25eth0]/",
        "https://169.254.169.254/latest/meta-data/",
        // Other letters, some of which DNS software folds into those that are allowed.
        "https://b\u{fc}cher.example/",
        "https://images\u{3002}example.com/",
        "https://im\u{ff41}ges.example.com/",
        "https://images.ex\u{430}mple.com/",
        "https://images%2Eexample.com/",
        // Spaces and line ends.
        " https://images.example.com/",
        "https://images.example.com /",
        "https://images.example.com\r\nhost: evil.test/",
        "https://images.example.com/\r\nx: y",
        "https://images.example.com\t/",
        "https://images.example.com\0/",
    ];

    fn hosts() -> Vec<String> {
        ["images.example.com", "*.example.org", "xn--bcher-kva.example"].map(str::to_owned).into()
    }

    /// The host that the URL would have if it were allowed.
    fn host(url: &str) -> Option<String> {
        let place = MediaUrl::parse(url).ok()?;
        place.is_among(&hosts()).then_some(place.host)
    }

    #[test]
    fn what_the_operator_names_is_allowed() {
        for (url, name) in [
            ("https://images.example.com/a.png", "images.example.com"),
            ("https://images.example.com", "images.example.com"),
            ("https://images.example.com?a=b", "images.example.com"),
            ("https://images.example.com:443/a.png?b=c#d", "images.example.com"),
            ("HTTPS://IMAGES.Example.COM/a.png", "images.example.com"),
            ("https://a.example.org/", "a.example.org"),
            ("https://a.b.example.org/", "a.b.example.org"),
            ("https://xn--bcher-kva.example/", "xn--bcher-kva.example"),
            ("https://XN--Bcher-KVA.example/", "xn--bcher-kva.example"),
        ] {
            assert_eq!(host(url).as_deref(), Some(name), "{url}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for url in OTHERS {
            assert_eq!(host(url), None, "{url:?}");
        }
    }

    #[test]
    fn a_request_target_has_no_fragment() {
        let target = |url: &str| MediaUrl::parse(url).unwrap().target.to_string();
        assert_eq!(target("https://a.example.org/b/../c?d=e#f"), "/b/../c?d=e");
        assert_eq!(target("https://a.example.org"), "/");
        assert_eq!(target("https://a.example.org?b"), "/?b");
    }
}
