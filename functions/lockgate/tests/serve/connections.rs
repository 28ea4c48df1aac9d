//! How the gateway connects to providers: proxies, private roots, time limits, kept connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use testkit::lockgate::Lockgate;
use testkit::provider::{FakeProvider, ScriptedResponse};
use testkit::proxy::Proxy;
use testkit::tls::{IssuedCertificate, TlsFront};

use crate::support::{
    KEY, ask, attempts_of, error_of, hello, only, program, provider, raw_tcp_server, text_of, yaml,
};

/// A name that only the proxy of a test can resolve.
const HIDDEN: &str = "provider.test";
const HIDDEN_HTTPS: &str = "provider.test:443";

fn authority(fake: &FakeProvider) -> String {
    fake.url().trim_start_matches("http://").to_owned()
}

/// A provider behind TLS that is called `provider.test`, and a proxy that leads to it.
async fn hidden_provider() -> (FakeProvider, TlsFront, Proxy) {
    let fake = provider().await;
    let front = TlsFront::start(&authority(&fake), &[HIDDEN]);
    let proxy = Proxy::start(&[(HIDDEN_HTTPS, &front.address().to_string())]);
    (fake, front, proxy)
}

/// A gateway before the provider `first` at a URL, which trusts the root of `front`.
async fn gateway(url: &str, front: &TlsFront, top: &str, of_provider: &str) -> Lockgate {
    let yaml = format!(
        "api_key: {KEY}\nca_file: ca.pem\n{top}\nproviders:\n  \
         - {{ name: first, base_url: \"{url}\"{of_provider} }}\n"
    );
    program().config(&yaml).file("ca.pem", front.ca_pem()).start().await
}

#[tokio::test]
async fn a_proxy_tunnel_is_requested_with_credentials() {
    let (_fake, front, proxy) = hidden_provider().await;
    let top = format!("proxy: http://us:pw@{}", proxy.address());
    let gateway = gateway("https://provider.test", &front, &top, "").await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
    let seen = &proxy.requests()[0];
    assert_eq!((&*seen.how, &*seen.target), ("CONNECT", HIDDEN_HTTPS));
    assert_eq!(seen.authorization.as_deref(), Some("Basic dXM6cHc="));
}

#[tokio::test]
async fn a_providers_own_proxy_resolves_the_host_name() {
    let (_fake, front, proxy) = hidden_provider().await;
    let of_provider = format!(", proxy: \"socks5h://us:pw@{}\"", proxy.address());
    let gateway = gateway("https://provider.test", &front, "", &of_provider).await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
    let seen = &proxy.requests()[0];
    assert_eq!((&*seen.how, &*seen.target), ("SOCKS5", HIDDEN_HTTPS));
    assert_eq!(seen.authorization.as_deref(), Some("us:pw"));
}

#[tokio::test]
async fn a_provider_can_bypass_the_proxy() {
    let fake = provider().await;
    let front = TlsFront::start(&authority(&fake), &["127.0.0.1"]);
    let proxy = Proxy::start(&[]);
    let top = format!("proxy: http://{}", proxy.address());
    let url = format!("https://{}", front.address());
    let gateway = gateway(&url, &front, &top, ", proxy: none").await;
    assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
    assert!(proxy.requests().is_empty());
}

#[tokio::test]
async fn environment_proxies_are_used_except_for_no_proxy_hosts() {
    let (hidden, open) = (provider().await, provider().await);
    let proxy = Proxy::start(&[("provider.test:80", &authority(&hidden))]);
    let providers = [("hidden", "http://provider.test"), ("open", &*open.url())];
    let gateway = program()
        .config(&yaml(&providers, ""))
        .variable("HTTP_PROXY", &format!("http://{}", proxy.address()))
        .variable("NO_PROXY", "127.0.0.0/8")
        .start()
        .await;
    for model in ["hidden/m", "open/m"] {
        assert_eq!(text_of(ask(&gateway, &hello(model)).await).await, "Hi");
    }
    let targets: Vec<String> = proxy.requests().into_iter().map(|it| it.target).collect();
    assert_eq!(targets, ["http://provider.test/v1/chat/completions"]);
    assert_eq!(only(&open).target, "/v1/chat/completions");
}

