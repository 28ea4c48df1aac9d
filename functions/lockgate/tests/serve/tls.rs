//! HTTPS: the server's own certificate, and what a change of its files does.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::lockgate::{Lockgate, Setup};
use testkit::tls::{IssuedCertificate, exchange};

use crate::support::{KEY, program};

const CONFIG: &str = "tls: { cert: cert.pem, key: key.pem }\nproviders: [{ name: demo, type: mock }]\n\
                      models: [{ name: m, provider: demo }]\n";
/// How an HTTP/2 connection begins, with an empty SETTINGS frame (RFC 9113, section 3.4).
const HTTP2_START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn setup(certificate: &IssuedCertificate) -> Setup {
    let config = format!("api_key: {KEY}\n{CONFIG}");
    program()
        .config(&config)
        .file("cert.pem", &certificate.cert_pem)
        .file("key.pem", &certificate.key_pem)
}

fn address(gateway: &Lockgate) -> SocketAddr {
    gateway.url().strip_prefix("https://").unwrap().parse().unwrap()
}

/// Calls a model over HTTPS, and gives the response as text.
async fn call(gateway: &Lockgate, root: &str) -> std::io::Result<String> {
    let body = r#"{"model": "m", "messages": [{"role": "user", "content": "Hello"}]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {KEY}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (_, read) =
        exchange(address(gateway), root, &["http/1.1"], request.as_bytes(), usize::MAX).await?;
    Ok(String::from_utf8_lossy(&read).into_owned())
}

#[tokio::test]
async fn a_client_calls_over_https_in_both_versions_of_http() {
    let certificate = IssuedCertificate::new(&["127.0.0.1"]);
    let gateway = setup(&certificate).start().await;
    let response = call(&gateway, &certificate.ca_pem).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");

    let offered = ["h2", "http/1.1"];
    let (protocol, read) =
        exchange(address(&gateway), &certificate.ca_pem, &offered, HTTP2_START, 9).await.unwrap();
    assert_eq!(protocol.as_deref(), Some("h2"));
    assert_eq!(read[3], 4, "the server's first frame is SETTINGS: {read:?}");
}

#[tokio::test]
async fn a_changed_certificate_is_served_without_a_restart_and_a_broken_one_is_not() {
    let (first, second) =
        (IssuedCertificate::new(&["127.0.0.1"]), IssuedCertificate::new(&["127.0.0.1"]));
    let gateway = setup(&first).start().await;
    call(&gateway, &first.ca_pem).await.unwrap();
    call(&gateway, &second.ca_pem).await.unwrap_err();

    // A key that belongs to another certificate is what a renewal looks like in its middle.
    std::fs::write(gateway.folder().join("key.pem"), &second.key_pem).unwrap();
    until(&gateway, &first.ca_pem, "failed to read the certificate again").await;
    std::fs::write(gateway.folder().join("cert.pem"), &second.cert_pem).unwrap();
    for _ in 0..100 {
        if call(&gateway, &second.ca_pem).await.is_ok() {
            call(&gateway, &first.ca_pem).await.unwrap_err();
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the new certificate is not served:\n{}", gateway.log());
}

/// Calls until the log holds a text: only new connections look at the files.
async fn until(gateway: &Lockgate, root: &str, text: &str) {
    for _ in 0..100 {
        call(gateway, root).await.unwrap();
        if gateway.log().contains(text) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody logged {text:?}:\n{}", gateway.log());
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_at_the_start() {
    let (one, other) =
        (IssuedCertificate::new(&["127.0.0.1"]), IssuedCertificate::new(&["127.0.0.1"]));
    for (file, content, complaint) in [
        ("cert.pem", "", ":2:14: tls.cert: cert.pem: holds no certificate"),
        ("key.pem", "not a key", ":2:29: tls.key: key.pem: holds no key"),
        ("key.pem", &other.key_pem, ":2:29: tls.key: key.pem does not belong to cert.pem"),
        ("ca.pem", "not a root", ":5:10: ca_file: ca.pem holds no root certificate"),
    ] {
        for arguments in [&["--listen", "127.0.0.1:0"][..], &["check"]] {
            let config = format!("api_key: {KEY}\n{CONFIG}ca_file: ca.pem\n");
            let setup = setup(&one).config(&config).file("ca.pem", &one.ca_pem);
            let output = setup.file(file, content).arguments(arguments.to_vec()).run().await;
            let printed = [output.stdout, output.stderr].concat();
            let printed = String::from_utf8(printed).unwrap();
            assert_eq!(output.status.code(), Some(2), "{printed}");
            assert!(printed.contains(complaint), "{complaint} in {printed}");
            assert!(!printed.contains("listen"), "{printed}");
        }
    }
}

#[tokio::test]
async fn a_command_trusts_the_roots_that_it_is_given_and_says_why_it_trusts_no_others() {
    let certificate = IssuedCertificate::new(&["127.0.0.1"]);
    let config = format!("api_key: {KEY}\n{CONFIG}ca_file: ca.pem\n");
    let users = "admin: { users: [{ name: root, password: root-password, role: admin }] }\n";
    let setup = setup(&certificate).config(&format!("{config}{users}"));
    let gateway = setup.file("ca.pem", &certificate.ca_pem).start().await;
    for (arguments, trusts) in [
        (vec!["--config", "config.yaml"], true),
        (vec!["--ca-file", "ca.pem"], true),
        (vec![], false),
    ] {
        let url = ["tenants", "list", "--url", gateway.url(), "--user", "root:root-password"];
        let program = program().config(&config).file("ca.pem", &certificate.ca_pem);
        let program = program.file("cert.pem", &certificate.cert_pem);
        let program = program.file("key.pem", &certificate.key_pem);
        let output = program.arguments(url).arguments(arguments.clone()).run().await;
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.success(), trusts, "{arguments:?}: {printed}");
        assert_eq!(printed.contains("UnknownIssuer"), !trusts, "{arguments:?}: {printed}");
    }
}

#[tokio::test]
async fn health_tells_whether_a_gateway_runs_with_tls_or_without() {
    let certificate = IssuedCertificate::new(&["127.0.0.1"]);
    let gateway = setup(&certificate).start().await;
    let address = address(&gateway).to_string();
    is_healthy(&address).await;

    let plain =
        program().config(&format!("api_key: {KEY}\nproviders: [{{ name: a, type: mock }}]"));
    let plain = plain.start().await;
    let address = plain.url().trim_start_matches("http://").to_owned();
    is_healthy(&address).await;
    drop(plain);
    let output = program().arguments(["health", "--listen", &address]).run().await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("is not ready"));
}

/// Waits until `lockgate health` finds the gateway ready: on a busy machine one response may take
/// longer than it waits for one.
async fn is_healthy(address: &str) {
    let arguments = ["health", "--listen", address, "--wait", "30"];
    let output = program().arguments(arguments).run().await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn health_finds_a_gateway_at_the_port_of_its_variable() {
    let plain =
        program().config(&format!("api_key: {KEY}\nproviders: [{{ name: a, type: mock }}]"));
    let plain = plain.start().await;
    let port = plain.url().rsplit(':').next().unwrap().to_owned();
    let health = program().arguments(["health"]).variable("LOCKGATE_PORT", &port);
    let output = health.run().await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
