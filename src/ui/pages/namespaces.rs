//! Namespaces and baselines as a matrix, and what is in force in one namespace.

use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use super::Content;
use super::parts::{badge, empty, number, plain, tag};
use crate::cluster::ReadError;
use crate::survey::{Kind, Settings, State};
use crate::text::shortened;
use crate::ui::App;
use crate::ui::board::{Hardened, Picture};
use crate::ui::feed::{path, sentence};
use crate::ui::query::Filter;

/// Namespaces of a page.
const PAGE: usize = 100;
/// Baselines that have a column.
const COLUMNS: usize = 12;
/// Longest text that is shown.
const MAX_TEXT: usize = 1024;

pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn count(object: &Value, pointer: &str) -> Option<u64> {
    object.pointer(pointer).and_then(Value::as_u64)
}

pub(super) fn list<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// The colour of a stage.
pub(super) fn stage_tone(stage: &str) -> &'static str {
    match stage {
        "Enforce" => "good",
        "Warn" | "Audit" => "warn",
        _ => "calm",
    }
}

pub(super) fn matrix(picture: &Picture, filter: &Filter) -> Content {
    let after = &filter.namespace;
    let rest = picture.namespaces.iter().filter(|one| one.row.namespace > *after);
    let shown: Vec<_> = rest.clone().take(PAGE).collect();
    let more = rest.count() > shown.len();
    let body = html! {
        h1 { "Namespaces" }
        div #namespaces data-part="namespaces" {
            p.summary { (number(picture.namespaces.len())) " hardened, "
                (number(picture.baselines.len())) @if picture.baselines.len() == 1 { " baseline" } @else { " baselines" } }
            @if picture.namespaces.is_empty() { (empty("No baseline selects a namespace that you may look at.")) }
            @else { (table(picture, &shown)) }
            @if let Some(last) = shown.last().filter(|_| more) {
                nav.pager aria-label="Pages of the matrix" { a rel="next" href={ "/namespaces?namespace=" (last.row.namespace) } { "Next page" } }
            }
        }
    };
    Content::new("Namespaces", "Namespaces", body)
}

fn table(picture: &Picture, shown: &[&Hardened]) -> Markup {
    let columns: Vec<_> =
        picture.baselines.iter().take(COLUMNS).map(|one| one.row.name.as_str()).collect();
    html! {
        div.scroll #matrix tabindex="0" role="region" aria-label="Matrix of namespaces and baselines" {
            table.rows.matrix {
                caption.unseen { "The stage of each baseline in each namespace" }
                thead { tr {
                    th scope="col" { "Namespace" } th scope="col" { "State" } th scope="col" { "Level" }
                    @for name in &columns { th scope="col" { (plain(name)) } }
                    th.num scope="col" { "Held" } th.num scope="col" { "Conflicts" }
                } }
                tbody {
                    @for one in shown {
                        tr {
                            th scope="row" { a href={ "/namespaces/" (one.row.namespace) } { (plain(&one.row.namespace)) } }
                            td { (badge(one.row.state)) }
                            td { (or_dash(text(&one.kept, "/status/level"))) }
                            @for name in &columns {
                                @let found = list(&one.kept, "/status/baselines").find(|found| found["name"] == **name);
                                td { @match found.and_then(|found| found["stage"].as_str()) {
                                    Some(stage) => { (tag(stage_tone(stage), stage)) }
                                    None => { span.none { "–" } }
                                } }
                            }
                            td.num { (count(&one.kept, "/status/heldCount").unwrap_or(0)) }
                            td.num { (count(&one.kept, "/status/conflictCount").unwrap_or(0)) }
                        }
                    }
                }
            }
        }
        @if picture.baselines.len() > COLUMNS { p.small { "The first " (COLUMNS) " baselines have a column." } }
    }
}

fn or_dash(text: &str) -> Markup {
    html! { @if text.is_empty() { span.none { "–" } } @else { (plain(text)) } }
}

