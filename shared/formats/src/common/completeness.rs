//! Completeness: whether a response may be given again, by the bytes that its provider sent.
//!
//! What reached a client is no measure: its format may lack the word, and of several choices one word
//! alone is recorded.

use std::collections::BTreeMap;

use serde_json::Value;

/// Reasons to stop with which a choice is as long as its model wanted, in the words of every format, in
/// lower case.
const WHOLE: [&str; 11] = [
    "stop",
    "eos",
    "eos_token",
    "end_turn",
    "stop_sequence",
    "complete",
    "completed",
    "tool_calls",
    "tool_call",
    "tool_use",
    "function_call",
];

/// Whether a response is complete, given as its provider's bytes, whole or every frame of a stream: each
/// choice says why it ends, and none was cut, filtered or refused, or ended at a limit of tokens.
pub fn is_complete(body: &[u8]) -> bool {
    let mut ends = Ends::default();
    ends.read_all(body).is_some() && ends.are_whole()
}

/// How the choices of a response end.
#[derive(Debug, Default)]
struct Ends {
    /// The last reason of each choice; none as long as it goes on.
    choices: BTreeMap<u64, Option<String>>,
    is_refused: bool,
}

impl Ends {
    fn are_whole(&self) -> bool {
        let is_whole = |reason: &Option<String>| {
            reason.as_ref().is_some_and(|it| WHOLE.contains(&it.to_ascii_lowercase().as_str()))
        };
        !self.is_refused && !self.choices.is_empty() && self.choices.values().all(is_whole)
    }

