//! A stack in emulated AWS: tables and parameters, behind a proxy that records requests.
//!
//! The meaning of rows is not known here. Functions get the proxy's address; it records every request
//! to AWS, and can hold or reject it.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    aws::{Aws, Tables},
    body::Body,
    client,
    lambda::Function,
    server::{self, Server},
};

/// How long a wait in a test may take before it gives up.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);
/// What names the operation in every request to AWS here.
const TARGET: &str = "x-amz-target";

/// A stack of one test: two tables, parameters under a prefix, and the proxy to them.
pub struct AwsStack {
    /// The names of the tables.
    pub tables: Tables,
    /// How the names of parameters begin.
    pub prefix: String,
    aws: &'static Aws,
    /// The one that holds the tables.
    dynamodb: &'static Aws,
    proxy: Arc<AwsProxy>,
    server: Server,
}

/// One request to AWS.
#[derive(Clone, Debug)]
pub struct AwsRequest {
    /// The operation, such as `DynamoDB_20120810.Query` or `AmazonSSM.GetParameters`.
    pub target: String,
    /// The request's body.
    pub body: Value,
}

/// The proxy between functions and AWS.
#[derive(Debug)]
struct AwsProxy {
    upstream: String,
    /// Where requests about tables go.
    dynamodb: String,
    /// What reads of tables have cost so far, in halves of DynamoDB's read units.
    half_read_units: AtomicUsize,
    state: watch::Sender<State>,
    requests: watch::Sender<Vec<AwsRequest>>,
}

/// How the proxy treats requests whose target contains a text.
#[derive(Clone, Debug)]
enum State {
    Open,
    Shut(String),
    Held(String),
    Throttled(String),
    Late(String),
}

/// What DynamoDB says when it is asked too often.
const THROTTLED: &str = r#"{
    "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
    "message": "The level of configured provisioned throughput for the table was exceeded."
}"#;

impl AwsStack {
    /// Makes the tables of a stack, empty.
    ///
    /// # Panics
    ///
    /// When the emulator cannot be started.
    pub async fn new() -> Self {
        Self::with_tables_in(Aws::shared())
    }

    /// Makes the tables of a stack in DynamoDB Local, which counts read units as AWS does. None where
    /// that cannot be started.
    ///
    /// # Panics
    ///
    /// When the other emulator cannot be started.
    pub async fn on_dynamodb_local() -> Option<Self> {
        Aws::shared_dynamodb_local().map(Self::with_tables_in)
    }

    fn with_tables_in(dynamodb: &'static Aws) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("cloud{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let aws = Aws::shared();
        let proxy = Arc::new(AwsProxy {
            upstream: aws.endpoint_url.clone(),
            dynamodb: dynamodb.endpoint_url.clone(),
            half_read_units: AtomicUsize::new(0),
            state: watch::Sender::new(State::Open),
            requests: watch::Sender::default(),
        });
        let listener = server::listen().expect("loopback has a free port");
        let shared = Arc::clone(&proxy);
        let server = Server::start(listener, move |request| Arc::clone(&shared).forward(request))
            .expect("a bound socket has an address");
        let (tables, prefix) = (dynamodb.tables(&name), format!("/lockgate/{name}"));
        Self { tables, prefix, aws, dynamodb, proxy, server }
    }

    /// A function of this stack: its environment names the tables and the proxy.
    pub fn function(&self, name: &str, binary: &str) -> Function {
        Function { timeout: Duration::from_secs(30), ..Function::new(name, binary) }
            .path("*")
            .env("CONFIG_TABLE", &self.tables.config)
            .env("STATE_TABLE", &self.tables.state)
            .env("AWS_ENDPOINT_URL", &self.server.url())
    }

    /// Writes rows of the `config` table, all at once: partition, place and value of each.
    pub async fn write(&self, rows: impl IntoIterator<Item = [String; 3]>) {
        let put = |[pk, sk, value]: [String; 3]| {
            let item = json!({"pk": {"S": pk}, "sk": {"S": sk}, "value": {"S": value}});
            json!({"Put": {"TableName": self.tables.config, "Item": item}})
        };
        let puts: Vec<Value> = rows.into_iter().map(put).collect();
        self.do_now("DynamoDB_20120810.TransactWriteItems", &json!({"TransactItems": puts})).await;
    }

