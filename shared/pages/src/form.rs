//! Forms as data: fields with their labels, values and what is wrong with them.

/// How a field is filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A line of text.
    #[default]
    Text,
    /// A number; empty is no limit.
    Number,
    /// A line that is never shown again.
    Secret,
    /// Several lines.
    Lines,
    /// One of several values.
    Choice(Vec<Choice>),
}

/// A value that can be chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// What the form sends.
    pub value: String,
    /// What the reader sees.
    pub text: String,
}

impl Choice {
    /// A choice whose text is its value.
    pub fn plain(value: impl Into<String>) -> Self {
        let value = value.into();
        Self { text: value.clone(), value }
    }

    /// A choice that reads otherwise than what the form sends.
    pub fn new(value: impl Into<String>, text: impl Into<String>) -> Self {
        Self { value: value.into(), text: text.into() }
    }
}

/// One field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// The name that the form sends.
    pub name: &'static str,
    /// What the field is for.
    pub label: &'static str,
    /// How it is filled in.
    pub kind: Kind,
    /// The present value.
    pub value: String,
    /// What an empty field means, or an example.
    pub placeholder: &'static str,
    /// A sentence below the field.
    pub hint: &'static str,
    /// What is wrong with the value.
    pub error: Option<String>,
}

impl Field {
    /// The unit of a number's steps.
    pub fn step(&self) -> &'static str {
        // Money has decimals; browsers refuse them in a field with whole steps.
        if self.name == "budget_usd" || self.name.starts_with("price_") { "any" } else { "1" }
    }

    /// Whether the field is as wide as the form.
    pub fn is_whole(&self) -> bool {
        self.kind == Kind::Lines
    }
}

/// Fields that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// The fields.
    pub fields: Vec<Field>,
}

impl Group {
    /// Puts values and errors into the fields, by their names.
    pub fn fill(
        groups: &mut [Self],
        value: impl Fn(&str) -> Option<String>,
        error: impl Fn(&str) -> Option<String>,
    ) {
        for field in groups.iter_mut().flat_map(|it| it.fields.iter_mut()) {
            if let Some(value) = value(field.name) {
                field.value = value;
            }
            field.error = error(field.name);
        }
    }
}
