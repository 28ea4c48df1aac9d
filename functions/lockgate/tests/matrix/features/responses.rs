//! Features of a response beside its text.

use super::{
    Conversation, Feature, Format, PLAIN, ReasoningSetting, ReceivedResponse, Script,
    ScriptedContent, Stop, Tokens, Verdict, same, that,
};

pub(super) fn all() -> Vec<Feature> {
    let mut all = ends();
    all.extend(usages());
    all
}

fn ends() -> Vec<Feature> {
    vec![
        Feature {
            name: "finish: end of turn",
            returns: |responses, _, _| same(&responses[0].stop, &Stop::Done),
            ..PLAIN
        },
        Feature {
            name: "finish: length",
            scripts: || vec![Script::text(["Hello"]).with_stop(Stop::Length)],
            returns: |responses, _, _| same(&responses[0].stop, &Stop::Length),
            ..PLAIN
        },
        Feature {
            name: "finish: stop sequence",
            conversation: || Conversation { stop: vec!["END"], ..Conversation::of("Hi") },
            scripts: || vec![Script::text(["Hello"]).with_stop(Stop::Sequence("END".to_owned()))],
            returns: |responses, client, provider| {
                let claude = matches!(provider, Format::Anthropic | Format::Bedrock);
                let is_reported = client == Format::Anthropic && claude;
                let wanted =
                    if is_reported { Stop::Sequence("END".to_owned()) } else { Stop::Done };
                same(&responses[0].stop, &wanted)
            },
            ..PLAIN
        },
        Feature {
            name: "finish: filtered",
            scripts: || vec![Script::text(["Hello"]).with_stop(Stop::Filtered)],
            returns: |responses, _, _| {
                let stop = &responses[0].stop;
                that(matches!(stop, Stop::Filtered | Stop::Refusal), format!("{stop:?}"))
            },
            ..PLAIN
        },
        Feature {
            name: "refusal",
            scripts: || vec![Script::default().then_refusal(["I ", "won't."])],
            returns: refused,
            ..PLAIN
        },
        Feature {
            name: "citations",
            scripts: || {
                let citation = ScriptedContent::Citation {
                    url: "https://example.com/a".to_owned(),
                    title: "A".to_owned(),
                    quote: "Hello".to_owned(),
                };
                vec![Script::text(["Hello"]).then(citation)]
            },
            returns: |responses, _, _| {
                let wanted = ("https://example.com/a".to_owned(), "A".to_owned());
                same(&responses[0].citations, &vec![wanted])
            },
            ..PLAIN
        },
    ]
}

/// Checks for a refusal, in whichever way the client's format has.
fn refused(responses: &[ReceivedResponse], _: Format, provider: Format) -> Verdict {
    let responses = &responses[0];
    let words = if responses.refusal.is_empty() { &responses.text } else { &responses.refusal };
    same(words.as_str(), "I won't.")?;
    let is_reported =
        !responses.refusal.is_empty() || matches!(responses.stop, Stop::Refusal | Stop::Filtered);
    that(is_reported, format!("{provider:?}'s refusal is no refusal: {responses:?}"))
}

const TOKENS: Tokens = Tokens { input: 50, cached: 30, written: 0, output: 12, reasoning: 8 };

fn usages() -> Vec<Feature> {
    vec![
        Feature {
            name: "usage",
            conversation: || Conversation { wants_usage: true, ..Conversation::of("Hi") },
            scripts: || vec![Script::text(["Hello"]).with_tokens(TOKENS)],
            returns: |responses, _, _| {
                let used = responses[0].usage.ok_or("no usage")?;
                same((used.read, used.output_tokens), (80, 20))
            },
            ..PLAIN
        },
        Feature {
            name: "usage: read from the cache",
            conversation: || Conversation { wants_usage: true, ..Conversation::of("Hi") },
            scripts: || vec![Script::text(["Hello"]).with_tokens(TOKENS)],
            returns: |responses, _, _| same(responses[0].usage.ok_or("no usage")?.cached, 30),
            ..PLAIN
        },
        Feature {
            name: "usage: written to the cache",
            conversation: || Conversation { wants_usage: true, ..Conversation::of("Hi") },
            scripts: || vec![Script::text(["Hello"]).with_tokens(Tokens { written: 5, ..TOKENS })],
            returns: |responses, client, provider| {
                let used = responses[0].usage.ok_or("no usage")?;
                same(used.read, 85)?;
                // Only Claude's providers report it; Gemini has no place for it.
                let counts = matches!(provider, Format::Anthropic | Format::Bedrock);
                let is_reported = counts && client != Format::Gemini;
                same(used.written, if is_reported { 5 } else { 0 })
            },
            ..PLAIN
        },
        Feature {
            name: "usage: reasoning",
            conversation: || Conversation {
                wants_usage: true,
                reasoning_setting: Some(ReasoningSetting::Somehow),
                ..Conversation::of("Hi")
            },
            scripts: || vec![Script::text(["Hello"]).with_tokens(TOKENS)],
            returns: |responses, _, provider| {
                let used = responses[0].usage.ok_or("no usage")?;
                same(used.output_tokens, 20)?;
                // Anthropic counts it among the rest.
                let is_reported = !matches!(provider, Format::Anthropic | Format::Bedrock);
                same(used.reasoning, if is_reported { 8 } else { 0 })
            },
            ..PLAIN
        },
        Feature {
            name: "unrequested usage",
            scripts: || vec![Script::text(["Hello"]).with_tokens(TOKENS)],
            returns: |responses, client, _| {
                super::says(&responses[0], "Hello")?;
                // Only OpenAI chat must be requested to.
                let is_reported = client != Format::OpenAiChat || !responses[0].streamed;
                same(responses[0].usage.is_some(), is_reported)
            },
            ..PLAIN
        },
    ]
}
