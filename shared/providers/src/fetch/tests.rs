//! A small internet of names and one real TLS server behind all of its public addresses. What decides
//! is the product's own: only resolving, the sockets behind addresses and the trusted root are
//! replaced.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;
use canonical::{CanonicalRequest, GatewayResponse, Message, ModelFacts, ToolResult};
use config::read;
use formats::{DecodeOptions, EncodeOptions, EncodedRequest, Format, GatewayRequest, Outbound};
use futures_util::future::BoxFuture;
use routing::{Failover, Limits, ModelQuery, Routes};
use testkit::{
    lockgate::Folder,
    openai,
    provider::{FakeProvider, ScriptedResponse, Step},
    tls::TlsFront,
};

use super::*;
use crate::{Client, ProxyVariables, Upstream, UpstreamRequest, tls};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and more";
const PNG_BASE64: &str = "iVBORw0KGgogYW5kIG1vcmU=";
const PUBLIC: &str = "8.8.8.8";

/// Names, the server, and which addresses a client was let to.
#[derive(Debug)]
struct TestInternet {
    names: Vec<(&'static str, Vec<IpAddr>)>,
    server: SocketAddr,
    tls: rustls::ClientConfig,
    pinned: std::sync::Arc<Mutex<Vec<String>>>,
}

/// A public address at which nobody listens.
const DOWN: &str = "9.9.9.9";

impl Network for TestInternet {
    fn lookup<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let found = self.names.iter().find(|(name, _)| *name == host);
        let found = found.map(|it| it.1.clone()).ok_or_else(|| io::Error::other("no such name"));
        Box::pin(async move { found })
    }

    fn socket(&self, host: &str, address: IpAddr) -> SocketAddr {
        self.pinned.lock().unwrap().push(format!("{host} {address}"));
        // Nobody listens on port 1 of loopback.
        if address.to_string() == DOWN { ([127, 0, 0, 1], 1).into() } else { self.server }
    }

    fn tls(&self) -> Result<rustls::ClientConfig, String> {
        Ok(self.tls.clone())
    }
}

/// A format that takes only bytes, but for what is at `s3://`.
#[derive(Debug)]
struct BytesOnly;

impl Outbound for BytesOnly {
    fn name(&self) -> &'static str {
        "bytes_only"
    }

    fn response(&self, _: Bytes, _: DecodeOptions) -> Result<GatewayResponse> {
        unreachable!("nothing is sent")
    }
}

impl OutboundConversation for BytesOnly {
    fn encode(&self, _: &Conversation, _: &EncodeOptions<'_>) -> Result<EncodedRequest> {
        unreachable!("nothing is sent")
    }

    fn accepts_url(&self, _: &Content, url: &str, _: &ModelFacts) -> bool {
        url.starts_with("s3://")
    }
}

/// What fetches, and what it fetches from.
struct World {
    fetch: Fetch,
    fake: FakeProvider,
    _front: TlsFront,
    pinned: std::sync::Arc<Mutex<Vec<String>>>,
    fetched: FetchedMedia,
    limit: Duration,
}

/// A world where `a.test` and everything under `b.test` is allowed, and `a.test` is `addresses`.
async fn world(addresses: &[&str]) -> World {
    let fake = FakeProvider::start().await;
    fake.respond_with([image_answer()]);
    let parse = |it: &[&str]| it.iter().map(|it| it.parse().unwrap()).collect();
    let names = vec![
        ("a.test", parse(addresses)),
        ("x.b.test", parse(&[PUBLIC])),
        ("other.test", parse(&[PUBLIC])),
    ];
    let served = ["a.test", "x.b.test", "other.test"];
    let front = TlsFront::start(fake.url().trim_start_matches("http://"), &served);
    let folder = Folder::new();
    folder.write("ca.pem", front.ca_pem());
    let ca_file = folder.path().join("ca.pem");
    let tls = tls::client_config(ca_file.to_str(), &["http/1.1"]).unwrap();
    let pinned = std::sync::Arc::<Mutex<Vec<String>>>::default();
    let server = front.address();
    let network = Box::new(TestInternet { names, server, tls, pinned: pinned.clone() });
    let fetch = Fetch {
        hosts: vec!["a.test".to_owned(), "*.b.test".to_owned()],
        max_bytes: 1000,
        timeout: Duration::from_secs(10),
        network,
    };
    let limit = Duration::from_secs(60);
    World { fetch, fake, _front: front, pinned, fetched: FetchedMedia::default(), limit }
}

