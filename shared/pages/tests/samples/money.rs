//! Tenants, usage and prices.

use pages::{
    Count, Moment, Money,
    chart::{Columns, Curve, Series, Unit},
    form::Group,
    prices::{self, Prices},
    shell::{Pill, Section, Shell, Tone},
    tenants::{
        self, Budget, Key, Limit, ModelSpend, NewKey, NewTenant, Spend, Tab, Tenant, Tenants,
    },
    usage::{self, Query, Usage},
};

use super::{NOON, ago, audit_rows, choices, html, shell, text};

const DAY: u64 = 86_400;

pub(crate) fn days() -> Columns {
    let tenths: [&[u64]; 3] = [
        &[12, 14, 11, 16, 20, 7, 6, 18, 21, 19, 24, 22, 13],
        &[5, 6, 9, 7, 8, 3, 2, 9, 11, 8, 12, 10, 6],
        &[2, 1, 3, 2, 2, 1, 1, 4, 3, 3, 4, 5, 2],
    ];
    let series = ["openrouter", "anthropic", "groq"].into_iter().zip(tenths);
    let series = series.map(|(name, values)| Series {
        name: text(name),
        values: values.iter().map(|it| it * 100_000).collect(),
    });
    Columns {
        label: text("Spend by day and provider, 16 to 28 November: between $0.90 and $4.00 a day"),
        labels: (0..13).map(|it| ago((12 - it) * DAY).day_text()).collect(),
        series: series.collect(),
        unit: Unit::Money,
    }
}

fn curve() -> Curve {
    Curve {
        label: text("Spend this month: $46.20 of $50, expected to pass the budget on 30 November"),
        labels: (1..=30).map(|it: u64| it.to_string()).collect(),
        sums: (1..=28).map(|it: u64| it * it * 59_000).collect(),
        forecast: Some(53_100_000),
        limit: Some(50_000_000),
    }
}

fn limit(name: &'static str, used: u64, limit: u64, words: &str) -> Limit {
    Limit { name, used, limit, text: text(words) }
}

fn spend() -> Spend {
    Spend {
        period: text("Nov 2026"),
        settled: Money(46_200_000),
        held: Money(310_000),
        holds: Count(2),
        lost: Money(40_000),
        curve: curve(),
        forecast: text("At the pace of the last 7 days the budget is spent on 30 November."),
        limits: vec![
            limit("Budget, month", 46_510_000, 50_000_000, "$46.51 of $50.00"),
            limit("Requests a minute", 19, 60, "19 of 60"),
            limit("Output tokens today", 212_400, 500_000, "212,400 of 500,000"),
            limit("Calls at once", 2, 10, "2 of 10"),
        ],
        models: vec![
            ModelSpend {
                model: text("anthropic/claude-sonnet-4-5"),
                calls: Count(814),
                cost: Some(Money(39_100_000)),
            },
            ModelSpend { model: text("groq/gemini-2.5-flash-lite"), calls: Count(18), cost: None },
        ],
    }
}

fn keys() -> Vec<Key> {
    let key = |name: &str, hint: &str| Key {
        id: text("k_01"),
        name: text(name),
        hint: text(hint),
        created: Some(ago(200 * DAY)),
        ..Key::default()
    };
    vec![
        key("notebook", "lg-…5yHu"),
        Key {
            id: text("k_00"),
            last_used: Some(ago(40)),
            expires: Some(Moment(NOON + 82_800_000)),
            expires_in: Some(Pill::new(Tone::Warn, "in 23 h")),
            ..key("notebook, before rotation", "lg-…9f2c")
        },
    ]
}

fn tenant(tab: Tab) -> Tenant {
    let mut groups = tenants::fields();
    let value = |name: &str| match name {
        "name" => Some(text("research")),
        "rate_limit_rpm" => Some(text("60")),
        "budget_usd" => Some(text("50")),
        _ => None,
    };
    let error = |name: &str| (name == "alert_levels").then(|| text("each is between 1 and 100"));
    Group::fill(&mut groups, value, error);
    let new_key = NewKey {
        key: text("lg-7Qm2x9TnVb4cKd81RwZs5yHu"),
        old_ends: Some(Moment(NOON + 82_800_000)),
        setup: text("/admin/tenants/tn_1?tab=keys"),
    };
    Tenant {
        shell: Shell { title: text("research"), ..shell(Section::Tenants) },
        tab,
        id: text("tn_1"),
        name: text("research"),
        is_enabled: true,
        new_key: (tab == Tab::Keys).then_some(new_key),
        spend: spend(),
        keys: keys(),
        groups,
        changes: audit_rows(),
        ..Tenant::default()
    }
}

