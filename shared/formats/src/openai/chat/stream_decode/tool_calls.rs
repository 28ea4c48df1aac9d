//! Tool calls of a stream, put together from deltas of whatever kind.
//!
//! OpenAI names a call once, by its index, its id and its tool, and then adds to its arguments. Its
//! imitators give every delta an id of its own, name the tool late, again or in several parts, or
//! give all calls one index. Sources: zai-org/GLM-4#194, vercel/ai#14722, ollama/ollama#15457,
//! vercel/ai#14277, seen 2026-11.

use std::collections::HashMap;

use super::super::response_decode::DecodedCall;

/// The part of a call that one delta adds.
#[derive(Debug, Default)]
pub(in super::super) struct CallDelta {
    pub(in super::super) index: Option<u64>,
    pub(in super::super) id: Option<String>,
    pub(in super::super) name: Option<String>,
    pub(in super::super) arguments: String,
}

impl From<&DecodedCall<'_>> for CallDelta {
    fn from(call: &DecodedCall<'_>) -> Self {
        Self { index: call.index(), id: call.id(), name: call.name(), arguments: call.arguments() }
    }
}

/// One call, as far as its deltas have arrived.
#[derive(Debug, Default)]
pub(in super::super) struct TrackedCall {
    /// The first id that was given; empty before.
    pub(in super::super) id: String,
    /// The name so far; empty before the first part of it.
    pub(in super::super) name: String,
    /// The arguments that wait until the call is announced.
    pub(in super::super) waiting: String,
    /// The place of the call among those that were announced.
    pub(in super::super) announced: Option<usize>,
    arguments: JsonProgress,
}

/// The calls of one choice.
#[derive(Debug, Default)]
pub(in super::super) struct CallTracker {
    calls: Vec<TrackedCall>,
    by_id: HashMap<String, usize>,
    by_index: HashMap<u64, usize>,
    announced: usize,
    names_length: usize,
    /// The calls that got a name since [`CallTracker::take_named`] was asked.
    named: Vec<usize>,
}

impl CallTracker {
    /// How many calls there are.
    pub(in super::super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// How long the names of all calls are together: a delta that names its call anew adds to it.
    pub(in super::super) fn names_len(&self) -> usize {
        self.names_length
    }

    /// The calls that got a name since this was asked, in their order.
    pub(in super::super) fn take_named(&mut self) -> Vec<usize> {
        let mut named = std::mem::take(&mut self.named);
        named.sort_unstable();
        named
    }

    /// Notes a named call for the next [`CallTracker::take_named`] again.
    pub(in super::super) fn keep_named(&mut self, at: usize) {
        self.named.push(at);
    }

    /// Whether a call was not announced.
    pub(in super::super) fn has_unannounced(&self) -> bool {
        self.calls.iter().any(|it| it.announced.is_none())
    }

    /// A call by the place that [`CallTracker::add`] gave.
    pub(in super::super) fn call(&mut self, at: usize) -> Option<&mut TrackedCall> {
        self.calls.get_mut(at)
    }

    /// Notes what a delta says, and gives the place of its call. `position` is the delta's own place
    /// in its list, for those who give no index.
    pub(in super::super) fn add(&mut self, delta: &CallDelta, position: usize) -> usize {
        let index = delta.index.unwrap_or(position as u64);
        let at = self.find(delta, index).unwrap_or_else(|| {
            self.calls.push(TrackedCall::default());
            self.calls.len() - 1
        });
        // Both maps lead to the latest call of that index or id: providers use either again for
        // another call.
        self.by_index.insert(index, at);
        if let Some(id) = &delta.id {
            self.by_id.insert(id.clone(), at);
        }
        if let Some(call) = self.calls.get_mut(at) {
            let before = call.name.len();
            call.add(delta);
            // Counted here: a walk over all calls at every delta would be quadratic.
            self.names_length += call.name.len() - before;
            if before == 0 && !call.name.is_empty() {
                self.named.push(at);
            }
        }
        at
    }

    /// Announces a call: gives it the next place among those that a client knows.
    pub(in super::super) fn announce(&mut self, at: usize) -> usize {
        let place = self.announced;
        if let Some(call) = self.calls.get_mut(at) {
            call.announced = Some(place);
            self.announced += 1;
        }
        place
    }

    /// The call that a delta adds to; none where it begins another one.
    fn find(&self, delta: &CallDelta, index: u64) -> Option<usize> {
        // The id counts more than the index: imitators give all calls the index 0.
        if let Some(at) = delta.id.as_ref().and_then(|it| self.by_id.get(it).copied())
            && self.calls.get(at).is_some_and(|it| it.may_go_on_with(delta))
        {
            return Some(at);
        }
        let Some(&at) = self.by_index.get(&index) else {
            // Only a name or an id begins a call: some count their deltas in `index`.
            let goes_on = delta.name.is_none() && delta.id.is_none();
            return self.calls.len().checked_sub(1).filter(|_| goes_on);
        };
        let call = self.calls.get(at)?;
        let begins_another = match (&delta.id, &delta.name) {
            (_, None) => false,
            // A new id with the same name continues a call whose arguments are open: some give
            // every delta an id of its own.
            (Some(_), Some(name)) => !call.id.is_empty() && !call.is_open_for(name),
            (None, Some(_)) => !call.may_go_on_with(delta),
        };
        (!begins_another).then_some(at)
    }
}

impl TrackedCall {
    /// Whether the name so far, which a delta repeats, still waits for arguments.
    fn is_open_for(&self, name: &str) -> bool {
        (self.name.is_empty() || self.name == name) && !self.arguments.is_complete()
    }

