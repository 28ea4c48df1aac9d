//! Descriptors of keys: what a mapping may hold, of which type, with which default.
//!
//! The reader's checks, the JSON Schema and the tables of the documentation come from here, so that
//! none of them can know a key that the others do not.

/// The keys that a mapping may have.
#[derive(Debug)]
pub(super) struct Keys {
    /// What they belong to, such as `a step`.
    pub(super) of: &'static str,
    /// Each of them, in the order of the documentation.
    pub(super) keys: &'static [Key],
}

/// A key of a mapping.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    /// Whether a mapping without the key is an error.
    pub(super) is_required: bool,
    /// What holds where the key is absent, in Markdown.
    pub(super) default: &'static str,
    /// What the key decides, in Markdown.
    pub(super) about: &'static str,
}

/// The type of a value.
#[derive(Debug)]
pub(super) enum Takes {
    /// Any text.
    Text,
    /// A text of a closed set.
    Words(&'static [&'static str]),
    /// The type of a provider.
    Kind,
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Whole(u64, u64),
    /// US dollars.
    Money,
    /// A time, such as `30s`.
    Duration,
    /// Values of one type.
    List(&'static Self),
    /// A mapping with known keys.
    Mapping(&'static Keys),
    /// A mapping from the operator's own keys to texts.
    Texts,
    /// A text or a mapping.
    TextOr(&'static Keys),
}

impl Key {
    /// A key that may be absent.
    pub(super) const fn new(
        name: &'static str,
        takes: Takes,
        default: &'static str,
        about: &'static str,
    ) -> Self {
        Self { name, takes, is_required: false, default, about }
    }

    /// A key that has to be there.
    pub(super) const fn required(name: &'static str, takes: Takes, about: &'static str) -> Self {
        Self { name, takes, is_required: true, default: "", about }
    }
}

impl Keys {
    /// The descriptor of a key.
    pub(super) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names of all keys.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }
}

/// The words of a table of words and values.
pub(super) const fn words<T, const N: usize>(table: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut index = 0;
    while index < N {
        words[index] = table[index].0;
        index += 1;
    }
    words
}
