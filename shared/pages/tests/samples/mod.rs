//! One of each page with the numbers of an ordinary day.

mod configuration;
mod money;

use std::time::Duration;

use pages::{
    Count, Moment, Money, Share, Took, View,
    audit::{self, Audit},
    call::{Attempt, Call, ClassCost, End, Fact, Result, Times},
    form::Choice,
    health::{Cooldown, Health, Part, Provider},
    overview::{Attention, Failure, Figures, Overview},
    playground::Playground,
    public_pages::{ErrorPage, Home, SignIn},
    requests::{Filter, Hop, Only, Requests, Row, Rows},
    setup::{Setup, Snippet, Values},
    shell::{Link, Notice, Pill, Section, Shell, Theme, Tone},
    welcome::{self, Welcome},
};

pub(crate) const NOON: u64 = 1_795_874_692_118;
const BASE: &str = "http://127.0.0.1:8080";

pub(crate) fn html(view: &impl View) -> String {
    view.html().unwrap()
}

pub(crate) fn text(text: &str) -> String {
    text.to_owned()
}

pub(crate) fn ago(seconds: u64) -> Moment {
    Moment(NOON - seconds * 1000)
}

pub(crate) fn shell(section: Section) -> Shell {
    Shell {
        section,
        title: text(section.name()),
        path: text(section.path()),
        base_url: format!("{BASE}/v1"),
        operator: text("admin"),
        role: text("admin"),
        theme: Theme::System,
        unpriced: 2,
        unhealthy: 1,
        notices: vec![],
    }
}

pub(crate) fn choices(names: &[&str]) -> Vec<Choice> {
    names.iter().map(|it| Choice::plain(*it)).collect()
}

fn figures() -> Figures {
    Figures {
        calls: Count(1_284),
        calls_before: Some(Count(1_146)),
        answered: Count(1_275),
        failed: Count(9),
        failed_over: Count(61),
        spend: Money(2_140_000),
        month: Money(38_600_000),
        budget: Some(Money(60_000_000)),
        first_token: Some(Took::ms(412)),
        overhead: Some(Took(Duration::from_micros(210))),
        calls_curve: vec![12, 14, 12, 18, 22, 20, 24, 30, 26, 34, 32, 28, 24, 30],
        failed_curve: vec![0, 0, 2, 0, 1, 0, 0, 0, 4, 1, 0, 0, 1, 0],
        spend_curve: vec![3, 5, 5, 8, 9, 9, 12, 16, 14, 20, 22, 20, 17, 20],
        first_token_curve: vec![
            410, 380, 410, 390, 390, 440, 410, 390, 390, 350, 380, 410, 380, 385,
        ],
    }
}

fn failure(seconds: u64, who: &str, requested: &str, what: &str) -> Failure {
    Failure {
        at: ago(seconds),
        id: format!("req_{seconds}"),
        tenant: text(who),
        requested: text(requested),
        text: text(what),
        took: Took::ms(340),
    }
}

fn overview() -> Overview {
    let mut shell = shell(Section::Overview);
    let notice = Notice::new(
        Tone::Warn,
        "research is at 92 % of its monthly budget.",
        "At today's pace it is spent on Thursday.",
    );
    shell.notices.push(notice.with_link(Link::new("Look at it", "/admin/tenants/research")));
    let attention = vec![
        Attention {
            subject: text("groq/llama-3.3-70b"),
            text: text("cooling down until 14:21: daily quota, as Groq said"),
            pill: Some(Pill::new(Tone::Warn, "cooldown")),
            link: None,
        },
        Attention {
            subject: text("gemini-2.5-flash-lite"),
            text: text("no price known: 18 calls are not counted in money"),
            pill: None,
            link: Some(Link::new("Set price", "/admin/prices")),
        },
        Attention {
            subject: text("mistral"),
            text: text("401 since 13:40: its key was refused"),
            pill: Some(Pill::new(Tone::Err, "key")),
            link: None,
        },
    ];
    let failures = vec![
        failure(
            161,
            "research",
            "fast",
            "Every target failed: groq 429 (daily quota), mistral 401",
        ),
        failure(
            372,
            "n8n",
            "smart",
            "The stream broke after 212 tokens: anthropic closed the connection",
        ),
        failure(2025, "", "", "Refused: the key lg-…9f2c expired on 25 November"),
    ];
    let (window, until) = (text("24h"), Moment(NOON));
    Overview { shell, window, until, figures: figures(), spend: money::days(), attention, failures }
}

