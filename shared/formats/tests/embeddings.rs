//! Embeddings, case by case, as in `golden.rs`: they have no streams, and pair only with each other.

#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

#[path = "golden/case.rs"]
mod case;

use bytes::Bytes;
use canonical::{CallSummary, Error, Origin, ResponseBody, Result};
use formats::{
    ClientFormat, DecodeMode, DecodeOptions, EncodeOptions, EncodedRequest, GatewayRequest,
    InboundEmbeddings, OutboundEmbeddings, aws::embeddings::BedrockEmbeddings, from_provider,
    google::embeddings::GeminiEmbeddings, openai::embeddings::OpenAiEmbeddings,
};

const CLIENT: &dyn InboundEmbeddings = &OpenAiEmbeddings;

/// Each format of a provider, its folder, and the models whose requests differ.
const PROVIDERS: &[(&str, &dyn OutboundEmbeddings, &[&str])] = &[
    ("openai/embeddings", &OpenAiEmbeddings, &["text-embedding-3-small"]),
    ("google/embeddings", &GeminiEmbeddings, &["gemini-embedding-001"]),
    (
        "aws/embeddings",
        &BedrockEmbeddings,
        &["amazon.titan-embed-text-v2:0", "us.cohere.embed-v4:0", "cohere.embed-english-v3"],
    ),
];

#[test]
fn requests_are_encoded_as_expected() {
    case::check("openai/embeddings", "request", |input| {
        let request = match CLIENT.decode(Bytes::copy_from_slice(input)) {
            Ok(request) => request,
            Err(error) => return refusal(&error),
        };
        let mut text = format!("model: {:?}\n", request.model);
        for (_, provider, models) in PROVIDERS {
            for model in *models {
                section(&mut text, &format!("sent to {model}"), &sent(*provider, model, &request));
            }
        }
        text
    });
}

fn sent(provider: &dyn OutboundEmbeddings, model: &str, request: &GatewayRequest) -> String {
    let facts = model_catalog::facts("", model);
    let target = EncodeOptions { model, facts: &facts, ..EncodeOptions::default() };
    let mut other = String::new();
    let encoded = if provider.name() == CLIENT.format().name {
        request.passthrough(&target)
    } else {
        request.canonical().and_then(|canonical| {
            other = canonical.unmapped_fields().join(", ");
            provider.encode(canonical.embedding()?, &target)
        })
    };
    match encoded {
        Ok(EncodedRequest { body, dropped, .. }) => {
            let words: Vec<_> = dropped.iter().map(request.format.word).collect();
            let line = |name: &str, words: &str| {
                if words.is_empty() { String::new() } else { format!("{name}: {words}\n") }
            };
            line("unsupported", &other) + &line("dropped", &words.join(", ")) + &lossy(&body)
        }
        Err(error) => refusal(&error),
    }
}

#[test]
fn responses_are_encoded_as_expected() {
    for (folder, provider, _) in PROVIDERS {
        case::check(folder, "response", |input| {
            let read = |purpose| {
                let reading = DecodeOptions { mode: purpose, ..DecodeOptions::default() };
                provider.response(Bytes::copy_from_slice(input), reading)
            };
            answer(provider.name() == CLIENT.format().name, read)
        });
    }
}

fn answer(same: bool, read: impl Fn(DecodeMode) -> Result<canonical::GatewayResponse>) -> String {
    let client = ClientFormat::Embeddings(CLIENT);
    let summary = CallSummary { model: "provider/model".to_owned(), ..CallSummary::default() };
    let mut response =
        match read(if same { DecodeMode::Passthrough } else { DecodeMode::Translate }) {
            Ok(response) => response,
            Err(error) => return failure(error),
        };
    let mut text = format!("usage: {:?}\n", response.usage.map(|it| it.input));
    section(&mut text, "to the client", &lossy(&client.encode(&response, &summary, None)));
    if let ResponseBody::Embedding(vectors) = &mut response.body {
        vectors.base64 = true;
        let answer = client.encode(&response, &summary, None);
        section(&mut text, "to a client that wants base64", &lossy(&answer));
    }
    text
}

#[test]
fn errors_are_decoded_as_expected() {
    for (folder, ..) in PROVIDERS {
        case::check(folder, "error", |input| {
            let text = std::str::from_utf8(input).unwrap();
            let (status, body) = text.split_once("\n\n").unwrap();
            failure(from_provider(status.trim().parse().unwrap(), None, body.as_bytes()))
        });
    }
}

#[test]
fn every_kind_has_cases() {
    assert!(!case::all("openai/embeddings", "request").is_empty());
    for (folder, ..) in PROVIDERS {
        for kind in ["response", "error"] {
            assert!(!case::all(folder, kind).is_empty(), "{folder}/{kind}");
        }
    }
}

/// What is decoded of a provider's failure, and what a client reads of it.
fn failure(error: Error) -> String {
    let mut text = format!(
        "kind: {:?}\ntry_next: {}\nprovider_status: {:?}\nretry_after: {:?}\n",
        error.kind,
        error.kind.advances(),
        error.provider_status,
        error.retry_after
    );
    text.push_str(&refusal(&error.from_origin(Origin::Provider("upstream".to_owned()))));
    text
}

/// What a client reads of a failure.
fn refusal(error: &Error) -> String {
    let mut text = format!("status: {}\n", error.status());
    section(&mut text, "to the client", &lossy(&CLIENT.error(error, "req_golden")));
    text
}

fn section(text: &mut String, title: &str, body: &str) {
    text.push_str(&format!("\n== {title}\n{}\n", body.trim_end_matches('\n')));
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
