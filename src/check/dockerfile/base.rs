//! What an image is built on: minimal, from where it may come, pinned; and how many stages there are.

use parse_dockerfile::Instruction;

use super::{Model, Stage, finding, run};
use crate::api::gabion::hardening_baseline::Tags;
use crate::check::shell;
use crate::policy::ControlId;
use crate::policy::Finding;
use crate::policy::Settings;
use crate::policy::image::canonical;
use crate::policy::image::canonical_prefix;
use crate::policy::image::canonical_repository;
use crate::policy::image::has_digest;
use crate::policy::image::is_from;
use crate::policy::image::within;

/// Distributions that hold far more than a program needs, whatever a baseline denies.
const FULL: [&str; 2] = ["ubuntu", "centos"];

/// Distributions with a smaller variant, which is worth a word.
const LARGE: [&str; 7] =
    ["debian", "fedora", "almalinux", "rockylinux", "amazonlinux", "oraclelinux", "opensuse/leap"];

/// Last part of the name of images that hold a compiler.
const TOOLCHAINS: [&str; 9] =
    ["golang", "rust", "gcc", "maven", "gradle", "sdk", "haskell", "swift", "elixir"];

/// What is wrong with the images that stages start from.
pub(crate) fn evaluate(model: &Model<'_, '_>, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for stage in model.stages.iter().filter(|stage| stage.parent.is_none()) {
        if let Some(image) = stage.image.as_deref().filter(|image| *image != "scratch") {
            findings.extend(origin(stage, image, settings));
            findings.extend(pinned(stage, image, settings));
        }
    }
    let lineage = model.lineage();
    let base = lineage.last().filter(|stage| stage.parent.is_none());
    if let Some((stage, image)) = base.and_then(|stage| Some((stage, stage.image.as_deref()?))) {
        findings.extend(minimal(stage, image, settings));
    }
    findings.extend(stages(model, &lineage));
    findings
}

fn origin(stage: &Stage<'_, '_>, image: &str, settings: &Settings) -> Option<Finding> {
    let allowed: Vec<_> =
        settings.allowed_registries.iter().map(|prefix| canonical_prefix(prefix)).collect();
    let known = is_from(image, &allowed);
    let message = format!("base image {image:?} is not from an allowed registry");
    (!allowed.is_empty() && !known)
        .then(|| finding(ControlId::HbImgRegistry, stage.range.start, message))
}

fn pinned(stage: &Stage<'_, '_>, image: &str, settings: &Settings) -> Option<Finding> {
    let (from, control) = (stage.range.start, ControlId::HbDfBase);
    if has_digest(image) {
        return None;
    }
    let tag = canonical(image).tag;
    if settings.tags == Tags::RequireDigest {
        return Some(finding(control, from, format!("base image {image:?} has no digest")));
    }
    let moving = match tag.as_deref() {
        None => "has no tag, which means latest",
        Some("latest") => "has the tag latest, which moves",
        Some(_) => {
            let message = format!("base image {image:?} is pinned by a tag, which can move");
            let pin = "add @sha256:<digest> behind the tag to build the same image again";
            return Some(finding(control, from, message).noted().with_remedy(pin));
        }
    };
    let message = format!("base image {image:?} {moving}");
    Some(finding(control, from, message).with_remedy("name a version, best with a digest"))
}

fn minimal(stage: &Stage<'_, '_>, image: &str, settings: &Settings) -> Option<Finding> {
    let reference = canonical(image);
    let control = ControlId::HbDfBase;
    let is = |name: &str| within(&reference.repository, &canonical_repository(name));
    let denied =
        settings.denied_repositories.iter().any(|name| is(name)) || FULL.into_iter().any(is);
    if denied {
        let message = format!("the image is built on {image:?}, a whole distribution");
        let smaller = "build on a distroless image, on alpine, or on scratch";
        return Some(finding(control, stage.range.start, message).with_remedy(smaller));
    }
    let small = ["slim", "minimal", "micro"].iter().any(|word| image.contains(word));
    let message = format!("the image is built on {image:?}, which has a smaller variant");
    (LARGE.into_iter().any(is) && !small)
        .then(|| finding(control, stage.range.start, message).noted())
}

/// Whether tools that only a build needs end up in the image.
fn stages(model: &Model<'_, '_>, lineage: &[&Stage<'_, '_>]) -> Option<Finding> {
    let control = ControlId::HbDfStage;
    let building = lineage.iter().flat_map(|stage| stage.steps()).find_map(|(number, step)| {
        let Instruction::Run(run) = step else { return None };
        let steps = shell::steps(&run::text(run));
        steps.iter().find_map(builds).map(|tool| (number, tool))
    });
    if let Some((number, tool)) = building {
        let message = format!("{tool} runs in the stage that becomes the image");
        return Some(finding(control, number, message));
    }
    let image = lineage.last().and_then(|stage| stage.image.as_deref())?;
    let repository = canonical(image).repository;
    let name = repository.rsplit('/').next().unwrap_or_default();
    let from = lineage.last().map(|stage| stage.range.start)?;
    let only = if model.stages.len() == 1 { "the only stage" } else { "the final stage" };
    TOOLCHAINS.contains(&name).then(|| {
        finding(control, from, format!("{only} starts from {image:?}, which holds a compiler"))
    })
}

/// The tool that a command builds with, if it builds.
fn builds(step: &shell::Step) -> Option<String> {
    let (program, arguments) = step.arguments();
    let first = arguments.iter().find(|word| !word.starts_with('-')).map_or("", String::as_str);
    let compiler =
        ["make", "cmake", "gcc", "g++", "cc", "javac", "mvn", "mvnw", "gradle", "gradlew", "ninja"];
    let with_verb = [
        ("go", "build"),
        ("go", "install"),
        ("cargo", "build"),
        ("cargo", "install"),
        ("dotnet", "publish"),
        ("dotnet", "build"),
    ];
    if compiler.contains(&program) {
        return Some(program.to_owned());
    }
    if with_verb.contains(&(program, first)) {
        return Some(format!("{program} {first}"));
    }
    let installs = matches!(program, "apt-get" | "apt" | "apk" | "yum" | "dnf" | "microdnf");
    let tools = ["build-essential", "build-base", "gcc", "g++", "make", "cmake"];
    let tool = arguments.iter().find(|word| tools.contains(&word.as_str()))?;
    // What is removed in the same command, as apk can by a virtual package, is not left behind.
    let temporary = arguments.iter().any(|word| word == "--virtual" || word == "-t");
    let adds = installs && !temporary && matches!(first, "install" | "add");
    adds.then(|| format!("{program} {first} {tool}"))
}
