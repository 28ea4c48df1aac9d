//! Configurations that are read while another one takes their place, and probes.

use storage::{Stores, memory};
use testkit::{openai, provider::ScriptedResponse};

use super::{
    held::{HeldTable, Place},
    support::{TestGateway, UNREACHABLE, WALL, provider, read},
};

#[tokio::test]
async fn an_older_configuration_never_takes_the_place_of_a_newer_one() {
    let stores = memory::open();
    let table = HeldTable::new(stores.state);
    let stores = Stores { state: table.clone(), ..stores };
    let gateway = TestGateway::sharing(UNREACHABLE, stores).await;
    gateway.advance(61);
    table.hold("cooldown", Place::Request);
    // Too old: read anew behind this call, and held before it is in force.
    gateway.gateway.snapshot(gateway.clock()).await.unwrap();
    table.reached().await;

    let newer = read(&format!("{UNREACHABLE}\ndefault_model: first/newer\n"));
    let replaced = gateway.gateway.replace_config(newer, gateway.clock());
    let (replaced, ()) = tokio::join!(replaced, async { table.open() });
    replaced.unwrap();
    gateway.gateway.drain().await;
    let snapshot = gateway.gateway.known_snapshot().unwrap();
    assert_eq!(snapshot.config.default_model.as_deref(), Some("first/newer"));
}

#[tokio::test]
async fn a_provider_that_hangs_takes_no_other_ones_probes() {
    let first = provider([ScriptedResponse::hang()]).await;
    let second = provider([openai::completion("pong")]).await;
    let item = |name: &str, url: &str| {
        format!(
            "  - {{ name: {name}, base_url: \"{url}\", api_key: k, \
             probe: {{ every: 1s, model: m }} }}\n"
        )
    };
    let yaml =
        format!("providers:\n{}{}", item("first", &first.url()), item("second", &second.url()));
    let TestGateway { gateway, .. } = TestGateway::start(&yaml).await;
    let probing = tokio::spawn(gateway.probe_providers(|| WALL));
    while first.requests().is_empty() || second.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    probing.abort();
}
