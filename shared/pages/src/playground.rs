//! The playground: a real call made by hand, in any of four formats.

use askama::Template;

use crate::{form::Choice, shell::Shell};

/// The playground.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "playground.html")]
pub struct Playground {
    /// What surrounds the page.
    pub shell: Shell,
    /// The tenants that a call can be counted against.
    pub tenants: Vec<Choice>,
    /// The tenant that is chosen.
    pub tenant: String,
    /// Names that clients may use as a model.
    pub models: Vec<String>,
    /// The model that is filled in.
    pub model: String,
}

/// A format that the playground can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Format {
    name: &'static str,
    text: &'static str,
}

const FORMATS: [Format; 4] = [
    Format { name: "chat", text: "OpenAI chat" },
    Format { name: "responses", text: "Responses" },
    Format { name: "messages", text: "Anthropic" },
    Format { name: "gemini", text: "Gemini" },
];

impl Playground {
    fn formats(&self) -> [Format; 4] {
        FORMATS
    }
}
