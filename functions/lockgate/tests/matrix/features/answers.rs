//! What a provider says beside its text.

use super::{
    Dialect, Feature, Heard, PLAIN, Say, Script, Stop, Talk, Thinks, Tokens, Verdict, same, that,
};

pub(super) fn all() -> Vec<Feature> {
    let mut all = ends();
    all.extend(usages());
    all
}

fn ends() -> Vec<Feature> {
    vec![
        Feature {
            name: "finish: said",
            returns: |heard, _, _| same(&heard[0].stop, &Stop::Done),
            ..PLAIN
        },
        Feature {
            name: "finish: length",
            scripts: || vec![Script::text(["Hello"]).stops(Stop::Length)],
            returns: |heard, _, _| same(&heard[0].stop, &Stop::Length),
            ..PLAIN
        },
        Feature {
            name: "finish: stop text",
            talk: || Talk { stop: vec!["END"], ..Talk::of("Hi") },
            scripts: || vec![Script::text(["Hello"]).stops(Stop::Sequence("END".to_owned()))],
            returns: |heard, client, provider| {
                let claude = matches!(provider, Dialect::Anthropic | Dialect::Bedrock);
                let told = client == Dialect::Anthropic && claude;
                let wanted = if told { Stop::Sequence("END".to_owned()) } else { Stop::Done };
                same(&heard[0].stop, &wanted)
            },
            ..PLAIN
        },
        Feature {
            name: "finish: filtered",
            scripts: || vec![Script::text(["Hello"]).stops(Stop::Filtered)],
            returns: |heard, _, _| {
                let stop = &heard[0].stop;
                that(matches!(stop, Stop::Filtered | Stop::Refused), format!("{stop:?}"))
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
                let citation = Say::Citation {
                    url: "https://example.com/a".to_owned(),
                    title: "A".to_owned(),
                    quote: "Hello".to_owned(),
                };
                vec![Script::text(["Hello"]).then(citation)]
            },
            returns: |heard, _, _| {
                let wanted = ("https://example.com/a".to_owned(), "A".to_owned());
                same(&heard[0].citations, &vec![wanted])
            },
            ..PLAIN
        },
    ]
}

/// Told as a refusal, in whichever way the client's format has.
fn refused(heard: &[Heard], _: Dialect, provider: Dialect) -> Verdict {
    let heard = &heard[0];
    let words = if heard.refusal.is_empty() { &heard.text } else { &heard.refusal };
    same(words.as_str(), "I won't.")?;
    let told = !heard.refusal.is_empty() || matches!(heard.stop, Stop::Refused | Stop::Filtered);
    that(told, format!("{provider:?}'s refusal is no refusal: {heard:?}"))
}

const TOKENS: Tokens = Tokens { input: 50, cached: 30, written: 0, output: 12, thought: 8 };

fn usages() -> Vec<Feature> {
    vec![
        Feature {
            name: "usage",
            talk: || Talk { wants_usage: true, ..Talk::of("Hi") },
            scripts: || vec![Script::text(["Hello"]).uses(TOKENS)],
            returns: |heard, _, _| {
                let used = heard[0].usage.ok_or("no usage")?;
                same((used.read, used.wrote), (80, 20))
            },
            ..PLAIN
        },
        Feature {
            name: "usage: read from the cache",
            talk: || Talk { wants_usage: true, ..Talk::of("Hi") },
            scripts: || vec![Script::text(["Hello"]).uses(TOKENS)],
            returns: |heard, _, _| same(heard[0].usage.ok_or("no usage")?.cached, 30),
            ..PLAIN
        },
        Feature {
            name: "usage: written to the cache",
            talk: || Talk { wants_usage: true, ..Talk::of("Hi") },
            scripts: || vec![Script::text(["Hello"]).uses(Tokens { written: 5, ..TOKENS })],
            returns: |heard, client, provider| {
                let used = heard[0].usage.ok_or("no usage")?;
                same(used.read, 85)?;
                // Only Claude's providers tell it; Gemini has no place for it.
                let counts = matches!(provider, Dialect::Anthropic | Dialect::Bedrock);
                let told = counts && client != Dialect::Gemini;
                same(used.written, if told { 5 } else { 0 })
            },
            ..PLAIN
        },
        Feature {
            name: "usage: reasoning",
            talk: || Talk { wants_usage: true, thinks: Some(Thinks::Somehow), ..Talk::of("Hi") },
            scripts: || vec![Script::text(["Hello"]).uses(TOKENS)],
            returns: |heard, _, provider| {
                let used = heard[0].usage.ok_or("no usage")?;
                same(used.wrote, 20)?;
                // Anthropic counts it among the rest.
                let told = !matches!(provider, Dialect::Anthropic | Dialect::Bedrock);
                same(used.thought, if told { 8 } else { 0 })
            },
            ..PLAIN
        },
        Feature {
            name: "usage that nobody asked for",
            scripts: || vec![Script::text(["Hello"]).uses(TOKENS)],
            returns: |heard, client, _| {
                super::says(&heard[0], "Hello")?;
                // Only OpenAI's older API has to be asked.
                let told = client != Dialect::OpenAiChat || !heard[0].streamed;
                same(heard[0].usage.is_some(), told)
            },
            ..PLAIN
        },
    ]
}
