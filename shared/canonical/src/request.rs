//! What a client asks.

use std::{borrow::Cow, fmt, ops::Range, sync::OnceLock};

use bytes::Bytes;

use crate::{Conversation, Embedding, Error, ErrorKind, Field, Result};

/// A wire format, as far as a request has to know of the one that it came in.
pub struct Format {
    /// Its name, such as `openai_chat`. Bytes are forwarded as they are between the two sides that
    /// share it.
    pub name: &'static str,
    /// Reads what a request says: needed only where a provider speaks another format.
    pub understand: fn(&Raw) -> Result<CanonicalRequest>,
    /// The format's own word for something that a request may say.
    pub word: fn(&Field) -> Cow<'static, str>,
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The next turn of a conversation.
    Converse,
    /// The numbers of texts.
    Embed,
    /// How many tokens a conversation has.
    CountTokens,
}

/// What a request says, in words that no format owns.
#[derive(Clone, Debug, PartialEq)]
pub enum CanonicalRequest {
    /// A conversation, to be continued or counted.
    Conversation(Box<Conversation>),
    /// Texts that are wanted as numbers.
    Embedding(Embedding),
}

/// How the pieces of a streamed answer are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Events,
    /// The elements of one JSON array.
    Array,
}

/// One question, as far as the gateway has to understand it.
#[derive(Debug)]
pub struct GatewayRequest {
    /// What it came in.
    pub format: &'static Format,
    /// What is wanted.
    pub task: Task,
    /// The client's name for the model; absent when it left the choice to us.
    pub model: Option<String>,
    /// Whether the answer is wanted piece by piece.
    pub stream: bool,
    /// How the pieces are told apart.
    pub framing: Framing,
    /// Whether the client wants a stream to report its usage.
    pub wants_usage: bool,
    /// Whether it offers tools and demands a response format other than plain text, both at once.
    pub has_tools_and_format: bool,
    /// When it arrived, in milliseconds since 1970.
    pub arrived: u64,
    /// Headers that a provider of the same format gets too: of the few that the format allows.
    pub headers: Vec<(&'static str, String)>,
    /// The client's own bytes, for a provider that speaks the same format.
    pub raw: Raw,
    understood: OnceLock<CanonicalRequest>,
}

impl GatewayRequest {
    /// A question in a format, with nothing known of it but its bytes.
    pub fn new(format: &'static Format, task: Task, raw: Raw) -> Self {
        Self {
            format,
            task,
            model: None,
            stream: false,
            framing: Framing::default(),
            wants_usage: false,
            has_tools_and_format: false,
            arrived: 0,
            headers: vec![],
            raw,
            understood: OnceLock::new(),
        }
    }

    /// What it says, read once and only when a provider speaks another format.
    pub fn meaning(&self) -> Result<&CanonicalRequest> {
        if let Some(meaning) = self.understood.get() {
            return Ok(meaning);
        }
        let meaning = (self.format.understand)(&self.raw)?;
        Ok(self.understood.get_or_init(|| meaning))
    }
}

impl CanonicalRequest {
    /// The conversation that it is.
    pub fn conversation(&self) -> Result<&Conversation> {
        match self {
            Self::Conversation(conversation) => Ok(conversation),
            Self::Embedding(_) => Err(not_of_this_task()),
        }
    }

    /// The texts that it is.
    pub fn embedding(&self) -> Result<&Embedding> {
        match self {
            Self::Embedding(embedding) => Ok(embedding),
            Self::Conversation(_) => Err(not_of_this_task()),
        }
    }

    /// What no other format has a word for, by the client's names.
    pub fn other(&self) -> &[String] {
        match self {
            Self::Conversation(conversation) => &conversation.other,
            Self::Embedding(embedding) => &embedding.other,
        }
    }

    /// The same question with less in it, where a policy wants that.
    #[must_use]
    pub fn without(&self, fields: &[Field]) -> Cow<'_, Self> {
        let Self::Conversation(conversation) = self else {
            return Cow::Borrowed(self);
        };
        if fields.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut less = conversation.clone();
        for field in fields {
            match field {
                Field::Output => less.output = None,
                Field::OutputSchema => less.tell_schema(),
                Field::Tools => less.tools.clear(),
                Field::ToolChoice => less.tool_choice = None,
                Field::ParallelToolCalls => less.parallel_tool_calls = None,
                Field::MaxTokens => less.max_tokens = None,
                Field::Temperature => less.sampling.temperature = None,
                Field::TopP => less.sampling.top_p = None,
                Field::TopK => less.sampling.top_k = None,
                Field::FrequencyPenalty => less.sampling.frequency_penalty = None,
                Field::PresencePenalty => less.sampling.presence_penalty = None,
                Field::Seed => less.sampling.seed = None,
                Field::Stop => less.sampling.stop.clear(),
                Field::N => less.sampling.n = None,
                Field::Reasoning => less.reasoning = None,
                Field::User => less.user = None,
                Field::Metadata => less.metadata.clear(),
                Field::ServiceTier => less.service_tier = None,
                Field::Verbosity => less.verbosity = None,
                Field::PromptCacheKey => less.prompt_cache_key = None,
                _ => {}
            }
        }
        Cow::Owned(Self::Conversation(less))
    }

    /// How much may be written at most, if the question says so.
    pub fn max_tokens(&self) -> Option<u64> {
        match self {
            Self::Conversation(conversation) => conversation.max_tokens,
            Self::Embedding(_) => None,
        }
    }

    /// The same question with another limit on what may be written.
    #[must_use]
    pub fn with_max_tokens(mut self, limit: u64) -> Self {
        if let Self::Conversation(conversation) = &mut self {
            conversation.max_tokens = Some(limit);
        }
        self
    }

    /// The same question without what proves its thoughts and calls.
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        if let Self::Conversation(conversation) = &mut self {
            let parts = conversation.turns.iter_mut().flat_map(|it| &mut it.parts);
            parts.for_each(|it| it.signature = None);
        }
        self
    }
}

fn not_of_this_task() -> Error {
    Error::new(ErrorKind::Internal, "A request reached a format of another task.")
}

/// JSON text, as somebody wrote it: key order and number text intact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(pub String);

/// A JSON object as it came, with the places of its members.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The whole body.
    pub body: Bytes,
    /// Its members, in the order in which they came.
    pub members: Vec<Member>,
}

/// Where one member of a JSON object lies in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The key, quotes included.
    pub key: Range<usize>,
    /// The value.
    pub value: Range<usize>,
}
