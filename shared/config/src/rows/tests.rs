use super::*;
use crate::{
    read::tests::{EXAMPLE, KINDS, config},
    to_yaml,
};

const NIGHT_PASSWORD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";

fn example() -> Vec<Row> {
    to_rows(&config(EXAMPLE), "/lockgate/prod").0
}

#[test]
fn rows_read_as_the_same_document() {
    let rows = example();
    let again = from_rows(&rows, &KINDS).unwrap();
    assert_eq!(to_rows(&again, "/elsewhere").0, rows);
    assert_eq!(to_yaml(&again), to_yaml(&config(EXAMPLE)));
}

#[test]
fn each_entry_has_a_row() {
    let rows = example();
    let keys: Vec<&str> = rows.iter().map(|row| &*row.sk).collect();
    assert_eq!(
        keys,
        [
            "model/gpt-4o",
            "price/cerebras/gpt-oss-120b",
            "price/pooled/llama",
            "provider/azure",
            "provider/cerebras",
            "provider/claude",
            "provider/pooled",
            "provider/scripted",
            "route/dynamic/n8n",
            "route/plain",
            "settings",
            "tenant/mail",
            "tenant/search",
            "version",
        ]
    );
    assert!(rows.iter().all(|row| row.pk == PARTITION && row.expires.is_none()));
}

#[test]
fn secrets_go_to_parameters_and_leave_a_reference() {
    let (rows, parameters) = to_rows(&config(EXAMPLE), "/lockgate/prod/");
    let names: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (&**name, value.expose())).collect();
    assert_eq!(
        names,
        [
            ("/lockgate/prod/api_key", "secret of GATEWAY_API_KEY"),
            ("/lockgate/prod/providers/cerebras", "secret of CEREBRAS_API_KEY"),
            ("/lockgate/prod/providers/pooled/1", "secret of GROQ_KEY_ONE"),
            ("/lockgate/prod/providers/pooled/headers/X-Title", "Lockgate"),
            ("/lockgate/prod/providers/pooled/headers/X-Trace", "token secret of GROQ_KEY_ONE"),
            ("/lockgate/prod/tenants/search/1", "secret of SEARCH_KEY"),
            ("/lockgate/prod/tenants/search/2", "secret of SEARCH_KEY_TWO"),
            ("/lockgate/prod/tenants/search/provider", "secret of SEARCH_PROVIDER_KEY"),
            ("/lockgate/prod/admin/admin", "secret of ADMIN_KEY"),
            ("/lockgate/prod/admin/night", NIGHT_PASSWORD),
            ("/lockgate/prod/metrics", "secret of METRICS_KEY"),
            ("/lockgate/prod/alerts/webhook/url", "https://hooks.example.com/T0/B0?token=hook"),
            ("/lockgate/prod/alerts/webhook/secret", "secret of WEBHOOK_KEY"),
        ]
    );
    let text: String = rows.iter().map(|row| &*row.value).collect();
    assert!(text.contains("ssm:/lockgate/prod/providers/cerebras#CEREBRAS_API_KEY"), "{text}");
    assert!(text.contains("\"ssm:/team/groq\""), "{text}");
    assert!(!text.contains("secret of"), "{text}");
}

#[test]
fn no_rows_are_no_configuration() {
    assert!(matches!(from_rows(&[], &KINDS), Err(Unreadable::Absent)));
}

#[test]
fn rows_of_two_configurations_are_torn() {
    let rows = example();
    let without = |index| {
        let mut rows = rows.clone();
        rows.remove(index);
        rows
    };
    for index in 0..rows.len() {
        assert!(matches!(from_rows(&without(index), &KINDS), Err(Unreadable::Torn)), "{index}");
    }
    let mut changed = rows.clone();
    changed[3].value = changed[3].value.replace("2024", "2025");
    assert!(matches!(from_rows(&changed, &KINDS), Err(Unreadable::Torn)));
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let mut rows = example();
    rows.reverse();
    assert_eq!(to_yaml(&from_rows(&rows, &KINDS).unwrap()), to_yaml(&config(EXAMPLE)));
}

/// The example and one row more, with a digest that fits.
fn with_row(sk: &str, value: &str) -> Result<Config, Unreadable> {
    let mut rows = example();
    rows.push(Row { pk: PARTITION.into(), sk: sk.into(), value: value.into(), expires: None });
    rows.retain(|row| !is_version(row));
    rows.push(version_row(&rows));
    from_rows(&rows, &KINDS)
}

#[test]
fn a_row_of_no_known_kind_is_refused() {
    for (sk, value) in
        [("meter/a", r#"{"position":0,"entry":{}}"#), ("model/x", "{"), ("model/x", "{}")]
    {
        let error = with_row(sk, value).unwrap_err();
        assert!(matches!(&error, Unreadable::Row { sk: it, .. } if it == sk), "{error}");
    }
}

#[test]
fn stored_rows_obey_the_same_rules() {
    let value = r#"{"position":9,"entry":{"name":"x","provider":"nobody","colour":"red"}}"#;
    let Unreadable::ConfigErrors(errors) = with_row("model/x", value).unwrap_err() else {
        panic!("faults")
    };
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "models[1].colour: is no key of a model (known: name, provider, description)",
            "models[1].provider: names no provider: \"nobody\" (known: cerebras, pooled, azure, claude, scripted)",
        ]
    );
}

#[test]
fn a_variable_in_a_stored_row_is_only_text() {
    let text = "providers: [{name: p, type: ollama}]\nmodels: [{name: m, provider: p, description: \"$${X}\"}]";
    let rows = to_rows(&config(text), "/p").0;
    assert_eq!(from_rows(&rows, &KINDS).unwrap().models[0].description.as_deref(), Some("${X}"));
}
