//! Answers in another form than was asked for: streams for whole ones, compressed ones, odd statuses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use testkit::openai;
use testkit::provider::{Answer, Fake};

use crate::support::{ask, before, hello, hello_streamed, refused, text_in, text_of, trail};

/// Two chunks and the terminator, as a relay sends them.
const EVENTS: &str = "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":null}]}\n\ndata: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}\n\ndata: [DONE]\n\n";

/// What is compressed below: a completion that says `Hi`.
const GZIP: &str = "H4sIAAAAAAACA0WOYQrCMAyFrzLyW8UJIngC7yAyahddtGtGE0EYvbtpYe5f3veSvDcD9XBuwA9O/TiFbQubBvj+Qq8L33k2B5U4FtMndIrlqjU1co+hbI7VG5g8iunrDBR7/Nq4L2so4p5oaobEoQzgREjURa2XHBVjzbwQZCMPiiRDZ2liwcZFeYJ8M+vz/zUl66ad8htjiT3WV0vdlR+MK6sLKzrl/AOhmjrH/gAAAA==";

async fn provider_with(answer: Answer) -> Fake {
    let fake = Fake::start().await;
    fake.answers([answer]);
    fake
}

#[tokio::test]
async fn events_are_known_by_their_bytes_and_not_by_their_type() {
    for kind in ["application/json", "text/plain", "text/html", "application/octet-stream"] {
        let first = provider_with(Answer::raw(200, kind, EVENTS)).await;
        let gateway = before(&first, "").await;
        let answer = ask(&gateway, &hello_streamed("first/m")).await;
        assert_eq!(answer.status, 200, "{kind}");
        let stream = answer.text().await.unwrap();
        assert_eq!(text_in(&stream), "Hi", "{kind}: {stream}");
        assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
    }
}

#[tokio::test]
async fn a_stream_that_nobody_asked_for_becomes_a_whole_answer() {
    for kind in ["application/json", "text/event-stream"] {
        let first = provider_with(Answer::raw(200, kind, EVENTS)).await;
        let gateway = before(&first, "").await;
        let answer = ask(&gateway, &hello("first/m")).await.json().await.unwrap();
        assert_eq!(answer["choices"][0]["message"]["content"], "Hi", "{answer}");
        assert_eq!(answer["usage"]["total_tokens"], 4, "{answer}");
        assert_eq!(trail(&answer["x_gateway"]), ["first success 200"]);
    }
}

#[tokio::test]
async fn half_a_stream_that_nobody_asked_for_is_no_answer() {
    let half = EVENTS.split_once("\n\n").unwrap().0.to_owned() + "\n\n";
    let first = provider_with(Answer::raw(200, "text/event-stream", half)).await;
    let gateway = before(&first, "").await;
    let (status, _) = refused(ask(&gateway, &hello("first/m")).await).await;
    assert_eq!(status, 502);
}

#[tokio::test]
async fn a_whole_answer_becomes_the_stream_that_was_asked_for() {
    let first = provider_with(openai::completion("Hi")).await;
    let gateway = before(&first, "").await;
    let answer = ask(&gateway, &hello_streamed("first/m")).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let stream = answer.text().await.unwrap();
    assert_eq!(text_in(&stream), "Hi", "{stream}");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
}

#[tokio::test]
async fn an_error_in_place_of_a_stream_is_still_one() {
    let error = json!({"error": {"message": "overloaded", "type": "server_error", "code": null}});
    let first = provider_with(Answer::json(200, &error)).await;
    let gateway = before(&first, "").await;
    let (status, _) = refused(ask(&gateway, &hello_streamed("first/m")).await).await;
    assert_eq!(status, 502);
}

#[tokio::test]
async fn a_compressed_answer_is_unpacked_though_nobody_asked_for_it() {
    let packed = STANDARD.decode(GZIP).unwrap();
    let answer = Answer::raw(200, "application/json", packed).header("content-encoding", "gzip");
    let first = provider_with(answer).await;
    let gateway = before(&first, "").await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
    assert_eq!(first.seen()[0].header("accept-encoding"), "identity");
}

#[tokio::test]
async fn a_body_that_is_not_compressed_as_it_says_is_a_failure() {
    let answer = openai::completion("Hi").header("content-encoding", "gzip");
    let first = provider_with(answer).await;
    let gateway = before(&first, "").await;
    let (status, error) = refused(ask(&gateway, &hello("first/m")).await).await;
    assert_eq!(status, 502);
    assert!(error["message"].as_str().unwrap().contains("`Content-Encoding`"), "{error}");
}

#[tokio::test]
async fn every_success_is_one_and_an_empty_one_is_no_answer() {
    for status in [201, 202, 203] {
        let first = provider_with(openai::completion("Hi").status(status)).await;
        let gateway = before(&first, "").await;
        assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
    }
    let first = provider_with(Answer::raw(202, "application/json", "")).await;
    let gateway = before(&first, "").await;
    let (status, _) = refused(ask(&gateway, &hello("first/m")).await).await;
    assert_eq!(status, 502);
}
