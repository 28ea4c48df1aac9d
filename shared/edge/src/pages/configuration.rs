//! Routes and providers: what is configured, and how it is changed.

use admin::{AdminResult, ConfigMode, PageRequest, Problem, ProblemKind, author};
use config::{Config, Provider as ConfigProvider};
use gateway::ProviderHealth;
use http::StatusCode;
use pages::{
    Moment, Took,
    routes::{
        Conflict, Editor, Explained, Explanation, Message, Preview, Provider, Routes, Target,
        Tested,
    },
    shell::{Pill, Section, Tone},
};
use routing::CooldownState;
use tenants::{Author, policy};

use super::{
    page_context::{PageContext, page, page_with, see_other},
    route_labels::{self, provider_notes},
    table::{PageFuture, PageResult},
    three_way_merge,
};

/// A provider as the page shows it; `tested` is what a test gave just now.
fn provider(
    provider: &ConfigProvider,
    snapshot: &gateway::Snapshot,
    health: Option<&ProviderHealth>,
    tested: Option<&Tested>,
) -> Provider {
    let secrets: Vec<_> = provider.keys.iter().map(|key| snapshot.secret(key)).collect();
    let is_cooling = health.is_some_and(|it| !it.cooldowns.is_empty());
    let state = match () {
        () if secrets.iter().any(Option::is_none) => Pill::new(Tone::Err, "key unreadable"),
        () if is_cooling => Pill::new(Tone::Warn, "cooldown"),
        () => Pill::new(Tone::Ok, "ready"),
    };
    let hint = |secret: &storage::Secret| {
        let fingerprint = routing::fingerprint(secret.expose()).to_string();
        // The end of the fingerprint, not of the key: a page must not show a part of a secret.
        format!("…{}", fingerprint.get(fingerprint.len().saturating_sub(4)..).unwrap_or_default())
    };
    Provider {
        name: provider.name.clone(),
        kind: provider.kind.clone(),
        base_url: provider.base_url.clone().unwrap_or_default(),
        keys: secrets.iter().flatten().map(hint).collect(),
        state,
        notes: provider_notes(provider, health.map_or(&[][..], |it| &it.models)),
        tested: tested.cloned(),
    }
}

/// The version, and who saved it.
async fn version(context: &PageContext) -> AdminResult<String> {
    let admin = context.admin()?;
    let config = admin.config_text(context.clock()).await?;
    let page = PageRequest { limit: 1, ..PageRequest::default() };
    let latest = admin.config_versions(&page, context.clock()).await?.items.into_iter().next();
    Ok(match latest.filter(|it| it.version == config.version) {
        Some(saved) => {
            let at = Moment(saved.at * 1000);
            format!("Version {}, saved by {} on {}.", saved.version, saved.actor, at.day_text())
        }
        None => format!("Version {}, as the file has it.", config.version),
    })
}

async fn overview(context: &PageContext, tested: Option<(&str, Tested)>) -> PageResult {
    let snapshot = context.app.gateway.snapshot(context.clock()).await?;
    let health =
        context.app.gateway.provider_health(context.clock()).await.map_err(Problem::from)?;
    let health_of = |name: &str| health.iter().find(|it| it.name == name);
    let cooling: Vec<CooldownState> =
        health.iter().flat_map(|it| it.cooldowns.iter().cloned()).collect();
    let of =
        |name: &str| tested.as_ref().filter(|(known, _)| *known == name).map(|(_, tested)| tested);
    let providers = snapshot.config.providers.iter();
    let mut shell = context.shell(Section::Routes, "Routes and providers").await?;
    "/admin/routes".clone_into(&mut shell.path);
    page(&Routes {
        shell,
        version: version(context).await?,
        fixed: None,
        routes: route_labels::routes(&snapshot.config, &cooling),
        providers: providers
            .map(|it| provider(it, &snapshot, health_of(&it.name), of(&it.name)))
            .collect(),
    })
}

pub(super) fn show(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async { overview(context, None).await })
}

/// Asks a provider for its models.
pub(super) async fn tested(context: &PageContext, provider: &str) -> AdminResult<Tested> {
    let listings = context.app.gateway.list_upstream_models(context.clock()).await?;
    let listing = listings.into_iter().find(|it| it.provider == provider);
    let listing = listing.ok_or_else(|| Problem::not_found("provider"))?;
    let took = Took(listing.duration);
    Ok(match listing.models {
        Ok(models) => Tested {
            tone: Tone::Ok,
            text: format!("It responded in {took} and lists {} models.", models.len()),
            models,
            took,
        },
        Err(error) => Tested {
            tone: Tone::Err,
            text: format!("It {} ({took}).", error.message()),
            models: vec![],
            took,
        },
    })
}