impl World {
    /// The media of a question after what it names by address was fetched.
    async fn ask(&self, parts: Vec<Content>) -> Result<Vec<Media>> {
        let conversation = conversation(parts);
        let context = FetchContext {
            format: &BytesOnly,
            facts: &ModelFacts::UNKNOWN,
            word: Field::openai_chat_name,
            fetched: &self.fetched,
            limit: self.limit,
        };
        let filled = self.fetch.replace_urls(Cow::Borrowed(&conversation), &context).await?;
        let parts =
            filled.messages.iter().flat_map(|it| &it.parts).flat_map(|part| match &part.content {
                Content::ToolResult(result) => result.parts.iter().collect(),
                _ => vec![part],
            });
        Ok(parts.filter_map(|it| Some(media(&it.content)?.1.clone())).collect())
    }

    /// Why a picture at this address is not fetched.
    async fn refusal(&self, url: &str) -> String {
        let error = self.ask(vec![image(url)]).await.expect_err(url);
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert_eq!(error.param.as_deref(), Some("messages[].content[].image_url"));
        assert!(!error.message().contains("secret"), "{error}");
        let (with_length, why) = error.message().split_once(": ").unwrap();
        assert_eq!(with_length, "takes this only as bytes, and the address is not fetched");
        why.to_owned()
    }

    /// Why `a.test`, which answers this, gives no picture.
    async fn refusal_of(&self, response: ScriptedResponse) -> String {
        self.fake.respond_with([response]);
        self.refusal("https://a.test/p?secret").await
    }

    /// Every address that a client was let to, with its host.
    fn pinned(&self) -> Vec<String> {
        self.pinned.lock().unwrap().clone()
    }
}

fn conversation(parts: Vec<Content>) -> Conversation {
    let parts = parts.into_iter().map(Part::new).collect();
    let messages = vec![Message::new(Role::User, parts)];
    Conversation { messages, ..Conversation::default() }
}

fn at(url: &str) -> Media {
    Media { source: MediaSource::Url(url.to_owned()), ..Media::default() }
}

fn image(url: &str) -> Content {
    Content::Image(at(url))
}

fn image_answer() -> ScriptedResponse {
    ScriptedResponse::raw(200, "image/png", PNG)
}

#[tokio::test]
async fn an_address_becomes_bytes() {
    let world = world(&[PUBLIC]).await;
    let media = world.ask(vec![image("https://A.test/p.png?size=1#x")]).await.unwrap();
    assert_eq!(media[0].source, MediaSource::Base64(PNG_BASE64.to_owned()));
    assert_eq!(media[0].media_type.as_deref(), Some("image/png"));
    assert_eq!(world.pinned(), ["a.test 8.8.8.8"]);
    let seen = world.fake.requests();
    assert_eq!((seen[0].method.as_str(), &*seen[0].target), ("GET", "/p.png?size=1"));
    let mut names: Vec<&str> = seen[0].headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "connection", "host", "user-agent"]);
    assert_eq!(seen[0].headers["host"], "a.test");
}

#[tokio::test]
async fn images_in_tool_results_become_bytes_too() {
    let world = world(&[PUBLIC]).await;
    let parts = vec![Part::text("seen"), Part::new(image("https://x.b.test/"))];
    let result = ToolResult { parts, ..ToolResult::default() };
    let media = world.ask(vec![Content::ToolResult(result)]).await.unwrap();
    assert_eq!(media[0].source, MediaSource::Base64(PNG_BASE64.to_owned()));
}

