//! Images and documents that a client gives by URL, for providers that take only bytes.
//!
//! Nothing is fetched that the operator does not allow, host by host. What a provider takes by URL is
//! left to the provider to fetch.

mod download;
mod media_type;
mod media_url;
mod network;
mod public_address;

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use canonical::{
    Content, Conversation, Error, ErrorKind, Field, Media, MediaSource, ModelFacts, Part, Result,
    Role,
};
use formats::OutboundConversation;
use futures_util::future::join_all;

use download::download;
use media_url::MediaUrl;
use network::{Internet, Network};

/// How many URLs one request may have fetched.
const MAX_URLS: usize = 16;

/// Fetches what the operator allows.
#[derive(Debug)]
pub(crate) struct Fetch {
    hosts: Vec<String>,
    max_bytes: u64,
    timeout: Duration,
    network: Box<dyn Network>,
}

/// The media that one call has fetched, for all of its attempts. Failures are kept too.
#[derive(Default)]
pub struct FetchedMedia {
    found: Mutex<HashMap<String, FetchResult>>,
    /// How many bytes that took, those of failures included.
    bytes: AtomicU64,
}

/// The result of fetching a URL: bytes in base64 and their media type, or why there are none.
type FetchResult = Result<(String, &'static str), String>;

/// For which request, provider and model something is fetched.
pub(crate) struct FetchContext<'a> {
    /// The provider's format.
    pub(crate) format: &'a dyn OutboundConversation,
    /// Facts about the model.
    pub(crate) facts: &'a ModelFacts,
    /// The client's names of fields.
    pub(crate) word: fn(&Field) -> Cow<'static, str>,
    /// The media that earlier attempts of the call have fetched.
    pub(crate) fetched: &'a FetchedMedia,
    /// How long the whole attempt may take.
    pub(crate) limit: Duration,
}

impl Fetch {
    /// A fetcher for what the configuration allows.
    pub(crate) fn new(allowed: Option<&config::Fetch>) -> Self {
        Self {
            hosts: allowed.map(|it| it.hosts.clone()).unwrap_or_default(),
            max_bytes: allowed.map_or(0, |it| it.max_bytes),
            timeout: allowed.map_or(Duration::ZERO, |it| it.timeout),
            network: Box::new(Internet::default()),
        }
    }

    /// The same conversation with bytes in place of the URLs that a format does not accept.
    pub(crate) async fn replace_urls<'m>(
        &self,
        conversation: Cow<'m, Conversation>,
        context: &FetchContext<'_>,
    ) -> Result<Cow<'m, Conversation>> {
        let wanted = urls_to_fetch(&conversation, context);
        if wanted.is_empty() {
            return Ok(conversation);
        }
        self.fetch(&wanted, context).await?;
        let mut conversation = conversation.into_owned();
        // What the model itself gave by URL stays as it is; encoders may drop it.
        for message in conversation.messages.iter_mut().filter(|it| it.role != Role::Assistant) {
            fill(&mut message.parts, context)?;
        }
        Ok(Cow::Owned(conversation))
    }

    /// Fetches what is not there yet, once every URL is known to be allowed.
    async fn fetch(&self, wanted: &[(Field, String)], context: &FetchContext<'_>) -> Result<()> {
        // Every URL is checked before the first is fetched: a request that must fail shall cause no
        // traffic.
        let mut missing: Vec<(&str, MediaUrl)> = vec![];
        for (field, url) in wanted {
            let media_url = self.allowed_url(url).map_err(|why| refused(field, &why, context))?;
            let known = context.fetched.found().contains_key(url);
            // One URL may stand in a conversation many times, and is fetched once.
            if !known && missing.iter().all(|it| it.0 != url) {
                missing.push((url, media_url));
            }
        }
        if let (Some((field, _)), true) = (wanted.first(), MAX_URLS < missing.len()) {
            let why =
                format!("this is one of {} in this request, and {MAX_URLS} may be", missing.len());
            return Err(refused(field, &why, context));
        }
        let budget = Budget { spent: &context.fetched.bytes, max: self.max_bytes };
        // Together, because each has the same deadline.
        let all = join_all(missing.iter().map(|(url, media_url)| async move {
            let file = download(&*self.network, media_url, budget).await;
            let found = file.map(|it| (STANDARD.encode(it.bytes), it.media_type));
            // Failures are kept too, or every attempt of the call would wait for the same dead host
            // again.
            context.fetched.keep(url, found.map_err(|why| format!("`{}` {why}", media_url.host)));
        }));
        // The rest of the attempt's time is the provider's.
        let limit = self.timeout.min(context.limit / 2);
        if tokio::time::timeout(limit, all).await.is_err() {
            for (url, media_url) in &missing {
                let seconds = limit.as_secs_f32();
                let why = format!("`{}` did not give it within {seconds} s", media_url.host);
                // What arrived before the time was up stays.
                context.fetched.found().entry((*url).to_owned()).or_insert(Err(why));
            }
        }
        Ok(())
    }

    /// The parsed URL, if it may be fetched.
    fn allowed_url(&self, url: &str) -> Result<MediaUrl, String> {
        let url = MediaUrl::parse(url)?;
        if url.is_among(&self.hosts) {
            return Ok(url);
        }
        let host = &url.host;
        Err(format!("`{host}` is not among `fetch.hosts` in the gateway's configuration"))
    }
}

