//! What becomes of each thing that can be said.

use canonical::{ErrorKind, MediaSource, Message, Role};

use super::*;

fn call(id: &str, signature: Option<Signature>) -> Part {
    let call = ToolCall { id: id.to_owned(), name: "f".to_owned(), arguments: String::new() };
    Part { content: Content::ToolCall(call), cache: None, signature }
}

fn result(id: &str, parts: Vec<Part>, is_error: Option<bool>) -> Part {
    let result = ToolResult { id: id.to_owned(), name: None, parts, is_error };
    Part::new(Content::ToolResult(result))
}

fn signed(text: &str, maker: &str) -> Part {
    let signature = Some(Signature::new(maker, "c2ln"));
    Part { content: Content::Reasoning(text.to_owned()), cache: None, signature }
}

fn image() -> Part {
    let source = MediaSource::Base64("AAAA".to_owned());
    let media_type = Some("image/png".to_owned());
    Part::new(Content::Image(Media { source, media_type, ..Media::default() }))
}

/// The contents as JSON without the opening of those that begin with the model, and what was dropped.
fn encoded(family: Family, messages: &[(Role, Vec<Part>)]) -> Result<(String, Vec<Field>)> {
    let messages =
        messages.iter().map(|(role, parts)| Message::new(*role, parts.clone())).collect();
    let conversation = Conversation { messages, ..Conversation::default() };
    let mut dropped = vec![];
    let (_, contents) = encode(&conversation, family, &mut dropped)?;
    let opening = r#"{"role":"user","parts":[{"text":"Begin."}]},"#;
    Ok((serde_json::to_string(&contents).unwrap().replace(opening, ""), dropped))
}

#[test]
fn a_signature_goes_back_on_its_part() {
    let own = Some(Signature::new(MAKER, "b3du"));
    let answer = vec![signed("hm", MAKER), Part::text("Hi"), signed("", MAKER), call("c", own)];
    let (out, dropped) = encoded(Family::Level, &[(Role::Assistant, answer)]).unwrap();
    assert_eq!(
        out,
        r#"[{"role":"model","parts":[{"text":"hm","thought":true,"thoughtSignature":"c2ln"},{"text":"Hi","thoughtSignature":"c2ln"},{"functionCall":{"id":"c","name":"f","args":{}},"thoughtSignature":"b3du"}]}]"#
    );
    assert_eq!(dropped, []);
}

#[test]
fn what_another_maker_signed_is_not_sent() {
    let answer = vec![signed("hm", "anthropic"), Part::text("Hi")];
    let (out, dropped) = encoded(Family::Level, &[(Role::Assistant, answer)]).unwrap();
    assert_eq!(out, r#"[{"role":"model","parts":[{"text":"Hi"}]}]"#);
    assert_eq!(dropped, []);
    let unsigned = vec![Part::new(Content::Reasoning("hm".to_owned())), Part::text("Hi")];
    let (_, dropped) = encoded(Family::Level, &[(Role::Assistant, unsigned)]).unwrap();
    assert_eq!(dropped, [Field::ReasoningText]);
}

#[test]
fn only_calls_since_the_users_last_message_need_a_signature() {
    let foreign = || Some(Signature::new("anthropic", "c2ln"));
    let messages = [
        (Role::User, vec![Part::text("one")]),
        (Role::Assistant, vec![call("a", None)]),
        (Role::User, vec![result("a", vec![Part::text("1")], None)]),
        (Role::Assistant, vec![Part::text("done")]),
        (Role::User, vec![Part::text("two")]),
        (Role::Assistant, vec![call("b", foreign()), call("c", None)]),
        (Role::User, vec![result("b", vec![Part::text("2")], None), result("c", vec![], None)]),
        (Role::Assistant, vec![call("d", None)]),
        (Role::User, vec![result("d", vec![], None)]),
    ];
    let (out, _) = encoded(Family::Level, &messages).unwrap();
    assert_eq!(out.matches(signature::SKIP).count(), 2);
    for id in ["b", "d"] {
        let excused = format!(
            r#"{{"functionCall":{{"id":"{id}","name":"f","args":{{}}}},"thoughtSignature":"{}"}}"#,
            signature::SKIP
        );
        assert!(out.contains(&excused), "{id}: {out}");
    }
    assert!(!encoded(Family::Budget, &messages).unwrap().0.contains(signature::SKIP));
}

#[test]
fn a_result_is_an_object() {
    let of = |text: &str, is_error| {
        let messages = [
            (Role::Assistant, vec![call("a", None)]),
            (Role::User, vec![result("a", vec![Part::text(text)], is_error)]),
        ];
        let (out, _) = encoded(Family::Budget, &messages).unwrap();
        let (_, response) = out.split_once("\"response\":").unwrap();
        response.strip_suffix("}}]}]").unwrap().to_owned()
    };
    assert_eq!(of("14", None), r#"{"output":"14"}"#);
    assert_eq!(of(r#"{"c": 14}"#, Some(false)), r#"{"output":{"c": 14}}"#);
    assert_eq!(of("no such city", Some(true)), r#"{"error":"no such city"}"#);
    // Gemini 3 would look for what it points to.
    assert_eq!(of(r##"{"$ref":"#/x"}"##, None), r##"{"output":"{\"$ref\":\"#/x\"}"}"##);
}

#[test]
fn images_in_a_result_stand_within_it_or_beside() {
    let messages = [
        (Role::Assistant, vec![call("a", None)]),
        (Role::User, vec![result("a", vec![Part::text("see"), image()], None)]),
    ];
    let encoded_image = r#"{"inlineData":{"mimeType":"image/png","data":"AAAA"}}"#;
    let (within, dropped) = encoded(Family::Level, &messages).unwrap();
    assert!(
        within.contains(&format!(r#""response":{{"output":"see"}},"parts":[{encoded_image}]}}"#))
    );
    let (beside, _) = encoded(Family::Budget, &messages).unwrap();
    assert!(
        beside.ends_with(&format!(r#"{{"output":"see"}}}}}},{encoded_image}]}}]"#)),
        "{beside}"
    );
    assert_eq!(dropped, []);
}

#[test]
fn what_fits_no_call_is_refused() {
    let orphan = [(Role::User, vec![result("x", vec![], None)])];
    assert_eq!(encoded(Family::Level, &orphan).unwrap_err().kind, ErrorKind::InvalidRequest);
}

#[test]
fn broken_arguments_stand_within_an_object() {
    let mut broken = call("a", None);
    if let Content::ToolCall(call) = &mut broken.content {
        call.arguments = "{\"a\":".to_owned();
    }
    let (out, _) = encoded(Family::Level, &[(Role::Assistant, vec![broken])]).unwrap();
    assert!(out.contains(r#""args":{"INVALID_JSON":"{\"a\":"}"#), "{out}");
}

#[test]
fn a_system_prompt_alone_becomes_the_user_message() {
    let rules = [(Role::System, vec![Part::text("Say hi.")]), (Role::User, vec![Part::text("")])];
    let (out, _) = encoded(Family::Level, &rules).unwrap();
    assert_eq!(out, r#"[{"role":"user","parts":[{"text":"Say hi."}]}]"#);
}
