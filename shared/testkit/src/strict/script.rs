//! What a strict provider answers, in words that no format owns.

/// One answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// What is said, in order.
    pub content: Vec<ScriptedContent>,
    /// Why it ends.
    pub stop: Stop,
    /// What it consumed.
    pub tokens: Tokens,
    /// What goes wrong on the way.
    pub injected_fault: Option<InjectedFault>,
}

/// One thing that is said, in the pieces in which a stream brings it.
#[derive(Clone, Debug, PartialEq)]
pub enum ScriptedContent {
    /// Text.
    Text(Vec<String>),
    /// A thought, which the provider signs where its API does such a thing.
    Reasoning(Vec<String>),
    /// A thought that nobody may read.
    RedactedReasoning,
    /// A refusal.
    Refusal(Vec<String>),
    /// A wish to have a tool called.
    Call {
        /// Its id, where the API has any.
        id: String,
        /// The tool.
        name: String,
        /// JSON text; none at all for no arguments.
        arguments: Vec<String>,
    },
    /// Where the text before comes from.
    Citation {
        /// The page.
        url: String,
        /// Its title.
        title: String,
        /// The words that are quoted.
        quote: String,
    },
}

/// Why an answer ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// It is said.
    #[default]
    Done,
    /// It may write no more.
    Length,
    /// Tools are to be called.
    Tools,
    /// A filter stopped it.
    Filtered,
    /// The model refuses.
    Refusal,
    /// One of the client's texts came up.
    Sequence(String),
}

/// Tokens in classes that do not overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read at full price.
    pub input: u64,
    /// Read from the cache.
    pub cached: u64,
    /// Written to the cache.
    pub written: u64,
    /// Written, without thoughts.
    pub output: u64,
    /// Written as thoughts.
    pub reasoning: u64,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectedFault {
    /// The request is answered with this status and the API's own error.
    Status(u16),
    /// A stream begins with an error event.
    ErrorFirst,
    /// A stream has an error event in place of its end.
    ErrorLast,
    /// The connection breaks in place of the end.
    Cut,
    /// The body ends lawfully, but without the end of the answer.
    EndsEarly,
}

impl Script {
    /// An answer of one text, in these pieces, with a little usage.
    pub fn text<'a>(chunks: impl IntoIterator<Item = &'a str>) -> Self {
        let tokens = Tokens { input: 9, output: 12, ..Tokens::default() };
        Self { tokens, ..Self::default() }.then_text(chunks)
    }

    /// The same, and more text.
    #[must_use]
    pub fn then_text<'a>(self, chunks: impl IntoIterator<Item = &'a str>) -> Self {
        self.then(ScriptedContent::Text(owned(chunks)))
    }

    /// The same, and a thought.
    #[must_use]
    pub fn then_reasoning<'a>(self, chunks: impl IntoIterator<Item = &'a str>) -> Self {
        self.then(ScriptedContent::Reasoning(owned(chunks)))
    }

    /// The same, and a refusal that ends it.
    #[must_use]
    pub fn then_refusal<'a>(mut self, chunks: impl IntoIterator<Item = &'a str>) -> Self {
        self.stop = Stop::Refusal;
        self.then(ScriptedContent::Refusal(owned(chunks)))
    }

    /// The same, and a tool call that ends it.
    #[must_use]
    pub fn then_call<'a>(
        mut self,
        id: &str,
        name: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.stop = Stop::Tools;
        let (id, name) = (id.to_owned(), name.to_owned());
        self.then(ScriptedContent::Call { id, name, arguments: owned(arguments) })
    }

    /// The same, and one thing more.
    #[must_use]
    pub fn then(mut self, say: ScriptedContent) -> Self {
        self.content.push(say);
        self
    }

    /// The same with another end.
    #[must_use]
    pub fn with_stop(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// The same with another usage.
    #[must_use]
    pub fn with_tokens(self, tokens: Tokens) -> Self {
        Self { tokens, ..self }
    }

    /// The same, going wrong.
    #[must_use]
    pub fn with_fault(self, injected_fault: InjectedFault) -> Self {
        Self { injected_fault: Some(injected_fault), ..self }
    }

    /// Whether anything of this kind is said.
    pub(super) fn has_calls(&self) -> bool {
        self.content.iter().any(|it| matches!(it, ScriptedContent::Call { .. }))
    }
}

impl Tokens {
    /// Everything read.
    pub fn all_input(&self) -> u64 {
        self.input + self.cached + self.written
    }

    /// Everything written.
    pub fn all_output(&self) -> u64 {
        self.output + self.reasoning
    }
}

fn owned<'a>(chunks: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    chunks.into_iter().map(str::to_owned).collect()
}