    /// The places of the rows in a partition of the `state` table.
    pub async fn state(&self, pk: &str) -> Vec<String> {
        let query = json!({
            "TableName": self.tables.state,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
        });
        let found = self.do_now("DynamoDB_20120810.Query", &query).await;
        let items = found["Items"].as_array().expect("an answer has items").iter();
        items.map(|it| it["sk"]["S"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Every row of the `state` table, as DynamoDB gives it.
    pub async fn rows_of_state(&self) -> Vec<Value> {
        let scan = json!({ "TableName": self.tables.state });
        let found = self.do_now("DynamoDB_20120810.Scan", &scan).await;
        found["Items"].as_array().expect("an answer has items").clone()
    }

    /// Keeps a secret, over the one of the same name.
    pub async fn keep(&self, name: &str, value: &str) {
        let put = json!({"Name": name, "Value": value, "Type": "SecureString", "Overwrite": true});
        self.do_now("AmazonSSM.PutParameter", &put).await;
    }

    /// Makes a queue, and gives its URL.
    ///
    /// # Panics
    ///
    /// When the emulator does not make it.
    pub async fn queue(&self, name: &str) -> String {
        let made = self.do_now("AmazonSQS.CreateQueue", &json!({ "QueueName": name })).await;
        made["QueueUrl"].as_str().expect("a queue has a URL").to_owned()
    }

    /// The bodies of some messages in a queue.
    pub async fn messages(&self, queue: &str) -> Vec<String> {
        let receive = json!({ "QueueUrl": queue, "MaxNumberOfMessages": 10 });
        let found = self.do_now("AmazonSQS.ReceiveMessage", &receive).await;
        let messages = found["Messages"].as_array().into_iter().flatten();
        messages.map(|it| it["Body"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The requests of functions to AWS so far.
    pub fn requests(&self) -> Vec<AwsRequest> {
        self.proxy.requests.borrow().clone()
    }

    /// The requests so far that read what calls need. What is kept of calls is written behind them, and
    /// summed by the first of an hour.
    pub fn requests_for_calls(&self) -> Vec<AwsRequest> {
        let is_of_records = |it: &AwsRequest| {
            let body = it.body.to_string();
            body.contains("calls#") || body.contains("\"sums\"") || body.contains("\"usage")
        };
        self.requests().into_iter().filter(|it| !is_of_records(it)).collect()
    }

    /// The number of requests whose operation contains `what`.
    pub fn count(&self, what: &str) -> usize {
        self.proxy.requests.borrow().iter().filter(|it| it.target.contains(what)).count()
    }

    /// Waits for this many requests whose operation contains `what`.
    ///
    /// # Panics
    ///
    /// When they do not in half a minute.
    pub async fn wait_for_requests(&self, what: &str, times: usize) {
        let mut requests = self.proxy.requests.subscribe();
        let enough = requests
            .wait_for(|all| times <= all.iter().filter(|it| it.target.contains(what)).count());
        let in_time = tokio::time::timeout(WAIT_TIMEOUT, enough).await.is_ok_and(|it| it.is_ok());
        assert!(in_time, "{what} was not asked for {times} times: {:?}", self.requests());
    }

    /// Where the tables are, past the proxy.
    pub fn dynamodb_url(&self) -> &str {
        &self.dynamodb.endpoint_url
    }

    /// What reads through the proxy have cost so far, in DynamoDB's read units.
    pub fn read_units(&self) -> f64 {
        let halves = self.proxy.half_read_units.load(Ordering::Relaxed);
        f64::from(u32::try_from(halves).unwrap_or(u32::MAX)) / 2.0
    }

    /// Clears the recorded requests.
    pub fn forget(&self) {
        self.proxy.requests.send_replace(vec![]);
    }

    /// Closes the connection of requests whose operation contains `what`.
    pub fn shut(&self, what: &str) {
        self.proxy.state.send_replace(State::Shut(what.to_owned()));
    }

    /// Holds requests whose operation contains `what`.
    pub fn hold(&self, what: &str) {
        self.proxy.state.send_replace(State::Held(what.to_owned()));
    }

    /// Refuses requests whose operation contains `what` as too many.
    pub fn throttle(&self, what: &str) {
        self.proxy.state.send_replace(State::Throttled(what.to_owned()));
    }

    /// Executes requests whose operation contains `what`, and holds their responses.
    pub fn respond_late(&self, what: &str) {
        self.proxy.state.send_replace(State::Late(what.to_owned()));
    }

    /// Forwards every request again.
    pub fn open(&self) {
        self.proxy.state.send_replace(State::Open);
    }

    /// Sends a request to AWS itself, past the proxy.
    async fn do_now(&self, target: &str, body: &Value) -> Value {
        let service = match target.split('.').next() {
            Some("AmazonSSM") => "ssm",
            Some("AmazonSQS") => "sqs",
            _ => "dynamodb",
        };
        let scope = format!("20260101/{}/{service}/aws4_request", self.aws.region);
        let is_of_tables = target.starts_with("DynamoDB");
        let url = if is_of_tables { self.dynamodb } else { self.aws };
        let request = Request::post(&url.endpoint_url)
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header(TARGET, target)
            .header(
                header::AUTHORIZATION,
                format!(
                    "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host, Signature=none",
                    self.aws.access_key_id
                ),
            )
            .body(Bytes::from(body.to_string()))
            .expect("this is a request");
        let answer = client::send(request).await.expect("the emulator answers");
        let status = answer.status;
        let text = answer.text().await.expect("the emulator finishes its answer");
        assert!(status.is_success(), "{target} failed: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

impl AwsProxy {
    async fn forward(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let target = head.headers.get(TARGET).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let target = target.to_owned();
        let seen = serde_json::from_slice(&body).unwrap_or_default();
        self.requests
            .send_modify(|all| all.push(AwsRequest { target: target.clone(), body: seen }));
        self.wait_until_open(&target).await?;
        let is_throttled = matches!(&*self.state.borrow(), State::Throttled(what) if target.contains(what.as_str()));
        if is_throttled {
            let response = Response::builder().status(400);
            let response = response.header(header::CONTENT_TYPE, "application/x-amz-json-1.0");
            return response.body(Body::whole(THROTTLED)).map_err(io::Error::other);
        }
        let is_of_tables = target.starts_with("DynamoDB");
        let upstream = if is_of_tables { &self.dynamodb } else { &self.upstream };
        head.uri = upstream.parse().map_err(io::Error::other)?;
        let body = if is_of_tables { counted(&mut head.headers, body) } else { body };
        let answer =
            client::send(Request::from_parts(head, body)).await.map_err(io::Error::other)?;
        let mut response = Response::builder().status(answer.status);
        if let Some(kind) = answer.headers.get(header::CONTENT_TYPE) {
            response = response.header(header::CONTENT_TYPE, kind);
        }
        let body = answer.bytes().await.map_err(io::Error::other)?;
        if is_read(&target) {
            self.note_read_units(&body);
        }
        let mut state = self.state.subscribe();
        let is_late =
            |it: &State| matches!(it, State::Late(what) if target.contains(what.as_str()));
        state.wait_for(|it| !is_late(it)).await.map_err(io::Error::other)?;
        response.body(Body::whole(body)).map_err(io::Error::other)
    }

    /// Adds what a read has cost, as the response says.
    fn note_read_units(&self, response: &Bytes) {
        let response: Value = serde_json::from_slice(response).unwrap_or_default();
        let units = response["ConsumedCapacity"]["CapacityUnits"].as_f64().unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a read costs some hundred halves of a unit at most"
        )]
        let halves = (units * 2.0).round() as usize;
        self.half_read_units.fetch_add(halves, Ordering::Relaxed);
    }

    async fn wait_until_open(&self, target: &str) -> io::Result<()> {
        let mut state = self.state.subscribe();
        let passes = state
            .wait_for(|it| !matches!(it, State::Held(what) if target.contains(what.as_str())))
            .await
            .map_err(io::Error::other)?;
        match &*passes {
            State::Shut(what) if target.contains(what.as_str()) => {
                Err(io::Error::other("shut on purpose"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether an operation reads one table.
fn is_read(target: &str) -> bool {
    target.ends_with(".Query") || target.ends_with(".GetItem")
}

/// The same request, whose response says what it cost.
fn counted(headers: &mut HeaderMap, body: Bytes) -> Bytes {
    let Ok(Value::Object(mut request)) = serde_json::from_slice(&body) else { return body };
    request.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
    let body = Bytes::from(Value::Object(request).to_string());
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    body
}

impl fmt::Debug for AwsStack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cloud").field("tables", &self.tables).finish_non_exhaustive()
    }
}
