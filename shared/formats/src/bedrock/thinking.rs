//! How hard a model thinks, and what it takes no more while it does.
//!
//! Sources: the Bedrock User Guide, *Extended thinking* and *Adaptive thinking*, and Anthropic's
//! pages of the same names, seen 2026-11. With a budget, Claude demands it below `max_tokens`, no
//! forced tool, no `temperature`, no `top_k`, and a thought before the calls of the last turn.

use canonical::{Content, Conversation, Effort, Field, Reasoning, Role, Sampling, ToolChoice};

use super::{
    MAKER,
    model::{Family, Version},
    wire::{Additional, Inference, NovaInference, NovaReasoning, OutputConfig, Thinking},
};

/// The least that Claude can be given to think, in tokens.
const LEAST: u64 = 1024;
/// What Claude gets when it is to decide for itself and cannot.
const USUAL: u64 = 8192;
/// Below this `top_p`, Claude does not think.
const LEAST_TOP_P: f64 = 0.95;

/// What a request says about sampling and thinking, in Bedrock's words.
#[derive(Default)]
pub(super) struct Tuned<'a> {
    pub(super) inference: Inference<'a>,
    pub(super) additional: Additional<'a>,
    pub(super) output: OutputConfig<'a>,
    pub(super) dropped: Vec<Field>,
}

/// Says how a model chooses its tokens and how hard it thinks.
pub(super) fn tuned(conversation: &Conversation, family: Family) -> Tuned<'_> {
    let mut tuned = Tuned::default();
    if let Some(reasoning) = &conversation.reasoning {
        tuned.reasoning(reasoning, conversation, family);
    }
    tuned.inference.max_tokens = conversation.max_tokens;
    tuned.sampling(&conversation.sampling, family);
    tuned
}

impl<'a> Tuned<'a> {
    fn reasoning(&mut self, wanted: &Reasoning, conversation: &Conversation, family: Family) {
        match family {
            Family::Claude(version) => self.claude(wanted, conversation, version),
            Family::Nova(true) => self.nova(wanted, conversation),
            Family::GptOss => match wanted.as_effort() {
                Some(Effort::None) => self.dropped.push(Field::Reasoning),
                effort => self.additional.reasoning_effort = effort.map(up_to_high),
            },
            Family::Nova(false) | Family::Other | Family::Unknown => {
                if wanted.as_effort().is_some() {
                    self.dropped.push(Field::Reasoning);
                }
            }
        }
        let is_claude = family.claude().is_some_and(Version::is_without_sampling);
        if wanted.shown == Some(false) && !is_claude && !wanted.is_off() {
            self.dropped.push(Field::ReasoningShown);
        }
    }

    fn claude(&mut self, wanted: &Reasoning, conversation: &Conversation, version: Version) {
        // Who is told nothing does not think.
        if wanted.is_off() {
            return;
        }
        if is_forced(conversation) {
            self.dropped.push(Field::Reasoning);
            return;
        }
        if version.is_adaptive() {
            let shown = wanted.shown.filter(|_| version.is_without_sampling());
            let display = shown.map(|it| if it { "summarized" } else { "omitted" });
            self.additional.thinking = Some(Thinking::Adaptive { display });
            self.output.effort = wanted.as_effort().map(|it| match it {
                Effort::Highest => "max",
                other => up_to_high(other),
            });
            return;
        }
        let room = conversation.max_tokens.map_or(u64::MAX, |it| it.saturating_sub(1));
        if room < LEAST || calls_without_thought(conversation) {
            self.dropped.push(Field::Reasoning);
            return;
        }
        let budget_tokens = wanted.as_budget().unwrap_or(USUAL).max(LEAST).min(room);
        self.additional.thinking = Some(Thinking::Enabled { budget_tokens });
    }

    /// At its highest effort, Nova takes none of the limits that may stand beside the others.
    fn nova(&mut self, wanted: &Reasoning, conversation: &Conversation) {
        let sampling = &conversation.sampling;
        let limited = conversation.max_tokens.is_some()
            || sampling.temperature.is_some()
            || sampling.top_p.is_some();
        let effort = wanted.as_effort().filter(|it| *it != Effort::None);
        let effort = effort.map(|it| if limited { it.min(Effort::Medium) } else { it });
        let kind = if wanted.is_off() { "disabled" } else { "enabled" };
        let max_reasoning_effort =
            if wanted.is_off() { None } else { Some(effort.map_or("medium", up_to_high)) };
        self.additional.nova_reasoning = Some(NovaReasoning { kind, max_reasoning_effort });
    }

