//! AWS for tests: two emulators, and a server that gives prepared responses only.
//!
//! The emulators are MiniStack, for all of AWS, and DynamoDB Local, which is AWS's own code. Each
//! has one process for each process of tests, and dies with it, even when that is killed. Nothing
//! is signed here; neither checks, but both take the region from the signature.

pub mod stack;

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::Duration,
};

use serde_json::json;

/// Starts a program, and ends it when standard input does: when we let go of it, or die.
const WATCHDOG: &str = r#""$0" "$@" & read _; kill $!; wait $!"#;

/// How a response begins that reports success.
const OK: &str = "HTTP/1.1 200 ";

/// The interval and the number of the checks whether the emulator is up.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: u32 = 600;

/// An emulated AWS. It stops when this is dropped.
#[derive(Debug)]
pub struct Aws {
    /// Where it listens, such as `http://127.0.0.1:4566`.
    pub endpoint_url: String,
    /// The region that its tables and parameters are in.
    pub region: &'static str,
    /// A key it accepts.
    pub access_key_id: &'static str,
    /// The key's secret.
    pub secret_access_key: &'static str,
    address: SocketAddr,
    watchdog: Child,
}

/// The names of a gateway's two tables.
#[derive(Clone, Debug)]
pub struct Tables {
    /// What operators decide.
    pub config: String,
    /// What calls leave behind.
    pub state: String,
}

impl Aws {
    /// The MiniStack that all tests of this process share. Each test makes its own tables in it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Aws> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A MiniStack of the test's own, which may be stopped during the test.
    pub fn start() -> Self {
        let program = in_repository(".venv/bin/ministack");
        let port = free_port();
        let mut command = Command::new("sh");
        command
            .args(["-c", WATCHDOG])
            .arg(program)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("LOG_LEVEL", "ERROR");
        Self::launch(&mut command, port)
    }

