//! The client's headers, as a provider accepts them.

/// Headers of which each stands once: versions that a proxy doubled become one, betas become one list.
pub(super) fn merged(headers: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let mut merged: Vec<(&'static str, String)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let value = match *name {
            // One version, because the API refuses a list.
            "anthropic-version" => value.split(',').next().unwrap_or(value).trim(),
            _ => value.trim(),
        };
        match merged.iter_mut().find(|it| it.0 == *name) {
            Some(first) if *name == "anthropic-beta" => {
                first.1.push(',');
                first.1.push_str(value);
            }
            Some(_) => {}
            None => merged.push((name, value.to_owned())),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_version_is_sent_once() {
        let twice = "2023-06-01, 2023-06-01".to_owned();
        let headers = [
            ("anthropic-version", twice),
            ("anthropic-version", "2023-06-01".to_owned()),
            ("anthropic-beta", "a".to_owned()),
            ("anthropic-beta", "b".to_owned()),
        ];
        let expected =
            [("anthropic-version", "2023-06-01".to_owned()), ("anthropic-beta", "a,b".to_owned())];
        assert_eq!(merged(&headers), expected);
    }
}