    fn sampling(&mut self, wanted: &'a Sampling, family: Family) {
        let Sampling {
            temperature,
            top_p,
            top_k,
            frequency_penalty,
            presence_penalty,
            seed,
            stop,
            n,
        } = wanted;
        let drops = [
            (frequency_penalty.is_some_and(|it| it != 0.0), Field::FrequencyPenalty),
            (presence_penalty.is_some_and(|it| it != 0.0), Field::PresencePenalty),
            (seed.is_some(), Field::Seed),
            (n.is_some_and(|it| it != 1), Field::N),
        ];
        self.dropped.extend(drops.into_iter().filter(|it| it.0).map(|it| it.1));
        self.inference.stop_sequences = stop;
        self.inference.temperature = *temperature;
        self.inference.top_p = *top_p;
        // The API's own limit, where others go up to 2.
        if temperature.is_some_and(|it| 1.0 < it) {
            self.inference.temperature = Some(1.0);
            self.dropped.push(Field::Temperature);
        }
        match family {
            Family::Claude(version) => {
                self.additional.top_k = *top_k;
                self.fit_for_claude(version);
            }
            Family::Nova(_) => {
                self.additional.nova = top_k.map(|top_k| NovaInference { top_k });
            }
            Family::GptOss | Family::Other | Family::Unknown => {
                if top_k.is_some() {
                    self.dropped.push(Field::TopK);
                }
            }
        }
    }

    /// Takes out what would be refused. A value that is the usual one goes without a word.
    fn fit_for_claude(&mut self, version: Version) {
        let thinks = self.additional.thinking.is_some();
        let bare = version.is_without_sampling();
        if (bare || thinks)
            && let Some(temperature) = self.inference.temperature.take()
            && temperature != 1.0
        {
            self.dropped.push(Field::Temperature);
        }
        let both = version.takes_one_of_both() && self.inference.temperature.is_some();
        let low = thinks && self.inference.top_p.is_some_and(|it| it < LEAST_TOP_P);
        if (bare || both || low)
            && let Some(top_p) = self.inference.top_p.take()
            && top_p != 1.0
        {
            self.dropped.push(Field::TopP);
        }
        if (bare || thinks) && self.additional.top_k.take().is_some() {
            self.dropped.push(Field::TopK);
        }
    }
}

fn up_to_high(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::Highest => "high",
    }
}

/// Whether a tool must be called: Claude cannot be made to and think too.
fn is_forced(conversation: &Conversation) -> bool {
    match &conversation.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Among(_, true)) => {
            !conversation.tools.is_empty()
        }
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Among(_, false)) | None => false,
    }
}

