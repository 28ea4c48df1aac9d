//! Client setup: snippets with the gateway's own address, and with a key that was just made.

use pages::{
    setup::{KEY_PLACEHOLDER, Setup, Snippet, Values},
    shell::Section,
};

use super::{
    page_context::{Desk, page},
    table::{PageFuture, PageResult},
};

async fn view(desk: &Desk, key: Option<&str>, wanted: &str) -> PageResult {
    let models = desk.models().await?;
    let known = models.iter().find(|it| *it == wanted).or(models.first());
    let model = known.map_or("provider/model", String::as_str).to_owned();
    let values = Values { base: &desk.base, key: key.unwrap_or(KEY_PLACEHOLDER), model: &model };
    let snippets = Snippet::all(values);
    let mut shell = desk.shell(Section::Setup, "Client setup").await?;
    "/admin/setup".clone_into(&mut shell.path);
    page(&Setup { shell, models, has_key: key.is_some(), snippets, model })
}

pub(super) fn show(desk: &mut Desk) -> PageFuture<'_> {
    Box::pin(async { view(desk, None, desk.query.get("model")).await })
}

/// The key comes in a form, so that it is in no URL.
pub(super) fn show_with_key(desk: &mut Desk) -> PageFuture<'_> {
    Box::pin(async { view(desk, desk.form.filled("key"), desk.form.get("model")).await })
}
