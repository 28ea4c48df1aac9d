//! The pages through Lambda: signing in, every page, a change, the playground, and what a page costs.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{Request, header};
use storage::{Aws, Credentials, Secret, Timeouts, dynamodb};
use testkit::{
    aws::stack::AwsStack,
    client::{self, ClientResponse},
    lambda::Emulator,
    openai,
    provider::{FakeProvider, Latch, ScriptedResponse, Step},
};

use crate::{apply, emulate, records};

/// The address that browsers know the gateway by.
const ORIGIN: &str = "https://ai.example.com";
/// Every page that needs nothing in its path.
const PAGES: [&str; 13] = [
    "/admin",
    "/admin/requests",
    "/admin/playground",
    "/admin/tenants",
    "/admin/tenants/new",
    "/admin/routes",
    "/admin/routes/edit",
    "/admin/explain",
    "/admin/usage",
    "/admin/prices",
    "/admin/health",
    "/admin/audit",
    "/admin/setup",
];
/// The most that a page may weigh, in bytes.
const MAX_PAGE_BYTES: usize = 100_000;
/// The most that a page may cost to read, in DynamoDB's read units.
const MAX_READ_UNITS: f64 = 30.0;

/// For how many days the request log is filled: every day of a month has sums.
const RECORDED_DAYS: u64 = 31;
/// How many calls the last hours have: 100,000 in 30 days.
const CALLS_PER_HOUR: u64 = 139;
/// How many calls the hours before have: most kinds of a full hour, since pages pay for kinds and not for calls.
const QUIET_CALLS_PER_HOUR: u64 = 20;

/// A browser that is signed in.
struct Browser<'e> {
    emulator: &'e Emulator,
    cookie: String,
}

impl<'e> Browser<'e> {
    async fn sign_in(emulator: &'e Emulator) -> Self {
        let mut browser = Self { emulator, cookie: String::new() };
        let form = "name=admin&password=from-the-stack&next=%2Fadmin%2Frequests";
        let signed_in = browser.post("/admin/sign-in", form).await;
        assert_eq!(signed_in.status, 303);
        assert_eq!(signed_in.header("location"), "/admin/requests");
        let cookie = signed_in.header("set-cookie").to_owned();
        for attribute in ["__Host-", "; HttpOnly", "; Secure", "; SameSite=Strict"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        browser.cookie = cookie.split(';').next().unwrap().to_owned();
        browser
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: &str) -> ClientResponse {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.emulator.url()))
            .header(header::ACCEPT, "text/html")
            .header(header::ORIGIN, ORIGIN)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, kind)
            .header(header::COOKIE, &self.cookie);
        client::send(request.body(body.to_owned().into()).unwrap()).await.unwrap()
    }

    async fn get(&self, path: &str) -> ClientResponse {
        self.send("GET", path, "text/plain", "").await
    }

    async fn post(&self, path: &str, form: &str) -> ClientResponse {
        self.send("POST", path, "application/x-www-form-urlencoded", form).await
    }

    /// The HTML of a page, which has to be there and safe.
    async fn page(&self, path: &str) -> String {
        let page = self.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        let policy = page.header("content-security-policy").to_owned();
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        page.text().await.unwrap()
    }
}

/// A text as a form has it.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric();
    let byte = |byte: u8| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The value of a form's field in a page.
fn field(page: &str, name: &str) -> String {
    let rest = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap().1;
    rest.split('"').next().unwrap().to_owned()
}

pub(crate) async fn configured(cloud: &AwsStack, fake: &FakeProvider) -> Emulator {
    let url = fake.url();
    let yaml = format!(
        "api_key: ${{GATEWAY_KEY}}\nproviders:\n  - {{ name: first, base_url: {url}, api_key: \
         \"${{FIRST_KEY}}\" }}\nmodels: [{{ name: small, provider: first }}]\n"
    );
    apply::apply(cloud, &yaml, &|name| Some(format!("value-of-{name}"))).await;
    emulate(cloud).await
}

fn now_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the log that is read ends now")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// The tables of a stack, past the proxy.
fn stores(cloud: &AwsStack) -> storage::Stores {
    let credentials = Credentials {
        access_key_id: "test".to_owned(),
        secret_access_key: Secret::new("test"),
        session_token: None,
    };
    let mut aws = Aws::new("eu-west-1", credentials);
    aws.endpoint_url = Some(cloud.dynamodb_url().to_owned());
    aws.timeouts = Timeouts::OPERATOR;
    dynamodb::open(&aws, &cloud.tables.config, &cloud.tables.state)
}

