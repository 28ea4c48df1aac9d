//! Random valid responses, and their content after decoding.

use canonical::{Delta, EventBody, FinishReason, StreamEvent};
use proptest::prelude::*;

/// The content of a response, without its split into deltas.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GeneratedResponse {
    pub(crate) reasoning: String,
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: FinishReason,
}

/// A tool call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

impl Default for GeneratedResponse {
    fn default() -> Self {
        Self {
            reasoning: String::new(),
            text: String::new(),
            calls: vec![],
            finish: FinishReason::Stop,
        }
    }
}

/// Any response.
pub(crate) fn response() -> impl Strategy<Value = GeneratedResponse> {
    let text = || {
        prop_oneof![Just(String::new()), "\\PC{1,40}", "[a-z\n\r\"\\\\ \u{20ac}\u{1f600}]{1,20}"]
    };
    let calls = prop::collection::vec(("[a-z_]{1,12}", arguments()), 0..4);
    (text(), text(), calls, any::<bool>()).prop_map(|(reasoning, text, calls, long)| {
        let numbered = calls.into_iter().enumerate();
        let calls: Vec<Call> = numbered
            .map(|(at, (name, arguments))| Call { id: format!("call_{at}"), name, arguments })
            .collect();
        let finish = match (calls.is_empty(), long) {
            (false, _) => FinishReason::ToolCalls,
            (true, true) => FinishReason::Length,
            (true, false) => FinishReason::Stop,
        };
        GeneratedResponse { reasoning, text, calls, finish }
    })
}

fn arguments() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        any::<i32>().prop_map(|it| it.to_string()),
        "[a-z \u{20ac}]{0,12}".prop_map(|it| serde_json::to_string(&it).unwrap()),
        Just("[1,2,{\"a\":null}]".to_owned()),
    ];
    prop::collection::btree_map("[a-z]{1,6}", value, 0..4).prop_map(|members| {
        let members: Vec<_> =
            members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

/// The response in deltas, split and mixed as `order` says: reasoning, text, then calls whose arguments
/// may come in turns.
pub(crate) fn stream_events(generated: &GeneratedResponse, order: u64) -> Vec<StreamEvent> {
    let mut order = Order(order | 1);
    let start = Delta::Start { id: Some("answer".to_owned()), model: Some("model".to_owned()) };
    let mut stream_events = vec![start];
    stream_events.extend(order.cut(&generated.reasoning).into_iter().map(Delta::Reasoning));
    stream_events.extend(order.cut(&generated.text).into_iter().map(Delta::Text));
    let mut arguments = vec![];
    for (call, it) in generated.calls.iter().enumerate() {
        let (id, name) = (it.id.clone(), it.name.clone());
        stream_events.push(Delta::ToolCall { call, id, name, signature: None });
        let silent = it.arguments == "{}" && order.next(2) == 0;
        let cuts = if silent { vec![] } else { order.cut(&it.arguments) };
        let mut cuts = cuts.into_iter().map(|json| Delta::Arguments { call, json });
        // Some come at once, some after the next call has begun.
        let at_once = order.next(3) as usize;
        stream_events.extend(cuts.by_ref().take(at_once));
        arguments.push(cuts.collect::<Vec<_>>().into_iter());
    }
    while !arguments.is_empty() {
        let at = order.next(arguments.len() as u64) as usize;
        match arguments[at].next() {
            Some(delta) => stream_events.push(delta),
            None => drop(arguments.remove(at)),
        }
    }
    stream_events.push(Delta::Finish(generated.finish.clone()));
    stream_events.push(Delta::End);
    stream_events.into_iter().map(|it| StreamEvent::delta(0, it)).collect()
}

/// Numbers that look random and are the same again for the same case.
struct Order(u64);

impl Order {
    fn next(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    /// A text in deltas of a few characters.
    fn cut(&mut self, text: &str) -> Vec<String> {
        let mut stream_events = vec![];
        let mut rest: Vec<char> = text.chars().collect();
        while !rest.is_empty() {
            let size = (1 + self.next(8) as usize).min(rest.len());
            stream_events.push(rest.drain(..size).collect());
        }
        stream_events
    }
}

/// The content of events.
pub(crate) fn of(events: &[StreamEvent]) -> GeneratedResponse {
    let mut generated = GeneratedResponse::default();
    for event in events {
        let EventBody::Delta(0, delta) = &event.body else { panic!("{event:?}") };
        match &**delta {
            Delta::Reasoning(text) => generated.reasoning.push_str(text),
            Delta::Text(text) => generated.text.push_str(text),
            Delta::ToolCall { call, id, name, .. } => {
                assert_eq!(*call, generated.calls.len());
                let (id, name) = (id.clone(), name.clone());
                generated.calls.push(Call { id, name, arguments: String::new() });
            }
            Delta::Arguments { call, json } => generated.calls[*call].arguments.push_str(json),
            Delta::Finish(finish) => generated.finish = finish.clone(),
            _ => {}
        }
    }
    for call in &mut generated.calls {
        if call.arguments.is_empty() {
            call.arguments.push_str("{}");
        }
    }
    generated
}