    /// Reads one JSON value, or every frame of a stream. None where something is neither.
    fn read_all(&mut self, body: &[u8]) -> Option<()> {
        if matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) {
            match serde_json::from_slice(body).ok()? {
                Value::Array(values) => values.iter().for_each(|it| self.read(it)),
                value => self.read(&value),
            }
            return Some(());
        }
        let lines = body.split(|byte| matches!(byte, b'\n' | b'\r'));
        let data = lines.filter_map(|line| line.strip_prefix(b"data:")).map(<[u8]>::trim_ascii);
        for data in data.filter(|it| !it.is_empty() && *it != b"[DONE]") {
            self.read(&serde_json::from_slice(data).ok()?);
        }
        Some(())
    }

    fn read(&mut self, value: &Value) {
        for (list, reason) in [("choices", "finish_reason"), ("candidates", "finishReason")] {
            for (nth, choice) in (0..).zip(items(&value[list])) {
                self.note(choice["index"].as_u64().unwrap_or(nth), &choice[reason]);
                let texts = [&choice["message"]["refusal"], &choice["delta"]["refusal"]];
                self.is_refused |=
                    texts.iter().any(|it| it.as_str().is_some_and(|it| !it.is_empty()));
            }
        }
        // Google filters a prompt without any candidate.
        self.is_refused |= value["promptFeedback"]["blockReason"].is_string();

        for reason in [&value["stop_reason"], &value["stopReason"], &value["delta"]["stop_reason"]]
        {
            if !reason.is_null() {
                self.note(0, reason);
            }
        }
        let kind = value["type"].as_str().unwrap_or_default();
        let response = if kind.starts_with("response.") { &value["response"] } else { value };
        if response["object"] == "response" {
            self.note(0, &response["status"]);
        }
        let parts = items(&response["output"]).iter().flat_map(|it| items(&it["content"]));
        self.is_refused |= parts.into_iter().any(|part| part["type"] == "refusal")
            || kind.starts_with("response.refusal.");
    }

    /// Notes why a choice ends, if it does: what comes behind its end takes no reason back.
    fn note(&mut self, choice: u64, reason: &Value) {
        // Some write an object around the word.
        let word = ["type", "reason", "unified"].iter().find_map(|name| reason[*name].as_str());
        let word = word.or(reason.as_str()).filter(|it| !it.is_empty());
        let noted = self.choices.entry(choice).or_default();
        if let Some(word) = word {
            *noted = Some(word.to_owned());
        }
    }
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_whole(body: &str) -> bool {
        is_complete(body.as_bytes())
    }

    /// A chat completion with these choices.
    fn chat(choices: &[&str]) -> String {
        let choice = |(nth, rest)| format!(r#"{{"index":{nth},{rest}}}"#);
        let choices: Vec<String> = choices.iter().enumerate().map(choice).collect();
        format!(r#"{{"choices":[{}]}}"#, choices.join(","))
    }

    #[test]
    fn the_worst_of_all_choices_counts() {
        let reason = |word: &str| format!(r#""message":{{"content":"Hi"}},"finish_reason":{word}"#);
        let (stop, filter) = (reason("\"stop\""), reason("\"content_filter\""));
        assert!(is_whole(&chat(&[&stop, &stop])));
        assert!(!is_whole(&chat(&[&filter, &stop])));
        assert!(!is_whole(&chat(&[&stop, &reason("null")])));
        for word in ["null", "\"\"", "\"length\"", "{\"type\":\"length\"}"] {
            assert!(!is_whole(&chat(&[&reason(word)])), "{word}");
        }
        assert!(is_whole(&chat(&[&reason("{\"type\":\"stop\"}")])));
        let refused = r#""message":{"content":null,"refusal":"no"},"finish_reason":"stop""#;
        assert!(!is_whole(&chat(&[refused])));
        assert!(!is_whole(&chat(&[])));
    }

    #[test]
    fn every_format_says_how_it_ends() {
        for (body, expected) in [
            (r#"{"type":"message","stop_reason":"end_turn"}"#, true),
            (r#"{"type":"message","stop_reason":"max_tokens"}"#, false),
            (r#"{"type":"message","stop_reason":"refusal"}"#, false),
            (r#"{"type":"message","stop_reason":null}"#, false),
            (r#"{"output":{"message":{}},"stopReason":"tool_use"}"#, true),
            (r#"{"output":{"message":{}},"stopReason":"guardrail_intervened"}"#, false),
            (r#"{"candidates":[{"finishReason":"STOP"}]}"#, true),
            (r#"[{"candidates":[{}]},{"candidates":[{"finishReason":"STOP"}]}]"#, true),
            (r#"{"candidates":[{"finishReason":"MAX_TOKENS"}]}"#, false),
            (r#"{"candidates":[{"finishReason":"SAFETY"},{"finishReason":"STOP"}]}"#, false),
            (r#"{"candidates":[{"content":{}}]}"#, false),
            (r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, false),
            (r#"{"object":"response","status":"completed","output":[]}"#, true),
            (r#"{"object":"response","status":"incomplete","output":[]}"#, false),
            (
                r#"{"object":"response","status":"completed",
                    "output":[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]}"#,
                false,
            ),
            ("{}", false),
            ("no JSON", false),
            ("{\"stop_reason\":\"end_turn\"", false),
        ] {
            assert_eq!(is_whole(body), expected, "{body}");
        }
    }

    #[test]
    fn a_stream_ends_as_its_last_word_on_each_choice_says() {
        let stream = |frames: &[&str]| {
            let frames = frames.iter().map(|it| format!("event: e\ndata: {it}\n\n"));
            frames.collect::<String>() + "data: [DONE]\n\n"
        };
        let begin = r#"{"choices":[{"index":0,"delta":{"content":"H"},"finish_reason":null},{"index":1,"delta":{}}]}"#;
        let first = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
        let usage = r#"{"choices":[],"usage":{}}"#;
        let second = first.replace(":0", ":1");
        assert!(is_whole(&stream(&[begin, first, &second, usage])));
        assert!(!is_whole(&stream(&[begin, first, usage])));
        assert!(!is_whole(&stream(&[begin, &second.replace("stop", "length"), first])));
        let refusal = r#"{"choices":[{"index":0,"delta":{"refusal":"no"},"finish_reason":null}]}"#;
        assert!(!is_whole(&stream(&[refusal, first])));

        let start = r#"{"type":"message_start","message":{"stop_reason":null}}"#;
        let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#;
        assert!(is_whole(&stream(&[start, delta])));
        assert!(!is_whole(&stream(&[start])));

        let created = r#"{"type":"response.created","response":{"object":"response","status":"in_progress"}}"#;
        let end = r#"{"type":"response.completed","response":{"object":"response","status":"completed"}}"#;
        assert!(is_whole(&stream(&[created, end])));
        assert!(!is_whole(&stream(&[created])));
        assert!(!is_whole(&stream(&[created, r#"{"type":"response.refusal.delta"}"#, end])));
    }
}
