//! Sources that stand beside the choices of a response.

use canonical::Citation;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::response_decode::{items, text};

/// The sources of a response that some providers list beside its choices: `citations` at Perplexity
/// and xAI, `search_results` at Perplexity, `web_search` at Z.ai. Seen 2026-11.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListedSources<'a> {
    #[serde(borrow)]
    citations: Option<&'a RawValue>,
    #[serde(borrow)]
    search_results: Option<&'a RawValue>,
    #[serde(borrow)]
    web_search: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ListedSource {
    #[serde(alias = "link")]
    url: String,
    #[serde(default)]
    title: Option<String>,
}

impl ListedSources<'_> {
    /// Every page of the lists, once; the list that has titles counts first.
    pub(super) fn decode(&self) -> Vec<Citation> {
        let mut sources: Vec<Citation> = vec![];
        // Perplexity's `citations` are the bare addresses of its `search_results`.
        for list in [self.search_results, self.web_search, self.citations] {
            for item in items::<&RawValue>(list) {
                let source = decode_source(item);
                sources.extend(source.filter(|it| sources.iter().all(|known| known.url != it.url)));
            }
        }
        sources
    }
}

fn decode_source(item: &RawValue) -> Option<Citation> {
    let source = if item.get().starts_with('"') {
        ListedSource { url: text(Some(item)), title: None }
    } else {
        serde_json::from_str(item.get()).ok()?
    };
    let is_page = source.url.contains("://");
    is_page.then(|| Citation { url: Some(source.url), title: source.title, ..Citation::default() })
}
