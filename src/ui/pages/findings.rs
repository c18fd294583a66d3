//! Violations, what is held back, and conflicts, with what to do.

use maud::{Markup, html};

use super::Content;
use super::namespaces::{count, list, text};
use super::parts::{empty, number, plain, tag};
use crate::ui::board::{Hardened, Picture};

/// Namespaces that are shown.
const SHOWN: usize = 100;

pub(super) fn page(picture: &Picture) -> Content {
    let touched = |one: &&Hardened| {
        let some = |pointer| list(&one.kept, pointer).next().is_some();
        some("/status/held") || some("/status/conflicts")
    };
    let all: Vec<_> = picture.namespaces.iter().filter(touched).collect();
    let body = html! {
        h1 { "Violations" }
        div #violations data-part="violations" {
            section aria-labelledby="counted" { h2 #counted { "By baseline" } (counted(picture)) }
            section aria-labelledby="places" {
                h2 #places { "Held back, and in conflict" }
                @if all.is_empty() { (empty("Nothing is held back, and nothing belongs to somebody else.")) }
                @for one in all.iter().take(SHOWN) { (place(one)) }
                @if all.len() > SHOWN { p.small { "These are the first " (SHOWN) " of " (number(all.len())) " namespaces." } }
            }
            section.remedy aria-labelledby="repair" {
                h2 #repair { "Repair in the source" }
                p { "Most findings are one field of a manifest. This shows each with its remedy, and writes what can be written:" }
                pre.command tabindex="0" { "gabion check --baseline BASELINE.yaml --fix MANIFESTS/" }
            }
        }
    };
    Content::new("Violations", "Violations", body)
}

fn counted(picture: &Picture) -> Markup {
    html! {
        @if picture.baselines.is_empty() { (empty("There is no baseline that you may look at.")) }
        @else {
            table.rows.stack {
                caption.unseen { "Baselines with violations, exceptions and what is held back" }
                thead { tr {
                    th scope="col" { "Baseline" } th scope="col" { "Violations" } th scope="col" { "Most in" }
                    th.num scope="col" { "Held" } th.num scope="col" { "Exceptions" } th.num scope="col" { "Expiring soon" }
                } }
                tbody {
                    @for one in &picture.baselines {
                        tr {
                            th scope="row" data-label="Baseline" { a href="/policies" { (plain(&one.row.name)) } }
                            td data-label="Violations" { @match count(&one.kept, "/status/violations") {
                                Some(count) => { (count) }
                                None => { span.none { "not counted" } }
                            } }
                            td data-label="Most in" {
                                @for found in list(&one.kept, "/status/topViolators").take(3) {
                                    a href={ "/namespaces/" (text(found, "/namespace")) } { (plain(text(found, "/namespace"))) }
                                    " (" (count(found, "/violations").unwrap_or(0)) ") "
                                }
                            }
                            td.num data-label="Held" { (count(&one.kept, "/status/namespaces/held").unwrap_or(0)) }
                            td.num data-label="Exceptions" { (count(&one.kept, "/status/exceptions/active").unwrap_or(0)) }
                            td.num data-label="Expiring soon" { (count(&one.kept, "/status/exceptions/expiringSoon").unwrap_or(0)) }
                        }
                    }
                }
            }
        }
    }
}

fn place(one: &Hardened) -> Markup {
    let held = list(&one.kept, "/status/held").filter_map(serde_json::Value::as_str);
    html! {
        details id={ "in-" (one.row.namespace) } open {
            summary { (plain(&one.row.namespace)) }
            ul.look {
                @for item in held { li { div.head { (tag("warn", "Held")) } p.why { (plain(item)) } } }
                @for item in list(&one.kept, "/status/conflicts") {
                    li {
                        div.head { (tag("bad", "Conflict")) " " (plain(text(item, "/object"))) span.for { (plain(text(item, "/manager"))) } }
                        p.why { (plain(text(item, "/message"))) }
                    }
                }
            }
            p.more { a href={ "/namespaces/" (one.row.namespace) } { "What is in force in " (plain(&one.row.namespace)) } }
        }
    }
}