fn hop(name: &str, is_success: bool) -> Hop {
    Hop { text: text(name), is_success }
}

fn row(seconds: u64, outcome: Pill, tenant: &str, requested: &str) -> Row {
    Row {
        at: ago(seconds),
        id: format!("req_4d22eeedfe{seconds:04}"),
        outcome,
        tenant: text(tenant),
        requested: text(requested),
        ..Row::default()
    }
}

fn answered(seconds: u64, tenant: &str, requested: &str, trail: Vec<Hop>) -> Row {
    Row {
        trail,
        model: text("openai/gpt-oss-120b"),
        input: Some(Count(1_204)),
        output: Some(Count(318)),
        cost: Some(Money(406)),
        took: Took::ms(2_107),
        first_token: Some(Took::ms(410)),
        ..row(seconds, Pill::new(Tone::Ok, "answered"), tenant, requested)
    }
}

pub(crate) fn rows() -> Vec<Row> {
    vec![
        answered(0, "n8n", "fast", vec![hop("groq 429", false), hop("openrouter", true)]),
        Row {
            model: text("claude-sonnet-4-5"),
            input: Some(Count(38_112)),
            output: Some(Count(1_022)),
            cost: Some(Money(44_100)),
            took: Took::ms(14_800),
            first_token: Some(Took::ms(890)),
            ..answered(21, "claude-code", "smart", vec![hop("anthropic", true)])
        },
        Row {
            cost: Some(Money(0)),
            saved: Some(Money(120)),
            took: Took::ms(3),
            first_token: None,
            outcome: Pill::new(Tone::Info, "from cache"),
            ..answered(54, "n8n", "fast", vec![hop("cache", true)])
        },
        Row {
            model: String::new(),
            output: None,
            cost: None,
            took: Took::ms(340),
            first_token: None,
            outcome: Pill::new(Tone::Err, "failed"),
            ..answered(
                161,
                "research",
                "fast",
                vec![hop("groq 429", false), hop("mistral 401", false)],
            )
        },
        Row {
            not_sent: text("60 of 60 requests this minute"),
            took: Took(Duration::from_micros(500)),
            ..row(212, Pill::new(Tone::Warn, "over limit"), "batch", "cheap")
        },
        Row {
            outcome: Pill::new(Tone::Err, "interrupted"),
            took: Took::ms(9_100),
            ..answered(372, "n8n", "smart", vec![hop("anthropic: cut after 212 tokens", false)])
        },
        Row {
            not_sent: text("the key lg-…9f2c expired on 25 November"),
            ..row(2025, Pill::new(Tone::Warn, "refused"), "", "")
        },
    ]
}

fn requests() -> Requests {
    let live = Some(text("/admin/requests?range=1h&after=abc&part=rows"));
    Requests {
        shell: shell(Section::Requests),
        kept_days: 30,
        prompts: text("Prompts are not stored."),
        filter: Filter { range: text("1h"), only: vec![Only::FailedOver], ..Filter::default() },
        tenants: choices(&["research", "n8n", "claude-code", "batch"]),
        targets: choices(&["groq", "openrouter", "anthropic"]),
        rows: Rows { rows: rows(), live },
        older: Some(text("2026112813/abc")),
        searched_to: Some(ago(3600)),
    }
}

fn fact(name: &'static str, value: &str, is_code: bool) -> Fact {
    Fact { name, text: text(value), is_code }
}

fn facts() -> Vec<Fact> {
    vec![
        fact("Provider's id", "gen-1764338692-x81k", true),
        fact("Format", "OpenAI chat, streamed; passed through", false),
        fact("Session", "wf-991", true),
        fact("Client", "n8n/1.94 openai-node/5.8", false),
        fact("Trace", "2f610d590a722dc7f2f27c25a1b3c4d5", true),
    ]
}

fn attempts() -> Vec<Attempt> {
    let target = |provider: &str, key: &str| Attempt {
        provider: text(provider),
        model: text("openai/gpt-oss-120b"),
        key: text(key),
        ..Attempt::default()
    };
    vec![
        Attempt {
            result: Result::Failed,
            status: Some(429),
            code: text("rate_limit"),
            message: Some(text("Rate limit reached for tokens per day")),
            start_ms: 1,
            duration_ms: 103,
            then: text("next target; cooling down until 14:21"),
            ..target("groq", "…a41f")
        },
        Attempt {
            status: Some(200),
            start_ms: 105,
            first_token_ms: Some(410),
            duration_ms: 2_000,
            then: text("answered"),
            ..target("openrouter", "…77c0")
        },
    ]
}

