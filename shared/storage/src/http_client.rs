//! The one HTTP client for all of AWS.
//!
//! The client reads nothing from disk and connects only when a request needs a connection: the
//! root certificates are in the binary. How long an operation may take is for the callers.

use std::time::Duration;

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector as Tcp},
    rt::TokioExecutor,
};

/// How long an idle connection is kept; a process that was frozen finds older ones closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection attempt may take, for instance to the metadata service where there is none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes a client. Services that get its clones share connections.
pub fn http_client() -> SharedHttpClient {
    let mut tcp = Tcp::new();
    // The TLS layer above makes `https` of it; the connector must not refuse the scheme.
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let tls = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1();
    let mut client = Client::builder(TokioExecutor::new());
    let client = client.pool_idle_timeout(IDLE_TIMEOUT).build(tls.wrap_connector(tcp));
    SharedHttpClient::new(PooledClient { client, timeout: None })
}

/// A client, and how long one exchange may take by the settings of a service.
#[derive(Clone, Debug)]
struct PooledClient {
    client: Client<HttpsConnector<Tcp>, SdkBody>,
    timeout: Option<Duration>,
}

impl HttpClient for PooledClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // The pool cannot tell connecting from reading, so both times become one.
        let connect = settings.connect_timeout().unwrap_or(CONNECT_TIMEOUT);
        let timeout = settings.read_timeout().map(|read| connect + read);
        SharedHttpConnector::new(Self { client: self.client.clone(), timeout })
    }
}

impl HttpConnector for PooledClient {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, timeout) = (self.client.clone(), self.timeout);
        HttpConnectorFuture::new(async move {
            match timeout {
                Some(limit) => tokio::time::timeout(limit, exchange(client, request))
                    .await
                    .map_err(|elapsed| ConnectorError::timeout(elapsed.into()))?,
                None => exchange(client, request).await,
            }
        })
    }
}

async fn exchange(
    client: Client<HttpsConnector<Tcp>, SdkBody>,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let response =
        client.request(request).await.map_err(|error| ConnectorError::io(error.into()))?;
    HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
        .map_err(|error| ConnectorError::other(error.into(), None))
}
