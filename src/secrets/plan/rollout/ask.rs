//! What the annotations of an ExternalSecret ask for: which workloads roll when its Secret changes, and when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::revision::ROLLOUT;
use super::workload::{Kind, Workload};
use crate::duration;
use crate::secrets::plan::window::Window;

const METHOD: &str = "gabion.dev/rollout-method";
const WINDOW: &str = "gabion.dev/rollout-window";
const MIN_INTERVAL: &str = "gabion.dev/rollout-min-interval";
const TIMEOUT: &str = "gabion.dev/rollout-timeout";
const PARALLEL: &str = "gabion.dev/rollout-parallel";
const RETRY: &str = "gabion.dev/rollout-retry";

/// Longest value of one annotation.
const MAX_TEXT: usize = 4096;
/// Workloads of one list, and workloads that one ExternalSecret may roll.
pub(crate) const MAX_TARGETS: usize = 64;
const MAX_WINDOWS: usize = 16;
const MAX_PARALLEL: usize = 10;
const SHORTEST_INTERVAL: SignedDuration = SignedDuration::from_secs(30);
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 7);

/// Which workloads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Targets {
    /// These, in this order.
    Named(Vec<(Kind, String)>),
    /// Those with these labels.
    Selected(BTreeMap<String, String>),
    /// Those whose pod template refers to the Secret.
    Auto {
        /// Only in ways that a running container does not follow.
        env_only: bool,
    },
}

/// What an ExternalSecret asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) targets: Targets,
    /// When rollouts may begin; empty is always.
    pub(crate) windows: Vec<Window>,
    /// Between the starts of two rollouts of a workload.
    pub(crate) min_interval: SignedDuration,
    /// How long one workload may take.
    pub(crate) timeout: SignedDuration,
    /// Workloads at once.
    pub(crate) parallel: usize,
    /// Whoever changes it wants a failed wave to be tried again.
    pub(crate) retry: String,
}

/// An annotation that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the annotation {annotation} is {value:?}, but should be {grammar}")]
pub(crate) struct InvalidAsk {
    annotation: &'static str,
    value: String,
    grammar: &'static str,
}

fn invalid(annotation: &'static str, value: &str, grammar: &'static str) -> InvalidAsk {
    InvalidAsk { annotation, value: value.chars().take(100).collect(), grammar }
}

impl Ask {
    /// Reads the annotations. `None`: it asks for no rollouts.
    pub(crate) fn read(notes: &BTreeMap<String, String>) -> Result<Option<Self>, InvalidAsk> {
        let Some(text) = notes.get(ROLLOUT) else { return Ok(None) };
        for key in [ROLLOUT, METHOD, WINDOW, MIN_INTERVAL, TIMEOUT, PARALLEL, RETRY] {
            if let Some((_, long)) = notes.get_key_value(key).filter(|(_, v)| v.len() > MAX_TEXT) {
                return Err(invalid(key, long, "at most 4096 bytes long"));
            }
        }
        if let Some(method) = notes.get(METHOD).filter(|method| *method != "patch") {
            return Err(invalid(METHOD, method, "patch, the only method of this version"));
        }
        Ok(Some(Self {
            targets: targets(text)?,
            windows: windows(notes)?,
            min_interval: time(notes, MIN_INTERVAL, SignedDuration::from_mins(5))?,
            timeout: time(notes, TIMEOUT, SignedDuration::from_mins(15))?,
            parallel: parallel(notes)?,
            retry: notes.get(RETRY).cloned().unwrap_or_default(),
        }))
    }

    /// Whether a workload rolls when `secret` changes. `false` for one that opted out, too.
    pub(crate) fn includes(&self, workload: &Workload, secret: &str) -> bool {
        let asked = match &self.targets {
            Targets::Named(names) => {
                names.iter().any(|(kind, name)| *kind == workload.kind && *name == workload.name)
            }
            Targets::Selected(labels) => {
                labels.iter().all(|(key, value)| workload.labels.get(key) == Some(value))
            }
            Targets::Auto { env_only } => workload.uses(secret, *env_only),
        };
        asked && !workload.is_opted_out()
    }
}