pub(super) async fn one(app: &App, picture: &Picture, namespace: &str) -> Content {
    let known = picture.namespaces.iter().find(|one| one.row.namespace == namespace);
    let secrets: Vec<_> = picture.secrets.iter().filter(|row| row.namespace == namespace).collect();
    if known.is_none() && secrets.is_empty() {
        let text = "No baseline selects it and it has no ExternalSecret, or you may not read it.";
        return Content::without(StatusCode::NOT_FOUND, "Nothing known", "Namespaces", text);
    }
    let problems = secrets.iter().filter(|row| row.state.is_problem()).count();
    let body = html! {
        nav.crumbs aria-label="Where you are" { a href="/namespaces" { "Namespaces" } }
        h1 { (namespace) }
        div #namespace data-part="namespace" {
            p.summary {
                a href={ "/secrets?namespace=" (namespace) } { (number(secrets.len())) @if secrets.len() == 1 { " ExternalSecret" } @else { " ExternalSecrets" } }
                @if problems > 0 { ", " (number(problems)) " in trouble" }
            }
            @match known {
                Some(known) => { (hardened(app, known, &picture.settings).await) }
                None => { (empty("No baseline selects this namespace.")) }
            }
        }
    };
    Content::new(namespace, "Namespaces", body)
}

async fn hardened(app: &App, known: &Hardened, settings: &Settings) -> Markup {
    let place = path(Kind::NamespaceHardening, Some(&known.row.namespace));
    let read = app.reader.get(&format!("{place}/{}", known.row.name)).await;
    let tone = super::parts::tone(known.row.state);
    html! {
        dl.facts {
            div { dt { "State" } dd { (badge(known.row.state)) } }
            div { dt { "For" } dd { (super::parts::ago(known.row.since, settings)) } }
            div { dt { "Level" } dd { (or_dash(text(&known.kept, "/status/level"))) } }
            div { dt { "Stage" } dd { (or_dash(text(&known.kept, "/status/stage"))) } }
            div { dt { "Baselines" } dd { @for found in list(&known.kept, "/status/baselines") { (tag("calm", text(found, "/name"))) " " } } }
        }
        @if !known.row.why.is_empty() && known.row.state != State::Synced { p class={ "why-box " (tone) } { (plain(&known.row.why)) } }
        (trouble(&known.kept))
        @match &read {
            Ok(object) => {
                (values("in-force", "In force", object, "/status/values", "Nothing is in force."))
                (values("preview", "With every baseline at Enforce", object, "/status/preview", "Nothing would change."))
            }
            Err(ReadError::NotFound(_)) => { (empty("No baseline selects it any more.")) }
            Err(error) => { (empty(&format!("What is in force cannot be shown. {}", sentence(error)))) }
        }
    }
}

/// What is held back, and what belongs to somebody else, with what to do about it.
pub(super) fn trouble(kept: &Value) -> Markup {
    let (held, conflicts): (Vec<_>, Vec<_>) = (
        list(kept, "/status/held").filter_map(Value::as_str).collect(),
        list(kept, "/status/conflicts").collect(),
    );
    html! {
        @if !(held.is_empty() && conflicts.is_empty()) {
            section { h2 { "Held back, and in conflict" }
                ul.look {
                    @for item in &held { li { div.head { (tag("warn", "Held")) } p.why { (plain(item)) } } }
                    @for item in &conflicts {
                        li {
                            div.head { (tag("bad", "Conflict")) " " (plain(text(item, "/object"))) span.for { (plain(text(item, "/manager"))) } }
                            p.why { (plain(text(item, "/message"))) }
                        }
                    }
                }
            }
        }
    }
}

/// Each value, who decided it, and why.
fn values(id: &str, title: &str, object: &Value, pointer: &str, none: &str) -> Markup {
    let rows: Vec<_> = list(object, pointer).take(MAX_VALUES).collect();
    let cell = |value: &Value, field: &str| {
        plain(&shortened(value[field].as_str().unwrap_or_default(), MAX_TEXT))
    };
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) }
            @if rows.is_empty() { (empty(none)) }
            @else {
                table.rows.stack {
                    caption.unseen { (title) ": item, value, baseline and reason" }
                    thead { tr { th scope="col" { "Item" } th scope="col" { "Value" } th scope="col" { "Baseline" } th scope="col" { "Why" } } }
                    tbody {
                        @for value in &rows {
                            tr {
                                th.mono scope="row" data-label="Item" { (cell(value, "item")) }
                                td.mono data-label="Value" { (cell(value, "value")) }
                                td data-label="Baseline" { (cell(value, "baseline")) }
                                td.why data-label="Why" { (cell(value, "reason")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Most rows of provenance that an object has.
const MAX_VALUES: usize = 64;
