//! `gabion status`: what is wrong in a cluster, worst first. What looks more than once is in `follow`.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::text::{self, Cell};
use super::{ExitStatus, InspectError};
use crate::cluster::{ReadError, Reader, Step, Target};
use crate::survey::{self, Kind, Row, Settings, State, Stores};

/// Rows that are kept. Beyond, objects are only counted.
const MAX_ROWS: usize = 50_000;

/// How the answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A table, cut to the terminal.
    Text,
    /// The same, with whole texts.
    Wide,
    /// For programs.
    Json,
}

/// How often it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looks {
    /// Once.
    Once,
    /// Until it is interrupted, and tells what changes.
    Endless,
    /// Until every object is in step, or this time is over.
    UntilSynced(std::time::Duration),
}

/// What is asked.
#[derive(Debug)]
pub struct Status {
    pub(crate) looks: Looks,
    pub(crate) target: Target,
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Option<String>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) all: bool,
    pub(crate) format: Format,
    pub(crate) colour: bool,
    pub(crate) width: Option<usize>,
    pub(crate) class: String,
    pub(crate) heartbeat: SignedDuration,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) rows: Vec<Row>,
    /// Objects beyond those rows.
    pub(super) left_out: usize,
    pub(super) counts: BTreeMap<State, usize>,
    pub(super) notes: Vec<String>,
    /// The kinds that could be read.
    pub(super) read: Vec<Kind>,
    /// Whether there may be objects that nobody could look at.
    pub(super) blind: bool,
}

/// What one list brought so far.
#[derive(Default)]
struct Partial {
    all: bool,
    rows: Vec<Row>,
    left_out: usize,
    counts: BTreeMap<State, usize>,
}

/// Looks at the cluster once. `all` keeps the rows of objects that need no look, too.
///
/// # Errors
/// If the cluster gives no answer at all.
pub(super) async fn look(
    status: &Status,
    reader: &Reader,
    all: bool,
) -> Result<(Found, Settings), InspectError> {
    let settings = Settings {
        now: Timestamp::now(),
        heartbeat: status.heartbeat,
        class: status.class.clone(),
    };
    let (mut found, mut stores) = (Found::default(), Stores::default());
    for kind in Kind::ALL {
        // ExternalSecrets need their stores, shown or not.
        let within = kind.is_namespaced() || status.namespace.is_none();
        let shown = within && status.kinds.contains(&kind);
        let needed = kind < Kind::ExternalSecret && status.kinds.contains(&Kind::ExternalSecret);
        if !(shown || needed) {
            continue;
        }
        let labels = status.labels.as_deref().filter(|_| shown && kind >= Kind::ExternalSecret);
        let shown = shown && (status.labels.is_none() || labels.is_some());
        let namespace = status.namespace.as_deref();
        let mut partial = Partial { all, ..Partial::default() };
        match list((kind, namespace, labels), reader, &settings, &mut stores, &mut partial).await {
            Ok(note) => {
                found.notes.extend(note);
                if shown {
                    found.read.push(kind);
                    found.take(partial);
                }
            }
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => {
                let (note, blind) = amiss(reader, kind, error).await;
                found.notes.push(note);
                found.blind |= blind && shown;
            }
        }
    }
    found.rows.sort_by(Row::order);
    Ok((found, settings))
}

/// The path of a kind's list.
fn path(kind: Kind, namespace: Option<&str>) -> String {
    let (group, version) = kind.group();
    match namespace.filter(|_| kind.is_namespaced()) {
        Some(namespace) => {
            format!("/apis/{group}/{version}/namespaces/{namespace}/{}", kind.plural())
        }
        None => format!("/apis/{group}/{version}/{}", kind.plural()),
    }
}

/// Reads a kind where the user may: everywhere, else in the namespace of the context.
async fn list(
    (kind, namespace, labels): (Kind, Option<&str>, Option<&str>),
    reader: &Reader,
    settings: &Settings,
    stores: &mut Stores,
    partial: &mut Partial,
) -> Result<Option<String>, ReadError> {
    let mut each = |step: Step| match step {
        Step::Begin => *partial = Partial { all: partial.all, ..Partial::default() },
        Step::Object(object) => partial.add(survey::row(kind, &object, settings, stores)),
    };
    match reader.list(&path(kind, namespace), labels, &mut each).await {
        Err(ReadError::Forbidden(_)) if namespace.is_none() && kind.is_namespaced() => {
            let own = reader.namespace();
            reader.list(&path(kind, Some(own)), labels, &mut each).await?;
            Ok(Some(format!(
                "you may not list {} of the whole cluster: only those in {own} are here",
                kind.plural()
            )))
        }
        outcome => outcome.map(|_| None),
    }
}

