//! Every page with realistic content: its size, its landmarks, and that nothing in it runs or styles.

#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

mod samples;

use std::{collections::HashSet, fs, path::Path};

use pages::{assets, call::End};
use samples::html;

const MAX_PAGE_BYTES: usize = 100_000;
const MAX_TEMPLATES_AND_ASSETS: u64 = 200_000;

/// The values of an attribute in a page.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    html.split(&start).skip(1).filter_map(|it| Some(it.split_once('"')?.0)).collect()
}

fn folder_bytes(folder: &str) -> u64 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    fs::read_dir(folder).unwrap().map(|it| it.unwrap().metadata().unwrap().len()).sum()
}

/// Writes the pages and their assets to a folder of the build, to be looked at in a browser.
#[test]
fn every_page_is_small() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    let paths = assets::paths();
    for path in [&paths.style, &paths.script, &paths.icon] {
        let file = folder.join(path.trim_start_matches('/'));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, assets::at(path).unwrap().content).unwrap();
    }
    for (name, html) in samples::all() {
        fs::write(folder.join(format!("{name}.html")), &html).unwrap();
        assert!(html.len() <= MAX_PAGE_BYTES, "{name} has {} bytes", html.len());
    }
}

#[test]
fn a_full_list_of_requests_is_within_the_budget() {
    let rows: Vec<_> = samples::rows().into_iter().cycle().take(100).collect();
    let html = html(&pages::requests::Rows { rows, live: None });
    assert!(html.len() <= MAX_PAGE_BYTES - 10_000, "{} bytes", html.len());
}

#[test]
fn templates_and_assets_are_within_the_budget() {
    let bytes = folder_bytes("templates") + folder_bytes("assets");
    assert!(bytes <= MAX_TEMPLATES_AND_ASSETS, "{bytes} bytes");
}

#[test]
fn every_page_has_its_landmarks() {
    for (name, html) in samples::all() {
        for once in ["<main", "<h1", "</head>", "<html lang=\"en\""] {
            assert_eq!(html.matches(once).count(), 1, "{once} in {name}");
        }
        let is_framed = html.contains("class=\"frame\"");
        let current = html.matches("aria-current=\"page\"").count();
        assert!(!is_framed || 1 <= current, "the navigation of {name} has no current page");
        assert_eq!(html.contains("class=\"skip\""), is_framed, "{name}");
    }
}

#[test]
fn no_page_has_script_or_style_of_its_own() {
    for (name, html) in samples::all() {
        for banned in [" style=\"", "<style", " onclick=", " onload=", "javascript:", "<script>"] {
            assert!(!html.contains(banned), "{banned} in {name}");
        }
        assert_eq!(html.matches("<script").count(), 1, "{name}");
    }
}

#[test]
fn what_is_referred_to_within_a_page_is_there_once() {
    for (name, html) in samples::all() {
        let ids = values(&html, "id");
        let unique: HashSet<_> = ids.iter().collect();
        assert!(ids.len() - unique.len() <= usize::from(name == "tenant-keys"), "{name}: {ids:?}");
        for attribute in ["for", "aria-labelledby", "aria-describedby", "aria-controls", "list"] {
            for target in values(&html, attribute) {
                assert!(unique.contains(&target), "{attribute}={target} in {name}");
            }
        }
    }
}

#[test]
fn every_form_posts_within_the_pages() {
    for (name, html) in samples::all() {
        for action in values(&html, "action") {
            assert!(action.starts_with("/admin/"), "{action} in {name}");
        }
    }
}

#[test]
fn what_strangers_write_is_escaped() {
    let evil = "<img src=x onerror=alert(1)>\"'&";
    let mut call = samples::call();
    call.requested = evil.to_owned();
    call.tenant = evil.to_owned();
    call.id = evil.to_owned();
    call.end = End::Failed(evil.to_owned());
    call.dropped = vec![evil.to_owned()];
    call.response = evil.to_owned();
    for attempt in &mut call.attempts {
        attempt.provider = evil.to_owned();
        attempt.model = evil.to_owned();
        attempt.message = Some(evil.to_owned());
        attempt.then = evil.to_owned();
    }
    let html = html(&call);
    assert!(!html.contains("<img"), "{html}");
    assert!(!html.contains("\"'&\""), "{html}");
}