fn classes() -> Vec<ClassCost> {
    let class = |name, tokens, per_million, cost| ClassCost {
        name,
        tokens: Count(tokens),
        per_million: Some(Money(per_million)),
        cost: Some(Money(cost)),
    };
    vec![class("Input", 1_204, 100_000, 120), class("Output", 318, 900_000, 286)]
}

pub(crate) fn call() -> Call {
    let times = Times {
        admit: Some(Duration::from_micros(1_200)),
        first_token: Some(Duration::from_millis(515)),
        total: Duration::from_millis(2_107),
        overhead: Some(Duration::from_micros(1_900)),
        output_tokens: 318,
        input_tokens: 1_204,
    };
    Call {
        shell: Shell { title: text("A request"), ..shell(Section::Requests) },
        id: text("req_4d22eeedfe05a484"),
        arrived: Moment(NOON),
        outcome: Pill::new(Tone::Ok, "answered"),
        tenant: text("n8n"),
        tenant_id: text("tn_1"),
        requested: text("fast"),
        route: Some(text("fast")),
        sent: Some(text("openai/gpt-oss-120b")),
        answered: Some(text("openai/gpt-oss-120b:free")),
        attempts: attempts(),
        times,
        facts: facts(),
        dropped: vec![text("response_format")],
        classes: classes(),
        held: Some(Money(4_100)),
        cost: Some(Money(406)),
        response: text("HTTP/1.1 200 OK\nx-gateway-provider: openrouter\nx-gateway-attempts: 2"),
        ..Call::default()
    }
}

fn failed_call() -> Call {
    let mut attempts = attempts();
    attempts[1] = Attempt {
        result: Result::Failed,
        status: Some(401),
        code: text("auth"),
        message: Some(text("Invalid API key")),
        first_token_ms: None,
        duration_ms: 231,
        then: text("no target is left"),
        ..attempts[1].clone()
    };
    let total = Duration::from_millis(340);
    let times = Times { admit: Some(Duration::from_micros(1_200)), total, ..Times::default() };
    let message = "Every target failed; see error.attempts.";
    let end = End::Failed(text(message));
    let outcome = Pill::new(Tone::Err, "failed");
    Call { end, attempts, times, outcome, classes: vec![], dropped: vec![], cost: None, ..call() }
}

fn playground() -> Playground {
    Playground {
        shell: shell(Section::Playground),
        tenants: choices(&["default", "research"]),
        tenant: text("research"),
        models: vec![text("fast"), text("smart")],
        model: text("fast"),
    }
}

fn health() -> Health {
    let part = |name: &str, state: &str, words: &str| Part {
        name: text(name),
        state: Pill::new(Tone::Ok, state),
        text: text(words),
    };
    let provider = |name: &str, part, state| Provider {
        name: text(name),
        state,
        success: Share { part, whole: 214 },
        first_token: Some(Took::ms(390)),
        failures: if part < 214 { text("83 times rate limit") } else { String::new() },
    };
    let cooldown = Cooldown {
        subject: text("groq/llama-3.3-70b"),
        reason: text("429, as Groq said"),
        until: Moment(NOON + 1_020_000),
        left: Took::ms(1_020_000),
        id: text("groq"),
    };
    Health {
        shell: shell(Section::Health),
        now: Moment(NOON),
        parts: vec![
            part("Store", "works", "SQLite, lockgate.db; the last write took 0.4 ms"),
            part("Configuration", "current", "version 14, read 12 s ago"),
            part("Records", "kept", "none lost since the start"),
        ],
        cooldowns: vec![cooldown],
        providers: vec![
            provider("openrouter", 214, Pill::new(Tone::Ok, "answering")),
            provider("groq", 131, Pill::new(Tone::Warn, "cooldown")),
            provider("mistral", 0, Pill::new(Tone::Err, "key refused")),
        ],
    }
}