#[tokio::test]
async fn a_document_becomes_bytes_and_keeps_its_name() {
    let world = world(&[PUBLIC]).await;
    world.fake.respond_with([ScriptedResponse::raw(200, "application/pdf", "%PDF-1.7")]);
    let named = Media { name: Some("a.pdf".to_owned()), ..at("https://a.test/") };
    let media = world.ask(vec![Content::File(named)]).await.unwrap();
    assert_eq!(media[0].name.as_deref(), Some("a.pdf"));
    assert_eq!(media[0].media_type.as_deref(), Some("application/pdf"));
}

#[tokio::test]
async fn what_the_format_takes_by_its_address_is_left_alone() {
    let world = world(&[PUBLIC]).await;
    let bytes = Media { source: MediaSource::Base64("AAAA".to_owned()), ..Media::default() };
    let parts = vec![image("s3://bucket/p.png"), Content::Image(bytes)];
    let media = world.ask(parts).await.unwrap();
    assert_eq!(media[0].source, MediaSource::Url("s3://bucket/p.png".to_owned()));
    assert!(world.pinned().is_empty());
}

#[tokio::test]
async fn the_bytes_tell_the_type_of_an_image() {
    let world = world(&[PUBLIC]).await;
    world.fake.respond_with([ScriptedResponse::raw(200, "image/jpeg", PNG)]);
    let media = world.ask(vec![image("https://a.test/")]).await.unwrap();
    assert_eq!(media[0].media_type.as_deref(), Some("image/png"));
}

#[tokio::test]
async fn a_url_is_fetched_once_in_a_call() {
    let world = world(&[PUBLIC]).await;
    let twice = || vec![image("https://a.test/p"), image("https://a.test/p")];
    world.ask(twice()).await.unwrap();
    let media = world.ask(twice()).await.unwrap();
    assert_eq!(media[1].source, MediaSource::Base64(PNG_BASE64.to_owned()));
    assert_eq!(world.fake.requests().len(), 1);
}

