//! Pictures and documents that a client names by address, for providers that take only bytes.
//!
//! Nothing is fetched that the operator does not allow, host by host. What a provider takes by its
//! address is its own to fetch.

mod address;
mod download;
mod kind;
mod network;
mod place;

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
    CanonicalRequest, Content, Conversation, Error, ErrorKind, Field, Media, MediaSource, Part,
    Result, Role,
};
use formats::Outbound;
use futures_util::future::join_all;

use download::download;
use network::{Internet, Network};
use place::Place;

/// How many addresses one request may have fetched.
const MOST: usize = 16;

/// Fetches what the operator allows.
#[derive(Debug)]
pub(crate) struct Fetch {
    hosts: Vec<String>,
    max_bytes: u64,
    timeout: Duration,
    network: Box<dyn Network>,
}

/// What one call has fetched, for all of its steps. Failures are kept too.
#[derive(Default)]
pub struct Fetched {
    found: Mutex<HashMap<String, Found>>,
    /// How many bytes that took, those of failures included.
    bytes: AtomicU64,
}

/// What came of an address: bytes in base64 and what they are, or why there are none.
type Found = Result<(String, &'static str), String>;

/// For whom something is fetched.
pub(crate) struct Wish<'a> {
    /// What the provider speaks.
    pub(crate) format: &'a dyn Outbound,
    /// The provider's name for the model.
    pub(crate) model: &'a str,
    /// The client's words.
    pub(crate) word: fn(&Field) -> Cow<'static, str>,
    /// What the call has fetched before.
    pub(crate) fetched: &'a Fetched,
    /// How long the whole step may take.
    pub(crate) limit: Duration,
}

impl Fetch {
    /// What a document allows.
    pub(crate) fn new(allowed: Option<&config::Fetch>) -> Self {
        Self {
            hosts: allowed.map(|it| it.hosts.clone()).unwrap_or_default(),
            max_bytes: allowed.map_or(0, |it| it.max_bytes),
            timeout: allowed.map_or(Duration::ZERO, |it| it.timeout),
            network: Box::new(Internet::default()),
        }
    }

    /// The same question with bytes in place of the addresses that a format does not take.
    pub(crate) async fn filled<'m>(
        &self,
        canonical: Cow<'m, CanonicalRequest>,
        wish: &Wish<'_>,
    ) -> Result<Cow<'m, CanonicalRequest>> {
        let CanonicalRequest::Conversation(conversation) = &*canonical else {
            return Ok(canonical);
        };
        let wanted = wanted(conversation, wish);
        if wanted.is_empty() {
            return Ok(canonical);
        }
        self.fetch(&wanted, wish).await?;
        let mut canonical = canonical.into_owned();
        if let CanonicalRequest::Conversation(conversation) = &mut canonical {
            for turn in conversation.messages.iter_mut().filter(|it| it.role != Role::Assistant) {
                fill(&mut turn.parts, wish)?;
            }
        }
        Ok(Cow::Owned(canonical))
    }

    /// Fetches all that is not there yet, once every address is known to be allowed.
    async fn fetch(&self, wanted: &[(Field, String)], wish: &Wish<'_>) -> Result<()> {
        let mut missing: Vec<(&str, Place)> = vec![];
        for (field, url) in wanted {
            let place = self.place(url).map_err(|why| refused(field, &why, wish))?;
            let known = wish.fetched.found().contains_key(url);
            if !known && missing.iter().all(|it| it.0 != url) {
                missing.push((url, place));
            }
        }
        if let (Some((field, _)), true) = (wanted.first(), MOST < missing.len()) {
            let why = format!("it is one of {} in this request, and {MOST} may be", missing.len());
            return Err(refused(field, &why, wish));
        }
        let budget = Budget { spent: &wish.fetched.bytes, most: self.max_bytes };
        let all = join_all(missing.iter().map(|(url, place)| async move {
            let file = download(&*self.network, place, budget).await;
            let found = file.map(|it| (STANDARD.encode(it.bytes), it.media_type));
            wish.fetched.keep(url, found.map_err(|why| format!("`{}` {why}", place.host)));
        }));
        // The rest of the step's time is the provider's.
        let limit = self.timeout.min(wish.limit / 2);
        if tokio::time::timeout(limit, all).await.is_err() {
            for (url, place) in &missing {
                let seconds = limit.as_secs_f32();
                let why = format!("`{}` did not give it within {seconds} s", place.host);
                wish.fetched.found().entry((*url).to_owned()).or_insert(Err(why));
            }
        }
        Ok(())
    }

    /// What an address names, if it may be fetched from there.
    fn place(&self, url: &str) -> Result<Place, String> {
        let place = Place::read(url)?;
        if place.is_among(&self.hosts) {
            return Ok(place);
        }
        let host = &place.host;
        Err(format!("`{host}` is not among `fetch.hosts` in the gateway's configuration"))
    }
}

