//! Scripted responses of strict providers, independent of the format.

/// One response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// The content, in order.
    pub content: Vec<ScriptedContent>,
    /// The finish reason.
    pub stop: Stop,
    /// The usage.
    pub tokens: Tokens,
    /// The fault to inject.
    pub injected_fault: Option<InjectedFault>,
}

/// One part of a response, in the chunks in which a stream sends it.
#[derive(Clone, Debug, PartialEq)]
pub enum ScriptedContent {
    /// Text.
    Text(Vec<String>),
    /// Reasoning, signed where the API signs it.
    Reasoning(Vec<String>),
    /// Redacted reasoning.
    RedactedReasoning,
    /// A refusal.
    Refusal(Vec<String>),
    /// A tool call.
    Call {
        /// The call's id, where the API has any.
        id: String,
        /// The tool.
        name: String,
        /// JSON text; none at all for no arguments.
        arguments: Vec<String>,
    },
    /// A citation of the text before.
    Citation {
        /// The page.
        url: String,
        /// The page's title.
        title: String,
        /// The words that are quoted.
        quote: String,
    },
}

/// Why a response ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// The turn ended.
    #[default]
    Done,
    /// The output limit was reached.
    Length,
    /// Tools are to be called.
    Tools,
    /// A filter stopped it.
    Filtered,
    /// The model refused.
    Refusal,
    /// A stop sequence was generated.
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
    /// Output, without reasoning.
    pub output: u64,
    /// Reasoning output.
    pub reasoning: u64,
}

/// An injected fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectedFault {
    /// The response has this status and the API's own error.
    Status(u16),
    /// A stream begins with an error event.
    ErrorFirst,
    /// A stream has an error event in place of its end.
    ErrorLast,
    /// The connection breaks in place of the end.
    Cut,
    /// The body ends properly, but without the end of the response.
    EndsEarly,
    /// The connection breaks after two thirds of a stream's events.
    CutMidway,
    /// A stream sends nothing more after two thirds of its events.
    StallsMidway,
    /// After two thirds of its events, one of a stream is no JSON; the rest follows.
    MalformedMidway,
    /// A stream has everything but its terminator, where its format has one.
    LacksTerminator,
    /// The head comes, and nothing after it.
    SilentBody,
    /// Nothing comes.
    Silent,
    /// The connection is closed before a response.
    Reset,
    /// Requests are refused for this many seconds, which the response names.
    RetryAfter(u32),
    /// The prompt is longer than the model can hold, in the API's own words.
    TooLong,
    /// The prompt is refused for its content.
    Filtered,
    /// The model does not go on with a message of its own.
    NoPrefill,
}

impl Script {
    /// A response of one text, in these chunks, with a little usage.
    pub fn text<'a>(chunks: impl IntoIterator<Item = &'a str>) -> Self {
        let tokens = Tokens { input: 9, output: 12, ..Tokens::default() };
        Self { tokens, ..Self::default() }.then_text(chunks)
    }

    /// The script with more text.
    #[must_use]
    pub fn then_text<'a>(self, chunks: impl IntoIterator<Item = &'a str>) -> Self {
        self.then(ScriptedContent::Text(owned(chunks)))
    }

    /// The script with reasoning behind it.
    #[must_use]
    pub fn then_reasoning<'a>(self, chunks: impl IntoIterator<Item = &'a str>) -> Self {
        self.then(ScriptedContent::Reasoning(owned(chunks)))
    }

    /// The script with a refusal that ends it.
    #[must_use]
    pub fn then_refusal<'a>(mut self, chunks: impl IntoIterator<Item = &'a str>) -> Self {
        self.stop = Stop::Refusal;
        self.then(ScriptedContent::Refusal(owned(chunks)))
    }

    /// The script with a tool call that ends it.
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

    /// The script with one more part.
    #[must_use]
    pub fn then(mut self, say: ScriptedContent) -> Self {
        self.content.push(say);
        self
    }

    /// The script with another finish reason.
    #[must_use]
    pub fn with_stop(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// The script with another usage.
    #[must_use]
    pub fn with_tokens(self, tokens: Tokens) -> Self {
        Self { tokens, ..self }
    }

    /// The script with an injected fault.
    #[must_use]
    pub fn with_fault(self, injected_fault: InjectedFault) -> Self {
        Self { injected_fault: Some(injected_fault), ..self }
    }

    /// Whether there is a tool call.
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
