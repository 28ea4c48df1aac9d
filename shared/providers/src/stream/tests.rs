//! Streams from stored bytes, and what is kept of a stream.

use formats::{DecodeOptions, OutboundText, openai::chat::OpenAiChat};

use super::*;

const FRAMES: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"Hello, world\"}}]}\n\n\
    data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn stored(bytes: Bytes) -> EventStream {
    let source = Source { provider: "first", model: "", secrets: Arc::from([]) };
    let decoder = OpenAiChat.stream_decoder(DecodeOptions::default());
    EventStream::new(source, reqwest::Body::from(bytes), decoder, Duration::from_secs(60))
}

/// Every event of a stream, and the failure that it ends with.
async fn read(stream: &mut EventStream) -> (Vec<StreamEvent>, Option<Error>) {
    let mut events = vec![];
    loop {
        match std::future::poll_fn(|cx| stream.poll_next(cx)).await {
            None => return (events, None),
            Some(Ok(batch)) => events.extend(batch),
            Some(Err(error)) => return (events, Some(error)),
        }
    }
}

#[tokio::test]
async fn stored_bytes_are_decoded_as_those_of_a_socket() {
    let mut stream = stored(Bytes::from_static(FRAMES));
    let (events, failure) = read(&mut stream).await;
    assert!(failure.is_none(), "{failure:?}");
    let kinds: Vec<EventKind> = events.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [EventKind::Content, EventKind::Finish, EventKind::End]);
    assert_eq!(stream.estimate().tokens(), 3);
    assert_eq!(stream.estimate().finish_reason(), Some("stop"));
}

#[tokio::test]
async fn a_copy_of_a_stream_gives_the_same_events() {
    let mut stream = stored(Bytes::from_static(FRAMES));
    stream.tee(FRAMES.len());
    let (events, _) = read(&mut stream).await;
    let copy = stream.take_tee().unwrap();
    assert_eq!(copy, FRAMES);
    assert_eq!(read(&mut stored(copy)).await.0, events);
}

#[tokio::test]
async fn a_stream_that_is_too_large_is_not_kept() {
    let mut stream = stored(Bytes::from_static(FRAMES));
    stream.tee(FRAMES.len() - 1);
    read(&mut stream).await;
    assert_eq!(stream.take_tee(), None);
}

#[tokio::test]
async fn stored_bytes_that_end_early_are_a_failure() {
    let mut stream = stored(Bytes::from_static(&FRAMES[..60]));
    assert!(read(&mut stream).await.1.is_some());
}
