//! What the pages say about the tree is true.

use super::{
    complains, nothing,
    tree::{self, File},
};

fn unnamed_crates(page: &str, names: &[String]) -> Vec<String> {
    let unnamed = names.iter().filter(|it| !page.contains(&format!("`{it}`")));
    unnamed.map(|it| format!("ARCHITECTURE.md does not name `{it}`")).collect()
}

fn unlinked_decisions(page: &str, records: &[String]) -> Vec<String> {
    let unlinked = records.iter().filter(|it| !page.contains(&format!("(docs/decisions/{it})")));
    unlinked.map(|it| format!("ARCHITECTURE.md does not link docs/decisions/{it}")).collect()
}

fn misnumbered(records: &[String]) -> Vec<String> {
    let wrong = records.iter().zip(1..).filter(|(name, number)| {
        !name.starts_with(&format!("{number:04}-")) || !name.ends_with(".md")
    });
    wrong.map(|(name, number)| format!("{name} should begin with {number:04}-")).collect()
}

/// Links within the tree that lead nowhere. `exists` is asked for paths from the top.
fn broken_links(pages: &[File], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut wrong = vec![];
    for page in pages {
        let folder = page.path.rsplit_once('/').map_or("", |it| it.0);
        let links = page.text.split("](").skip(1).filter_map(|it| it.split_once(')'));
        for (link, _) in links {
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !link.contains("://") && !exists(&format!("{folder}/{target}"))
            {
                wrong.push(format!("{} links to {target}, which is not there", page.path));
            }
        }
    }
    wrong
}

/// Words in quotes behind every `start`, up to the next `end`.
fn quoted<'a>(text: &'a str, start: &str, end: char) -> Vec<&'a str> {
    let lists = text.split(start).skip(1).filter_map(|it| Some(it.split_once(end)?.0));
    lists.flat_map(|it| it.split('"').skip(1).step_by(2)).collect()
}

/// `readers` are the sources that say which keys there are, `providers` those of the catalog.
fn undocumented(page: &str, readers: &[File], providers: &[File]) -> Vec<String> {
    let keys = readers.iter().flat_map(|it| quoted(&it.text, "known: &[", ']'));
    let described = providers.iter().filter(|it| it.text.contains("const PROVIDER: Provider"));
    let types = described.flat_map(|it| quoted(&it.text, " name: ", ','));
    let missing = keys.chain(types).filter(|it| !page.contains(&format!("`{it}`")));
    missing.map(|it| format!("docs/configuration.md does not explain `{it}`")).collect()
}

fn records() -> Vec<String> {
    tree::names("docs/decisions")
}

#[test]
fn the_architecture_names_every_crate() {
    let names: Vec<String> = tree::packages().into_iter().map(|it| it.name).collect();
    nothing(&unnamed_crates(&tree::text("ARCHITECTURE.md"), &names));
}

#[test]
fn the_architecture_links_every_decision() {
    nothing(&unlinked_decisions(&tree::text("ARCHITECTURE.md"), &records()));
}

#[test]
fn decisions_are_numbered_without_gaps() {
    nothing(&misnumbered(&records()));
}

#[test]
fn links_have_a_target() {
    let exists = |path: &str| tree::root().join(path.trim_start_matches('/')).exists();
    nothing(&broken_links(&tree::files("", ".md"), exists));
}

#[test]
fn every_key_and_every_provider_type_is_documented() {
    let page = tree::text("docs/configuration.md");
    let readers = tree::files("shared/config/src", ".rs");
    nothing(&undocumented(&page, &readers, &tree::files("shared/providers/src", ".rs")));
}

#[test]
fn a_crate_that_is_not_named_is_found() {
    let names = ["edge".to_owned(), "gateway".to_owned()];
    complains(&unnamed_crates("only `edge` knows Lambda; the gateway", &names), "`gateway`");
}

#[test]
fn a_decision_that_is_not_linked_is_found() {
    let records = ["0001-a.md".to_owned(), "0002-b.md".to_owned()];
    complains(&unlinked_decisions("[a](docs/decisions/0001-a.md)", &records), "0002-b.md");
}

#[test]
fn a_gap_between_decisions_is_found() {
    complains(&misnumbered(&["0001-a.md".to_owned(), "0003-b.md".to_owned()]), "0003-b.md");
}

#[test]
fn a_dead_link_is_found() {
    let page = |text: &str| [File { path: "docs/a.md".to_owned(), text: text.to_owned() }];
    let exists = |path: &str| path == "docs/b.md";
    assert!(broken_links(&page("[b](b.md#there), [x](https://x.y/z)"), exists).is_empty());
    complains(&broken_links(&page("[c](c.md)"), exists), "docs/a.md links to c.md");
}

#[test]
fn an_undocumented_key_or_type_is_found() {
    let file = |text: &str| [File { path: "a.rs".to_owned(), text: text.to_owned() }];
    let keys = file("Keys { of: \"x\", known: &[\"port\", \"bell\"], later: &[\"cache\"] }");
    let types = file("const PROVIDER: Provider = Provider { name: \"acme\", base_url: \"u\" };");
    complains(&undocumented("`bell` `acme`", &keys, &types), "`port`");
    complains(&undocumented("`bell` `port`", &keys, &types), "`acme`");
}
