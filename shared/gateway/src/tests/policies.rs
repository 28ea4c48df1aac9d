//! What a tenant's settings add to its requests, and what they refuse.

use canonical::ErrorKind;
use tenants::SystemPromptMode;
use testkit::openai;

use super::{
    limits::tenant,
    support::{TestGateway, config, provider},
};

#[tokio::test]
async fn a_system_prompt_and_a_limit_reach_the_provider() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = TestGateway::start(&config(&[("first", &first)])).await;
    let tenant = tenant(|it| {
        it.requests.system_prompt = Some("Be kind.".to_owned());
        it.requests.system_prompt_mode = SystemPromptMode::Prepend;
        it.requests.max_output_tokens = Some(77);
    });
    gateway.answer(gateway.call_of(&tenant, "both", false).await).await.unwrap();
    let sent = first.requests().remove(0).json();
    assert_eq!(sent["messages"][0]["content"], "Be kind.", "{sent}");
    assert_eq!(sent["messages"][1]["role"], "user");
    assert_eq!(sent["max_tokens"], 77);
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_refused() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = TestGateway::start(&config(&[("first", &first)])).await;
    let short = tenant(|it| it.requests.max_input_tokens = Some(5));
    let refused = gateway.answer(gateway.call_of(&short, "both", false).await).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidRequest);
    assert!(refused.message().contains("max_input_tokens"), "{}", refused.message());
    let long = tenant(|it| it.requests.max_input_tokens = Some(500));
    gateway.answer(gateway.call_of(&long, "both", false).await).await.unwrap();
}

#[tokio::test]
async fn a_response_without_output_is_refused_and_not_sent_on_as_no_limit() {
    let first = provider([openai::completion("Hi")]).await;
    let gateway = TestGateway::start(&config(&[("first", &first)])).await;
    let silent = tenant(|it| it.requests.max_output_tokens = Some(0));
    let refused = gateway.answer(gateway.call_of(&silent, "both", false).await).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    assert!(first.requests().is_empty());
}

#[tokio::test]
async fn the_fallback_models_of_a_tenant_come_behind_what_it_asks_for() {
    let first = provider([openai::error(500, "server_error", "no")]).await;
    let second = provider([openai::completion("Hi")]).await;
    let yaml = config(&[("first", &first), ("second", &second)]);
    let gateway = TestGateway::start(&yaml).await;
    let tenant = tenant(|it| {
        it.models.fallback = vec!["gone".to_owned(), "second/other".to_owned()];
    });
    let response =
        gateway.answer(gateway.call_of(&tenant, "first/own", false).await).await.unwrap();
    assert_eq!((response.provider.as_str(), response.model.as_str()), ("second", "other"));
    assert_eq!(first.requests().len(), 1);
}
