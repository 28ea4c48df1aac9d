//! Routes and providers.

use pages::{
    Took,
    routes::{
        Change, Conflict, Editor, Explained, Explanation, Line, Message, Preview, Provider, Route,
        Routes, Step, Target, Tested,
    },
    shell::{Pill, Section, Tone},
};

use super::{ago, html, shell, text};

const YAML: &str = "\
providers:
  - name: cerebras
    base_url: https://api.cerebras.ai/v1
    api_key: ${CEREBRAS_API_KEY}
  - name: openrouter
    type: openrouter
    api_kee: ${OPENROUTER_API_KEY}

routes:
  - name: fast
    steps:
      - { provider: cerebras, model: gpt-oss-120b, first_token_timeout: 10s }
      - { provider: openrouter, model: openai/gpt-oss-120b }
";

fn routes() -> Routes {
    let route = |name: &str, steps: &[&str]| Route {
        name: text(name),
        description: text("First one, then the other"),
        steps: steps.iter().map(|it| Step { target: text(it), ..Step::default() }).collect(),
        strategy: text("in order"),
        settings: vec![],
    };
    let hedged = Route {
        name: text("hedged"),
        description: String::new(),
        steps: vec![
            Step {
                target: text("groq/llama-3.3-70b"),
                notes: vec![text("streams"), text("up to 8,000 input tokens"), text("weight 3")],
                state: Some(Pill::new(Tone::Warn, "cooldown")),
            },
            Step { target: text("openrouter/openai/gpt-oss-120b"), ..Step::default() },
        ],
        strategy: text("weighted"),
        settings: vec![
            text("asks the next after 2 s, up to 5 % of calls"),
            text("rescues streams"),
        ],
    };
    let provider = |name: &str, tested| Provider {
        name: text(name),
        kind: text("openai"),
        base_url: text("https://api.cerebras.ai/v1"),
        keys: vec![text("…a41f")],
        state: Pill::new(Tone::Ok, "answering"),
        notes: vec![text("30 requests a minute"), text("2 calls in flight")],
        tested,
    };
    let tested = Tested {
        tone: Tone::Ok,
        text: text("It responded in 214 ms and lists 3 models."),
        models: vec![text("gpt-oss-120b"), text("llama-3.3-70b"), text("qwen-3-32b")],
        took: Took::ms(214),
    };
    Routes {
        shell: shell(Section::Routes),
        version: text("Version 14, saved by admin"),
        fixed: None,
        routes: vec![
            route("fast", &["cerebras/gpt-oss-120b", "openrouter/openai/gpt-oss-120b"]),
            route("smart", &["anthropic/claude-sonnet-4-5"]),
            hedged,
        ],
        providers: vec![provider("cerebras", Some(tested)), provider("openrouter", None)],
    }
}

fn diff() -> Vec<Line> {
    let line = |change, number, words: &str| Line { change, number, text: text(words) };
    vec![
        line(Change::Gap, 0, ""),
        line(Change::Kept, 10, "  - name: fast"),
        line(Change::Kept, 11, "    steps:"),
        line(Change::Removed, 12, "      - { provider: cerebras, model: gpt-oss-120b }"),
        line(Change::Added, 12, "      - { provider: cerebras, model: gpt-oss-20b }"),
    ]
}

fn editor(conflict: Option<Conflict>, messages: Vec<Message>) -> String {
    let (yaml, version) = (text(YAML), text("14"));
    html(&Editor { shell: shell(Section::Routes), yaml, version, messages, conflict })
}

fn preview() -> Preview {
    let explained = Explained {
        model: text("fast"),
        before: vec![text("1. cerebras/gpt-oss-120b: attempted")],
        after: vec![text("1. cerebras/gpt-oss-20b: attempted")],
    };
    Preview {
        shell: shell(Section::Routes),
        yaml: text(YAML),
        version: text("14"),
        diff: diff(),
        tenants: vec![text("research"), text("n8n")],
        explained: vec![explained],
    }
}

fn explanation() -> Explanation {
    let target =
        |name: &str, state, reason: &str| Target { name: text(name), state, reason: text(reason) };
    Explanation {
        shell: shell(Section::Routes),
        model: text("fast"),
        models: vec![text("fast")],
        found: text("A route with two targets."),
        targets: vec![
            target(
                "cerebras/gpt-oss-120b",
                Pill::new(Tone::Warn, "skipped"),
                "cools down until 14:21",
            ),
            target("openrouter/openai/gpt-oss-120b", Pill::new(Tone::Ok, "attempted"), "first"),
        ],
    }
}

pub(crate) fn all() -> Vec<(&'static str, String)> {
    let wrong = "unknown key api_kee; did you mean api_key?";
    let messages = vec![Message { line: Some(7), text: text(wrong) }];
    let conflict = Conflict { who: text("maria"), at: ago(30), is_merged: true, theirs: diff() };
    vec![
        ("routes", html(&routes())),
        ("routes-empty", html(&Routes { shell: shell(Section::Routes), ..Routes::default() })),
        ("routes-edit", editor(None, messages)),
        ("routes-conflict", editor(Some(conflict), vec![])),
        ("routes-preview", html(&preview())),
        ("explain", html(&explanation())),
    ]
}