/// Why a kind could not be read, in one sentence, and whether there may be objects of it that the user should see: not if
/// the cluster does not know its group, and kinds of the whole cluster are not for a user of one namespace.
async fn amiss(reader: &Reader, kind: Kind, error: ReadError) -> (String, bool) {
    let (group, version) = kind.group();
    match error {
        ReadError::Forbidden(_) => {
            let note = format!(
                "you may not list {}: ask for the ClusterRole gabion-viewer (docs/rbac.md)",
                kind.plural()
            );
            (note, kind.is_namespaced())
        }
        ReadError::NotFound(_) => {
            let served = reader.get(&format!("/apis/{group}")).await.unwrap_or_default();
            let versions: Vec<_> = served["versions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|version| version["version"].as_str())
                .collect();
            let has = if versions.is_empty() {
                format!("the cluster has no definition of {}", kind.name())
            } else {
                format!(
                    "the definition of {} is missing or older than this program: {group} is served in {}, and {version} is needed",
                    kind.name(),
                    versions.join(", ")
                )
            };
            let remedy = "install it with `gabion crds | kubectl apply --server-side -f -`";
            (format!("{has}; {remedy}"), !versions.is_empty())
        }
        other => (format!("{} cannot be read: {other}", kind.plural()), true),
    }
}

impl Partial {
    fn add(&mut self, row: Row) {
        *self.counts.entry(row.state).or_default() += 1;
        if !(self.all || row.state.is_notable()) {
            return;
        }
        if self.rows.len() < MAX_ROWS {
            self.rows.push(row);
        } else {
            self.left_out += 1;
        }
    }
}

impl Found {
    fn take(&mut self, partial: Partial) {
        self.rows.extend(partial.rows);
        self.left_out += partial.left_out;
        for (state, count) in partial.counts {
            *self.counts.entry(state).or_default() += count;
        }
    }

    /// Whether something is wrong, if anybody can tell.
    pub(super) fn verdict(&self) -> ExitStatus {
        if self.counts.keys().any(|state| state.is_problem()) {
            ExitStatus::Problem
        } else if self.read.is_empty() || self.blind {
            ExitStatus::Unknown
        } else {
            ExitStatus::Fine
        }
    }

    /// Writes it in the format that is wanted.
    pub(super) fn show(
        &self,
        status: &Status,
        settings: &Settings,
        out: &mut dyn Write,
    ) -> Result<(), InspectError> {
        match status.format {
            Format::Json => writeln!(out, "{:#}", self.json(settings))?,
            Format::Text | Format::Wide => self.text(status, settings, out)?,
        }
        Ok(())
    }

    fn json(&self, settings: &Settings) -> Value {
        let counts: serde_json::Map<_, _> = State::ALL
            .iter()
            .map(|state| {
                (state.word().to_owned(), self.counts.get(state).copied().unwrap_or(0).into())
            })
            .collect();
        json!({
            "apiVersion": "cli.gabion.dev/v1",
            "kind": "GabionStatus",
            "time": settings.now.to_string(),
            // What the operator's own heartbeat and windows are is not visible from here.
            "lateness": "estimated",
            "counts": counts,
            "notes": self.notes,
            "leftOut": self.left_out,
            "items": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        })
    }

    fn text(
        &self,
        status: &Status,
        settings: &Settings,
        out: &mut dyn Write,
    ) -> Result<(), InspectError> {
        let total: usize = self.counts.values().sum();
        let parts: Vec<_> = State::ALL
            .iter()
            .filter_map(|state| self.counts.get(state).map(|count| (state, count)))
            .map(|(state, count)| {
                text::paint(
                    status.colour,
                    text::style(*state),
                    &format!("{count} {}", state.word()),
                )
            })
            .collect();
        let parts =
            if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
        writeln!(out, "{total} objects{parts}")?;
        for note in &self.notes {
            writeln!(out, "note: {}", text::plain(note))?;
        }
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = self.rows.iter().map(|row| cells(row, settings)).collect();
        let head = ["NAMESPACE", "OBJECT", "STATE", "FOR", "LAST-SYNC", "NEXT", "STORE", "WHY"];
        let width = status.width.filter(|_| status.format == Format::Text);
        text::table(&head, &rows, width, status.colour, out)?;
        if self.left_out > 0 {
            writeln!(out, "and {} more: ask for one namespace with -n", self.left_out)?;
        }
        Ok(())
    }
}

fn cells(row: &Row, settings: &Settings) -> Vec<Cell> {
    let or_dash = |text: &str| Cell::new(if text.is_empty() { "-" } else { text });
    vec![
        or_dash(&row.namespace),
        Cell::new(&format!("{}/{}", row.kind.short(), row.name)),
        Cell(row.state.word().to_owned(), text::style(row.state)),
        Cell::new(&text::age(row.since, settings.now)),
        Cell::new(&text::age(row.last, settings.now)),
        Cell::new(&text::ahead(row.next, settings.now)),
        or_dash(&row.store),
        Cell::new(&row.why),
    ]
}
