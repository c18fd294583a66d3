//! `gabion verify`: whether images are signed by whom policies ask for.
//!
//! Reads files and OCI layouts, and uses no network. What was read is judged by [`crate::trust`]; here is only where it
//! comes from, and how the answer is told. "Nobody could look" is never told as "unsigned", and never as "it holds".

mod gather;
mod output;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use hyper::body::Bytes;
use jiff::Timestamp;

use crate::{
    registry::{Artifacts, Digest, Layout, Reference, RegistryError, Repository},
    trust::{Candidate, Judgement, Policy, Reason, Refusal, bundle, judge},
};
use gather::{Gathered, gather};

/// Bytes of a file of policies.
const FILE: u64 = 1 << 20;

/// Where signatures are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An OCI layout on disk.
    Layout(PathBuf),
    /// One bundle in a file.
    Bundle(PathBuf),
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// The images, each with its digest.
    pub images: Vec<Reference>,
    /// Files of policies.
    pub policies: Vec<PathBuf>,
    /// Where signatures are read from.
    pub source: Source,
    /// The time by which the validity of keys is judged.
    pub at: Timestamp,
    /// How the answer is written.
    pub format: Format,
    /// Whether each signature and each step is told.
    pub explain: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Every image holds.
    Holds,
    /// Some image does not hold.
    Refused,
    /// The command was used wrongly.
    Usage,
    /// Nobody could look, and no image was refused.
    Unknown,
}

impl ExitStatus {
    /// The code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Holds => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
        }
    }
}

/// The answer for one image.
#[derive(Clone, Debug)]
struct Answer {
    image: Reference,
    /// By each policy that covers it.
    judged: Vec<(String, Judgement)>,
    verdict: Verdict,
}

#[derive(Clone, Debug)]
enum Verdict {
    Holds,
    /// By the policy with this name, or by none.
    Refused(Option<String>, Refusal),
    Unknown(RegistryError),
}

/// Verifies, and writes the answer.
///
/// # Errors
///
/// A file cannot be read or understood, which is a wrong use; the text is for the user. Or the answer cannot be written.
pub async fn run(options: &Options, output: &mut dyn Write) -> Result<ExitStatus, String> {
    let policies = read_policies(&options.policies)?;
    let place = Place::open(&options.source)?;
    let mut answers = Vec::new();
    for image in &options.images {
        answers.push(answer(image, &policies, &place, options.at).await);
    }
    output::write(&answers, options, output)
        .map_err(|error| format!("the answer cannot be written: {error}"))?;
    let any = |is: fn(&Verdict) -> bool| answers.iter().any(|answer| is(&answer.verdict));
    Ok(if any(|verdict| matches!(verdict, Verdict::Refused(..))) {
        ExitStatus::Refused
    } else if answers.is_empty() || any(|verdict| matches!(verdict, Verdict::Unknown(_))) {
        ExitStatus::Unknown
    } else {
        ExitStatus::Holds
    })
}

/// What was opened.
enum Place {
    Layout(Layout),
    Bundle(Bytes),
}

impl Place {
    fn open(source: &Source) -> Result<Self, String> {
        match source {
            Source::Layout(folder) => {
                let layout = Layout::open(folder);
                layout.map(Self::Layout).map_err(|error| format!("--layout: {error}"))
            }
            Source::Bundle(path) => {
                let limit = bundle::LARGEST as u64;
                let bytes = bounded(path, limit).map_err(|why| format!("--bundle: {why}"))?;
                Ok(Self::Bundle(bytes.into()))
            }
        }
    }
}

fn bounded(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error: io::Error| format!("{shown} cannot be read: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("{shown} is larger than {limit} bytes"));
    }
    Ok(bytes)
}

fn read_policies(paths: &[PathBuf]) -> Result<Vec<Policy>, String> {
    let mut all: Vec<Policy> = Vec::new();
    for path in paths {
        let shown = path.display();
        let text = bounded(path, FILE)?;
        let text = String::from_utf8(text).map_err(|_| format!("{shown} is not UTF-8"))?;
        for policy in Policy::read_all(&text).map_err(|error| format!("{shown}: {error}"))? {
            if all.iter().any(|other| other.name() == policy.name()) {
                return Err(format!(
                    "{shown}: another TrustPolicy is named {}, too",
                    policy.name()
                ));
            }
            all.push(policy);
        }
    }
    Ok(all)
}

async fn answer(image: &Reference, policies: &[Policy], place: &Place, now: Timestamp) -> Answer {
    let refused = |refusal: Refusal, judged| Answer {
        image: image.clone(),
        judged,
        verdict: Verdict::Refused(None, refusal),
    };
    let covering: Vec<_> =
        policies.iter().filter(|policy| policy.covers(&image.repository)).collect();
    if covering.is_empty() {
        let what = "no policy that was given covers it".to_owned();
        return refused(Refusal { reason: Reason::NoTrustPolicy, detail: what }, Vec::new());
    }
    let Some(digest) = image.digest else {
        let found = match place {
            Place::Layout(layout) => tag_in(layout, image).await,
            Place::Bundle(_) => None,
        };
        let what = match found {
            Some(digest) => format!("it is named by a tag, which the layout has for {digest}"),
            None => "it is named without a digest".to_owned(),
        };
        return refused(Refusal { reason: Reason::TagNotPinned, detail: what }, Vec::new());
    };
    let gathered = match place {
        Place::Layout(layout) => {
            let formats = covering.iter().flat_map(|policy| policy.formats()).copied().collect();
            gather(layout, &image.repository, &digest, &formats).await
        }
        Place::Bundle(bytes) => Gathered {
            candidates: vec![Candidate::Bundle {
                origin: "the bundle".to_owned(),
                bytes: bytes.clone(),
            }],
            unread: None,
        },
    };
    let (judged, verdict) = judged(&covering, &digest, gathered, now);
    Answer { image: image.clone(), judged, verdict }
}

async fn tag_in(layout: &Layout, image: &Reference) -> Option<Digest> {
    let repository: &Repository = &image.repository;
    layout.resolve(repository, image.tag.as_deref().unwrap_or("latest")).await.ok()
}

/// Every covering policy must hold. The first that refuses is told.
fn judged(
    covering: &[&Policy],
    digest: &Digest,
    gathered: Gathered,
    now: Timestamp,
) -> (Vec<(String, Judgement)>, Verdict) {
    let judged: Vec<_> = covering
        .iter()
        .map(|policy| (policy.name().to_owned(), judge(policy, digest, &gathered.candidates, now)))
        .collect();
    let refusal = judged.iter().find_map(|(name, judgement)| {
        judgement.outcome.as_ref().err().map(|refusal| (name.clone(), refusal.clone()))
    });
    let verdict = match (refusal, gathered.unread) {
        (None, _) => Verdict::Holds,
        // Of what nobody could read, nobody knows whether it would have held.
        (Some(_), Some(error)) => Verdict::Unknown(error),
        (Some((name, refusal)), None) => Verdict::Refused(Some(name), refusal),
    };
    (judged, verdict)
}