impl FetchedMedia {
    fn found(&self) -> MutexGuard<'_, HashMap<String, FetchResult>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, url: &str, found: FetchResult) {
        self.found().insert(url.to_owned(), found);
    }
}

/// How many bytes one call may still fetch.
#[derive(Clone, Copy, Debug)]
struct Budget<'a> {
    spent: &'a AtomicU64,
    max: u64,
}

impl Budget<'_> {
    /// Whether this much is left.
    fn has(self, bytes: u64) -> bool {
        self.spent.load(Ordering::Relaxed).saturating_add(bytes) <= self.max
    }

    /// Takes this much. False when that is too much.
    fn spend(self, bytes: u64) -> bool {
        // Spent even when it is too much, so that downloads side by side all stop.
        self.spent.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.max
    }

    fn exceeded(self) -> String {
        format!("would exceed the {} bytes that one request may have fetched", self.max)
    }
}

/// The URLs that a format does not take, and what each is for. What the model made itself is left to
/// the encoder: most leave it out.
fn urls_to_fetch(conversation: &Conversation, context: &FetchContext<'_>) -> Vec<(Field, String)> {
    let mut wanted = vec![];
    for message in conversation.messages.iter().filter(|it| it.role != Role::Assistant) {
        collect(&message.parts, context, &mut wanted);
    }
    wanted
}

fn collect(parts: &[Part], context: &FetchContext<'_>, wanted: &mut Vec<(Field, String)>) {
    for part in parts {
        if let Content::ToolResult(result) = &part.content {
            collect(&result.parts, context, wanted);
        } else if let Some((field, media)) = media(&part.content)
            && let MediaSource::Url(url) = &media.source
            && !context.format.accepts_url(&part.content, url, context.facts)
        {
            wanted.push((field, url.clone()));
        }
    }
}

/// Puts what was fetched in place of URLs.
fn fill(parts: &mut [Part], context: &FetchContext<'_>) -> Result<()> {
    for part in parts {
        if let Content::ToolResult(result) = &mut part.content {
            fill(&mut result.parts, context)?;
            continue;
        }
        let Some((field, media)) = media(&part.content) else { continue };
        let MediaSource::Url(url) = &media.source else { continue };
        if context.format.accepts_url(&part.content, url, context.facts) {
            continue;
        }
        let found = context.fetched.found().get(url).cloned();
        let (data, kind) = found
            .unwrap_or_else(|| Err("was not fetched".to_owned()))
            .map_err(|why| refused(&field, &why, context))?;
        // A host that is trusted with images may have returned a document for an image's URL.
        if !is_for(kind, &field) {
            return Err(refused(&field, &format!("what is there is {kind}"), context));
        }
        if let Some(media) = media_mut(&mut part.content) {
            media.source = MediaSource::Base64(data);
            media.media_type = Some(kind.to_owned());
        }
    }
    Ok(())
}

/// The media of a part, and what the part is for.
fn media(content: &Content) -> Option<(Field, &Media)> {
    match content {
        Content::Image(media) => Some((Field::Image, media)),
        Content::Audio(media) => Some((Field::Audio, media)),
        Content::Video(media) => Some((Field::Video, media)),
        Content::File(media) => Some((Field::File, media)),
        Content::Text(..)
        | Content::Refusal(_)
        | Content::Reasoning(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_) => None,
    }
}

fn media_mut(content: &mut Content) -> Option<&mut Media> {
    match content {
        Content::Image(media)
        | Content::Audio(media)
        | Content::Video(media)
        | Content::File(media) => Some(media),
        Content::Text(..)
        | Content::Refusal(_)
        | Content::Reasoning(_)
        | Content::ToolCall(_)
        | Content::ToolResult(_) => None,
    }
}

/// Whether something of this media type is what the part is for; a document may be anything.
fn is_for(kind: &str, field: &Field) -> bool {
    match field {
        Field::Image => kind.starts_with("image/"),
        Field::Audio => kind.starts_with("audio/"),
        Field::Video => kind.starts_with("video/"),
        _ => true,
    }
}

/// A URL that is not fetched. Another provider may take it, so that the request is not to blame.
fn refused(field: &Field, why: &str, context: &FetchContext<'_>) -> Error {
    let message = format!("takes this only as bytes, and the address is not fetched: {why}");
    let mut error = Error::new(ErrorKind::Unsupported, message);
    error.param = Some((context.word)(field).into_owned());
    error
}

impl fmt::Debug for FetchedMedia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchedMedia").field("files", &self.found().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
