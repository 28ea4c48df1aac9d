//! The configuration that is being made: providers, routes and the rest, each once.

use config::yaml_tree::{Entries, Node, Written, entries_to_yaml};

use crate::{Imported, Note, mapping::line};

/// A configuration that is being made.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) settings: Entries,
    pub(crate) providers: Vec<DraftProvider>,
    pub(crate) routes: Vec<DraftRoute>,
    pub(crate) models: Vec<Entries>,
    pub(crate) prices: Vec<Entries>,
    pub(crate) tenants: Vec<Entries>,
    secrets: Vec<(String, String)>,
    /// Each behind the number of its file.
    notes: Vec<(usize, Note)>,
    file: String,
    /// How many files came before this one.
    files: usize,
}

/// A provider that is being made. Two with the same address and key are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DraftProvider {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) base_url: Option<Written>,
    /// The variable that holds the key.
    pub(crate) key: Option<Written>,
    /// Everything else.
    pub(crate) more: Entries,
}

/// A route that is being made.
#[derive(Clone, Debug, Default)]
pub(crate) struct DraftRoute {
    pub(crate) name: String,
    pub(crate) settings: Entries,
    pub(crate) steps: Vec<Entries>,
}

/// A text, in quotes where YAML needs them.
pub(crate) fn text(value: impl Into<String>) -> Written {
    Written::Text(value.into())
}

/// A text, or the variable that `LiteLLM` (`os.environ/NAME`) reads it from.
pub(crate) fn text_or_variable(value: &str) -> Written {
    match value.strip_prefix("os.environ/") {
        Some(variable) => bare(format!("${{{variable}}}")),
        None => text(value),
    }
}

/// A number, a word or a duration, never in quotes.
#[expect(clippy::needless_pass_by_value, reason = "numbers and words are written where they arise")]
pub(crate) fn bare(value: impl ToString) -> Written {
    Written::Bare(value.to_string())
}

/// A key and its value.
pub(crate) fn entry(key: &str, value: Written) -> (String, Written) {
    (key.to_owned(), value)
}

/// A number of seconds as a duration.
pub(crate) fn seconds(seconds: f64) -> Written {
    let milliseconds = (seconds * 1000.0).round().max(1.0);
    let whole = milliseconds % 1000.0 == 0.0;
    bare(if whole { format!("{}s", milliseconds / 1000.0) } else { format!("{milliseconds}ms") })
}

impl Draft {
    /// Notes from now on are about this file.
    pub(crate) fn begin_file(&mut self, name: &str) {
        name.clone_into(&mut self.file);
        self.files += 1;
    }

    /// Notes that something is other now.
    pub(crate) fn note(&mut self, line: Option<usize>, message: impl Into<String>) {
        let note = Note { file: self.file.clone(), line, message: message.into() };
        self.notes.push((self.files, note));
    }

    /// Sets a key at the top, unless an earlier file set it.
    pub(crate) fn set(&mut self, key: &str, value: Written) {
        if !self.settings.iter().any(|(known, _)| known == key) {
            self.settings.push(entry(key, value));
        }
    }

    /// A variable in place of a secret. One that stands in the file itself is kept aside.
    pub(crate) fn secret(&mut self, node: &Node<'_>, name: &str) -> Option<Written> {
        let value = crate::mapping::text(node)?;
        let variable = value.strip_prefix("os.environ/").or_else(|| {
            // Claude Code Router and others expand variables in their own files.
            let inner = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
            inner
                .or_else(|| value.strip_prefix('$'))
                .filter(|it| it.bytes().all(crate::is_name_byte))
        });
        if let Some(variable) = variable {
            return Some(bare(format!("${{{variable}}}")));
        }
        // Never a name that the environment may have already: its value would win, and one
        // company's key would go to another's server.
        let variable = self.keep_secret(&format!("IMPORTED_{name}"), &value);
        let message = format!("the secret in this line is the variable {variable} now");
        self.note(line(node), message);
        Some(bare(format!("${{{variable}}}")))
    }

    /// The variable that usually holds the key of a type, for a provider whose file has none.
    pub(crate) fn default_key(&mut self, kind: &str, at: Option<usize>) -> Option<Written> {
        let variable = crate::provider_kinds::key_variable(kind)?;
        self.note(at, format!("there is no key in the file: set the variable {variable}"));
        Some(bare(format!("${{{variable}}}")))
    }

