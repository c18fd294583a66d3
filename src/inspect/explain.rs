//! `gabion explain`: why one object is as it is, or what is in force in a namespace.

use std::io::{self, Write};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{ExitStatus, InspectError, help, text};
use crate::cluster::{ReadError, Reader, Target};
use crate::survey::{self, Kind, Row, Settings, Stores};

/// What is asked.
#[derive(Debug)]
pub struct Explain {
    pub(crate) target: Target,
    pub(crate) namespace: Option<String>,
    /// `KIND/NAME`, or a namespace.
    pub(crate) object: String,
    pub(crate) class: String,
    pub(crate) heartbeat: SignedDuration,
}

/// The object that is meant: its kind, namespace and name.
fn meant(explain: &Explain, context: &str) -> Result<(Kind, String, String), InspectError> {
    let Some((kind, name)) = explain.object.split_once('/') else {
        return Ok((Kind::NamespaceHardening, explain.object.clone(), "effective".to_owned()));
    };
    let kind = Kind::parse(kind).ok_or_else(|| {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.short()).collect();
        InspectError::Read(format!("there is no kind {kind:?}: use one of {}", known.join(", ")))
    })?;
    let namespace = explain.namespace.as_deref().unwrap_or(context);
    Ok((kind, namespace.to_owned(), name.to_owned()))
}

fn path(kind: Kind, namespace: &str, name: &str) -> String {
    let (group, version) = kind.group();
    let within =
        if kind.is_namespaced() { format!("namespaces/{namespace}/") } else { String::new() };
    format!("/apis/{group}/{version}/{within}{}/{name}", kind.plural())
}

/// Names come into paths, so they must be names.
fn checked(word: &str) -> Result<(), InspectError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if !word.is_empty() && word.len() <= 253 && word.chars().all(fits) {
        return Ok(());
    }
    Err(InspectError::Read(format!("{word:?} is no name of an object")))
}

pub(super) async fn run(
    explain: &Explain,
    out: &mut dyn Write,
) -> Result<ExitStatus, InspectError> {
    let reader = Reader::connect(&explain.target).await?;
    let (kind, namespace, name) = meant(explain, reader.namespace())?;
    checked(&namespace)?;
    checked(&name)?;
    let settings = Settings {
        now: Timestamp::now(),
        heartbeat: explain.heartbeat,
        class: explain.class.clone(),
    };
    let object = match reader.get(&path(kind, &namespace, &name)).await {
        Err(ReadError::NotFound(_)) if kind == Kind::NamespaceHardening => {
            writeln!(out, "no baseline selects the namespace {}", text::plain(&namespace))?;
            return Ok(ExitStatus::Fine);
        }
        Err(ReadError::NotFound(_)) => {
            let place =
                if kind.is_namespaced() { format!(" in {namespace}") } else { String::new() };
            return Err(InspectError::Read(format!("there is no {} {name}{place}", kind.name())));
        }
        outcome => outcome?,
    };
    let mut stores = Stores::default();
    let store = if kind == Kind::ExternalSecret {
        store_of(&reader, &object, &namespace, &settings, &mut stores).await
    } else {
        None
    };
    let row = survey::row(kind, &object, &settings, &mut stores);
    head(&row, &settings, out)?;
    if let Some(store) = store {
        writeln!(out, "  store     {}: {}{}", row.store, store.state.word(), because(&store.why))?;
    }
    conditions(&object, &settings, out)?;
    remedy(&row, &object, out)?;
    if kind == Kind::NamespaceHardening {
        values(&object, out)?;
    }
    let problem = row.state.is_problem();
    Ok(if problem { ExitStatus::Problem } else { ExitStatus::Fine })
}

async fn store_of(
    reader: &Reader,
    object: &Value,
    namespace: &str,
    settings: &Settings,
    stores: &mut Stores,
) -> Option<Row> {
    let reference = object.pointer("/spec/secretStoreRef")?;
    let name = reference["name"].as_str()?;
    let cluster = reference["kind"] == "ClusterSecretStore";
    let kind = if cluster { Kind::ClusterSecretStore } else { Kind::SecretStore };
    checked(name).ok()?;
    let store = reader.get(&path(kind, namespace, name)).await.ok()?;
    Some(survey::row(kind, &store, settings, stores))
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(", {}", text::plain(why)) }
}

fn head(row: &Row, settings: &Settings, out: &mut dyn Write) -> io::Result<()> {
    let place =
        if row.namespace.is_empty() { String::new() } else { format!("{}/", row.namespace) };
    let name = text::plain(&format!("{} {place}{}", row.kind.name(), row.name));
    let since = row
        .since
        .map_or_else(String::new, |_| format!(" for {}", text::age(row.since, settings.now)));
    writeln!(out, "{name}: {}{since}", row.state.word())?;
    if !row.why.is_empty() {
        writeln!(out, "  why       {}", text::plain(&row.why))?;
    }
    if row.last.is_some() {
        let (last, next) = (text::age(row.last, settings.now), text::ahead(row.next, settings.now));
        writeln!(out, "  last sync {last} ago, next {next}")?;
    }
    Ok(())
}

fn conditions(object: &Value, settings: &Settings, out: &mut dyn Write) -> io::Result<()> {
    let all = object.pointer("/status/conditions").and_then(Value::as_array);
    for condition in all.into_iter().flatten() {
        let of = |field: &str| text::plain(condition[field].as_str().unwrap_or_default());
        let since = of("lastTransitionTime").parse().ok();
        let age = text::age(since, settings.now);
        writeln!(
            out,
            "  {:<9} {} {} for {age}: {}",
            of("type"),
            of("status"),
            of("reason"),
            of("message")
        )?;
    }
    Ok(())
}

fn remedy(row: &Row, object: &Value, out: &mut dyn Write) -> io::Result<()> {
    let all = object.pointer("/status/conditions").and_then(Value::as_array);
    let ready = all.into_iter().flatten().filter(|condition| condition["type"] == "Ready");
    let texts: Vec<_> = ready
        .flat_map(|condition| [condition["message"].as_str(), condition["reason"].as_str()])
        .flatten()
        .collect();
    if let Some((meaning, todo)) = help::advice(row, texts) {
        let (meaning, todo) = (text::plain(&meaning), text::plain(&todo));
        writeln!(out, "  meaning   {meaning}\n  to do     {todo}")?;
    }
    Ok(())
}

/// Each value in force: the baseline that decided it, and why this one.
fn values(object: &Value, out: &mut dyn Write) -> io::Result<()> {
    let list = |field: &str| {
        object
            .pointer(&format!("/status/{field}"))
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    for (title, field) in [("in force", "values"), ("with every baseline at Enforce", "preview")] {
        let rows: Vec<Vec<text::Cell>> = list(field)
            .iter()
            .map(|value| {
                ["item", "value", "baseline", "reason"]
                    .map(|field| text::Cell::new(value[field].as_str().unwrap_or_default()))
                    .into()
            })
            .collect();
        if !rows.is_empty() {
            writeln!(out, "\n{title}:")?;
            text::table(&["ITEM", "VALUE", "BASELINE", "WHY"], &rows, None, false, out)?;
        }
    }
    for held in list("held") {
        writeln!(out, "held back: {}", text::plain(held.as_str().unwrap_or_default()))?;
    }
    for conflict in list("conflicts") {
        let of = |field: &str| text::plain(conflict[field].as_str().unwrap_or_default());
        writeln!(
            out,
            "conflict: {} belongs to {}: {}",
            of("object"),
            of("manager"),
            of("message")
        )?;
    }
    Ok(())
}
