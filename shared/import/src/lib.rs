//! Files of other gateways as a configuration of this one, and what of them could not be carried
//! over.
//!
//! Texts go in and texts come out; files and terminals are left to the program.

mod claude_code_router;
mod datanoisetv_aigateway;
mod datanoisetv_clients;
mod draft;
mod felipepmaragno_ai_gateway;
mod helicone;
mod leshchenko1979_ai_gateway;
mod litellm;
mod litellm_keys;
mod liuzl_ai;
mod mapping;
mod openrouter;
mod portkey;
mod provider_kinds;

use std::{borrow::Cow, fmt};

use config::yaml_tree::{Node, Value, parse};

use draft::Draft;
use mapping::Mapping;

/// A file to import.
#[derive(Clone, Copy, Debug)]
pub struct SourceFile<'a> {
    /// What the file is called.
    pub name: &'a str,
    /// What it holds.
    pub text: &'a str,
}

/// What came of the files.
#[derive(Debug)]
pub struct Imported {
    /// The configuration, with a variable in place of each secret.
    pub yaml: String,
    /// The secrets that stood in the files themselves, by the variables that now stand for them.
    pub secrets: Vec<(String, String)>,
    /// Everything that is not, or not quite, as it was, in order of files and lines.
    pub notes: Vec<Note>,
}

/// One thing that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file.
    pub file: String,
    /// The line, where one is to blame.
    pub line: Option<usize>,
    /// What is other now. It never holds a secret.
    pub message: String,
}

/// Why a file cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.message)
    }
}

impl std::error::Error for ImportError {}

/// Imports files, which together become one configuration.
pub fn import(files: &[SourceFile<'_>]) -> Result<Imported, ImportError> {
    let mut draft = Draft::default();
    for file in files {
        draft.begin_file(file.name);
        let failed = |message: String| ImportError { file: file.name.to_owned(), message };
        // Before it is parsed: lines of `NAME=value` are a scalar to YAML, and no error.
        if is_environment(file.text) {
            felipepmaragno_ai_gateway::import(file.text, &mut draft);
            continue;
        }
        let text = without_comments(file.text);
        let root = parse(&text).map_err(|errors| failed(errors.to_string()))?;
        import_tree(&root, file.name, &mut draft).map_err(failed)?;
    }
    Ok(draft.finish())
}

/// Imports the tree of a YAML or JSON file, whoever wrote it.
fn import_tree(root: &Node<'_>, name: &str, draft: &mut Draft) -> Result<(), String> {
    if let Value::List(_) = root.value {
        return litellm_keys::import_list(root, draft);
    }
    let Some(mapping) = Mapping::open(root) else {
        return Err("is neither a mapping nor a list".to_owned());
    };
    let has = |key: &str| mapping.has(key);
    // From the most particular key to the least: several gateways have `models` and `providers`.
    if has("model_list") || has("litellm_settings") || has("router_settings") {
        litellm::import(mapping, draft);
    } else if has("keys") && !has("providers") {
        return litellm_keys::import(mapping, draft);
    } else if mapping.is_list("clients") && !has("providers") {
        datanoisetv_clients::import(mapping, draft);
    } else if has("Providers") || has("Router") {
        claude_code_router::import(mapping, draft);
    } else if has("routers") || has("helicone") && has("providers") {
        helicone::import(mapping, draft);
    } else if has("targets") || has("strategy") {
        portkey::import(mapping, stem(name), draft);
    } else if has("version") && has("models") {
        liuzl_ai::import(mapping, draft);
    } else if mapping.is_list("providers") {
        leshchenko1979_ai_gateway::import(mapping, draft);
    } else if has("providers") || has("server_tools") || has("gemini") {
        datanoisetv_aigateway::import(mapping, draft);
    } else if mapping.is_list("models") || has("provider") || has("model") {
        openrouter::import(mapping, stem(name), draft);
    } else {
        return Err("is of no gateway that is known here: LiteLLM (config.yaml, exported keys), \
                    Claude Code Router, Portkey, Helicone, OpenRouter, leshchenko1979/ai-gateway, \
                    felipepmaragno/ai-gateway (.env), DatanoiseTV/aigateway, liuzl/ai"
            .to_owned());
    }
    Ok(())
}

/// JSON without the comments that some programs allow within; YAML has others, and stays as it is. Lines
/// keep their numbers.
fn without_comments(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with(['{', '[']) || !text.contains(['/']) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (length, is_comment) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), true)
        } else if rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |end| end + 2), true)
        } else if next == '"' {
            (quoted_length(rest), false)
        } else {
            (next.len_utf8(), false)
        };
        let (part, after) = rest.split_at(length);
        if is_comment {
            kept.extend(part.chars().filter(|it| *it == '\n'));
        } else {
            kept.push_str(part);
        }
        rest = after;
    }
    Cow::Owned(kept)
}

/// The length in bytes of the string in quotes with which a text begins.
fn quoted_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        match it {
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = it == '\\' && !is_escaped,
        }
    }
    text.len()
}

/// Whether a text is lines of `NAME=value`.
fn is_environment(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    lines.next().is_some_and(|line| {
        let name = line.strip_prefix("export ").unwrap_or(line).split('=').next();
        line.contains('=') && name.is_some_and(|name| name.bytes().all(is_name_byte))
    })
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The name of a file without its folder and extension.
fn stem(name: &str) -> &str {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.split('.').next().filter(|it| !it.is_empty()).unwrap_or("imported")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_in_json_are_left_out_and_those_in_texts_stay() {
        let text = "{ // why\n \"a\": \"http://b\\\"//c\", /* of\ntwo */ \"d\": 1 }";
        assert_eq!(without_comments(text), "{ \n \"a\": \"http://b\\\"//c\", \n \"d\": 1 }");
        assert_eq!(without_comments("a: http://b"), "a: http://b");
    }
}