#[tokio::test]
async fn a_failed_url_is_not_fetched_again_in_the_same_call() {
    let world = world(&[PUBLIC]).await;
    assert_eq!(
        world.refusal_of(ScriptedResponse::raw(404, "text/plain", "no")).await,
        "`a.test` returned 404"
    );
    assert_eq!(world.refusal_of(image_answer()).await, "`a.test` returned 404");
    assert_eq!(world.fake.requests().len(), 1);
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_never_called() {
    let world = world(&[PUBLIC]).await;
    for host in ["other.test", "b.test", "xb.test", "a.test.other.test", "a.test."] {
        let why = world.refusal(&format!("https://{host}/?secret")).await;
        let expected =
            format!("`{host}` is not among `fetch.hosts` in the gateway's configuration");
        assert_eq!(why, expected);
    }
    assert!(world.pinned().is_empty());
}

#[tokio::test]
async fn one_address_that_is_not_allowed_refuses_the_request_before_any_is_fetched() {
    let world = world(&[PUBLIC]).await;
    let parts = vec![image("https://a.test/"), image("https://other.test/")];
    assert!(world.ask(parts).await.is_err());
    assert!(world.pinned().is_empty());
}

#[tokio::test]
async fn nothing_is_fetched_without_hosts() {
    let mut world = world(&[PUBLIC]).await;
    world.fetch.hosts.clear();
    assert!(world.refusal("https://a.test/").await.contains("`fetch.hosts`"));
    assert!(Fetch::new(None).hosts.is_empty());
}

#[tokio::test]
async fn addresses_that_say_more_than_a_name_are_refused() {
    let world = world(&[PUBLIC]).await;
    for (url, reason) in [
        ("http://a.test/?secret", "only https:// is fetched"),
        ("https://user:secret@a.test/", "it holds credentials"),
        ("https://a.test@127.0.0.1/", "it holds credentials"),
        ("https://a.test:8443/", "it names a port other than 443"),
        ("https://127.0.0.1/", "its host is given by number, not by name"),
        ("https://[::1]/", "its host is given by number, not by name"),
    ] {
        assert_eq!(world.refusal(url).await, reason, "{url}");
    }
    for spelling in ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1"] {
        let why = world.refusal(&format!("https://{spelling}/")).await;
        assert!(why.contains("is not among `fetch.hosts`"), "{why}");
    }
    assert!(world.pinned().is_empty());
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_before_any_connection() {
    for inside in [
        &["127.0.0.1"][..],
        &["169.254.169.254"],
        &["10.0.0.1"],
        &["100.64.0.1"],
        &["::1"],
        &["::ffff:10.0.0.1"],
        &["64:ff9b::a9fe:a9fe"],
        &["fd00:ec2::254"],
        // One of several is enough, wherever it stands.
        &[PUBLIC, "127.0.0.1"],
        &["2606:4700::1", PUBLIC, "fe80::1"],
    ] {
        let world = world(inside).await;
        let why = world.refusal("https://a.test/?secret").await;
        assert_eq!(why, "`a.test` resolves to an address that is not public", "{inside:?}");
        assert!(world.pinned().is_empty());
    }
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let world = world(&["9.9.9.9", PUBLIC]).await;
    world.ask(vec![image("https://a.test/")]).await.unwrap();
    assert_eq!(world.pinned(), ["a.test 9.9.9.9", "a.test 8.8.8.8"]);
}

#[tokio::test]
async fn a_name_without_an_address_is_refused() {
    assert_eq!(world(&[]).await.refusal("https://a.test/").await, "`a.test` could not be reached");
    let unknown = world(&[]).await.refusal("https://y.b.test/").await;
    assert_eq!(unknown, "`y.b.test` does not resolve");
    let down = world(&["9.9.9.9"]).await.refusal("https://a.test/").await;
    assert_eq!(down, "`a.test` could not be reached");
}

#[tokio::test]
async fn no_redirect_is_followed() {
    for to in ["http://169.254.169.254/latest/", "https://x.b.test/secret", "/elsewhere"] {
        for status in [301, 302, 303, 307, 308] {
            let world = world(&[PUBLIC]).await;
            let moved = ScriptedResponse::raw(status, "image/png", PNG).header("location", to);
            let why = world.refusal_of(moved).await;
            assert!(why.starts_with("`a.test` returned a redirect"), "{why}");
            assert_eq!(world.pinned().len(), 1);
            assert_eq!(world.fake.requests().len(), 1);
        }
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_whether_or_not_it_says_so() {
    let large = [PNG, &[0; 1000]].concat();
    let why = "`a.test` would exceed the 1000 bytes that one request may have fetched";
    let with_length = ScriptedResponse::raw(200, "image/png", large.clone());
    assert_eq!(world(&[PUBLIC]).await.refusal_of(with_length).await, why);
    let half = || Step::Frame(Bytes::from(large[..600].to_vec()));
    let without_length =
        ScriptedResponse::stream([half(), half(), Step::Hang]).header("content-type", "image/png");
    assert_eq!(world(&[PUBLIC]).await.refusal_of(without_length).await, why);
}

#[tokio::test]
async fn images_share_the_bytes_of_a_request() {
    let world = world(&[PUBLIC]).await;
    world.fake.respond_with([ScriptedResponse::raw(200, "image/png", [PNG, &[0; 500]].concat())]);
    assert!(world.ask(vec![image("https://a.test/1")]).await.is_ok());
    assert!(world.refusal("https://a.test/2").await.contains("would exceed"));
}

#[tokio::test]
async fn there_may_be_sixteen() {
    let many = |count: usize| (0..count).map(|it| image(&format!("https://a.test/{it}"))).collect();
    assert_eq!(world(&[PUBLIC]).await.ask(many(16)).await.unwrap().len(), 16);
    let world = world(&[PUBLIC]).await;
    let error = world.ask(many(17)).await.unwrap_err();
    assert!(
        error.message().ends_with("this is one of 17 in this request, and 16 may be"),
        "{error}"
    );
    assert!(world.pinned().is_empty());
}

#[tokio::test]
async fn what_takes_too_long_is_refused() {
    let begun = || {
        let start = Step::Frame(Bytes::from_static(PNG));
        ScriptedResponse::stream([start, Step::Hang]).header("content-type", "image/png")
    };
    for slow in [ScriptedResponse::hang(), begun()] {
        let mut world = world(&[PUBLIC]).await;
        world.fetch.timeout = Duration::from_millis(50);
        assert_eq!(world.refusal_of(slow).await, "`a.test` did not give it within 0.05 s");
    }
}

#[tokio::test]
async fn half_of_the_steps_time_is_left_to_the_provider() {
    let mut world = world(&[PUBLIC]).await;
    world.limit = Duration::from_millis(100);
    assert_eq!(
        world.refusal_of(ScriptedResponse::hang()).await,
        "`a.test` did not give it within 0.05 s"
    );
}

#[tokio::test]
async fn a_file_that_is_no_image_is_rejected() {
    let odd = "`a.test` returned something that is no image, PDF, audio or video";
    for (kind, body) in [
        ("application/json", &b"{\"AccessKeyId\":\"x\"}"[..]),
        ("image/png", b"{\"AccessKeyId\":\"x\"}"),
        ("image/svg+xml", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        ("image/png", b""),
    ] {
        let response = ScriptedResponse::raw(200, kind, body);
        assert_eq!(world(&[PUBLIC]).await.refusal_of(response).await, odd, "{kind}");
    }
    let contradicted = "`a.test` returned a `Content-Type` that its bytes contradict";
    let page = ScriptedResponse::raw(200, "text/html", PNG);
    assert_eq!(world(&[PUBLIC]).await.refusal_of(page).await, contradicted);
    let config = ScriptedResponse::raw(200, "application/pdf", "%PDF-1.7");
    let why = world(&[PUBLIC]).await.refusal_of(config).await;
    assert_eq!(why, "what is there is application/pdf");
}

#[tokio::test]
async fn an_answer_that_is_packed_or_partial_or_broken_is_refused() {
    for (response, expected) in [
        (image_answer().header("content-encoding", "gzip"), "returned a compression"),
        (image_answer().status(206), "returned 206"),
        (image_answer().status(500), "returned 500"),
        (ScriptedResponse::close(), "broke off"),
        (ScriptedResponse::stream([Step::Frame(Bytes::from_static(PNG)), Step::Cut]), "broke off"),
    ] {
        let why = world(&[PUBLIC]).await.refusal_of(response).await;
        assert!(why.starts_with(&format!("`a.test` {expected}")), "{why}");
    }
}

#[tokio::test]
async fn content_of_the_model_is_left_to_the_encoder() {
    let world = world(&[PUBLIC]).await;
    let mut conversation = conversation(vec![image("https://other.test/")]);
    conversation.messages[0].role = Role::Assistant;
    let context = FetchContext {
        format: &BytesOnly,
        facts: &ModelFacts::UNKNOWN,
        word: Field::openai_chat_name,
        fetched: &world.fetched,
        limit: world.limit,
    };
    let filled = world.fetch.replace_urls(Cow::Borrowed(&conversation), &context).await.unwrap();
    assert_eq!(*filled, conversation);
}

/// A format of clients who only ever ask about the config at `a.test`.
const ABOUT_A_DOCUMENT: Format = Format {
    name: "about_a_document",
    decode: |_| {
        let conversation = conversation(vec![Content::File(at("https://a.test/"))]);
        Ok(CanonicalRequest::Conversation(Box::new(conversation)))
    },
    apply_policy: |raw, _| Ok(raw.body.clone()),
    output: formats::OutputMembers::NONE,
    passthrough: |_, _| unreachable!("no provider has this format"),
    word: Field::openai_chat_name,
};

/// What a route of these steps answers through this fetcher, and what it failed with on the way.
async fn send(fetch: Fetch, yaml: &str) -> (Result<()>, Vec<String>) {
    let kind = |it: &&crate::Provider| config::ProviderKind {
        name: it.name,
        needs_base_url: false,
        needs_key: false,
        takes_region: false,
    };
    let kinds: Vec<config::ProviderKind> = crate::CATALOG.iter().map(kind).collect();
    let config = read(yaml, &|_| None, &kinds).unwrap();
    let client = Client::new(storage::Signer::default(), ProxyVariables::default());
    let mut upstream = Upstream::new(&client, &config, &|_| None);
    upstream.fetch = fetch;
    let query = ModelQuery { model: Some("r"), provider: None };
    let plan = Routes::new(&config, std::sync::Arc::new(()), &|_| None).resolve(query).unwrap();
    let now = std::time::Instant::now();
    let limits = Limits { arrived: now, deadline: now + Duration::from_secs(600), seed: 0 };
    let mut failover = Failover::new(plan, std::sync::Arc::default(), limits);
    let raw = formats::RawObject { body: Bytes::from_static(b"{}"), members: vec![] };
    let request = GatewayRequest::new(&ABOUT_A_DOCUMENT, canonical::Task::Chat, raw);
    let fetched = FetchedMedia::default();
    let question = UpstreamRequest {
        request: &request,
        strict: false,
        fetched: &fetched,
        keep: None,
        traceparent: None,
        continued: None,
        decodes: false,
    };
    let mut failures = vec![];
    loop {
        let next = match failover.next(now) {
            Ok(next) => next,
            Err(error) => return (Err(error), failures),
        };
        match upstream.send(&next, &question, 0).await {
            Ok(_) => return (Ok(()), failures),
            Err(error) => {
                failures.push(error.to_string());
                if let Err(error) = failover.failed(next.id, error, now) {
                    return (Err(error), failures);
                }
            }
        }
    }
}

fn two_steps(first: &FakeProvider, second: &FakeProvider) -> String {
    format!(
        "providers: [{{name: one, base_url: '{}'}}, {{name: two, base_url: '{}'}}]\n\
         routes: [{{name: r, steps: [{{provider: one, model: m}}, {{provider: two, model: m}}]}}]",
        first.url(),
        second.url()
    )
}

#[tokio::test]
async fn a_provider_is_sent_what_was_fetched_and_the_next_one_too() {
    let world = world(&[PUBLIC]).await;
    world.fake.respond_with([ScriptedResponse::raw(200, "application/pdf", "%PDF-1.7")]);
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    first.respond_with([openai::error(500, "x", "no")]);
    second.respond_with([openai::completion("Hi")]);
    let (response, failures) = send(world.fetch, &two_steps(&first, &second)).await;
    assert!(response.is_ok() && failures.len() == 1, "{failures:?}");
    for provider in [first, second] {
        let part = provider.requests()[0].json()["messages"][0]["content"][0].clone();
        assert_eq!(part["file"]["file_data"], "data:application/pdf;base64,JVBERi0xLjc=", "{part}");
    }
    assert_eq!(world.fake.requests().len(), 1);
}

#[tokio::test]
async fn a_provider_is_not_called_when_nothing_is_fetched() {
    let mut world = world(&[PUBLIC]).await;
    world.fetch.hosts.clear();
    let (first, second) = (FakeProvider::start().await, FakeProvider::start().await);
    let (response, failures) = send(world.fetch, &two_steps(&first, &second)).await;
    let error = response.unwrap_err();
    assert_eq!(
        (error.kind, error.param.as_deref()),
        (ErrorKind::Unsupported, Some("messages[].content[].file"),)
    );
    let expected = "Provider one: takes this only as bytes, and the address is not fetched: \
                `a.test` is not among `fetch.hosts` in the gateway's configuration";
    assert_eq!(failures[0], expected);
    assert!(first.requests().is_empty() && second.requests().is_empty());
}