pub(crate) fn audit_rows() -> Vec<audit::Row> {
    let row = |seconds, action: &str, subject: &str, outcome, detail: &str| audit::Row {
        at: ago(seconds),
        who: text("admin"),
        from: text("127.0.0.1"),
        action: text(action),
        subject: text(subject),
        outcome,
        detail: text(detail),
    };
    let done = Pill::new(Tone::Ok, "done");
    vec![
        row(60, "tenant.update", "research", done.clone(), "budget_usd: 40 → 50"),
        row(4_000, "key.rotate", "research", done.clone(), "lg-…9f2c ends in 24 h"),
        row(9_000, "sign_in", "admin", Pill::new(Tone::Err, "refused"), "wrong password"),
        row(90_000, "config.apply", "version 14", done, "routes: fast changed"),
    ]
}

fn setup() -> Setup {
    let values = Values { base: BASE, key: pages::setup::KEY_PLACEHOLDER, model: "fast" };
    Setup {
        shell: shell(Section::Setup),
        models: vec![text("fast"), text("smart")],
        model: text("fast"),
        has_key: false,
        snippets: Snippet::all(values),
    }
}

fn welcome(step: welcome::Step) -> String {
    let shell = Shell { title: text("To a first answer"), ..shell(Section::Overview) };
    html(&Welcome { shell, step })
}

fn outside() -> Vec<(&'static str, String)> {
    let home = Home {
        theme: Theme::System,
        state: Pill::new(Tone::Ok, "healthy"),
        base_url: text(BASE),
        version: text("0.1.0"),
    };
    let sign_in = SignIn {
        name: text("admin"),
        error: Some(text("The name or the password is wrong.")),
        next: text("/admin"),
        hint: text("The first password was printed when the gateway was started."),
        ..SignIn::default()
    };
    let error = ErrorPage {
        status: 503,
        title: text("The store does not respond"),
        text: text(
            "Calls with known keys go on. This page cannot be shown; try again in a minute.",
        ),
        request_id: text("req_4d22"),
        ..ErrorPage::default()
    };
    vec![("home", html(&home)), ("sign-in", html(&sign_in)), ("error", html(&error))]
}

fn steps() -> Vec<(&'static str, String)> {
    let kinds = choices(&["openrouter", "anthropic", "groq"]);
    let provider = welcome::ProviderStep { kinds, ..welcome::ProviderStep::default() };
    let model = welcome::ModelStep {
        provider: text("groq"),
        models: vec![text("openai/gpt-oss-120b")],
        error: None,
    };
    let key =
        welcome::KeyStep { model: text("fast"), is_priced: true, ..welcome::KeyStep::default() };
    let snippet = Snippet::all(Values { base: BASE, key: "lg-7Qm2x9TnVb4cKd81", model: "fast" });
    let done = welcome::DoneStep {
        key: text("lg-7Qm2x9TnVb4cKd81"),
        model: text("fast"),
        snippet: snippet.into_iter().next(),
    };
    vec![
        ("welcome-1", welcome(welcome::Step::Provider(provider))),
        ("welcome-2", welcome(welcome::Step::Model(model))),
        ("welcome-3", welcome(welcome::Step::Key(key))),
        ("welcome-4", welcome(welcome::Step::Done(done))),
    ]
}

/// Every page inside the frame as it is before anything has happened.
fn empty() -> Vec<(&'static str, String)> {
    let overview = Overview { shell: shell(Section::Overview), ..Overview::default() };
    let requests = Requests { shell: shell(Section::Requests), ..Requests::default() };
    let health = Health { shell: shell(Section::Health), ..Health::default() };
    let audit = Audit { shell: shell(Section::Audit), ..Audit::default() };
    vec![
        ("overview-empty", html(&overview)),
        ("requests-empty", html(&requests)),
        ("health-empty", html(&health)),
        ("audit-empty", html(&audit)),
    ]
}

/// Each page's name and HTML.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    let audit = Audit {
        shell: shell(Section::Audit),
        rows: audit_rows(),
        older: Some(text("x")),
        kept_days: 400,
    };
    let mut pages = vec![
        ("overview", html(&overview())),
        ("requests", html(&requests())),
        ("call", html(&call())),
        ("call-failed", html(&failed_call())),
        ("playground", html(&playground())),
        ("health", html(&health())),
        ("audit", html(&audit)),
        ("setup", html(&setup())),
    ];
    pages.extend(money::all());
    pages.extend(configuration::all());
    pages.extend(outside());
    pages.extend(steps());
    pages.extend(empty());
    pages
}