const TARGETS: &str = "a list as in \"Deployment/api, StatefulSet/db\" of at most 64 different Deployments, \
    StatefulSets, DaemonSets and CronJobs of this namespace, \"selector: key=value, key=value\", \"auto\" or \"auto-env\"";

fn targets(text: &str) -> Result<Targets, InvalidAsk> {
    let wrong = || invalid(ROLLOUT, text, TARGETS);
    match text.trim() {
        "auto" => return Ok(Targets::Auto { env_only: false }),
        "auto-env" => return Ok(Targets::Auto { env_only: true }),
        _ => {}
    }
    if let Some(selector) = text.trim().strip_prefix("selector:") {
        let pairs = selector.split(',').map(|pair| {
            let (key, value) = pair.trim().split_once('=').ok_or_else(wrong)?;
            let (key, value) = (key.trim(), value.trim());
            let name = key.rsplit('/').next().unwrap_or_default();
            let fits = is_name(name, true) && key.len() <= 317 && is_name(value, true);
            fits.then(|| (key.to_owned(), value.to_owned())).ok_or_else(wrong)
        });
        let pairs: Vec<_> = pairs.collect::<Result<_, _>>()?;
        let labels: BTreeMap<_, _> = pairs.iter().cloned().collect();
        let fits = labels.len() == pairs.len() && pairs.len() <= MAX_TARGETS;
        return if fits { Ok(Targets::Selected(labels)) } else { Err(wrong()) };
    }
    let named = text.split(',').map(|target| {
        let (kind, name) = target.trim().split_once('/').ok_or_else(wrong)?;
        let kind = Kind::parse(kind).ok_or_else(wrong)?;
        is_name(name, false).then(|| (kind, name.to_owned())).ok_or_else(wrong)
    });
    let named: Vec<_> = named.collect::<Result<_, _>>()?;
    let different: BTreeSet<_> = named.iter().collect();
    if named.len() > MAX_TARGETS || different.len() < named.len() {
        return Err(wrong());
    }
    Ok(Targets::Named(named))
}

/// A name of an object, or a name or value of a label.
fn is_name(text: &str, of_label: bool) -> bool {
    let (longest, more): (usize, fn(u8) -> bool) = if of_label {
        (63, |byte| byte.is_ascii_uppercase() || byte == b'_')
    } else {
        (253, |_| false)
    };
    let is_end =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || more(byte) && byte != b'_';
    let bytes = text.as_bytes();
    let inside = |byte: &u8| is_end(*byte) || more(*byte) || matches!(byte, b'-' | b'.');
    bytes.len() <= longest
        && bytes.iter().all(inside)
        && [bytes.first(), bytes.last()].into_iter().all(|end| end.is_some_and(|end| is_end(*end)))
}

fn windows(notes: &BTreeMap<String, String>) -> Result<Vec<Window>, InvalidAsk> {
    const GRAMMAR: &str = "\"<five fields of cron> / <duration> / <time zone>\" as in \
        \"0 2 * * 1-5 / 3h / Europe/Berlin\", at most 16 of them with ; between";
    let Some(text) = notes.get(WINDOW) else { return Ok(Vec::new()) };
    let wrong = || invalid(WINDOW, text, GRAMMAR);
    let windows = text.split(';').map(|window| Window::parse(window.trim()).ok_or_else(wrong));
    let windows: Vec<_> = windows.collect::<Result<_, _>>()?;
    if windows.len() > MAX_WINDOWS { Err(wrong()) } else { Ok(windows) }
}

fn time(
    notes: &BTreeMap<String, String>,
    key: &'static str,
    default: SignedDuration,
) -> Result<SignedDuration, InvalidAsk> {
    let Some(text) = notes.get(key) else { return Ok(default) };
    let time = duration::parse(text).filter(|time| (SHORTEST_INTERVAL..=LONGEST).contains(time));
    time.ok_or_else(|| invalid(key, text, "a duration from 30s to 168h"))
}

fn parallel(notes: &BTreeMap<String, String>) -> Result<usize, InvalidAsk> {
    let Some(text) = notes.get(PARALLEL) else { return Ok(1) };
    let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok());
    let number = number.flatten().filter(|number| (1..=MAX_PARALLEL).contains(number));
    number.ok_or_else(|| invalid(PARALLEL, text, "a number from 1 to 10"))
}
