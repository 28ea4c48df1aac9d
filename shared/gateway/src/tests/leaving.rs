//! Clients that leave while a write is under way: what it takes is given back.

use storage::{Stores, memory};
use testkit::openai;

use super::{
    held::{HeldTable, Place},
    limits::tenant,
    support::{TestGateway, provider},
};
use crate::Call;

#[tokio::test]
async fn what_a_write_takes_whose_client_leaves_is_given_back() {
    for prefix in ["idempotency#", "tenant#", "outbound"] {
        for place in [Place::Request, Place::Response] {
            let first = provider([openai::completion("Hi")]).await;
            let stores = memory::open();
            let table = HeldTable::new(stores.state);
            let url = first.url();
            let yaml = format!(
                "providers: [{{ name: first, base_url: \"{url}\", api_key: k, \
                 limits: {{ concurrent: 1 }} }}]"
            );
            let stores = Stores { state: table.clone(), ..stores };
            let gateway = TestGateway::sharing(&yaml, stores).await;
            let tenant = tenant(|it| it.limits.max_concurrent = Some(1));
            let call = async || Call {
                idempotency_key: Some("key-1".to_owned()),
                ..gateway.call_of(&tenant, "first/m", false).await
            };

            table.hold(prefix, place);
            let left = call().await;
            tokio::select! {
                _ = gateway.answer(left) => panic!("nothing was held at {prefix}"),
                () = table.reached() => {}
            }
            table.open();
            gateway.gateway.drain().await;

            let again = gateway.answer(call().await).await;
            assert!(again.is_ok(), "{prefix} {place:?}: {again:?}");
            assert_eq!(first.requests().len(), 1);
        }
    }
}
