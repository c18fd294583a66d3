//! What to look at first.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Content;
use super::namespaces::stage_tone;
use super::parts::{
    ago, badge, empty, number, plain, secret_link, state_link, store_link, tag, tone,
};
use crate::inspect::help;
use crate::survey::{Row, State};
use crate::ui::board::Picture;

/// Rows of each list.
const SHOWN: usize = 8;
/// Different texts that are searched for a reason.
const MAX_TEXTS: usize = 500;

pub(super) fn page(picture: &Picture) -> Content {
    let mut counts: BTreeMap<State, usize> = BTreeMap::new();
    for row in &picture.secrets {
        *counts.entry(row.state).or_default() += 1;
    }
    let body = html! {
        div #overview data-part="overview" {
            h1.verdict { (verdict(picture, &counts)) }
            (tiles(&counts, picture.secrets.len()))
            div.columns {
                section aria-labelledby="look" { h2 #look { "Needs a look" } (look(picture)) }
                div {
                    section aria-labelledby="reasons" { h2 #reasons { "Why" } (reasons(&picture.secrets)) }
                    section aria-labelledby="stores" { h2 #stores { "Stores" } (stores(picture)) }
                    section aria-labelledby="baselines" { h2 #baselines { "Baselines" } (baselines(picture)) }
                }
            }
        }
    };
    Content::new("Overview", "Overview", body)
}

fn verdict(picture: &Picture, counts: &BTreeMap<State, usize>) -> String {
    let others =
        picture.stores.iter().map(|store| &store.row).chain(
            picture.baselines.iter().chain(&picture.namespaces).map(|hardened| &hardened.row),
        );
    let bad: usize = counts.iter().filter(|(state, _)| state.is_problem()).map(|(_, n)| n).sum();
    let bad = bad + others.filter(|row| row.state.is_problem()).count();
    let blind = picture
        .readings
        .iter()
        .any(|(_, reading)| matches!(reading, crate::ui::board::Reading::Amiss(_)));
    match (bad, blind) {
        (0, false) => "All is as it should be".to_owned(),
        (0, true) => "Nothing that can be read is wrong".to_owned(),
        (1, _) => "1 object needs somebody".to_owned(),
        (bad, _) => format!("{} objects need somebody", number(bad)),
    }
}

/// One tile for each state, and their shares as a bar.
fn tiles(counts: &BTreeMap<State, usize>, total: usize) -> Markup {
    let mut at = 0;
    let bars: Vec<_> = State::ALL
        .into_iter()
        .filter_map(|state| Some((state, *counts.get(&state)?)))
        .map(|(state, count)| {
            let begin = at;
            at += count;
            (state, begin * 1000 / total.max(1), (count * 1000).div_ceil(total.max(1)))
        })
        .collect();
    html! {
        section.counts aria-label="ExternalSecrets by state" {
            svg.bar viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true" {
                @for (state, x, width) in &bars {
                    rect class=(tone(*state)) x=(x) y="0" width=(width) height="8" {}
                }
            }
            ul.tiles aria-live="polite" {
                @for state in State::ALL {
                    @let count = counts.get(&state).copied().unwrap_or(0);
                    @if count > 0 || matches!(state, State::Failing | State::Late | State::Waiting | State::Synced) {
                        li {
                            a href=(state_link(state)) class=[(count == 0).then_some("zero")] {
                                span.count { (number(count)) } (badge(state))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The worst of all kinds.
fn look(picture: &Picture) -> Markup {
    let mut rows: Vec<&Row> = picture.secrets.iter().collect();
    rows.extend(picture.stores.iter().map(|store| &store.row));
    rows.extend(picture.baselines.iter().chain(&picture.namespaces).map(|one| &one.row));
    rows.retain(|row| row.state.is_notable());
    let total = rows.len();
    rows.sort_by(|one, other| one.order(other));
    html! {
        @if rows.is_empty() { (empty("Nothing. Every object is in step.")) }
        ul.look {
            @for row in rows.iter().take(SHOWN) {
                li {
                    div.head {
                        (badge(row.state)) " "
                        (named(row))
                        span.for { (ago(row.since, &picture.settings)) }
                    }
                    @if !row.why.is_empty() { p.why { (plain(&row.why)) } }
                }
            }
        }
        @if total > SHOWN {
            p.more { a href="/secrets" { "All secrets, worst first" } " · " (number(total)) " objects need a look" }
        }
    }
}

/// The name of an object, with a link to what is known of it.
fn named(row: &Row) -> Markup {
    use crate::survey::Kind;
    let link = match row.kind {
        Kind::ExternalSecret => secret_link(row),
        Kind::SecretStore | Kind::ClusterSecretStore => "/stores".to_owned(),
        Kind::HardeningBaseline => "/policies".to_owned(),
        Kind::NamespaceHardening => format!("/namespaces/{}", row.namespace),
    };
    html! {
        a href=(link) {
            span.kind { (row.kind.short()) "/" }
            @if row.namespace.is_empty() { (plain(&row.name)) }
            @else { (plain(&row.namespace)) "/" wbr; (plain(&row.name)) }
        }
    }
}

/// Reasons of what is wrong, by how often; without one, the state.
fn reasons(rows: &[Row]) -> Markup {
    let mut texts: BTreeMap<(State, &str), usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.state.is_problem()) {
        *texts.entry((row.state, row.why.as_str())).or_default() += 1;
    }
    let mut counts: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for (index, ((state, text), count)) in texts.iter().enumerate() {
        let reason = if index < MAX_TEXTS { help::reason(text) } else { None };
        let key = match reason {
            Some(reason) => (reason, format!("/secrets?q={reason}")),
            None => (state.word(), state_link(*state)),
        };
        *counts.entry(key).or_default() += count;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|((reason, _), count)| (std::cmp::Reverse(*count), *reason));
    html! {
        @if counts.is_empty() { (empty("No failure to explain.")) }
        @else {
            ul.lines {
                @for ((reason, link), count) in counts.iter().take(SHOWN) {
                    li { a href=(link) { (reason) } span.num { (number(*count)) } }
                }
            }
        }
    }
}

fn stores(picture: &Picture) -> Markup {
    html! {
        @if picture.stores.is_empty() { (empty("There is no store.")) }
        ul.lines {
            @for store in picture.stores.iter().take(SHOWN) {
                @let name = format!("{}/{}", store.row.kind.short(), store.row.name);
                li {
                    span { (badge(store.row.state)) " " a href=(store_link(&name)) { (plain(&name)) } }
                    span.num { (number(store.users)) @if store.users == 1 { " secret" } @else { " secrets" } }
                }
            }
        }
        @if picture.stores.len() > SHOWN { p.more { a href="/stores" { "All stores" } } }
    }
}

fn baselines(picture: &Picture) -> Markup {
    html! {
        @if picture.baselines.is_empty() { (empty("There is no baseline.")) }
        ul.lines {
            @for one in picture.baselines.iter().take(SHOWN) {
                @let stage = one.kept.pointer("/status/stage").and_then(|stage| stage.as_str()).unwrap_or("No stage");
                @let selected = one.kept.pointer("/status/namespaces/selected").and_then(serde_json::Value::as_u64);
                li {
                    span { (badge(one.row.state)) " " a href="/policies" { (plain(&one.row.name)) } " " (tag(stage_tone(stage), stage)) }
                    @if let Some(selected) = selected { span.num { (selected) @if selected == 1 { " namespace" } @else { " namespaces" } } }
                }
            }
        }
    }
}