/// Whether the model's last turn called tools and what it thought before is not known.
fn calls_without_thought(conversation: &Conversation) -> bool {
    let last = conversation.turns.iter().rev().find(|it| it.role == Role::Assistant);
    let parts = last.map(|it| it.parts.as_slice()).unwrap_or_default();
    let calls = parts.iter().any(|it| matches!(it.content, Content::ToolCall(_)));
    let thought = |it: &&canonical::Part| {
        matches!(it.content, Content::Reasoning(_))
            && it.signature.as_ref().is_some_and(|it| it.maker == MAKER)
    };
    calls && parts.first().filter(thought).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "us.anthropic.claude-sonnet-4-20250514-v1:0";
    const ADAPTIVE: &str = "global.anthropic.claude-opus-4-6-v1";
    const NEW: &str = "anthropic.claude-opus-4-7";
    const NOVA: &str = "amazon.nova-2-lite-v1:0";

    fn asked(effort: Option<Effort>) -> Conversation {
        let reasoning = Reasoning { effort, ..Reasoning::default() };
        Conversation { reasoning: Some(reasoning), ..Conversation::default() }
    }

    /// What is sent besides the base set, and what is dropped.
    fn said(conversation: &Conversation, model: &str) -> (String, Vec<Field>) {
        let Tuned { inference, additional, output, dropped } =
            tuned(conversation, Family::of(model));
        let json = serde_json::to_string(&(inference, additional, output.effort)).unwrap();
        (json, dropped)
    }

    #[test]
    fn an_older_claude_gets_a_budget_and_a_newer_one_an_effort() {
        let high = asked(Some(Effort::High));
        let (json, dropped) = said(&high, OLD);
        assert_eq!(json, r#"[{},{"thinking":{"type":"enabled","budget_tokens":24576}},null]"#);
        assert!(dropped.is_empty());
        let (json, _) = said(&high, ADAPTIVE);
        assert_eq!(json, r#"[{},{"thinking":{"type":"adaptive"}},"high"]"#);
        let (json, _) = said(&asked(Some(Effort::Highest)), ADAPTIVE);
        assert!(json.ends_with(r#""max"]"#));
    }

    #[test]
    fn a_budget_stays_below_the_most_that_may_be_written() {
        let mut conversation = asked(Some(Effort::High));
        conversation.max_tokens = Some(4000);
        assert!(said(&conversation, OLD).0.contains("\"budget_tokens\":3999"));
        conversation.max_tokens = Some(1000);
        assert_eq!(said(&conversation, OLD).1, [Field::Reasoning]);
    }

    #[test]
    fn who_must_call_a_tool_does_not_think() {
        let mut conversation = asked(Some(Effort::Low));
        conversation.tools = vec![canonical::Tool::default()];
        conversation.tool_choice = Some(ToolChoice::Required);
        for model in [OLD, ADAPTIVE, NEW] {
            assert_eq!(
                said(&conversation, model),
                ("[{},{},null]".to_owned(), vec![Field::Reasoning])
            );
        }
    }

    #[test]
    fn a_thought_that_is_not_known_ends_the_thinking() {
        let mut conversation = asked(Some(Effort::Low));
        let call = canonical::Part::new(Content::ToolCall(canonical::ToolCall::default()));
        conversation.turns = vec![canonical::Turn::new(Role::Assistant, vec![call.clone()])];
        assert_eq!(said(&conversation, OLD).1, [Field::Reasoning]);
        assert_eq!(said(&conversation, ADAPTIVE).1, []);
        let mut thought = canonical::Part::new(Content::Reasoning("hm".to_owned()));
        thought.signature = Some(canonical::Signature::new(MAKER, "s"));
        conversation.turns = vec![canonical::Turn::new(Role::Assistant, vec![thought, call])];
        assert_eq!(said(&conversation, OLD).1, []);
    }

    #[test]
    fn thinking_leaves_no_choice_of_tokens() {
        let mut conversation = asked(Some(Effort::Low));
        conversation.sampling = Sampling {
            temperature: Some(0.2),
            top_p: Some(0.5),
            top_k: Some(5),
            ..Sampling::default()
        };
        let (json, dropped) = said(&conversation, OLD);
        assert!(json.starts_with("[{},"), "{json}");
        assert_eq!(dropped, [Field::Temperature, Field::TopP, Field::TopK]);
    }

    #[test]
    fn what_a_claude_refuses_is_left_out() {
        let sampling = Sampling { temperature: Some(0.5), top_p: Some(0.9), ..Sampling::default() };
        let conversation = Conversation { sampling, ..Conversation::default() };
        let (json, dropped) = said(&conversation, "anthropic.claude-3-haiku-20240307-v1:0");
        assert_eq!(
            (json.as_str(), dropped.len()),
            (r#"[{"temperature":0.5,"topP":0.9},{},null]"#, 0)
        );
        assert_eq!(said(&conversation, ADAPTIVE).1, [Field::TopP]);
        assert_eq!(said(&conversation, NEW).1, [Field::Temperature, Field::TopP]);
    }

    #[test]
    fn the_usual_values_go_without_a_word() {
        let sampling = Sampling {
            temperature: Some(1.0),
            top_p: Some(1.0),
            n: Some(1),
            presence_penalty: Some(0.0),
            ..Sampling::default()
        };
        let conversation = Conversation { sampling, ..Conversation::default() };
        assert_eq!(said(&conversation, NEW), ("[{},{},null]".to_owned(), vec![]));
    }

    #[test]
    fn other_families_have_words_of_their_own() {
        let mut conversation = asked(Some(Effort::High));
        let nova = said(&conversation, NOVA);
        assert!(nova.0.contains(r#"{"type":"enabled","maxReasoningEffort":"high"}"#), "{nova:?}");
        let open = said(&conversation, "openai.gpt-oss-20b-1:0");
        assert!(open.0.contains(r#""reasoning_effort":"high""#), "{open:?}");
        assert_eq!(said(&conversation, "meta.llama3-1-8b-instruct-v1:0").1, [Field::Reasoning]);
        conversation.max_tokens = Some(10);
        assert!(said(&conversation, NOVA).0.contains(r#""maxReasoningEffort":"medium""#));
        conversation.sampling.top_k = Some(7);
        assert!(said(&conversation, NOVA).0.contains(r#""inferenceConfig":{"topK":7}"#));
        assert!(said(&conversation, "meta.llama3-1-8b-instruct-v1:0").1.contains(&Field::TopK));
    }

    #[test]
    fn the_temperature_ends_at_one() {
        let sampling = Sampling { temperature: Some(1.5), ..Sampling::default() };
        let conversation = Conversation { sampling, ..Conversation::default() };
        let (json, dropped) = said(&conversation, "amazon.nova-pro-v1:0");
        assert!(json.contains("\"temperature\":1.0"));
        assert_eq!(dropped, [Field::Temperature]);
    }

    #[test]
    fn a_thought_that_nobody_wants_to_see_is_hidden_where_that_can_be_said() {
        let mut conversation = asked(None);
        conversation.reasoning.as_mut().unwrap().shown = Some(false);
        assert!(said(&conversation, NEW).0.contains(r#""display":"omitted""#));
        assert_eq!(said(&conversation, ADAPTIVE).1, [Field::ReasoningShown]);
    }
}