#[tokio::test]
async fn https_requests_use_https_proxy() {
    let (_fake, front, proxy) = hidden_provider().await;
    let yaml = format!(
        "api_key: {KEY}\nca_file: ca.pem\nproviders: [{{ name: first, base_url: \"https://{HIDDEN}\" }}]"
    );
    let program = program().config(&yaml).file("ca.pem", front.ca_pem());
    let gateway = program.variable("https_proxy", &format!("http://{}", proxy.address())).start();
    assert_eq!(text_of(ask(&gateway.await, &hello("first/m")).await).await, "Hi");
    assert_eq!(proxy.requests()[0].target, HIDDEN_HTTPS);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_ca_is_rejected() {
    let fake = provider().await;
    let front = TlsFront::start(&authority(&fake), &["127.0.0.1"]);
    let url = format!("https://{}", front.address());
    let gateway = program().config(&yaml(&[("first", &url)], "")).start().await;
    let (status, error) = error_of(ask(&gateway, &hello("first/m")).await).await;
    assert_eq!((status, attempts_of(&error)), (502, vec!["first network null".to_owned()]));
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn an_expired_certificate_is_rejected() {
    let (fake, second) = (provider().await, provider().await);
    let front = TlsFront::expired(&authority(&fake), &["127.0.0.1"]);
    let url = format!("https://{}", front.address());
    let rest = format!("ca_file: ca.pem\n{}", crate::support::BOTH);
    let config = yaml(&[("first", &url), ("second", &second.url())], &rest);
    let gateway = program().config(&config).file("ca.pem", front.ca_pem()).start().await;
    let response = ask(&gateway, &hello("both")).await.json().await.unwrap();
    assert_eq!(attempts_of(&response["x_gateway"]), ["first network null", "second success 200"]);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_silent_handshake_ends_with_the_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let second = provider().await;
    let first = format!("https://{}", silent.local_addr().unwrap());
    let rest = format!("connect_timeout: 100ms\n{}", crate::support::BOTH);
    let providers = [("first", &*first), ("second", &*second.url())];
    let gateway = program().config(&yaml(&providers, &rest)).start().await;
    let response = ask(&gateway, &hello("both")).await.json().await.unwrap();
    assert_eq!(attempts_of(&response["x_gateway"]), ["first timeout null", "second success 200"]);
}

/// How many connections five calls take with these options.
async fn connections_of_five_calls(pool: &str, pause: Duration) -> usize {
    let (_fake, front, proxy) = hidden_provider().await;
    // One worker, since each has connections of its own.
    let top = format!("proxy: http://{}\nserver: {{ workers: 1 }}\n{pool}", proxy.address());
    let gateway = gateway("https://provider.test", &front, &top, "").await;
    for _ in 0..5 {
        assert_eq!(text_of(ask(&gateway, &hello("first/m")).await).await, "Hi");
        tokio::time::sleep(pause).await;
    }
    proxy.requests().len()
}

#[tokio::test]
async fn idle_connections_follow_the_pool_settings() {
    let pause = Duration::from_millis(50);
    assert_eq!(connections_of_five_calls("", pause).await, 1);
    let none = "pool: { max_idle_per_host: 0 }";
    assert_eq!(connections_of_five_calls(none, Duration::ZERO).await, 5);
    assert_eq!(connections_of_five_calls("pool: { idle_timeout: 1ms }", pause).await, 5);
}

/// What a provider does with the second request on a connection.
#[derive(Clone, Copy)]
enum Second {
    /// It resets the connection with the request unread.
    Reset,
    /// It ended its side before the request came.
    End,
}

/// A provider whose connections take one request each, and how many it has read.
fn provider_that_closes(second: Second) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let read = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&read);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            serve_one(socket.unwrap(), second, &counter);
        }
    });
    (url, read)
}

fn serve_one(mut socket: TcpStream, second: Second, read: &AtomicUsize) {
    let mut request = vec![];
    while !request.ends_with(b"}") {
        let mut part = [0; 4096];
        let length = socket.read(&mut part).unwrap();
        request.extend_from_slice(&part[..length]);
    }
    read.fetch_add(1, Ordering::Relaxed);
    let body = r#"{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
    write!(socket, "{head}: {}\r\n\r\n{body}", body.len()).unwrap();
    // The next request, or the end of the test. To close with something unread is to reset.
    if socket.peek(&mut [0]).is_ok_and(|length| 0 < length)
        && let Second::End = second
    {
        socket.shutdown(Shutdown::Write).unwrap();
        drop(socket.peek(&mut [0; 65536]));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test]
async fn a_request_on_a_closed_pooled_connection_is_sent_again() {
    for second in [Second::Reset, Second::End] {
        let (url, read) = provider_that_closes(second);
        // One, since each has connections of its own.
        let worker = "server: { workers: 1 }";
        let gateway = program().config(&yaml(&[("first", &url)], worker)).start().await;
        for _ in 0..3 {
            let response = ask(&gateway, &hello("first/m")).await.json().await.unwrap();
            assert_eq!(attempts_of(&response["x_gateway"]), ["first success 200"], "{response}");
        }
        assert_eq!(read.load(Ordering::Relaxed), 3);
    }
}

#[tokio::test]
async fn a_request_lost_on_a_new_connection_is_not_sent_again() {
    let first = FakeProvider::start().await;
    first.respond_with([ScriptedResponse::close()]);
    let gateway = program().config(&yaml(&[("first", &first.url())], "")).start().await;
    let (status, error) = error_of(ask(&gateway, &hello("first/m")).await).await;
    assert_eq!((status, attempts_of(&error)), (502, vec!["first network null".to_owned()]));
    only(&first);
}

#[tokio::test]
async fn a_response_head_that_cannot_be_read_is_reported_as_that() {
    let long = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "x".repeat(2_000_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-more: 1\r\n".repeat(500));
    let twice = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx".to_owned();
    for (head, reason) in [
        (long, "too many or too large headers"),
        (many, "too many or too large headers"),
        (twice, "that is not valid HTTP"),
    ] {
        let url = raw_tcp_server(head.leak().as_bytes());
        let gateway = program().config(&yaml(&[("first", &url)], "")).start().await;
        let (status, error) = error_of(ask(&gateway, &hello("first/m")).await).await;
        assert_eq!(status, 502, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_trusted_where_it_is_given_itself() {
    let fake = provider().await;
    let certificate = IssuedCertificate::self_signed(&["127.0.0.1"]);
    let front = TlsFront::with_certificate(&authority(&fake), certificate.clone());
    let elsewhere = IssuedCertificate::self_signed(&["localhost"]);
    let misnamed = TlsFront::with_certificate(&authority(&fake), elsewhere.clone());
    let other = IssuedCertificate::self_signed(&["127.0.0.1"]);
    for (front, given, status) in [
        (&front, &certificate, 200),
        // Another certificate, and one for another name.
        (&front, &other, 502),
        (&misnamed, &elsewhere, 502),
    ] {
        let url = format!("https://{}", front.address());
        let config = yaml(&[("first", &url)], "ca_file: ca.pem");
        let gateway = program().config(&config).file("ca.pem", &given.ca_pem).start().await;
        assert_eq!(ask(&gateway, &hello("first/m")).await.status, status);
    }
}
