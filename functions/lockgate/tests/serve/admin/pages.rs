//! Pages for operators, as a browser asks for them.

use serde_json::json;
use testkit::{client::ClientResponse, lockgate::Lockgate};

use super::{administrated, ask, ask_with};
use crate::support::provider;

const BROWSER: [(&str, &str); 3] = [
    ("accept", "text/html"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("sec-fetch-site", "same-origin"),
];

async fn page(gateway: &Lockgate, name: &str, path: &str) -> ClientResponse {
    ask_with(gateway, name, ("GET", path), &BROWSER, "").await
}

#[tokio::test]
async fn a_search_finds_a_tenant_on_whatever_page_it_is() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    for number in 0..120 {
        let name =
            if number % 30 == 0 { format!("rare-{number}") } else { format!("team-{number}") };
        let (status, _) =
            ask(&gateway, "POST", "/admin/tenants", &json!({ "name": name }).to_string()).await;
        assert_eq!(status, 201);
    }
    let found = page(&gateway, "vera", "/admin/tenants?q=RARE").await.text().await.unwrap();
    let places: Vec<_> = ["rare-0", "rare-30", "rare-60", "rare-90"]
        .map(|name| found.find(&format!("<b>{name}</b>")))
        .into_iter()
        .collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");

    let more = page(&gateway, "vera", "/admin/tenants?q=team").await.text().await.unwrap();
    let (_, link) = more.split_once("/admin/tenants?q=team&#38;cursor=").unwrap();
    let (cursor, _) = link.split_once('"').unwrap();
    let path = format!("/admin/tenants?q=team&cursor={cursor}");
    let rest = page(&gateway, "vera", &path).await.text().await.unwrap();
    let count = |html: &str| html.matches("<b>team-").count();
    assert_eq!(count(&more) + count(&rest), 116);
    assert!(!rest.contains("rel=\"next\""), "{rest}");
}

#[tokio::test]
async fn a_saved_page_of_settings_keeps_what_nobody_typed() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    let body = r#"{"name": "search", "allowed_models": []}"#;
    let (_, made) = ask(&gateway, "POST", "/admin/tenants", body).await;
    let path = format!("/admin/tenants/{}", made["id"].as_str().unwrap());
    let html = page(&gateway, "root", &format!("{path}?tab=settings")).await.text().await.unwrap();
    assert!(html.contains("name=\"allowed_models\" value=\"none\""), "{html}");

    let form = "version=1&name=search&allowed_models=none&rate_limit_rpm=7&alert_levels=";
    let saved = ask_with(&gateway, "root", ("POST", &path), &BROWSER, form).await;
    assert_eq!(saved.status, 303);
    let (_, tenant) = ask(&gateway, "GET", &path, "").await;
    assert_eq!((&tenant["allowed_models"], &tenant["rate_limit_rpm"]), (&json!([]), &json!(7)));
}

#[tokio::test]
async fn a_viewer_is_shown_no_form_that_only_others_may_send() {
    let first = provider().await;
    let gateway = administrated(&first).await;
    assert_eq!(page(&gateway, "vera", "/admin/tenants/new").await.status, 403);
    assert_eq!(page(&gateway, "edda", "/admin/tenants/new").await.status, 200);
    assert_eq!(page(&gateway, "edda", "/admin/routes/edit").await.status, 403);
    assert_eq!(page(&gateway, "root", "/admin/routes/edit").await.status, 200);
    for (name, is_disabled) in [("vera", true), ("edda", false)] {
        let html = page(&gateway, name, "/admin/playground").await.text().await.unwrap();
        assert_eq!(html.contains("id=\"send\" disabled"), is_disabled, "{name}");
    }
}