#[tokio::test]
async fn an_operator_signs_in_sees_every_page_changes_something_and_signs_out() {
    let (cloud, fake) = (AwsStack::new().await, FakeProvider::start().await);
    let emulator = configured(&cloud, &fake).await;
    let ids = records::fill(&stores(&cloud), 1, 12, now_ms() - 2_000).await;
    let stranger = Browser { emulator: &emulator, cookie: String::new() };
    assert_eq!(stranger.get("/admin").await.status, 303);

    let browser = Browser::sign_in(&emulator).await;
    for path in PAGES {
        let page = browser.page(path).await;
        assert!(page.contains("<nav") && page.len() <= MAX_PAGE_BYTES, "{path}: {}", page.len());
    }
    let list = browser.page("/admin/requests").await;
    let newest = ids.last().unwrap();
    assert!(list.contains(newest), "{list}");
    let call = browser.page(&format!("/admin/requests/{newest}")).await;
    assert!(call.contains("What happened"), "{call}");

    let made =
        browser.post("/admin/tenants", "name=search&budget_usd=5&idempotency_key=once").await;
    assert!(made.status == 200 || made.status == 303, "{}", made.status);
    assert!(browser.page("/admin/tenants").await.contains("search"));

    let edit = browser.page("/admin/routes/edit").await;
    let yaml = "providers:\n  - { name: second, type: mock }\nmodels: [{ name: other, provider: second }]\n";
    let form = format!("yaml={}&version={}", encoded(yaml), encoded(&field(&edit, "version")));
    let preview = browser.post("/admin/routes/preview", &form).await;
    assert_eq!(preview.status, 200);
    assert!(preview.text().await.unwrap().contains("second"));
    let saved = browser.post("/admin/routes", &form).await;
    let status = saved.status;
    assert_eq!(status, 303, "{}", saved.text().await.unwrap());
    assert!(browser.page("/admin/routes").await.contains("other"));

    let out = browser.post("/admin/sign-out", "").await;
    assert_eq!((out.status.as_u16(), out.header("location")), (303, "/admin/sign-in"));
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.header("set-cookie"));
}

#[tokio::test]
async fn the_playground_streams_through_lambda() {
    let (cloud, fake) = (AwsStack::new().await, FakeProvider::start().await);
    let emulator = configured(&cloud, &fake).await;
    let latch = Latch::new();
    fake.respond_with([ScriptedResponse::stream([
        openai::role(),
        openai::chunk("Hel"),
        Step::Latch(latch.clone()),
        openai::chunk("lo"),
        openai::finish("stop"),
        openai::done(),
    ])]);
    let browser = Browser::sign_in(&emulator).await;
    browser.post("/admin/tenants", "name=search&idempotency_key=once").await;
    let page = browser.page("/admin/playground").await;
    let tenant = page.split_once("<option value=\"").unwrap().1.split('"').next().unwrap();
    let body = format!(
        r#"{{"tenant":"{tenant}","path":"/v1/chat/completions","body":{{"model":"small","stream":true,"messages":[{{"role":"user","content":"Hi"}}]}}}}"#
    );
    let mut answer = browser.send("POST", "/admin/playground", "application/json", &body).await;
    assert_eq!(answer.status, 200);
    // The provider goes on only once the browser has the beginning.
    let beginning = answer.until("Hel").await.unwrap();
    assert!(beginning.contains("event: attempt"), "{beginning}");
    latch.open();
    let rest = answer.until("event: end").await.unwrap();
    assert!(rest.contains("lo"), "{rest}");
}

/// The link to the next part of a list.
fn older(page: &str) -> String {
    let (before, _) = page.split_once("Older").unwrap();
    let (_, link) = before.rsplit_once("href=\"").unwrap();
    link.split('"').next().unwrap().replace("&amp;", "&")
}

#[tokio::test]
async fn pages_of_a_month_of_calls_cost_few_read_units() {
    let Some(cloud) = AwsStack::on_dynamodb_local().await else { return };
    let emulator = configured(&cloud, &FakeProvider::start().await).await;
    let (stores, now) = (stores(&cloud), now_ms() - 2_000);
    // Every hour of a month has its rows, whatever the number of its calls; the last ones are full.
    records::fill(&stores, 24 * RECORDED_DAYS, QUIET_CALLS_PER_HOUR, now - 3 * 3_600_000).await;
    let ids = records::fill(&stores, 3, CALLS_PER_HOUR, now).await;
    let browser = Browser::sign_in(&emulator).await;
    // What every process reads once.
    let list = browser.page("/admin/requests").await;

    let (call, older) = (format!("/admin/requests/{}", ids.last().unwrap()), older(&list));
    let mut costs = vec![];
    for path in [
        "/admin/requests",
        &older,
        &call,
        "/admin/usage",
        "/admin/usage?tenant=default",
        "/admin",
        "/admin?window=7d",
        "/admin?window=30d",
        "/admin/tenants",
        "/admin/tenants/default",
        "/admin/prices",
        "/admin/health",
    ] {
        let before = cloud.read_units();
        let page = browser.page(path).await;
        costs.push((path, cloud.read_units() - before, page.len()));
    }
    println!("{costs:#?}");
    for (path, units, bytes) in &costs {
        let is_cheap = 0.0 < *units && *units <= MAX_READ_UNITS;
        assert!(is_cheap, "{path} costs {units} read units: {costs:?}");
        assert!(*bytes <= MAX_PAGE_BYTES, "{path} has {bytes} bytes");
    }
}
