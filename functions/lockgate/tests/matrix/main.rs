//! Every pair of formats, end to end on real sockets.
//!
//! Clients of each format hold the same conversations with providers of each format, through the
//! real program. The providers reject what the real ones reject, the clients decode as strictly as a
//! test can, and the outcome is a table that must equal the one in `docs/formats.md`.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]
#![expect(clippy::print_stdout, reason = "the table is worth seeing")]

mod client;
mod conversation;
mod features;
mod gateway;
mod scenarios;
mod table;
mod transfers;

use std::collections::BTreeMap;

use testkit::strict::Format;

use features::{Feature, Verdict};
use gateway::{Exchange, Failed, Gateway, INBOUND, OUTBOUND, Pair};
use table::Cell;

/// Runs a feature's conversation, and returns the outcome.
async fn cell(gateway: &Gateway, feature: &Feature, client: Format, provider: Format) -> Cell {
    let result = (feature.result)();
    let mut both = vec![];
    for stream in [false, true] {
        let pair = Pair { client, provider, stream, result: &result };
        let exchange = gateway.converse(pair, (feature.conversation)(), &(feature.scripts)()).await;
        both.push(judge(feature, pair, exchange));
    }
    let streamed = both.pop().unwrap();
    let whole = both.pop().unwrap();
    match (&whole, &streamed) {
        (Cell::Broken(why), _) => Cell::Broken(format!("whole: {why}")),
        (_, Cell::Broken(why)) => Cell::Broken(format!("streamed: {why}")),
        _ if whole == streamed => whole,
        _ => Cell::Broken(format!("whole {whole:?}, streamed {streamed:?}")),
    }
}

fn judge(feature: &Feature, pair: Pair<'_>, exchange: Exchange) -> Cell {
    match exchange.failed {
        Some(Failed::Unsupported) => return Cell::Unsupported,
        Some(Failed::Rejected(why)) => return Cell::Rejected(why),
        Some(Failed::Provider(why)) => return Cell::Broken(format!("the provider refuses: {why}")),
        Some(Failed::DecodeFailure(why)) => {
            return Cell::Broken(format!("the client cannot read: {why}"));
        }
        Some(Failed::Broken(why)) => return Cell::Broken(why),
        None => {}
    }
    let arrives: Verdict = (feature.arrives)(&exchange.requests);
    if let (Err(why), "") = (&arrives, exchange.dropped.as_str()) {
        return Cell::Broken(format!("lost on the way there: {why}"));
    }
    if let Err(why) = (feature.returns)(&exchange.responses, pair.client, pair.provider) {
        return Cell::Broken(format!("lost on the way back: {why}"));
    }
    match arrives {
        Ok(()) if exchange.dropped.is_empty() => Cell::Carried,
        Ok(()) => Cell::Partly(exchange.dropped),
        Err(_) => Cell::Dropped(exchange.dropped),
    }
}

#[tokio::test]
async fn every_pair_of_formats_preserves_what_the_docs_list() {
    let gateway = Gateway::open().await;
    let mut cells = BTreeMap::new();
    let features = features::all();
    for client in INBOUND {
        for (provider, _) in OUTBOUND {
            for feature in &features {
                let cell = cell(&gateway, feature, client, provider).await;
                cells.insert((client, provider, feature.name), cell);
            }
        }
    }
    let names: Vec<&str> = features.iter().map(|it| it.name).collect();
    table::check(&names, &cells);
}

#[tokio::test]
async fn a_strict_request_is_rejected_when_a_field_would_be_dropped() {
    let gateway = Gateway::open().await;
    let mut wrong = vec![];
    for feature in features::all() {
        for client in INBOUND {
            for (provider, _) in OUTBOUND {
                let result = (feature.result)();
                let pair = Pair { client, provider, stream: false, result: &result };
                if let Err(why) = gateway.check_strict(pair, &(feature.conversation)()).await {
                    let names = format!("{} to {}", client.name(), provider.name());
                    wrong.push(format!("{names}: {}: {why}", feature.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_conversation_can_move_from_any_provider_to_any_other() {
    let gateway = Gateway::open().await;
    let mut wrong = vec![];
    for client in INBOUND {
        for (first, _) in OUTBOUND {
            for (second, _) in OUTBOUND {
                for stream in [false, true] {
                    if let Err(why) =
                        transfers::away(&gateway, client, [first, second], stream).await
                    {
                        let names = [client, first, second].map(Format::name).join(", ");
                        wrong.push(format!("{names}, streamed {stream}: {why}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_provider_failure_is_never_a_success() {
    let gateway = Gateway::open().await;
    let mut wrong = vec![];
    for client in INBOUND {
        for (provider, _) in OUTBOUND {
            for stream in [false, true] {
                let names = format!("{} from {}", client.name(), provider.name());
                for why in transfers::troubles(&gateway, client, provider, stream).await {
                    wrong.push(format!("{names}, streamed {stream}: {why}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_scenarios_are_passed_in_every_format() {
    scenarios::check().await;
}
