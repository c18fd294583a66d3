//! One ExternalSecret. It is read anew, with the viewer's rights, and only the fields of [`Detail`] are taken from it.

use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use super::Content;
use super::parts::{ago, ahead, badge, empty, exact, plain, store_link, tag};
use crate::cluster::ReadError;
use crate::inspect::help;
use crate::survey::{Kind, Row, Settings};
use crate::text::shortened;
use crate::ui::App;
use crate::ui::board::Picture;
use crate::ui::feed::{path, sentence};
use crate::ui::history::What;

/// Keys of a Secret that are shown.
const MAX_KEYS: usize = 200;
/// Longest text that is shown.
const MAX_TEXT: usize = 1024;

/// What the page shows of the object beside its row. There is no field for a template, an annotation or a value.
#[derive(Debug, Default, PartialEq, Eq)]
struct Detail {
    target: String,
    creation: String,
    deletion: String,
    interval: String,
    policy: String,
    keys: Vec<SourceKey>,
    conditions: Vec<Condition>,
}

/// Where one key of the Secret comes from, by name.
#[derive(Debug, Default, PartialEq, Eq)]
struct SourceKey {
    key: String,
    remote: String,
    property: String,
    version: String,
}

/// One condition.
#[derive(Debug, Default, PartialEq, Eq)]
struct Condition {
    name: String,
    status: String,
    reason: String,
    message: String,
    since: Option<Timestamp>,
}

fn text(object: &Value, pointer: &str) -> String {
    shortened(object.pointer(pointer).and_then(Value::as_str).unwrap_or_default(), MAX_TEXT)
}

fn list<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

impl Detail {
    fn of(object: &Value) -> Self {
        let or =
            |found: String, other: &str| if found.is_empty() { other.to_owned() } else { found };
        let name = text(object, "/metadata/name");
        let single = list(object, "/spec/data").map(|data| SourceKey {
            key: text(data, "/secretKey"),
            remote: text(data, "/remoteRef/key"),
            property: text(data, "/remoteRef/property"),
            version: text(data, "/remoteRef/version"),
        });
        let many = list(object, "/spec/dataFrom").map(|from| {
            let (what, remote) = if from["extract"].is_object() {
                ("every property of", text(from, "/extract/key"))
            } else if from["find"].is_object() {
                ("everything found below", or(text(from, "/find/path"), "the store's root"))
            } else {
                ("everything of", text(from, "/sourceRef/generatorRef/name"))
            };
            let version = text(from, "/extract/version");
            SourceKey {
                key: what.to_owned(),
                remote,
                property: text(from, "/extract/property"),
                version,
            }
        });
        Self {
            target: or(text(object, "/spec/target/name"), &name),
            creation: or(text(object, "/spec/target/creationPolicy"), "Owner"),
            deletion: or(text(object, "/spec/target/deletionPolicy"), "Retain"),
            interval: or(text(object, "/spec/refreshInterval"), "1h"),
            policy: or(text(object, "/spec/refreshPolicy"), "Periodic"),
            keys: single.chain(many).take(MAX_KEYS).collect(),
            conditions: list(object, "/status/conditions")
                .take(16)
                .map(|condition| Condition {
                    name: text(condition, "/type"),
                    status: text(condition, "/status"),
                    reason: text(condition, "/reason"),
                    message: text(condition, "/message"),
                    since: text(condition, "/lastTransitionTime").parse().ok(),
                })
                .collect(),
        }
    }
}

pub(super) async fn page(app: &App, picture: &Picture, namespace: &str, name: &str) -> Content {
    let row = picture.secrets.iter().find(|row| row.namespace == namespace && row.name == name);
    let Some(row) = row else {
        let text = "There is no such ExternalSecret, or you may not read it.";
        return Content::without(StatusCode::NOT_FOUND, "No such secret", "Secrets", text);
    };
    let at = format!("{}/{name}", path(Kind::ExternalSecret, Some(namespace)));
    let read = app.reader.get(&at).await;
    let body = html! {
        nav.crumbs aria-label="Where you are" { a href="/secrets" { "Secrets" } " / "
            a href={ "/secrets?namespace=" (namespace) } { (namespace) } }
        h1 { (name) }
        div #secret data-part="secret" {
            (head(row, &picture.settings))
            (remedy(row))
            @match &read {
                Ok(object) => { (detail(row, &Detail::of(object), &picture.settings)) }
                Err(ReadError::NotFound(_)) => { (empty("It was deleted a moment ago.")) }
                Err(error) => { (empty(&format!("Its sources and conditions cannot be shown. {}", sentence(error)))) }
            }
            (seen(app, row, &picture.settings))
        }
    };
    Content::new(format!("{namespace}/{name}"), "Secrets", body)
}

fn head(row: &Row, settings: &Settings) -> Markup {
    html! {
        dl.facts {
            div { dt { "State" } dd { (badge(row.state)) } }
            div { dt { "For" } dd { (ago(row.since, settings)) } }
            div { dt { "Last sync" } dd { (ago(row.last, settings)) } }
            div { dt { "Next" } dd { (ahead(row.next, settings)) } }
            div { dt { "Store" } dd { @if row.store.is_empty() { span.none { "–" } } @else { a href=(store_link(&row.store)) { (plain(&row.store)) } } } }
        }
        @if !row.why.is_empty() { p class={ "why-box " (super::parts::tone(row.state)) } { (plain(&row.why)) } }
    }
}

