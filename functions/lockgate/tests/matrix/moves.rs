//! Conversations that leave a provider, and providers that fail.

use testkit::strict::{Dialect, Script, Trouble};

use crate::arena::{Arena, Failed, Pair, direct, go_on, route};
use crate::talk::{Outcome, Talk, Thinks};

fn plain() -> Outcome {
    let (id, name) = (String::new(), String::new());
    Outcome { id, name, text: "Sunny".to_owned(), image: None, failed: false }
}

/// One provider thinks and calls a tool, then fails; another has to take the conversation over, and
/// the first has to be able to go on with it later.
pub(crate) async fn away(
    arena: &Arena,
    client: Dialect,
    [first, second]: [Dialect; 2],
    stream: bool,
) -> Result<(), String> {
    if first == second {
        return Ok(());
    }
    let result = plain();
    let pair = Pair { client, provider: first, stream, result: &result };
    let schema = serde_json::json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let mut talk = Talk::of("Weather?").tool("weather", schema);
    talk.thinks = Some(Thinks::Somehow);
    let route = route(first, second);
    let (one, other) = (arena.provider(first), arena.provider(second));
    one.forget();
    other.forget();
    let thinks = Script::default().then_thought(["I ", "think."]);
    let calls = thinks.then_call("call_1", "weather", ["{\"city\":", "\"Riga\"}"]);
    let down = Script::text([]).breaks(Trouble::Status(503));
    let again = Script::default().then_thought(["Hm."]).then_call("call_2", "weather", ["{}"]);
    let rounds = [
        (vec![calls], Script::text(["unexpected"])),
        (vec![down], again),
        (vec![Script::text(["Done."])], Script::text(["unexpected"])),
    ];
    for (number, (from_one, from_other)) in rounds.into_iter().enumerate() {
        one.says(from_one);
        other.says([from_other]);
        let heard = arena.round(pair, &talk, &route).await;
        let (heard, _) = heard.map_err(|failed| {
            format!("round {number}: {} ({:?}, {:?})", said(failed), one.refused(), other.refused())
        })?;
        if heard.text.contains("unexpected") {
            return Err(format!(
                "round {number} was answered by the other: {:?} {:?}",
                one.refused(),
                other.refused()
            ));
        }
        go_on(&mut talk, &heard, &result);
    }
    let refused = [one.refused(), other.refused()].concat();
    if refused.is_empty() { Ok(()) } else { Err(format!("refused on the way: {refused:?}")) }
}

fn said(failed: Failed) -> String {
    match failed {
        Failed::Unsayable => "unsayable".to_owned(),
        Failed::Refused(why) => format!("refused: {why}"),
        Failed::Provider(why) | Failed::Misread(why) | Failed::Broken(why) => why,
    }
}

/// Every trouble has to become a failure that the client can read.
pub(crate) async fn troubles(
    arena: &Arena,
    client: Dialect,
    provider: Dialect,
    stream: bool,
) -> Vec<String> {
    let result = plain();
    let pair = Pair { client, provider, stream, result: &result };
    let model = direct(provider);
    let mut wrong = vec![];
    let troubles = [
        Trouble::Status(503),
        Trouble::Status(429),
        Trouble::ErrorFirst,
        Trouble::ErrorLast,
        Trouble::Cut,
        Trouble::EndsEarly,
    ];
    for trouble in troubles {
        arena.provider(provider).says([Script::text(["Hel", "lo"]).breaks(trouble)]);
        if let Ok((heard, _)) = arena.round(pair, &Talk::of("Hi"), &model).await {
            wrong.push(format!("{trouble:?} was heard as {heard:?}"));
        }
    }
    wrong
}
