//! Responses in another form than requested: streams for whole ones, compressed ones, unusual statuses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse};

use crate::support::{
    ask, attempts_of, error_of, gateway_for, hello, hello_streamed, text_in, text_of,
};

/// Two chunks and the terminator, as a relay sends them.
const EVENTS: &str = "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":null}]}\n\ndata: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}\n\ndata: [DONE]\n\n";

/// The uncompressed body: a completion with the text `Hi`.
const GZIP: &str = "H4sIAAAAAAACA0WOYQrCMAyFrzLyW8UJIngC7yAyahddtGtGE0EYvbtpYe5f3veSvDcD9XBuwA9O/TiFbQubBvj+Qq8L33k2B5U4FtMndIrlqjU1co+hbI7VG5g8iunrDBR7/Nq4L2so4p5oaobEoQzgREjURa2XHBVjzbwQZCMPiiRDZ2liwcZFeYJ8M+vz/zUl66ad8htjiT3WV0vdlR+MK6sLKzrl/AOhmjrH/gAAAA==";

async fn provider_with(response: ScriptedResponse) -> FakeProvider {
    let fake = FakeProvider::start().await;
    fake.respond_with([response]);
    fake
}

#[tokio::test]
async fn a_stream_is_detected_by_its_bytes_and_not_its_content_type() {
    for kind in ["application/json", "text/plain", "text/html", "application/octet-stream"] {
        let first = provider_with(ScriptedResponse::raw(200, kind, EVENTS)).await;
        let gateway = gateway_for(&first, "").await;
        let response = ask(&gateway, &hello_streamed("first/m")).await;
        assert_eq!(response.status, 200, "{kind}");
        let stream = response.text().await.unwrap();
        assert_eq!(text_in(&stream), "Hi", "{kind}: {stream}");
        assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
    }
}

#[tokio::test]
async fn an_unrequested_stream_becomes_a_whole_response() {
    for kind in ["application/json", "text/event-stream"] {
        let first = provider_with(ScriptedResponse::raw(200, kind, EVENTS)).await;
        let gateway = gateway_for(&first, "").await;
        let response = ask(&gateway, &hello("first/m")).await.json().await.unwrap();
        assert_eq!(response["choices"][0]["message"]["content"], "Hi", "{response}");
        assert_eq!(response["usage"]["total_tokens"], 4, "{response}");
        assert_eq!(attempts_of(&response["x_gateway"]), ["first success 200"]);
    }
}

#[tokio::test]
async fn a_byte_order_mark_means_nothing() {
    let whole = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}"#;
    for body in [whole, EVENTS] {
        let body = format!("\u{feff}{body}");
        let first = provider_with(ScriptedResponse::raw(200, "application/json", body)).await;
        let gateway = gateway_for(&first, "").await;
        let response = ask(&gateway, &hello("first/m")).await.json().await.unwrap();
        assert_eq!(response["choices"][0]["message"]["content"], "Hi", "{response}");
        let stream = ask(&gateway, &hello_streamed("first/m")).await.text().await.unwrap();
        assert_eq!(text_in(&stream), "Hi", "{stream}");
    }

    let error = "\u{feff}{\"error\":{\"message\":\"no such thing\"}}";
    let first = provider_with(ScriptedResponse::raw(400, "application/json", error)).await;
    let gateway = gateway_for(&first, "").await;
    let (status, error) = error_of(ask(&gateway, &hello("first/m")).await).await;
    assert_eq!((status, &error["message"]), (400, &json!("Provider first: no such thing")));
}

#[tokio::test]
async fn an_incomplete_unrequested_stream_is_a_failure() {
    let half = EVENTS.split_once("\n\n").unwrap().0.to_owned() + "\n\n";
    let first = provider_with(ScriptedResponse::raw(200, "text/event-stream", half)).await;
    let gateway = gateway_for(&first, "").await;
    let (status, _) = error_of(ask(&gateway, &hello("first/m")).await).await;
    assert_eq!(status, 502);
}

#[tokio::test]
async fn a_whole_response_to_a_streaming_request_becomes_a_stream() {
    let first = provider_with(openai::completion("Hi")).await;
    let gateway = gateway_for(&first, "").await;
    let response = ask(&gateway, &hello_streamed("first/m")).await;
    assert_eq!(response.headers["content-type"], "text/event-stream");
    let stream = response.text().await.unwrap();
    assert_eq!(text_in(&stream), "Hi", "{stream}");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
}

#[tokio::test]
async fn an_error_in_place_of_a_stream_stays_an_error() {
    let error = json!({"error": {"message": "overloaded", "type": "server_error", "code": null}});
    let first = provider_with(ScriptedResponse::json(200, &error)).await;
    let gateway = gateway_for(&first, "").await;
    let (status, _) = error_of(ask(&gateway, &hello_streamed("first/m")).await).await;
    assert_eq!(status, 502);
}

#[tokio::test]
async fn an_unrequested_compressed_response_is_decompressed() {
    let packed = STANDARD.decode(GZIP).unwrap();
    let response =
        ScriptedResponse::raw(200, "application/json", packed).header("content-encoding", "gzip");
    let first = provider_with(response).await;
    let gateway = gateway_for(&first, "").await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
    assert_eq!(first.requests()[0].header("accept-encoding"), "identity");
}

#[tokio::test]
async fn a_body_with_a_wrong_content_encoding_is_a_failure() {
    let response = openai::completion("Hi").header("content-encoding", "gzip");
    let first = provider_with(response).await;
    let gateway = gateway_for(&first, "").await;
    let (status, error) = error_of(ask(&gateway, &hello("first/m")).await).await;
    assert_eq!(status, 502);
    assert!(error["message"].as_str().unwrap().contains("`Content-Encoding`"), "{error}");
}

#[tokio::test]
async fn every_2xx_is_a_success_and_an_empty_body_is_a_failure() {
    for status in [201, 202, 203] {
        let first = provider_with(openai::completion("Hi").status(status)).await;
        let gateway = gateway_for(&first, "").await;
        assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
    }
    let first = provider_with(ScriptedResponse::raw(202, "application/json", "")).await;
    let gateway = gateway_for(&first, "").await;
    let (status, _) = error_of(ask(&gateway, &hello("first/m")).await).await;
    assert_eq!(status, 502);
}
