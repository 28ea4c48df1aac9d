use super::*;

#[test]
fn a_price_is_exact() {
    assert_eq!(money("0.35"), Ok(350_000));
    assert_eq!(money("15"), Ok(15_000_000));
    assert_eq!(money("0.000001"), Ok(1));
    assert_eq!(money("0.1"), Ok(100_000));
    assert_eq!(money("0"), Ok(0));
    assert_eq!(money("1000000"), Ok(1_000_000_000_000));
}

#[test]
fn what_is_no_price_is_refused() {
    for text in ["", ".5", "5.", "1e3", "+1", "$1", "1,5", "0x10", ".inf", "1_000", "1 "] {
        assert!(money(text).unwrap_err().contains("is not a price"), "{text}");
    }
    assert!(money("-0.35").unwrap_err().contains("negative"));
    assert!(money("0.3500000").unwrap_err().contains("6 decimals"));
    assert!(money("1000000.000001").unwrap_err().contains("million dollars"));
    assert!(money("99999999999999999999").unwrap_err().contains("million dollars"));
}

#[test]
fn prices_are_written_as_they_are_read() {
    for text in ["0", "0.35", "15", "0.000001", "10.5", "1000000"] {
        assert_eq!(write_money(money(text).unwrap()), text);
    }
}

#[test]
fn a_base_url_is_plain_http() {
    for text in [
        "https://api.cerebras.ai/v1",
        "http://localhost:11434",
        "http://localhost:11434/",
        "HTTPS://Example.com",
        "http://[::1]:8080/v1",
        "http://[::1]",
        "http://my_host/a@b",
        "https://example.com/a%20b",
    ] {
        assert_eq!(base_url(text), Ok(()), "{text}");
    }
}

#[test]
fn a_base_url_holds_nothing_else() {
    for (text, part) in [
        ("api.cerebras.ai/v1", "not a URL"),
        ("ftp://example.com", "neither"),
        ("https://user:pass@example.com", "credentials"),
        ("https://key@example.com/v1", "credentials"),
        ("https://example.com/v1?key=1", "query"),
        ("https://example.com/v1#a", "fragment"),
        ("https://", "no host"),
        ("https:///v1", "no host"),
        ("https://:80/", "no host"),
        ("https://example.com:0", "port"),
        ("https://example.com:", "port"),
        ("https://example.com:65536", "port"),
        ("https://example.com:a", "port"),
        ("http://[::1", "`]`"),
        ("http://[::g]", "IPv6"),
        ("http://[::1]80", "port"),
        ("https://exa mple.com", "character"),
        ("https://exämple.com", "character"),
        ("https://a,b.com", "host name"),
        ("https://example.com/\n", "character"),
    ] {
        assert!(base_url(text).unwrap_err().contains(part), "{text}");
    }
}

#[test]
fn names_fit_where_they_go() {
    assert!(provider_name("groq-2.eu_west").is_ok());
    for text in ["", "a/b", "-a", "ü", "a b", &"a".repeat(65)] {
        assert!(provider_name(text).is_err(), "{text}");
    }
    assert!(model_name("dynamic/n8n ✨").is_ok());
    for text in [" a", "a ", "a\nb", &"a".repeat(257)] {
        assert!(model_name(text).is_err(), "{text}");
    }
    assert!(header_name("X-Title").is_ok());
    for text in ["", "Host", "a b", "a:"] {
        assert!(header_name(text).is_err(), "{text}");
    }
    assert!(parameter_name("/aws/reference/secretsmanager/team/key").is_ok());
    for text in ["", "/", "key", "/a b", "/a#b"] {
        assert!(parameter_name(text).is_err(), "{text}");
    }
}

#[test]
fn a_secret_travels_in_a_header() {
    assert!(secret("Bearer abc").is_ok());
    for text in ["", " a", "a\n", "a\nb", "ключ", &"a".repeat(4097)] {
        assert!(secret(text).is_err(), "{text:?}");
    }
}

#[test]
fn numbers_and_truth_values_are_no_texts() {
    for text in ["1", "-1", "1.0", "1e3", ".5", "0x1F", "0o17", ".inf", "-.INF", "true", "FALSE"] {
        assert!(is_no_text(text), "{text}");
    }
    for text in ["yes", "no", "on", "1.2.3", "gpt-4", "2024-10-21", "inf", "nan", "e3", "tRUE"] {
        assert!(!is_no_text(text), "{text}");
    }
}

#[test]
fn a_slip_finds_what_was_meant() {
    let known = ["providers", "prices", "port"];
    assert_eq!(nearest("porviders", &known), Some("providers"));
    assert_eq!(nearest("Provider", &known), Some("providers"));
    assert_eq!(nearest("prot", &known), Some("port"));
    assert_eq!(nearest("colour", &known), None);
}