impl Fetched {
    fn found(&self) -> MutexGuard<'_, HashMap<String, Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, url: &str, found: Found) {
        self.found().insert(url.to_owned(), found);
    }
}

/// How many bytes one call may still fetch.
#[derive(Clone, Copy, Debug)]
struct Budget<'a> {
    spent: &'a AtomicU64,
    most: u64,
}

impl Budget<'_> {
    /// Whether this much is left.
    fn has(self, bytes: u64) -> bool {
        self.spent.load(Ordering::Relaxed).saturating_add(bytes) <= self.most
    }

    /// Takes this much. False when that is too much.
    fn spend(self, bytes: u64) -> bool {
        self.spent.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.most
    }

    fn exceeded(self) -> String {
        format!("would exceed the {} bytes that one request may have fetched", self.most)
    }
}

/// The addresses that a format does not take, and what each is for. What the model said itself is
/// the encoder's to judge: most leave it out.
fn wanted(conversation: &Conversation, wish: &Wish<'_>) -> Vec<(Field, String)> {
    let mut wanted = vec![];
    for turn in conversation.messages.iter().filter(|it| it.role != Role::Assistant) {
        collect(&turn.parts, wish, &mut wanted);
    }
    wanted
}

fn collect(parts: &[Part], wish: &Wish<'_>, wanted: &mut Vec<(Field, String)>) {
    for part in parts {
        if let Content::ToolResult(result) = &part.content {
            collect(&result.parts, wish, wanted);
        } else if let Some((field, media)) = media(&part.content)
            && let MediaSource::Url(url) = &media.source
            && !wish.format.accepts_url(&part.content, url, wish.model)
        {
            wanted.push((field, url.clone()));
        }
    }
}

/// Puts what was fetched in place of addresses.
fn fill(parts: &mut [Part], wish: &Wish<'_>) -> Result<()> {
    for part in parts {
        if let Content::ToolResult(result) = &mut part.content {
            fill(&mut result.parts, wish)?;
            continue;
        }
        let Some((field, media)) = media(&part.content) else { continue };
        let MediaSource::Url(url) = &media.source else { continue };
        if wish.format.accepts_url(&part.content, url, wish.model) {
            continue;
        }
        let found = wish.fetched.found().get(url).cloned();
        let (data, kind) = found
            .unwrap_or_else(|| Err("it is not there".to_owned()))
            .map_err(|why| refused(&field, &why, wish))?;
        if !is_for(kind, &field) {
            return Err(refused(&field, &format!("what is there is {kind}"), wish));
        }
        if let Some(media) = media_mut(&mut part.content) {
            media.source = MediaSource::Base64(data);
            media.media_type = Some(kind.to_owned());
        }
    }
    Ok(())
}

/// What is seen or heard in a part, and what the part is for.
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

/// Another provider may take the address as it is, so that this is no fault of the request.
fn refused(field: &Field, why: &str, wish: &Wish<'_>) -> Error {
    let message = format!("it takes this only as bytes, and the address is not fetched: {why}");
    let mut error = Error::new(ErrorKind::Unsupported, message);
    error.param = Some((wish.word)(field).into_owned());
    error
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched").field("files", &self.found().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