pub(super) fn test(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let mut found = tested(context, context.parameter()).await?;
        // A test only says whether it worked; the other button shows the list.
        found.models.clear();
        overview(context, Some((context.parameter(), found))).await
    })
}

pub(super) fn list_models(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let found = tested(context, context.parameter()).await?;
        overview(context, Some((context.parameter(), found))).await
    })
}

async fn editor(context: &PageContext, editor: Editor, status: StatusCode) -> PageResult {
    let mut shell = context.shell(Section::Routes, "Edit").await?;
    "/admin/routes/edit".clone_into(&mut shell.path);
    page_with(status, &Editor { shell, ..editor })
}

pub(super) fn edit(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let config = context.admin()?.config_text(context.clock()).await?;
        let (yaml, version) = (config.text, config.version);
        editor(context, Editor { yaml, version, ..Editor::default() }, StatusCode::OK).await
    })
}

pub(super) fn edit_more(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let (yaml, version) = (context.form.text("yaml"), context.form.get("version").to_owned());
        editor(context, Editor { yaml, version, ..Editor::default() }, StatusCode::OK).await
    })
}

/// The text in the editor with what somebody else has saved, merged as far as that goes.
async fn conflict(context: &PageContext) -> PageResult {
    let (admin, clock) = (context.admin()?, context.clock());
    let theirs = admin.config_text(clock).await?;
    let base = admin.config_version(context.form.get("version"), clock).await;
    // A version that is gone leaves nothing to merge with; theirs as the base keeps every line of
    // ours.
    let base = base.map_or_else(|_unknown| theirs.text.clone(), |it| it.text);
    let merged = three_way_merge::merge(&base, &context.form.text("yaml"), &theirs.text);
    let page = PageRequest { limit: 1, ..PageRequest::default() };
    let saved = admin.config_versions(&page, clock).await?.items.into_iter().next();
    let (who, at) = saved.map_or(("somebody".to_owned(), 0), |it| (it.actor, it.at));
    let conflict = Conflict {
        who,
        at: Moment(at * 1000),
        is_merged: merged.is_clean,
        theirs: three_way_merge::difference(&base, &theirs.text),
    };
    let text = Editor {
        yaml: merged.text,
        version: theirs.version,
        conflict: Some(conflict),
        ..Editor::default()
    };
    editor(context, text, StatusCode::CONFLICT).await
}

/// Says what is wrong with a text, at its lines; or that somebody else has saved another one.
async fn refused(context: &PageContext, problem: Problem) -> PageResult {
    match problem.kind {
        ProblemKind::PreconditionFailed => return conflict(context).await,
        _ if 500 <= problem.kind.status() => return Err(problem),
        _ => {}
    }
    let message = |it: &admin::ProblemField| Message {
        line: it.line,
        text: if it.field.is_empty() {
            it.message.clone()
        } else {
            format!("{}: {}", it.field, it.message)
        },
    };
    let mut messages: Vec<Message> = problem.fields.iter().map(message).collect();
    if messages.is_empty() {
        messages.push(Message { line: None, text: problem.detail.clone() });
    }
    let (yaml, version) = (context.form.text("yaml"), context.form.get("version").to_owned());
    let status = StatusCode::from_u16(problem.kind.status()).unwrap_or(StatusCode::BAD_REQUEST);
    editor(context, Editor { yaml, version, messages, ..Editor::default() }, status).await
}

/// The names of routes and models with their targets.
fn plans(config: &Config) -> std::collections::BTreeMap<String, Vec<String>> {
    let targets = |route: pages::routes::Route| {
        (route.name, route.steps.into_iter().map(|step| step.target).collect())
    };
    route_labels::routes(config, &[]).into_iter().map(targets).collect()
}

fn in_words(targets: Option<&Vec<String>>, cooling: &[CooldownState]) -> Vec<String> {
    let words = |(place, target): (usize, &String)| {
        let found = cooling.iter().find(|state| {
            let what = &state.what;
            let is_provider = target.starts_with(&format!("{}/", what.provider));
            // An empty model stands for a cooldown of the whole provider.
            is_provider && (what.model.is_empty() || target.ends_with(&format!("/{}", what.model)))
        });
        let state = match (found, place) {
            (Some(state), _) => format!("cools down for {} more", Took(state.left)),
            (None, 0) => "attempted first".to_owned(),
            (None, _) => "attempted when those before it fail".to_owned(),
        };
        format!("{}. {target}: {state}", place + 1)
    };
    targets.into_iter().flatten().enumerate().map(words).collect()
}

