//! Baselines and their policies: stage, revision, and what their conditions say.

use maud::{Markup, html};
use serde_json::Value;

use super::Content;
use super::namespaces::{count, list, stage_tone, text};
use super::parts::{ago, badge, empty, plain, tag};
use crate::survey::Settings;
use crate::ui::board::{Hardened, Picture};

/// Baselines that are shown.
const SHOWN: usize = 200;

pub(super) fn page(picture: &Picture) -> Content {
    let body = html! {
        h1 { "Policies" }
        div #policies data-part="policies" {
            @if picture.baselines.is_empty() { (empty("There is no HardeningBaseline that you may look at.")) }
            @for one in picture.baselines.iter().take(SHOWN) { (baseline(one, &picture.settings)) }
        }
    };
    Content::new("Policies", "Policies", body)
}

fn baseline(one: &Hardened, settings: &Settings) -> Markup {
    let (kept, id) = (&one.kept, format!("b-{}", one.row.name));
    let stage = text(kept, "/status/stage");
    let of = |what: &str| count(kept, &format!("/status/namespaces/{what}")).unwrap_or(0);
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (plain(&one.row.name)) " " (badge(one.row.state)) }
            @if !one.row.why.is_empty() { p class={ "why-box " (super::parts::tone(one.row.state)) } { (plain(&one.row.why)) } }
            dl.facts {
                div { dt { "Stage" } dd { @if stage.is_empty() { span.none { "–" } } @else { (tag(stage_tone(stage), stage)) } } }
                div { dt { "Level" } dd { (dash(text(kept, "/status/level"))) } }
                div { dt { "Namespaces" } dd { (of("applied")) " of " (of("selected")) } }
                div { dt { "Policy revision" } dd.mono { (dash(text(kept, "/status/policyRevision"))) } }
                div { dt { "Pinned version" } dd { (dash(text(kept, "/status/pinnedVersion"))) } }
                @if let Ok(next) = text(kept, "/status/nextPromotionAfter").parse() {
                    div { dt { "Next stage" } dd { (super::parts::ahead(Some(next), settings)) } }
                }
            }
            ul.look { @for condition in list(kept, "/status/conditions") { (told(condition, settings)) } }
        }
    }
}

fn dash(text: &str) -> Markup {
    html! { @if text.is_empty() { span.none { "–" } } @else { (plain(text)) } }
}

fn told(condition: &Value, settings: &Settings) -> Markup {
    let (status, message) = (text(condition, "/status"), text(condition, "/message"));
    html! {
        li {
            div.head {
                strong { (plain(text(condition, "/type"))) } " "
                (tag("calm", status)) " " (plain(text(condition, "/reason")))
                span.for { (ago(text(condition, "/lastTransitionTime").parse().ok(), settings)) }
            }
            @if !message.is_empty() { p.why { (plain(message)) } }
        }
    }
}
