//! The contents of a call, for those records that may hold them: nothing is read or kept otherwise.

use config::{LogContents, PromptLog};
use providers::{ResponseText, UpstreamBody};
use telemetry::{CallContent, CallExcerpt, first_bytes};

use crate::{Call, log_excerpt};

/// How much of a response is read for the log alone, in bytes.
const EXCERPT_BYTES: usize = 2_000;

/// The request and the response of a call, as far as its record may hold them.
#[derive(Debug)]
pub(crate) struct Contents {
    /// The text of the response so far.
    pub(crate) response: ResponseText,
    /// What the request log keeps; none where it keeps nothing.
    prompts: Option<PromptLog>,
    /// Whether the log tells of both.
    has_excerpt: bool,
}

impl Contents {
    /// What may be kept of a call; none unless the configuration wants some, and the client lets it.
    pub(crate) fn of(call: &Call) -> Option<Box<Self>> {
        let config = &call.snapshot.config;
        let prompts = Some(config.requests.prompts.clone()).filter(|it| it.enabled);
        let has_excerpt = config.log.contents == LogContents::Summary;
        if call.hints.is_private || (prompts.is_none() && !has_excerpt) {
            return None;
        }
        let limit = prompts.as_ref().map_or(EXCERPT_BYTES, max_bytes);
        Some(Box::new(Self { response: ResponseText::new(limit), prompts, has_excerpt }))
    }

    /// Notes that a provider responds.
    pub(crate) fn begin(&mut self, call: &Call, provider: &str, body: &UpstreamBody) {
        self.response.begin(&call.snapshot.upstream, provider, &call.request);
        if let UpstreamBody::Whole(whole) = body {
            self.response.add_body(&whole.body);
        }
    }

    /// What the record of a call that has ended holds of it.
    fn finish(self, call: &Call) -> (Option<CallContent>, Option<CallExcerpt>) {
        let body = &call.request.raw.body;
        let upstream = &call.snapshot.upstream;
        let content = self.prompts.map(|prompts| CallContent {
            request: kept_request(body, max_bytes(&prompts)),
            response: self.response.as_str().to_owned(),
            retention: prompts.retention,
        });
        let excerpt = self.has_excerpt.then(|| CallExcerpt {
            request: upstream.without_keys(&log_excerpt::of_request(body)),
            response: upstream.without_keys(&log_excerpt::of_text(self.response.as_str())),
        });
        (content, excerpt)
    }
}

/// Gives the record of a call that has ended what it holds of its contents.
pub(crate) fn finish(contents: Option<Box<Contents>>, call: &mut Call) {
    if let Some(contents) = contents {
        let (content, excerpt) = contents.finish(call);
        (call.record.content, call.record.excerpt) = (content, excerpt);
    }
}

fn max_bytes(prompts: &PromptLog) -> usize {
    usize::try_from(prompts.max_bytes).unwrap_or(usize::MAX)
}

/// The body of a request, cut; a form with a file is no text, of which only the size is kept.
fn kept_request(body: &[u8], limit: usize) -> String {
    let Ok(text) = std::str::from_utf8(body) else { return format!("[{} bytes]", body.len()) };
    first_bytes(text, limit).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_kept_up_to_the_limit() {
        assert_eq!(kept_request("{\"a\":1}".as_bytes(), 7), "{\"a\":1}");
        assert_eq!(kept_request("aé".as_bytes(), 2), "a…");
        assert_eq!(kept_request(b"\xff\xfe", 100), "[2 bytes]");
    }
}
