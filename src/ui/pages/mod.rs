//! The pages. Text of objects reaches them through the templates only, which escape it.

mod findings;
mod namespaces;
mod overview;
mod parts;
mod policies;
mod secret;
mod secrets;
mod stores;

use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::App;
use super::board::{Picture, Reading};
use super::query::{Filter, is_name};
use parts::exact;

const STYLE: &str = include_str!("../style.css");
const SCRIPT: &str = include_str!("../live.js");
const ICON: &str = include_str!("../icon.svg");

/// An answer without its headers.
pub(super) struct Answer {
    pub(super) code: StatusCode,
    pub(super) kind: &'static str,
    pub(super) body: String,
}

/// One page before it is framed.
struct Content {
    title: String,
    /// The entry of the navigation that it belongs to.
    section: &'static str,
    code: StatusCode,
    body: Markup,
}

impl Content {
    fn new(title: impl Into<String>, section: &'static str, body: Markup) -> Self {
        Self { title: title.into(), section, code: StatusCode::OK, body }
    }

    /// Something is not there, or cannot be shown.
    fn without(code: StatusCode, title: &str, section: &'static str, sentence: &str) -> Self {
        let body =
            html! { h1 { (title) } p.lead { (sentence) } p { a href="/" { "To the overview" } } };
        Self { title: title.to_owned(), section, code, body }
    }
}

const NAVIGATION: [(&str, &str); 6] = [
    ("/", "Overview"),
    ("/secrets", "Secrets"),
    ("/stores", "Stores"),
    ("/namespaces", "Namespaces"),
    ("/violations", "Violations"),
    ("/policies", "Policies"),
];

/// Answers a path.
pub(super) async fn answer(app: &App, path: &str, query: &str) -> Answer {
    let fixed = |kind, body: &str| Answer { code: StatusCode::OK, kind, body: body.to_owned() };
    match path {
        "/style.css" => return fixed("text/css; charset=utf-8", STYLE),
        "/live.js" => return fixed("text/javascript; charset=utf-8", SCRIPT),
        "/icon.svg" | "/favicon.ico" => return fixed("image/svg+xml", ICON),
        _ => {}
    }
    let picture = app.board.picture();
    let segments: Vec<_> = path.trim_matches('/').split('/').collect();
    let filter = Filter::parse(query);
    let content = match segments.as_slice() {
        [""] => overview::page(&picture),
        ["secrets"] => secrets::page(&picture, &filter),
        ["secrets", namespace, name] if is_name(namespace) && is_name(name) => {
            secret::page(app, &picture, namespace, name).await
        }
        ["stores"] => stores::page(&picture),
        ["namespaces"] => namespaces::matrix(&picture, &filter),
        ["namespaces", namespace] if is_name(namespace) => {
            namespaces::one(app, &picture, namespace).await
        }
        ["violations"] => findings::page(&picture),
        ["policies"] => policies::page(&picture),
        _ => Content::without(
            StatusCode::NOT_FOUND,
            "No such page",
            "",
            "This address leads nowhere. The navigation above has every page.",
        ),
    };
    let code = content.code;
    let body = frame(&picture, &content).into_string();
    Answer { code, kind: "text/html; charset=utf-8", body }
}

fn frame(picture: &Picture, content: &Content) -> Markup {
    let now = exact(picture.settings.now);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (content.title) " · Gabion" }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/style.css";
                script src="/live.js" {}
                noscript { meta http-equiv="refresh" content="15"; }
            }
            body data-version=(picture.version) {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/" { (mark()) "Gabion" }
                    nav aria-label="Pages" {
                        ul {
                            @for (path, name) in NAVIGATION {
                                li { a href=(path) aria-current=[(name == content.section).then_some("page")] { (name) } }
                            }
                        }
                    }
                    div.tools {
                        span #live.live { span.dot aria-hidden="true" {} span #live-word { "As of" } " "
                            time #clock data-part="clock" datetime=(picture.settings.now) { (now) } }
                        button #theme.quiet type="button" hidden { "Theme" }
                    }
                }
                div #notes data-part="notes" role="status" { (notes(picture)) }
                main #main tabindex="-1" { (content.body) }
                footer { p { "Read with your own rights. This page changes nothing and shows no value of a secret." } }
            }
        }
    }
}

/// The mark: a basket of stones.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" aria-hidden="true" {
            rect x="2.5" y="4.5" width="19" height="15" rx="2.5" {}
            path d="M2.5 12h19M9 4.5v7.5M15.5 12v7.5" {}
        }
    }
}

/// What could not be read, each in one sentence.
fn notes(picture: &Picture) -> Markup {
    if let Some(sentence) = &picture.server.amiss {
        let heard = exact(picture.server.heard);
        return note(&format!(
            "{sentence} What you see is as of {heard}; the page goes on by itself."
        ));
    }
    let mut all: Vec<(String, Vec<&str>)> = Vec::new();
    for (kind, reading) in &picture.readings {
        let text = match reading {
            Reading::Whole => continue,
            Reading::Begun => "The cluster is being read.".to_owned(),
            Reading::Only(namespace) => format!(
                "You may not list everything in the whole cluster: you see the namespace {namespace} only."
            ),
            Reading::Amiss(sentence) => sentence.clone(),
        };
        match all.iter_mut().find(|(known, _)| *known == text) {
            Some((_, kinds)) => kinds.push(kind.name()),
            None => all.push((text, vec![kind.name()])),
        }
    }
    html! {
        @for (text, kinds) in &all { (note(&format!("{}: {text}", kinds.join(", ")))) }
    }
}

fn note(text: &str) -> Markup {
    html! { p.note { span.sign aria-hidden="true" { "!" } (text) } }
}
