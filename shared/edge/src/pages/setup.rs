//! Client setup: snippets with the gateway's own address, and with a key that was just made.

use pages::{
    setup::{KEY_PLACEHOLDER, Setup, Snippet, Values},
    shell::Section,
};

use super::{
    page_context::{PageContext, page},
    table::{PageFuture, PageResult},
};

async fn view(context: &PageContext, key: Option<&str>, wanted: &str) -> PageResult {
    let models = context.models().await?;
    let known = models.iter().find(|it| *it == wanted).or(models.first());
    let model = known.map_or("provider/model", String::as_str).to_owned();
    let values = Values { base: &context.base, key: key.unwrap_or(KEY_PLACEHOLDER), model: &model };
    let snippets = Snippet::all(values);
    let mut shell = context.shell(Section::Setup, "Client setup").await?;
    "/admin/setup".clone_into(&mut shell.path);
    page(&Setup { shell, models, has_key: key.is_some(), snippets, model })
}

pub(super) fn show(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async { view(context, None, context.query.get("model")).await })
}

/// The key comes in a form, so that it is in no URL.
pub(super) fn show_with_key(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async { view(context, context.form.filled("key"), context.form.get("model")).await })
}