    /// Whether a delta that names this call adds to it or repeats it. A provider may give several
    /// calls one id.
    fn may_go_on_with(&self, delta: &CallDelta) -> bool {
        !self.arguments.is_complete() || delta.name.is_none() || delta.arguments.is_empty()
    }

    /// Whether the call has a name and is not announced yet.
    pub(in super::super) fn is_ready(&self) -> bool {
        self.announced.is_none() && !self.name.is_empty()
    }

    /// Whether the call can be announced with its whole name: nothing more of it will come.
    pub(in super::super) fn has_whole_name(&self) -> bool {
        !self.name.is_empty() && self.arguments.has_begun()
    }

    fn add(&mut self, delta: &CallDelta) {
        if self.id.is_empty() {
            self.id = delta.id.clone().unwrap_or_default();
        }
        if let Some(name) = &delta.name {
            self.add_name(name);
        }
        self.arguments.add(&delta.arguments);
    }

    /// Adds a part of the name. The same name again is a repetition, and behind the first argument
    /// no name is new.
    fn add_name(&mut self, name: &str) {
        // A name that is repeated behind the first argument must not be added to itself: no such
        // tool exists.
        let is_late = !self.name.is_empty() && self.arguments.has_begun();
        if self.name != name && !is_late {
            self.name.push_str(name);
        }
    }
}

/// How far a JSON object has come that arrives in parts.
#[derive(Debug, Default)]
struct JsonProgress {
    depth: usize,
    has_begun: bool,
    in_string: bool,
    is_escaped: bool,
}

impl JsonProgress {
    fn add(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.has_begun |= !byte.is_ascii_whitespace();
        }
    }

    fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the object is whole: nothing can follow.
    fn is_complete(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A delta in short: index, id, name and arguments, where `-` is absent.
    fn delta(short: (&str, &str, &str, &str)) -> CallDelta {
        let given = |it: &str| Some(it.to_owned()).filter(|it| it != "-");
        CallDelta {
            index: short.0.parse().ok(),
            id: given(short.1),
            name: given(short.2),
            arguments: short.3.to_owned(),
        }
    }

    /// The id, name and arguments of the calls that deltas make.
    fn calls(deltas: &[(&str, &str, &str, &str)]) -> Vec<(String, String, String)> {
        let mut tracker = CallTracker::default();
        let mut arguments: Vec<String> = vec![];
        for short in deltas {
            let delta = delta(*short);
            let at = tracker.add(&delta, 0);
            arguments.resize(tracker.len(), String::new());
            arguments[at].push_str(&delta.arguments);
        }
        let calls = tracker.calls.into_iter().zip(arguments);
        calls.map(|(call, arguments)| (call.id, call.name, arguments)).collect()
    }

    fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
        (id.to_owned(), name.to_owned(), arguments.to_owned())
    }

    const OSLO: &str = r#"{"city":"Oslo"}"#;

    #[test]
    fn deltas_as_openai_writes_them_make_one_call_each() {
        let deltas = [
            ("0", "a", "f", ""),
            ("0", "-", "-", r#"{"city":"#),
            ("0", "-", "-", r#""Oslo"}"#),
            ("1", "b", "f", ""),
            ("1", "-", "-", "{}"),
        ];
        assert_eq!(calls(&deltas), [call("a", "f", OSLO), call("b", "f", "{}")]);
    }

    #[test]
    fn another_id_begins_another_call_only_with_a_name() {
        let deltas =
            [("0", "a", "f", ""), ("0", "b", "-", r#"{"city":"#), ("0", "c", "-", r#""Oslo"}"#)];
        assert_eq!(calls(&deltas), [call("a", "f", OSLO)]);
        let named =
            [("0", "a", "f", ""), ("0", "b", "f", r#"{"city":"#), ("0", "c", "f", r#""Oslo"}"#)];
        assert_eq!(calls(&named), [call("a", "f", OSLO)]);
    }

    #[test]
    fn calls_of_one_index_are_separate() {
        let with_ids = [("0", "a", "f", OSLO), ("0", "b", "f", "{}"), ("0", "c", "g", "{}")];
        assert_eq!(calls(&with_ids).len(), 3);
        let without = [("0", "-", "f", OSLO), ("0", "-", "f", OSLO)];
        assert_eq!(calls(&without), [call("", "f", OSLO), call("", "f", OSLO)]);
        let no_index = [("-", "a", "f", OSLO), ("-", "b", "g", "{}")];
        assert_eq!(calls(&no_index).len(), 2);
    }

    #[test]
    fn a_name_may_come_late_again_or_in_parts() {
        let late = [("0", "a", "-", r#"{"city":"#), ("0", "-", "f", r#""Oslo"}"#)];
        assert_eq!(calls(&late), [call("a", "f", OSLO)]);
        let again =
            [("0", "a", "f", ""), ("0", "a", "f", r#"{"city":"#), ("0", "-", "f", r#""Oslo"}"#)];
        assert_eq!(calls(&again), [call("a", "f", OSLO)]);
        let parts = [("0", "a", "get_", ""), ("0", "-", "weather", ""), ("0", "-", "-", OSLO)];
        assert_eq!(calls(&parts), [call("a", "get_weather", OSLO)]);
    }

    #[test]
    fn an_index_may_count_the_deltas() {
        let counted =
            [("0", "a", "f", ""), ("1", "-", "-", r#"{"city":"#), ("2", "-", "-", r#""Oslo"}"#)];
        assert_eq!(calls(&counted), [call("a", "f", OSLO)]);
        let with_ids = [("0", "a", "f", r#"{"city":"#), ("1", "a", "f", r#""Oslo"}"#)];
        assert_eq!(calls(&with_ids), [call("a", "f", OSLO)]);
    }

    #[test]
    fn braces_within_strings_end_nothing() {
        let mut progress = JsonProgress::default();
        progress.add(r#"{"a":"}\"}"#);
        assert!(progress.has_begun() && !progress.is_complete());
        progress.add(r#""}"#);
        assert!(progress.is_complete());
    }
}
