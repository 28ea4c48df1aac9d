//! Routes and providers: what is configured, the editor with its messages, the change before it is made.

use askama::Template;

use crate::{
    moment::Moment,
    number::Took,
    shell::{Pill, Shell, Tone},
};

/// The page of routes and providers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "routes.html")]
pub struct Routes {
    /// What surrounds the page.
    pub shell: Shell,
    /// The version of the configuration, and when and by whom it was saved.
    pub version: String,
    /// Why the configuration cannot be changed here, such as that a file holds it.
    pub fixed: Option<String>,
    /// The routes.
    pub routes: Vec<Route>,
    /// The providers.
    pub providers: Vec<Provider>,
}

/// One route, or a model served by one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The name that clients use.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The targets, in the order of the configuration.
    pub steps: Vec<Step>,
    /// How targets are chosen.
    pub strategy: String,
    /// What else the route does, such as hedging, a few words each.
    pub settings: Vec<String>,
}

/// One target of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The provider and its model.
    pub target: String,
    /// Which requests the step is for, and its own settings; empty where it is for all of them.
    pub notes: Vec<String>,
    /// What keeps calls away right now.
    pub state: Option<Pill>,
}

/// One provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provider {
    /// The name.
    pub name: String,
    /// The type.
    pub kind: String,
    /// Where it is called.
    pub base_url: String,
    /// The fingerprints of its keys.
    pub keys: Vec<String>,
    /// Whether it cools down or fails.
    pub state: Pill,
    /// What it allows, and what attempts have shown of late, a few words each.
    pub notes: Vec<String>,
    /// What a test of the connection, or the provider's list of models, gave just now.
    pub tested: Option<Tested>,
}

/// What a test of a provider gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tested {
    /// Whether the provider answered.
    pub tone: Tone,
    /// What happened, in a sentence.
    pub text: String,
    /// The models that the provider lists.
    pub models: Vec<String>,
    /// How long the answer took.
    pub took: Took,
}

/// The editor of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "routes_edit.html")]
pub struct Editor {
    /// What surrounds the page.
    pub shell: Shell,
    /// The text.
    pub yaml: String,
    /// The version that the text is based on.
    pub version: String,
    /// What is wrong with the text.
    pub messages: Vec<Message>,
    /// What somebody else has saved in the meantime.
    pub conflict: Option<Conflict>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The line, from one; none where no line is to blame.
    pub line: Option<usize>,
    /// What is wrong.
    pub text: String,
}

/// What somebody else has saved while the text was being changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conflict {
    /// Who.
    pub who: String,
    /// When.
    pub at: Moment,
    /// Whether both changes could be merged without a doubt.
    pub is_merged: bool,
    /// What they changed.
    pub theirs: Vec<Line>,
}

/// A change before it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "routes_preview.html")]
pub struct Preview {
    /// What surrounds the page.
    pub shell: Shell,
    /// The new text.
    pub yaml: String,
    /// The version that the text is based on.
    pub version: String,
    /// The difference.
    pub diff: Vec<Line>,
    /// The names of tenants whose models are affected.
    pub tenants: Vec<String>,
    /// What requests for a model would do, before and after.
    pub explained: Vec<Explained>,
}

/// One line of a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What became of the line.
    pub change: Change,
    /// The line's number in the text that has it.
    pub number: usize,
    /// The line.
    pub text: String,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// The line stayed.
    #[default]
    Kept,
    /// The line is new.
    Added,
    /// The line went.
    Removed,
    /// Lines that stayed are left out here.
    Gap,
}

/// What a request for a model would do before and after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// The name that a client uses.
    pub model: String,
    /// The targets now, with the reason why each is taken or skipped.
    pub before: Vec<String>,
    /// The targets after the change.
    pub after: Vec<String>,
}

/// What a request for a model would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(path = "explain.html")]
pub struct Explanation {
    /// What surrounds the page.
    pub shell: Shell,
    /// The name that a client uses.
    pub model: String,
    /// Names that can be chosen.
    pub models: Vec<String>,
    /// Whether the name is known, and what it is.
    pub found: String,
    /// The targets in order.
    pub targets: Vec<Target>,
}

/// A target of an explanation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The provider and its model.
    pub name: String,
    /// Whether the target would be attempted.
    pub state: Pill,
    /// Why.
    pub reason: String,
}

impl Change {
    fn class(self) -> &'static str {
        match self {
            Self::Kept => "",
            Self::Added => "plus",
            Self::Removed => "minus",
            Self::Gap => "gap",
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Self::Added => "+",
            Self::Removed => "−",
            Self::Kept | Self::Gap => "",
        }
    }
}

/// A line of the text with what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbered<'a> {
    number: usize,
    text: &'a str,
    wrong: Vec<&'a str>,
}

/// Lines around each message that are shown.
const CONTEXT: usize = 2;

impl Editor {
    /// The lines around those that something is wrong with.
    fn excerpt(&self) -> Vec<Numbered<'_>> {
        let lines = self.yaml.lines().enumerate().map(|(index, text)| (index + 1, text));
        let near = lines.filter(|(number, _)| {
            self.messages
                .iter()
                .filter_map(|it| it.line)
                .any(|line| line.abs_diff(*number) <= CONTEXT)
        });
        let wrong = |number| {
            let messages = self.messages.iter().filter(|it| it.line == Some(number));
            messages.map(|it| it.text.as_str()).collect()
        };
        near.map(|(number, text)| Numbered { number, text, wrong: wrong(number) }).collect()
    }

    fn lineless(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|it| it.line.is_none())
    }
}

impl Preview {
    fn is_empty(&self) -> bool {
        self.diff.iter().all(|it| matches!(it.change, Change::Kept | Change::Gap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stands_at_its_line_with_the_lines_around_it() {
        let yaml = (1..=9).map(|it| format!("line{it}\n")).collect();
        let message = Message { line: Some(5), text: "unknown key".to_owned() };
        let editor = Editor { yaml, messages: vec![message], ..Editor::default() };
        let excerpt = editor.excerpt();
        let numbers: Vec<usize> = excerpt.iter().map(|it| it.number).collect();
        assert_eq!(numbers, [3, 4, 5, 6, 7]);
        assert_eq!(excerpt[2].wrong, ["unknown key"]);
    }
}