fn tenants() -> Tenants {
    let row = |name: &str, used: u64, limit: Option<u64>| tenants::Row {
        id: text(name),
        name: text(name),
        state: Pill::new(Tone::Ok, "enabled"),
        spent: Some(Money(used)),
        budget: limit.map(|it| Budget { limit: Money(it), used: Money(used), period: "month" }),
        limits: text("60 a minute, 10 at once"),
        keys: Count(2),
        last_used: Some(ago(40)),
        is_declared: false,
    };
    Tenants {
        shell: shell(Section::Tenants),
        rows: vec![
            row("research", 46_510_000, Some(50_000_000)),
            row("n8n", 4_020_000, Some(10_000_000)),
            row("claude-code", 31_800_000, None),
            tenants::Row {
                state: Pill::new(Tone::Off, "disabled"),
                spent: None,
                limits: String::new(),
                last_used: None,
                ..row("batch", 0, None)
            },
        ],
        ..Tenants::default()
    }
}

fn sum(name: &str, calls: u64, cost: u64) -> usage::Row {
    usage::Row {
        name: text(name),
        href: format!("/admin/requests?tenant={name}"),
        calls: Count(calls),
        input: Count(calls * 1_900),
        output: Count(calls * 310),
        cost: Money(cost),
        unpriced: Count(calls % 7),
    }
}

fn usage() -> Usage {
    Usage {
        shell: shell(Section::Usage),
        query: Query { tenant: String::new(), month: text("2026-11") },
        tenants: choices(&["research", "n8n"]),
        months: choices(&["2026-11", "2026-10"]),
        until: Moment(NOON),
        days: days(),
        curve: Some(curve()),
        settled: Money(46_200_000),
        held: Money(310_000),
        lost: Money(40_000),
        forecast: Some(Money(53_100_000)),
        budget: Some(Money(60_000_000)),
        by_tenant: vec![sum("research", 812, 39_400_000), sum("n8n", 4_100, 6_800_000)],
        by_model: vec![sum("anthropic/claude-sonnet-4-5", 801, 39_100_000)],
    }
}

fn prices() -> Prices {
    let row = |provider: &str, model: &str, input, output, is_own| prices::Row {
        provider: text(provider),
        model: text(model),
        input: Some(Money(input)),
        cached_input: Some(Money(input / 10)),
        cache_write: None,
        output: Some(Money(output)),
        is_own,
    };
    let unknown = prices::Unknown {
        provider: text("gemini"),
        model: text("gemini-2.5-flash-lite"),
        calls: Count(18),
    };
    Prices {
        shell: shell(Section::Prices),
        unknown: vec![unknown],
        rows: vec![
            row("cerebras", "gpt-oss-120b", 350_000, 750_000, true),
            row("anthropic", "claude-sonnet-4-5", 3_000_000, 15_000_000, false),
        ],
        more: 812,
        shipped: text("The shipped table is of 20 November 2026."),
        ..Prices::default()
    }
}

pub(crate) fn all() -> Vec<(&'static str, String)> {
    let new = NewTenant {
        shell: shell(Section::Tenants),
        groups: tenants::fields(),
        idempotency_key: text("k"),
    };
    let none = Tenants { shell: shell(Section::Tenants), ..Tenants::default() };
    let unused = Usage { shell: shell(Section::Usage), ..Usage::default() };
    vec![
        ("tenants", html(&tenants())),
        ("tenants-empty", html(&none)),
        ("tenant-new", html(&new)),
        ("tenant", html(&tenant(Tab::Spend))),
        ("tenant-keys", html(&tenant(Tab::Keys))),
        ("tenant-settings", html(&tenant(Tab::Settings))),
        ("tenant-audit", html(&tenant(Tab::Audit))),
        ("usage", html(&usage())),
        ("usage-empty", html(&unused)),
        ("prices", html(&prices())),
    ]
}
