//! One mixed run with faults, counted by everybody who counts: the pages, `/v1/usage`, `/metrics`, the
//! request log, the log and the ledger agree to the call and the token.

use pages::{Count, Money, Share};
use serde_json::Value;
use testkit::client::ClientResponse;
use testkit::lockgate::Lockgate;
use testkit::openai;
use testkit::provider::{FakeProvider, ScriptedResponse, Step};

use crate::admin::{USERS, ask as administer, basic};
use crate::client_faults::until;
use crate::metrics::{METRICS, scrape, sum};
use crate::request_log::kept;
use crate::store_faults::rows_of;
use crate::support::{BOTH, hello, send, serve, yaml};

const KEY: &str = "key-of-search";
/// The calls of the run, and those of them that are refused before they count.
const CALLS: usize = 10;
const REFUSED: usize = 2;
const SETTINGS: &str = "
cache: { enabled: true }
prices:
  - { provider: first, model: small, input: 100000, output: 200000 }
  - { provider: second, model: large, input: 300000, output: 500000 }
tenants:
  - name: search
    api_key: key-of-search
    budget_usd: 100
    requests_per_day: 1000
    daily_input_tokens: 1000000
    daily_output_tokens: 1000000
";

async fn post(gateway: &Lockgate, body: &Value) -> ClientResponse {
    let headers = [("x-api-key", KEY)];
    send(gateway, "POST", "/v1/chat/completions", &headers, body.to_string()).await
}

fn question(model: &str, stream: bool) -> Value {
    let mut question = hello(model);
    question["stream"] = stream.into();
    question["max_tokens"] = 50.into();
    question
}

async fn providers() -> (FakeProvider, FakeProvider) {
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([openai::error(500, "server_error", "down")]);
    let cut = [openai::role(), openai::chunk("Half an answer"), Step::Cut];
    let hanging = [openai::role(), openai::chunk("there"), Step::Hang];
    second.respond_with([
        openai::completion("whole"),
        openai::completion("kept in the cache"),
        openai::stream(["Hel", "lo"]),
        openai::completion("failed over"),
        ScriptedResponse::stream(cut),
        openai::error(400, "invalid_request_error", "no"),
        ScriptedResponse::stream(hanging),
    ]);
    (first, second)
}

/// Whole, cached, streamed, failed over, cut, refused, rejected, failed, hung up.
async fn mixed_run(gateway: &Lockgate) {
    let status = |response: ClientResponse| response.status.as_u16();
    assert_eq!(status(post(gateway, &question("second/large", false)).await), 200);
    let mut again = question("second/large", false);
    again["temperature"] = 0.into();
    for cache in ["miss", "hit"] {
        let answer = post(gateway, &again).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-gateway-cache")), (200, cache));
        answer.text().await.unwrap();
        // It is kept behind the call that made it.
        until(|| 0 < rows_of(&gateway.folder().join("lockgate.db"), "cache#")).await;
    }
    post(gateway, &question("second/large", true)).await.until("[DONE]").await.unwrap();
    assert_eq!(status(post(gateway, &question("both", false)).await), 200);
    let cut = post(gateway, &question("second/large", true)).await.text().await.unwrap();
    assert!(cut.contains("error") && !cut.contains("[DONE]"), "{cut}");
    assert_eq!(status(post(gateway, &question("unknown", false)).await), 404);
    assert_eq!(status(post(gateway, &question("first/unpriced", false)).await), 402);
    assert_eq!(status(post(gateway, &question("second/large", false)).await), 400);
    let mut left = post(gateway, &question("second/large", true)).await;
    left.until("there").await.unwrap();
    drop(left);
}

fn tokens(row: &Value, classes: &[&str]) -> u64 {
    classes.iter().filter_map(|class| row["usage"][class].as_u64()).sum()
}

fn micros(dollars: &Value) -> u64 {
    (dollars.as_f64().unwrap_or_default() * 1e6).round() as u64
}