fn remedy(row: &Row) -> Markup {
    let found = help::advice(row, [row.why.as_str()]);
    html! {
        @if let Some((meaning, todo)) = found {
            section.remedy aria-labelledby="remedy" {
                h2 #remedy { "What to do" }
                p { (marked(&plain(&todo))) }
                p.small { "It means: " (marked(&plain(&meaning))) }
            }
        }
    }
}

/// A text of ours, with what stands between backticks as code.
fn marked(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn detail(row: &Row, detail: &Detail, settings: &Settings) -> Markup {
    html! {
        section aria-labelledby="conditions" {
            h2 #conditions { "Conditions" }
            @if detail.conditions.is_empty() { (empty("None yet.")) }
            ul.look {
                @for condition in &detail.conditions {
                    li {
                        div.head {
                            strong { (plain(&condition.name)) } " "
                            (tag(if condition.status == "True" { "good" } else { "bad" }, &condition.status)) " "
                            (plain(&condition.reason))
                            span.for { (ago(condition.since, settings)) }
                        }
                        @if !condition.message.is_empty() { p.why { (plain(&condition.message)) } }
                    }
                }
            }
        }
        section aria-labelledby="keys" {
            h2 #keys { "Sources" }
            @if detail.keys.is_empty() { (empty("It names no source.")) } @else { (keys(&detail.keys)) }
        }
        section aria-labelledby="target" {
            h2 #target { "Target" }
            dl.facts {
                div { dt { "Secret" } dd { (plain(&row.namespace)) "/" (plain(&detail.target)) } }
                div { dt { "Creation" } dd { (plain(&detail.creation)) } }
                div { dt { "Deletion" } dd { (plain(&detail.deletion)) } }
                div { dt { "Refresh" } dd { (plain(&detail.policy)) @if detail.policy == "Periodic" { ", every " (plain(&detail.interval)) } } }
            }
        }
    }
}

fn keys(keys: &[SourceKey]) -> Markup {
    let or_dash =
        |text: &str| html! { @if text.is_empty() { span.none { "–" } } @else { (plain(text)) } };
    html! {
        table.rows.stack {
            caption.unseen { "Keys of the Secret and where they come from" }
            thead { tr { th scope="col" { "Key" } th scope="col" { "From" } th scope="col" { "Property" } th scope="col" { "Version" } } }
            tbody {
                @for key in keys {
                    tr {
                        th scope="row" data-label="Key" { (plain(&key.key)) }
                        td.mono data-label="From" { (or_dash(&key.remote)) }
                        td.mono data-label="Property" { (or_dash(&key.property)) }
                        td.mono data-label="Version" { (or_dash(&key.version)) }
                    }
                }
            }
        }
    }
}

/// The time line: what this program saw.
fn seen(app: &App, row: &Row, settings: &Settings) -> Markup {
    let (entries, since) = app.board.history(&row.namespace, &row.name);
    html! {
        section aria-labelledby="seen" {
            h2 #seen { "Time line" }
            ol.line {
                @for entry in &entries {
                    li {
                        span.for { (ago(Some(entry.at), settings)) }
                        @match &entry.what {
                            What::Created => { span { "It was created." } }
                            What::Refreshed(1) => { span { "It was refreshed." } }
                            What::Refreshed(count) => { span { "It was refreshed " (count) " times without a change of state." } }
                            What::Ready { well, text } => {
                                span { (tag(if *well { "good" } else { "bad" }, if *well { "Ready" } else { "Not ready" })) " " (plain(text)) }
                            }
                        }
                    }
                }
            }
            p.small { "Known since " (exact(since)) ", when this page began to look." }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_fields_that_are_shown_are_these_and_none_can_hold_a_value() {
        let object = json!({
            "metadata": {"name": "app", "annotations": {"a": "canary"}, "labels": {"a": "canary"}},
            "data": {"a": "canary"},
            "spec": {
                "target": {"template": {"data": {"a": "canary"}, "engineVersion": "v2"}},
                "data": [{"secretKey": "k", "remoteRef": {"key": "r", "property": "p", "version": "v", "metadataPolicy": "canary"}}],
                "dataFrom": [{"extract": {"key": "e"}}, {"find": {"path": "/f", "tags": {"a": "canary"}}}],
            },
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "SecretSynced"}]},
        });
        let detail = Detail::of(&object);
        let source = |key: &str, remote: &str, property: &str, version: &str| SourceKey {
            key: key.into(),
            remote: remote.into(),
            property: property.into(),
            version: version.into(),
        };
        let want = Detail {
            target: "app".into(),
            creation: "Owner".into(),
            deletion: "Retain".into(),
            interval: "1h".into(),
            policy: "Periodic".into(),
            keys: vec![
                source("k", "r", "p", "v"),
                source("every property of", "e", "", ""),
                source("everything found below", "/f", "", ""),
            ],
            conditions: vec![Condition {
                name: "Ready".into(),
                status: "True".into(),
                reason: "SecretSynced".into(),
                ..Condition::default()
            }],
        };
        assert_eq!(detail, want);
    }
}
