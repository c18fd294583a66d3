//! Stores, who reads from them, and what is wrong with them.

use maud::html;

use super::Content;
use super::parts::{ago, badge, empty, number, plain, store_link};
use crate::ui::board::Picture;

/// Stores that are shown; the worst come first.
const SHOWN: usize = 500;

pub(super) fn page(picture: &Picture) -> Content {
    let body = html! {
        h1 { "Stores" }
        div #stores data-part="stores" {
            p.summary { (number(picture.stores.len())) @if picture.stores.len() == 1 { " store" } @else { " stores" }
                @if picture.stores.len() > SHOWN { ", the first " (SHOWN) } }
            @if picture.stores.is_empty() { (empty("There is no SecretStore and no ClusterSecretStore.")) }
            @else {
                table.rows.stack {
                    caption.unseen { "Stores with state, provider, secrets that read from them, and cause" }
                    thead { tr {
                        th scope="col" { "State" } th scope="col" { "Namespace" } th scope="col" { "Store" } th scope="col" { "For" }
                        th scope="col" { "Provider" } th.num scope="col" { "Secrets" } th.num scope="col" { "In trouble" } th scope="col" { "Why" }
                    } }
                    tbody {
                        @for store in picture.stores.iter().take(SHOWN) {
                            @let name = format!("{}/{}", store.row.kind.short(), store.row.name);
                            tr {
                                td data-label="State" { (badge(store.row.state)) }
                                td data-label="Namespace" { @if store.row.namespace.is_empty() { span.none { "all" } } @else { (plain(&store.row.namespace)) } }
                                th scope="row" data-label="Store" { a href=(store_link(&name)) { (plain(&name)) } }
                                td.time data-label="For" { (ago(store.row.since, &picture.settings)) }
                                td data-label="Provider" { (plain(&store.provider)) }
                                td.num data-label="Secrets" { (number(store.users)) }
                                td.num data-label="In trouble" { (number(store.troubled)) }
                                td.why data-label="Why" { (plain(&store.row.why)) }
                            }
                        }
                    }
                }
            }
        }
    };
    Content::new("Stores", "Stores", body)
}