/// The tenant's own usage, once every call is settled.
async fn settled_usage(gateway: &Lockgate) -> Value {
    for _ in 0..200 {
        let answer = send(gateway, "GET", "/v1/usage", &[("x-api-key", KEY)], "").await;
        let usage: Value = answer.json().await.unwrap();
        let is_done = usage["held_usd"] == 0.0 && usage["in_flight"] == 0;
        if is_done && usage["request_count"].as_u64() >= u64::try_from(CALLS).ok() {
            return usage;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("a call is not settled:\n{}", gateway.log());
}

/// What a page or a download gives.
pub(crate) async fn page(gateway: &Lockgate, path: &str) -> String {
    let operator = basic("root", "root-password");
    let headers = [("authorization", operator.as_str()), ("accept", "text/html")];
    let page = send(gateway, "GET", path, &headers, "").await;
    assert_eq!(page.status, 200, "{path}");
    page.text().await.unwrap()
}

/// The sums of a CSV file's columns, by name.
fn column(csv: &str, name: &str) -> f64 {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let at = names.iter().position(|it| *it == name).unwrap();
    lines.map(|line| line.split(',').nth(at).unwrap().parse::<f64>().unwrap_or_default()).sum()
}

/// What the calls of the mixed run used and cost, by the request log.
struct Totals {
    input: u64,
    output: u64,
    /// In micro-dollars.
    cost: u64,
}

impl Totals {
    fn of(rows: &[&Value]) -> Self {
        let all = |names: &[&str]| rows.iter().map(|row| tokens(row, names)).sum();
        Self {
            input: all(&["input", "cached_input", "cache_write"]),
            output: all(&["output", "reasoning"]),
            cost: rows.iter().map(|row| micros(&row["cost_usd"])).sum(),
        }
    }
}

#[tokio::test]
async fn everybody_who_counts_counts_the_same() {
    let (first, second) = providers().await;
    let config = yaml(
        &[("first", &first.url()), ("second", &second.url())],
        &format!("{BOTH}{SETTINGS}{USERS}{METRICS}"),
    );
    let gateway = serve(&config).await;
    mixed_run(&gateway).await;
    let usage = settled_usage(&gateway).await;

    // `GET /v1/usage` is a call too.
    let rows = kept(&gateway, CALLS, &["--tenant", "search"]).await;
    let rows: Vec<&Value> =
        rows.iter().filter(|row| row["path"] == "/v1/chat/completions").collect();
    assert_eq!(rows.len(), CALLS, "{rows:#?}");
    let outcome = |name: &str| rows.iter().filter(|row| row["outcome"] == name).count();
    assert_eq!((outcome("success"), outcome("canceled")), (5, 1), "{rows:#?}");
    let totals = Totals::of(&rows);
    assert!(0 < totals.input && 0 < totals.output && 0 < totals.cost);

    ledger_agrees(&gateway, &totals).await;
    own_usage_agrees(&usage, &totals);
    metrics_agree(&gateway, &totals).await;
    log_agrees(&gateway, &totals);
    pages_agree(&gateway, &rows, &totals).await;
    overview_agrees(&gateway, &totals).await;
    usage_page_agrees(&gateway, &totals).await;
}

async fn ledger_agrees(gateway: &Lockgate, totals: &Totals) {
    let (_, ledger) = administer(gateway, "GET", "/admin/tenants/search/usage", "").await;
    assert_eq!(micros(&ledger["total_cost_usd"]), totals.cost, "{ledger}");
    let used = |limit: &str| {
        let limits = ledger["limits"].as_array().unwrap();
        limits.iter().find(|it| it["limit"] == limit).unwrap()["used"].as_u64().unwrap()
    };
    assert_eq!(used("requests_per_day"), (CALLS - REFUSED) as u64, "{ledger}");
    assert_eq!(
        (used("daily_input_tokens"), used("daily_output_tokens")),
        (totals.input, totals.output)
    );
}

fn own_usage_agrees(usage: &Value, totals: &Totals) {
    assert_eq!(micros(&usage["total_cost_usd"]), totals.cost, "{usage}");
    let of_models = usage["by_model"].as_array().unwrap();
    let summed = |name: &str| of_models.iter().filter_map(|it| it[name].as_u64()).sum::<u64>();
    let tokens = (summed("input_tokens"), summed("output_tokens"));
    assert_eq!(tokens, (totals.input, totals.output), "{usage}");
}

/// They count what else the tenant asked for, too.
async fn metrics_agree(gateway: &Lockgate, totals: &Totals) {
    let all = scrape(gateway).await;
    let of_search = |name: &str, labels: &[&str]| {
        sum(&all, name, &[&["tenant_id=\"search\""], labels].concat()) as u64
    };
    let chats = sum(&all, "proxy_requests_total", &["format=\"openai_chat\""]);
    assert_eq!(chats, CALLS as f64, "{all:#?}");
    assert_eq!(of_search("aigateway_tokens_total", &["type=\"input\""]), totals.input);
    assert_eq!(of_search("aigateway_tokens_total", &["type=\"output\""]), totals.output);
    let dollars = sum(&all, "aigateway_cost_usd_total", &["tenant_id=\"search\""]);
    assert_eq!((dollars * 1e6).round() as u64, totals.cost);
    assert_eq!(of_search("aigateway_cache_hits_total", &[]), 1);
}

fn log_agrees(gateway: &Lockgate, totals: &Totals) {
    let log = gateway.log();
    let lines = log.lines().filter(|line| line.contains("call ended"));
    let lines: Vec<&str> = lines.filter(|line| line.contains("/v1/chat/completions")).collect();
    assert_eq!(lines.len(), CALLS, "{log}");
    let logged = |name: &str| -> u64 {
        let text = format!("{name}=");
        let values = lines.iter().filter_map(|line| line.split_once(&text));
        values.map(|(_, rest)| rest.split(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    let tokens = (logged("tokens_input"), logged("tokens_output"));
    assert_eq!(tokens, (totals.input, totals.output), "{log}");
}

async fn pages_agree(gateway: &Lockgate, rows: &[&Value], totals: &Totals) {
    let list = page(gateway, "/admin/requests?tenant=search").await;
    for row in rows {
        assert!(list.contains(row["id"].as_str().unwrap()), "{row}");
    }
    let calls = page(gateway, "/admin/requests.csv?tenant=search").await;
    assert_eq!(column(&calls, "input_tokens") as u64, totals.input, "{calls}");
    assert_eq!(column(&calls, "output_tokens") as u64, totals.output, "{calls}");

    let sums = page(gateway, "/admin/usage.csv").await;
    let of_search: String = sums
        .lines()
        .filter(|line| line.starts_with("day,") || line.contains(",search,"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(column(&of_search, "input_tokens") as u64, totals.input, "{sums}");
    assert_eq!(column(&of_search, "output_tokens") as u64, totals.output, "{sums}");
    assert_eq!((column(&of_search, "cost_usd") * 1e6).round() as u64, totals.cost, "{sums}");
}

/// What stands between two texts of a page, the first time.
fn between<'p>(page: &'p str, start: &str, end: &str) -> &'p str {
    let found = page.split_once(start).and_then(|(_, rest)| rest.split_once(end));
    found.unwrap_or_else(|| panic!("no {start} in {page}")).0
}

/// Every call that left a row, and the overview, once both know of each other's calls.
async fn overview(gateway: &Lockgate) -> (Vec<Value>, String) {
    for _ in 0..200 {
        // The tenant's questions for its usage are calls too, and are written behind their responses.
        let rows = kept(gateway, CALLS, &[]).await;
        let html = page(gateway, "/admin").await;
        let calls = Count(rows.len() as u64).to_string();
        if between(&html, "<small>Calls</small><b>", "</b>") == calls {
            return (rows, html);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the overview counts other calls than the log:\n{}", page(gateway, "/admin").await);
}

fn has_failed(row: &Value) -> bool {
    row["outcome"] != "success" && row["outcome"] != "canceled"
}

/// How often another target answered after one failed.
fn rescued(row: &Value) -> usize {
    let attempts = row["attempts"].as_array().unwrap();
    let target = |attempt: &Value| (attempt["provider"].clone(), attempt["model"].clone());
    let is_rescue =
        |pair: &&[Value]| target(&pair[0]) != target(&pair[1]) && pair[1]["outcome"] == "success";
    attempts.windows(2).filter(is_rescue).count()
}

async fn overview_agrees(gateway: &Lockgate, totals: &Totals) {
    let (rows, html) = overview(gateway).await;
    let count =
        |wanted: &dyn Fn(&Value) -> bool| rows.iter().filter(|row| wanted(row)).count() as u64;
    let answered = count(&|row| row["outcome"] == "success");
    let failed = count(&|row| has_failed(row) && row["attempts"] != Value::Array(vec![]));
    let rescued: usize = rows.iter().map(rescued).sum();
    assert!(0 < failed && 0 < rescued, "{rows:#?}");

    let share = Share { part: answered, whole: answered + failed };
    let shown = format!(
        "<small>Answered</small><b>{share}</b><small>{failed} failed, {rescued} rescued by failover"
    );
    assert!(html.contains(&shown), "{shown}: {html}");
    let cost = Money(totals.cost);
    let shown = format!("<small>Spend</small><b>{cost}</b><small>{cost} this month");
    assert!(html.contains(&shown), "{shown}: {html}");
    for row in &rows {
        let link = format!("/admin/requests/{}\"", row["id"].as_str().unwrap());
        assert_eq!(html.contains(&link), has_failed(row), "{row}: {html}");
    }
}

async fn usage_page_agrees(gateway: &Lockgate, totals: &Totals) {
    let rows = kept(gateway, CALLS, &["--tenant", "search"]).await;
    // Requests for usage are in the log, and are no calls for a model.
    let calls = rows.iter().filter(|row| row["format"].as_str().is_some_and(|it| !it.is_empty()));
    let calls = calls.count() as u64;
    let html = page(gateway, "/admin/usage").await;
    let settled = between(&html, "<small>Settled</small><b>", "</b>");
    assert_eq!(settled, Money(totals.cost).to_string(), "{html}");
    for path in ["/admin/usage", "/admin/usage?tenant=search"] {
        let html = page(gateway, path).await;
        let line = between(&html, ">search</a>", "</tr>");
        let cells: Vec<&str> = line.split("<td class=\"num").skip(1).collect();
        let cells: Vec<&str> = cells.iter().map(|it| between(it, ">", "</td>")).collect();
        let counts = [calls, totals.input, totals.output].map(|it| Count(it).to_string());
        let cost = Money(totals.cost).to_string();
        assert_eq!(cells, [&counts[..], &[cost]].concat(), "{path}: {html}");
    }
    let models = between(&html, "<h2>By model</h2>", "</section>");
    for row in rows.iter().filter(|row| row["provider"].is_string()) {
        let text = |name: &str| row[name].as_str().unwrap();
        let model = format!("<td>{}/{}", text("provider"), text("sent_model"));
        assert!(models.contains(&model), "{model}: {models}");
    }
}