    /// Keeps the value of a variable that the file itself defines, and names elsewhere.
    pub(crate) fn define(&mut self, name: &str, value: &str) {
        if !self.secrets.iter().any(|(taken, _)| taken == name) {
            self.secrets.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Keeps a secret under a variable of this name, or one like it. Gives the variable.
    pub(crate) fn keep_secret(&mut self, name: &str, value: &str) -> String {
        if let Some((known, _)) = self.secrets.iter().find(|(_, kept)| kept == value) {
            return known.clone();
        }
        let upper =
            |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_uppercase() } else { '_' };

        let name: String = name.chars().map(upper).collect();
        let is_free = |name: &String| !self.secrets.iter().any(|(taken, _)| taken == name);
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        let variable = names.find(is_free).unwrap_or(name);
        self.secrets.push((variable.clone(), value.to_owned()));
        variable
    }

    /// The name of a provider like this one: of one that is there already, or of a new one.
    pub(crate) fn provider(&mut self, mut provider: DraftProvider) -> String {
        let wished = std::mem::take(&mut provider.name);
        // Entries that differ in their models only share connections, limits and cooldowns when
        // they are one provider.
        let is_same = |known: &&DraftProvider| {
            DraftProvider { name: String::new(), ..(*known).clone() } == provider
        };
        if let Some(known) = self.providers.iter().find(is_same) {
            return known.name.clone();
        }

        let fits =
            |it: char| if it.is_ascii_alphanumeric() || "-_.".contains(it) { it } else { '-' };
        let wished: String = wished.chars().map(fits).collect();
        let is_free = |name: &String| !self.providers.iter().any(|known| known.name == *name);
        let numbered = (2..).map(|number| format!("{wished}-{number}"));
        let name = std::iter::once(wished.clone()).chain(numbered).find(is_free).unwrap_or(wished);
        self.providers.push(DraftProvider { name: name.clone(), ..provider });
        name
    }

    /// The route of this name, made where there is none yet.
    pub(crate) fn route(&mut self, name: &str) -> &mut DraftRoute {
        let at = self.routes.iter().position(|route| route.name == name).unwrap_or_else(|| {
            self.routes.push(DraftRoute { name: name.to_owned(), ..DraftRoute::default() });
            self.routes.len() - 1
        });
        &mut self.routes[at]
    }

    /// The configuration and everything that is not as it was.
    pub(crate) fn finish(mut self) -> Imported {
        let has_key = self.settings.iter().any(|(key, _)| key == "api_key");
        if !has_key && self.tenants.is_empty() {
            // A configuration without any key lets nobody in.
            self.settings.insert(0, entry("api_key", bare("${GATEWAY_API_KEY}")));
            self.begin_file("config.yaml");
            let message = "no key for clients was found: set the variable GATEWAY_API_KEY to one, \
                           such as `openssl rand -hex 32` prints";
            self.note(None, message);
        }
        let mut entries = self.settings;
        let mut list = |name: &str, items: Vec<Entries>| {
            let items: Vec<Written> = items.into_iter().map(Written::Map).collect();
            if !items.is_empty() {
                entries.push(entry(name, Written::List(items)));
            }
        };
        list("providers", self.providers.into_iter().map(DraftProvider::entries).collect());
        list("routes", self.routes.into_iter().map(DraftRoute::entries).collect());
        list("models", self.models);
        list("tenants", self.tenants);
        list("prices", self.prices);
        // What is about a file as a whole stands behind what is about its lines.
        self.notes.sort_by_key(|(file, note)| (*file, note.line.unwrap_or(usize::MAX)));
        let notes = self.notes.into_iter().map(|(_, note)| note).collect();
        Imported { yaml: entries_to_yaml(&entries), secrets: self.secrets, notes }
    }
}

impl DraftProvider {
    fn entries(self) -> Entries {
        let mut entries = vec![entry("name", text(self.name)), entry("type", text(self.kind))];
        entries.extend(self.base_url.map(|url| entry("base_url", url)));
        entries.extend(self.key.map(|key| entry("api_key", key)));
        entries.extend(self.more);
        entries
    }
}

impl DraftRoute {
    fn entries(self) -> Entries {
        let steps = self.steps.into_iter().map(Written::Map).collect();
        let mut entries = vec![entry("name", text(self.name))];
        entries.push(entry("steps", Written::List(steps)));
        entries.extend(self.settings);
        entries
    }
}

/// A step of a route.
pub(crate) fn step(provider: &str, model: &str) -> Entries {
    vec![entry("provider", text(provider)), entry("model", text(model))]
}
