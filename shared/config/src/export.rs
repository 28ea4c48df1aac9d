//! A configuration as YAML that people read, and that reads back as the same configuration.
//!
//! Values of secrets are never written: a variable stands for each.

use super::{
    Config, SecretSource, declared_tenants, route,
    secrets::variables,
    values::is_no_text,
    variables::escape,
    write::{self, Written},
};

/// Writes a configuration in the order of its reference, with defaults left out.
pub fn to_yaml(config: &Config) -> String {
    let variables = variables(config);
    let secret = |place: &_, source: &SecretSource| match (variables.get(place), source) {
        (Some(variable), _) => Written::Bare(format!("${{{variable}}}")),
        // A reference is no secret, and the operator wrote it himself.
        (None, SecretSource::Parameter { name, .. }) => Written::Bare(format!("ssm:{name}")),
        // Every value has a variable; should one have none, the file must not read as if it were
        // complete.
        (None, SecretSource::Value { .. }) => Written::Bare("~".to_owned()),
    };
    let mut yaml = String::new();
    map(&mut yaml, &write::settings(config, &secret), 0);
    let providers = config.providers.iter().map(|it| write::provider(it, &secret));
    section(&mut yaml, "providers", providers.collect());
    section(&mut yaml, "routes", config.routes.iter().map(route::write).collect());
    section(&mut yaml, "models", config.models.iter().map(write::model).collect());
    let tenants = config.tenants.iter().map(|it| declared_tenants::write(it, &secret));
    section(&mut yaml, "tenants", tenants.collect());
    // Prices stand on one line each: a table of forty would fill pages otherwise.
    let prices: Vec<_> = config.prices.iter().map(write::price).collect();
    if !prices.is_empty() {
        start_section(&mut yaml, "prices");
    }
    for price in prices {
        let entry = |(key, value)| format!("{key}: {}", scalar(&value).unwrap_or_default());
        let line: Vec<String> = price.into_iter().map(entry).collect();
        yaml.push_str(&format!("  - {{ {} }}\n", line.join(", ")));
    }
    yaml
}

/// Writes any entries: what stands at the top, and lists of mappings as sections behind it.
pub fn entries_to_yaml(entries: &write::Entries) -> String {
    let is_section = |value: &Written| matches!(value, Written::List(items) if matches!(items.first(), Some(Written::Map(_))));
    let (sections, settings): (write::Entries, write::Entries) =
        entries.iter().cloned().partition(|(_, value)| is_section(value));
    let mut yaml = String::new();
    map(&mut yaml, &settings, 0);
    for (name, value) in sections {
        let Written::List(items) = value else { continue };
        start_section(&mut yaml, &name);
        list(&mut yaml, &items, 2);
    }
    yaml
}

fn start_section(yaml: &mut String, name: &str) {
    if !yaml.is_empty() {
        yaml.push('\n');
    }
    yaml.push_str(name);
    yaml.push_str(":\n");
}

fn section(yaml: &mut String, name: &str, entries: Vec<write::Entries>) {
    if entries.is_empty() {
        return;
    }
    start_section(yaml, name);
    let items: Vec<Written> = entries.into_iter().map(Written::Map).collect();
    list(yaml, &items, 2);
}

fn map(yaml: &mut String, entries: &write::Entries, indent: usize) {
    for (index, (key, value)) in entries.iter().enumerate() {
        // The first key of a list's entry stands behind its dash.
        if index > 0 || indent == 0 || yaml.ends_with('\n') {
            yaml.push_str(&" ".repeat(indent));
        }
        yaml.push_str(&quoted_unless_plain(key));
        yaml.push(':');
        match value {
            Written::Text(_) | Written::Bare(_) => {
                yaml.push(' ');
                yaml.push_str(&scalar(value).unwrap_or_default());
                yaml.push('\n');
            }
            Written::List(items) => {
                yaml.push('\n');
                list(yaml, items, indent + 2);
            }
            // An empty mapping in the block style would read as null.
            Written::Map(entries) if entries.is_empty() => yaml.push_str(" {}\n"),
            Written::Map(entries) => {
                yaml.push('\n');
                map(yaml, entries, indent + 2);
            }
        }
    }
}

fn list(yaml: &mut String, items: &[Written], indent: usize) {
    for item in items {
        yaml.push_str(&" ".repeat(indent));
        yaml.push_str("- ");
        match item {
            Written::Map(entries) => map(yaml, entries, indent + 2),
            Written::Text(_) | Written::Bare(_) | Written::List(_) => {
                yaml.push_str(&scalar(item).unwrap_or_default());
                yaml.push('\n');
            }
        }
    }
}

fn scalar(value: &Written) -> Option<String> {
    match value {
        Written::Bare(text) => Some(text.clone()),
        Written::Text(text) => Some(quoted_unless_plain(&escape(text))),
        Written::List(_) | Written::Map(_) => None,
    }
}

/// The text without quotes where it reads back as itself, inside `{ }` too.
fn quoted_unless_plain(text: &str) -> String {
    let fits = |it: char| it.is_alphanumeric() || " _./:@+-".contains(it);
    let is_plain = text.starts_with(char::is_alphanumeric)
        && text.chars().all(fits)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !is_no_text(text)
        && !matches!(text, "null" | "Null" | "NULL");
    if is_plain { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // Some readers take these for a byte order mark or for line breaks.
            '\u{feff}' | '\u{2028}' | '\u{2029}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            it if it.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(it))),
            it => quoted.push(it),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
