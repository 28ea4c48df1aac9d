//! Streams, frame by frame.

use canonical::{EventBody, EventKind, FinishReason};
use testkit::bedrock::{Frame, frames};

use super::*;

const STOP: Frame<'_> = Frame::Event("messageStop", r#"{"stopReason":"end_turn"}"#);
const USAGE: Frame<'_> =
    Frame::Event("metadata", r#"{"usage":{"inputTokens":3,"outputTokens":4}}"#);

fn read(sent: &[Frame<'_>]) -> (Vec<StreamEvent>, Option<Error>) {
    read_bytes(&frames(sent))
}

fn read_bytes(bytes: &[u8]) -> (Vec<StreamEvent>, Option<Error>) {
    let (mut reader, mut events) = (Decoder::default(), vec![]);
    let read = reader.read(Bytes::copy_from_slice(bytes), &mut events);
    let fault = read.and_then(|()| reader.close(&mut events)).err();
    (events, fault)
}

fn kinds(events: &[StreamEvent]) -> Vec<EventKind> {
    events.iter().map(|it| it.kind).collect()
}

#[test]
fn the_end_waits_for_the_usage() {
    let bytes = frames(&[STOP, USAGE]);
    let (head, tail) = bytes.split_at(frames(&[STOP]).len());
    let (mut reader, mut events) = (Decoder::default(), vec![]);
    reader.read(Bytes::copy_from_slice(head), &mut events).unwrap();
    assert_eq!(kinds(&events), [EventKind::Finish]);
    reader.read(Bytes::copy_from_slice(tail), &mut events).unwrap();
    assert_eq!(kinds(&events), [EventKind::Finish, EventKind::Usage, EventKind::End]);
    assert_eq!(events[1].usage.unwrap().all_output(), 4);
}

#[test]
fn the_usage_may_be_missing_but_not_the_stop() {
    let (events, fault) = read(&[STOP]);
    assert_eq!(kinds(&events), [EventKind::Finish, EventKind::End]);
    assert!(fault.is_none());
    let (events, fault) = read(&[USAGE]);
    assert_eq!(kinds(&events), [EventKind::Usage]);
    assert!(fault.unwrap().message().contains("without `messageStop`"));
}

#[test]
fn a_stop_without_a_reason_is_a_cut() {
    for stop in ["{}", r#"{"stopReason":""}"#] {
        let (events, fault) = read(&[Frame::Event("messageStop", stop), USAGE]);
        assert!(events.is_empty());
        assert!(fault.unwrap().message().contains("without a finish reason"), "{stop}");
    }
}

#[test]
fn a_frame_that_is_cut_or_spoiled_is_a_fault() {
    let bytes = frames(&[STOP]);
    for cut in 1..bytes.len() {
        let (events, fault) = read_bytes(&bytes[..cut]);
        assert!(events.is_empty());
        assert!(fault.unwrap().message().contains("within an event"), "cut at {cut}");
    }
    for at in 4..bytes.len() {
        let mut spoiled = bytes.clone();
        spoiled[at] ^= 1;
        let (events, fault) = read_bytes(&spoiled);
        assert!(events.is_empty() && fault.is_some(), "spoiled at {at}");
    }
    let huge = [0xff; 12];
    assert!(read_bytes(&huge).1.unwrap().message().contains("larger than"));
}

#[test]
fn an_exception_is_a_fault_of_its_kind() {
    let slow = Frame::Exception("throttlingException", r#"{"message":"Too many requests"}"#);
    let fault = read(&[slow]).1.unwrap();
    assert_eq!((fault.kind, fault.message()), (ErrorKind::RateLimited, "Too many requests"));
    let (events, fault) = read(&[STOP, Frame::Exception("internalServerException", "{}")]);
    assert_eq!(kinds(&events), [EventKind::Finish]);
    assert_eq!(fault.unwrap().kind, ErrorKind::Upstream);
    let fault = read(&[Frame::Error("InternalError", "gone")]).1.unwrap();
    assert_eq!((fault.kind, fault.message()), (ErrorKind::Upstream, "gone"));
}

#[test]
fn what_is_newer_than_this_breaks_nothing() {
    let unknown = Frame::Event("contentBlockSmell", r#"{"smell":"rose"}"#);
    let delta = r#"{"contentBlockIndex":0,"delta":{"smell":"rose"},"p":"abc"}"#;
    let (events, fault) = read(&[unknown, Frame::Event("contentBlockDelta", delta), STOP]);
    assert!(fault.is_none());
    assert_eq!(events[0], StreamEvent::delta(0, Delta::Finish(FinishReason::Stop)));
}

#[test]
fn a_stop_reason_that_is_not_known_is_a_failure() {
    let stop = Frame::Event("messageStop", r#"{"stopReason":"bored"}"#);
    assert_eq!(read(&[stop]).1.unwrap().kind, ErrorKind::Upstream);
}

#[test]
fn an_image_comes_when_it_is_complete() {
    let start = r#"{"contentBlockIndex":0,"start":{"image":{"format":"png"}}}"#;
    let delta = r#"{"contentBlockIndex":0,"delta":{"image":{"source":{"bytes":"AAAA"}}}}"#;
    let (start, delta) =
        (Frame::Event("contentBlockStart", start), Frame::Event("contentBlockDelta", delta));
    let end = Frame::Event("contentBlockStop", r#"{"contentBlockIndex":0}"#);
    let (events, _) = read(&[start, delta, delta, end, STOP]);
    let EventBody::Delta(0, delta) = &events[0].body else { panic!("{events:?}") };
    let Delta::Image(media) = &**delta else { panic!("{events:?}") };
    assert_eq!(media.media_type.as_deref(), Some("image/png"));
    assert_eq!(media.source, canonical::MediaSource::Base64("AAAAAAAA".to_owned()));
}

#[test]
fn nothing_follows_the_end_of_a_stream() {
    let late = Frame::Event("contentBlockDelta", r#"{"delta":{"text":"wait"}}"#);
    let fault = read(&[STOP, late]).1.unwrap();
    assert!(fault.message().contains("after the end of the stream"));
}