    /// The DynamoDB Local that all tests of this process share. None, with the reason on standard
    /// error, where there is no Java to run it.
    pub fn shared_dynamodb_local() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Aws>> = OnceLock::new();
        SHARED.get_or_init(Self::start_dynamodb_local).as_ref()
    }

    fn start_dynamodb_local() -> Option<Self> {
        let java = Command::new("java").arg("-version").stderr(Stdio::null()).status();
        if let Err(error) = java {
            let reason = "skipped: DynamoDB Local needs Java, and `java` cannot be started";
            drop(writeln!(io::stderr(), "{reason}: {error}"));
            return None;
        }
        let folder = in_repository(
            "shared/storage/tests/dynamodb-local/node_modules/amplify-dynamodb-simulator/emulator",
        );
        let libraries =
            format!("-Djava.library.path={}", folder.join("DynamoDBLocal_lib").display());
        let port = free_port();
        let mut command = Command::new("sh");
        command
            .args(["-c", WATCHDOG, "java", "-Xmx256m", &libraries, "-jar"])
            .arg(folder.join("DynamoDBLocal.jar"))
            .args(["-inMemory", "-sharedDb", "-disableTelemetry", "-port", &port.to_string()])
            // It writes a file about itself where it is started.
            .current_dir(std::env::temp_dir())
            .stderr(Stdio::null());
        Some(Self::launch(&mut command, port))
    }

    fn launch(command: &mut Command, port: u16) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let watchdog =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a shell starts");
        let aws = Self {
            endpoint_url: format!("http://{address}"),
            region: "eu-west-1",
            access_key_id: "test",
            secret_access_key: "test",
            address,
            watchdog,
        };
        aws.wait_until_up();
        aws
    }

    /// Makes the two tables of a gateway, empty, as the template does.
    pub fn tables(&self, suffix: &str) -> Tables {
        let tables =
            Tables { config: format!("config-{suffix}"), state: format!("state-{suffix}") };
        for name in [&tables.config, &tables.state] {
            self.dynamodb(
                "CreateTable",
                &json!({
                    "TableName": name,
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [
                        {"AttributeName": "pk", "AttributeType": "S"},
                        {"AttributeName": "sk", "AttributeType": "S"},
                    ],
                    "KeySchema": [
                        {"AttributeName": "pk", "KeyType": "HASH"},
                        {"AttributeName": "sk", "KeyType": "RANGE"},
                    ],
                }),
            );
            self.dynamodb(
                "UpdateTimeToLive",
                &json!({
                    "TableName": name,
                    "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": true},
                }),
            );
        }
        tables
    }

    /// Writes a row: partition, place and value.
    ///
    /// # Panics
    ///
    /// When the emulator does not take it.
    pub fn put_row(&self, table: &str, [pk, sk, value]: [&str; 3]) {
        let item = json!({ "pk": { "S": pk }, "sk": { "S": sk }, "value": { "S": value } });
        self.dynamodb("PutItem", &json!({ "TableName": table, "Item": item }));
    }

    fn dynamodb(&self, operation: &str, body: &serde_json::Value) {
        let response = self.call_dynamodb(operation, body).expect("the emulator answers");
        assert!(response.starts_with(OK), "{operation} failed: {response}");
    }

    fn call_dynamodb(&self, operation: &str, body: &serde_json::Value) -> io::Result<String> {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
             content-type: application/x-amz-json-1.0\r\n\
             x-amz-target: DynamoDB_20120810.{operation}\r\n\
             authorization: AWS4-HMAC-SHA256 Credential={}/20260101/{}/dynamodb/aws4_request, \
             SignedHeaders=host, Signature=none\r\n",
            self.address, self.access_key_id, self.region,
        );
        self.ask(&head, &body.to_string())
    }

    fn wait_until_up(&self) {
        for _ in 0..LOOKS {
            if self.call_dynamodb("ListTables", &json!({})).is_ok_and(|it| it.starts_with(OK)) {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
        panic!("no emulator came up at {}", self.address);
    }

    fn ask(&self, head: &str, body: &str) -> io::Result<String> {
        let mut socket = TcpStream::connect(self.address)?;
        write!(socket, "{head}content-length: {}\r\n\r\n{body}", body.len())?;
        let mut response = String::new();
        socket.read_to_string(&mut response)?;
        Ok(response)
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        self.watchdog.wait().expect("the shell ends when its input does");
    }
}

/// A file or folder of the repository that `make .venv` has put there.
fn in_repository(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    assert!(path.exists(), "these tests need {}: run `make .venv` first", path.display());
    path
}

/// A port without a listener at this moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

/// An AWS that sends prepared responses in order, and closes every further connection.
#[derive(Debug)]
pub struct Scripted {
    /// Where it listens.
    pub endpoint_url: String,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Starts one with its responses: a status and a JSON body each.
    pub fn start(responses: &[(u16, &str)]) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let bodies = Arc::new(Mutex::new(vec![]));
        let mut responses: VecDeque<(u16, String)> =
            responses.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let seen = Arc::clone(&bodies);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let Some((status, body)) = responses.pop_front() else { continue };
                let request = read(&socket).expect("the client says all it wants");
                seen.lock().expect("nobody panics while writing").push(request);
                write(&socket, status, &body).expect("the client reads its answer");
            }
        });
        Self { endpoint_url: format!("http://{address}"), bodies }
    }

    /// The bodies of the requests that got a response so far.
    pub fn requests(&self) -> Vec<String> {
        self.bodies.lock().expect("nobody panics while writing").clone()
    }
}

/// Reads one request and gives its body.
fn read(socket: &TcpStream) -> io::Result<String> {
    let mut reader = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a length is a number");
        }
    }
    let mut request = vec![0; length];
    reader.read_exact(&mut request)?;
    Ok(String::from_utf8_lossy(&request).into_owned())
}

fn write(mut socket: &TcpStream, status: u16, body: &str) -> io::Result<()> {
    write!(
        socket,
        "HTTP/1.1 {status} Scripted\r\ncontent-type: application/x-amz-json-1.1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