/// What calls do before and after a change, for each name whose targets change.
async fn explained(context: &PageContext, after: &Config) -> AdminResult<Vec<Explained>> {
    let snapshot = context.app.gateway.snapshot(context.clock()).await?;
    let cooling = context.app.gateway.cooldown_states(context.clock()).await;
    let (before, after) = (plans(&snapshot.config), plans(after));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let changed = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let explained = changed.map(|name| Explained {
        model: name.clone(),
        before: in_words(before.get(name), &cooling),
        after: in_words(after.get(name), &cooling),
    });
    Ok(explained.collect())
}

/// The names of tenants that may use a name whose targets change.
async fn affected(context: &PageContext, explained: &[Explained]) -> AdminResult<Vec<String>> {
    let tenants = context.tenants().await?.iter().map(|view| &view.tenant);
    let uses = |tenant: &&tenants::Tenant| {
        explained.iter().any(|it| policy::authorize_model(tenant, &it.model).is_ok())
    };
    Ok(tenants.filter(uses).map(|tenant| tenant.settings.name.clone()).collect())
}

fn writer(context: &PageContext) -> AdminResult<Author<'_>> {
    Ok(author(&context.operator()?.name, context.clock()))
}

pub(super) fn preview(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let (yaml, version) = (context.form.text("yaml"), context.form.get("version").to_owned());
        let (admin, clock) = (context.admin()?, context.clock());
        // The same check that saving makes, so that what a preview shows is what saving does.
        let mode = ConfigMode::DryRun;
        let checked =
            admin.replace_config(&yaml, Some(&version), mode, writer(context)?, clock).await;
        let change = match checked {
            Ok(change) => change,
            Err(problem) => return refused(context, problem).await,
        };
        let after = admin.check_config(&yaml, clock).await?;
        let explained = explained(context, &after).await?;
        let mut shell = context.shell(Section::Routes, "Before it is saved").await?;
        "/admin/routes".clone_into(&mut shell.path);
        page(&Preview {
            shell,
            diff: three_way_merge::lines_of(&change.diff),
            tenants: affected(context, &explained).await?,
            explained,
            yaml,
            version,
        })
    })
}

pub(super) fn save(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let (yaml, version) = (context.form.text("yaml"), context.form.get("version"));
        let (admin, clock) = (context.admin()?, context.clock());
        let mode = ConfigMode::Write;
        let saved = admin.replace_config(&yaml, Some(version), mode, writer(context)?, clock).await;
        match saved {
            Ok(_) => see_other("/admin/routes?done=saved"),
            Err(problem) => refused(context, problem).await,
        }
    })
}

/// Replaces the configuration by one that a function makes of its text.
pub(super) async fn change(
    context: &PageContext,
    change: impl FnOnce(&str) -> String,
) -> AdminResult<()> {
    let (admin, clock) = (context.admin()?, context.clock());
    let config = admin.config_text(clock).await?;
    let (text, version) = (change(&config.text), config.version);
    admin.replace_config(&text, Some(&version), ConfigMode::Write, writer(context)?, clock).await?;
    Ok(())
}

pub(super) fn explain(context: &mut PageContext) -> PageFuture<'_> {
    Box::pin(async {
        let model = context.query.get("model").to_owned();
        let mut view = Explanation {
            shell: context.shell(Section::Routes, "Explain").await?,
            models: context.models().await?,
            found: "What a call would attempt now, and why.".to_owned(),
            ..Explanation::default()
        };
        if !model.is_empty() {
            match context.admin()?.explain(&model, None, context.clock()).await {
                Ok(explanation) => {
                    let json = explanation.to_json();
                    view.targets =
                        json["steps"].as_array().into_iter().flatten().map(step).collect();
                    if let Some(route) = json["route"].as_str() {
                        view.found = format!("The route {route}, as a call would take it now.");
                    }
                }
                Err(problem) => view.found = problem.detail,
            }
        }
        view.model = model;
        page(&view)
    })
}

/// One step of an explanation, as the API shows it.
fn step(step: &serde_json::Value) -> Target {
    let text = |name: &str| step[name].as_str().unwrap_or_default();
    let decision = text("decision");
    let tone = match decision {
        "attempted" | "available_first" => Tone::Ok,
        "cooling_down" => Tone::Warn,
        _ => Tone::Err,
    };
    let left = step["cooldown_seconds"].as_f64().filter(|it| 0.0 < *it);
    let left = left.map(|it| format!(" {} more.", Took(std::time::Duration::from_secs_f64(it))));
    Target {
        name: format!("{}/{}", text("provider"), text("model")),
        state: Pill::new(tone, decision.replace('_', " ")),
        reason: format!("{}{}", text("reason"), left.unwrap_or_default()),
    }
}
