//! What several pages show alike.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::inspect::text;
use crate::survey::{Row, Settings, State};
use crate::ui::query::{Filter, encoded};

/// A sign beside the word of a state: nothing is told by its colour alone.
const fn sign(state: State) -> &'static str {
    match state {
        State::Failing => "✕",
        State::Late => "!",
        State::Unsupported => "–",
        State::Waiting => "…",
        State::Due => "→",
        State::Manual => "‖",
        State::Foreign => "↗",
        State::Synced => "✓",
    }
}

/// The class of its colour.
pub(super) const fn tone(state: State) -> &'static str {
    match state {
        State::Failing | State::Late | State::Unsupported => "bad",
        State::Waiting => "warn",
        State::Due | State::Manual | State::Foreign => "calm",
        State::Synced => "good",
    }
}

/// A state with its sign.
pub(super) fn badge(state: State) -> Markup {
    html! { span class={"badge " (tone(state))} { span.sign aria-hidden="true" { (sign(state)) } (state.word()) } }
}

/// A word with one of the tones of states.
pub(super) fn tag(tone: &str, word: &str) -> Markup {
    html! { span class={"badge " (tone)} { (plain(word)) } }
}

/// Text of an object, without what could turn the order of letters around.
pub(super) fn plain(text: &str) -> String {
    text::plain(text)
}

/// A time in full, to the second.
pub(super) fn exact(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long ago something was.
pub(super) fn ago(time: Option<Timestamp>, settings: &Settings) -> Markup {
    html! {
        @if let Some(time) = time {
            time datetime=(time) title=(exact(time)) { (text::age(Some(time), settings.now)) }
        } @else { span.none { "–" } }
    }
}

/// How long until something is.
pub(super) fn ahead(time: Option<Timestamp>, settings: &Settings) -> Markup {
    html! {
        @if let Some(time) = time {
            time datetime=(time) title=(exact(time)) { (text::ahead(Some(time), settings.now)) }
        } @else { span.none { "–" } }
    }
}

/// A number with spaces between its thousands.
pub(super) fn number(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202F}');
        }
        text.push(digit);
    }
    text
}

/// The address of one ExternalSecret.
pub(super) fn secret_link(row: &Row) -> String {
    format!("/secrets/{}/{}", row.namespace, row.name)
}

/// The list of secrets that read from a store.
pub(super) fn store_link(store: &str) -> String {
    format!("/secrets?store={}", encoded(store))
}

/// The list of secrets in one state.
pub(super) fn state_link(state: State) -> String {
    Filter { state: Some(state), ..Filter::default() }.link()
}

/// Nothing is there.
pub(super) fn empty(sentence: &str) -> Markup {
    html! { p.empty { (sentence) } }
}
