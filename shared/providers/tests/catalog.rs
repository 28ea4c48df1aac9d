//! What every line of the catalog promises.

#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use canonical::{ModelApi, Task};
use providers::{Auth, CATALOG, Key, Provider};

fn named(name: &str) -> &'static Provider {
    CATALOG.iter().copied().find(|it| it.name == name).unwrap()
}

#[test]
fn every_name_is_used_once() {
    let mut names: Vec<_> = CATALOG.iter().map(|it| it.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CATALOG.len());
}

#[test]
fn keys_are_sent_only_over_tls() {
    for provider in CATALOG.iter().filter(|it| it.key == Key::Required) {
        let url = provider.base_url;
        assert!(url.is_empty() || url.starts_with("https://"), "{}", provider.name);
    }
}

#[test]
fn a_local_server_needs_no_key() {
    for name in ["ollama", "lmstudio", "vllm"] {
        assert_eq!(named(name).key, Key::Optional, "{name}");
    }
}

#[test]
fn a_base_url_ends_with_its_version_and_without_a_slash() {
    for provider in CATALOG.iter().filter(|it| !it.base_url.is_empty()) {
        let host = provider.base_url.strip_suffix(provider.version).unwrap();
        let (_, host) = host.split_once("://").unwrap();
        assert!(!host.contains('/'), "{}", provider.name);
    }
}

#[test]
fn azure_names_the_model_in_its_path_and_the_key_in_its_own_header() {
    let azure = named("azure-openai");
    let path = azure.apis[0].path;
    assert!(path.contains("{model}") && path.contains("{api_version}"));
    assert_eq!(azure.auth, Auth::Header("api-key"));
}

#[test]
fn only_openai_compatible_embedding_providers_support_embeddings() {
    let embeds = |it: &Provider| it.apis.iter().any(|api| api.format.task() == Task::Embed);
    let cannot = [
        "anthropic",
        "bedrock-anthropic",
        "bedrock-openai",
        "cerebras",
        "deepseek",
        "groq",
        "openai-responses",
        "perplexity",
        "xai",
    ];
    for provider in CATALOG {
        assert_eq!(embeds(provider), !cannot.contains(&provider.name), "{}", provider.name);
    }
    let azure =
        named("azure-openai").apis.iter().find(|it| it.format.task() == Task::Embed).unwrap();
    assert!(azure.path.contains("{model}/embeddings?api-version={api_version}"));
}

#[test]
fn bedrock_uses_a_key_or_a_signature() {
    for name in ["bedrock", "bedrock-anthropic", "bedrock-openai"] {
        let bedrock = named(name);
        assert_eq!((bedrock.auth, bedrock.key), (Auth::SigV4("bedrock"), Key::Optional));
        assert!(bedrock.takes_region() && bedrock.base_url.starts_with("https://"));
    }
}

#[test]
fn models_without_chat_use_responses() {
    for name in ["openai", "azure-openai"] {
        let responses = named(name).apis[1];
        assert_eq!(responses.format.outbound().name(), "openai_responses");
        assert_eq!(responses.only_with, Some(ModelApi::Responses), "{name}");
    }
}

#[test]
fn a_responses_only_provider_has_no_other_api() {
    let formats: Vec<_> =
        named("openai-responses").apis.iter().map(|it| it.format.outbound().name()).collect();
    assert_eq!(formats, ["openai_responses", "openai_responses_compact"]);
}

#[test]
fn gemini_uses_its_own_format_and_a_key_header() {
    let gemini = named("gemini");
    assert_eq!(gemini.auth, Auth::Header("x-goog-api-key"));
    let tasks: Vec<_> =
        gemini.apis.iter().map(|it| (it.format.task(), it.format.outbound().name())).collect();
    assert_eq!(
        tasks,
        [
            (canonical::Task::Chat, "gemini"),
            (canonical::Task::CountTokens, "gemini_count_tokens"),
            (canonical::Task::Embed, "gemini_embeddings"),
        ]
    );
    assert!(gemini.apis[0].stream_path.unwrap().ends_with("?alt=sse"));
}

#[test]
fn anthropic_uses_a_key_header_and_a_version_header() {
    let anthropic = named("anthropic");
    assert_eq!(anthropic.auth, Auth::Header("x-api-key"));
    assert_eq!(anthropic.headers, [("anthropic-version", "2023-06-01")]);
    let spoken: Vec<_> = anthropic.apis.iter().map(|it| (it.format.task(), it.path)).collect();
    let expected = [(Task::Chat, "/messages"), (Task::CountTokens, "/messages/count_tokens")];
    assert_eq!(spoken, expected);
}
