//! The list of ExternalSecrets.

use maud::{Markup, html};

use super::Content;
use super::parts::{ago, ahead, badge, empty, number, plain, secret_link, store_link};
use crate::survey::{Row, State};
use crate::ui::board::Picture;
use crate::ui::query::{Filter, Page, Sort};

/// Rows of a page.
const PAGE: usize = 100;

pub(super) fn page(picture: &Picture, filter: &Filter) -> Content {
    let page = filter.page(&picture.secrets, PAGE);
    let body = html! {
        h1 { "Secrets" }
        (form(picture, filter))
        div #secrets data-part="secrets" {
            (summary(picture, filter, &page))
            @if page.rows.is_empty() {
                @if filter.is_narrow() { (empty("No ExternalSecret fits this filter.")) }
                @else { (empty("There is no ExternalSecret.")) }
            } @else { (table(picture, &page.rows)) }
            (further(filter, &page))
        }
    };
    Content::new("Secrets", "Secrets", body)
}

fn form(picture: &Picture, filter: &Filter) -> Markup {
    let distinct = |of: fn(&Row) -> &str| {
        let mut all: Vec<_> =
            picture.secrets.iter().map(of).filter(|text| !text.is_empty()).collect();
        all.sort_unstable();
        all.dedup();
        all.truncate(300);
        all
    };
    html! {
        form.filter method="get" action="/secrets" role="search" {
            label.wide { span { "Text" } input type="search" name="q" value=(filter.text) placeholder="Name, store or cause" maxlength="200"; }
            label { span { "State" }
                select name="state" {
                    option value="" { "Any" }
                    @for state in State::ALL { option value=(state.word()) selected[filter.state == Some(state)] { (state.word()) } }
                }
            }
            label { span { "Namespace" } input name="namespace" list="namespaces" value=(filter.namespace) placeholder="Any" maxlength="63"; }
            label { span { "Store" } input name="store" list="stores" value=(filter.store) placeholder="Any" maxlength="260"; }
            label { span { "Sort" }
                select name="sort" {
                    @for (sort, word, text) in Sort::ALL { option value=(word) selected[filter.sort == sort] { (text) } }
                }
            }
            button type="submit" { "Show" }
            @if filter.is_narrow() { a.clear href="/secrets" { "Clear" } }
            datalist #namespaces { @for name in distinct(|row| &row.namespace) { option value=(name) {} } }
            datalist #stores { @for name in distinct(|row| &row.store) { option value=(name) {} } }
        }
    }
}

fn summary(picture: &Picture, filter: &Filter, page: &Page<'_>) -> Markup {
    let all = picture.secrets.len();
    let (first, last) = (page.before + 1, page.before + page.rows.len());
    html! {
        p.summary aria-live="polite" {
            @if filter.is_narrow() { (number(page.total)) " of " (number(all)) " ExternalSecrets" }
            @else { (number(all)) @if all == 1 { " ExternalSecret" } @else { " ExternalSecrets" } }
            @if page.total > page.rows.len() && !page.rows.is_empty() { ", " (number(first)) " to " (number(last)) }
        }
    }
}

fn table(picture: &Picture, rows: &[&Row]) -> Markup {
    html! {
        table.rows.stack {
            caption.unseen { "ExternalSecrets with state, last sync, next try, store and cause" }
            thead { tr {
                th scope="col" { "State" } th scope="col" { "Namespace" } th scope="col" { "Name" } th scope="col" { "For" }
                th scope="col" { "Last sync" } th scope="col" { "Next" } th scope="col" { "Store" } th scope="col" { "Why" }
            } }
            tbody {
                @for row in rows {
                    tr {
                        td data-label="State" { (badge(row.state)) }
                        td data-label="Namespace" { (plain(&row.namespace)) }
                        th scope="row" data-label="Name" { a href=(secret_link(row)) { (plain(&row.name)) } }
                        td.time data-label="For" { (ago(row.since, &picture.settings)) }
                        td.time data-label="Last sync" { (ago(row.last, &picture.settings)) }
                        td.time data-label="Next" { (ahead(row.next, &picture.settings)) }
                        td data-label="Store" {
                            @if row.store.is_empty() { span.none { "–" } } @else { a href=(store_link(&row.store)) { (plain(&row.store)) } }
                        }
                        td.why data-label="Why" { (plain(&row.why)) }
                    }
                }
            }
        }
    }
}

fn further(filter: &Filter, page: &Page<'_>) -> Markup {
    let first = Filter { after: None, ..filter.clone() };
    html! {
        @if page.before > 0 || page.next.is_some() {
            nav.pager aria-label="Pages of the list" {
                @if page.before > 0 { a href=(first.link()) { "First page" } }
                @if let Some(next) = &page.next { a rel="next" href=(next.link()) { "Next page" } }
            }
        }
    }
}
