//! What an image is built on: minimal, from where it may come, pinned; and how many stages there are.

use super::{Model, Stage, finding, tools};
use crate::api::gabion::hardening_baseline::Tags;
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

/// Frontends that read a Dockerfile as it is read here.
const FRONTENDS: [&str; 2] =
    ["docker.io/docker/dockerfile", "docker.io/docker/dockerfile-upstream"];

/// An image: what it is for, the number of the instruction that names it, and the image.
type Named<'a> = (&'static str, usize, &'a str);

/// What is wrong with the images that stages start from, and with those that they copy from.
pub(crate) fn evaluate(model: &Model<'_>, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for stage in model.stages.iter().filter(|stage| stage.parent.is_none()) {
        if let Some(image) = stage.image.as_deref().filter(|image| *image != "scratch") {
            let named = ("base image", stage.range.start, image);
            findings.extend(origin(named, settings));
            findings.extend(pinned(named, settings));
        }
    }
    for (number, image) in borrowed(model) {
        let named = ("image", number, image.as_str());
        findings.extend(origin(named, settings));
        // A tag that can move is worth a note for what an image is built on, and no more.
        findings.extend(pinned(named, settings).filter(|finding| !finding.note));
    }
    findings.extend(frontend(model, settings));
    let lineage = model.lineage();
    let base = lineage.last().filter(|stage| stage.parent.is_none());
    if let Some((stage, image)) = base.and_then(|stage| Some((stage, stage.image.as_deref()?))) {
        findings.extend(minimal(stage, image, settings));
    }
    findings.extend(stages(model, &lineage));
    findings
}

/// Images from which something is copied or mounted, each with the number of the instruction. Numbers and names of stages
/// are no images.
fn borrowed(model: &Model<'_>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, own) in model.instructions.iter().enumerate() {
        let own = own.kept();
        let copied = own.flag("from").filter(|_| own.name == "COPY");
        let mounted = own
            .mounts()
            .filter_map(|mount| mount.split(',').find_map(|part| part.strip_prefix("from=")));
        for written in copied.into_iter().chain(mounted) {
            let Some(image) = model.globals.expand(written, own.escape) else { continue };
            let is_stage = image.parse::<usize>().is_ok() || model.is_stage(&image);
            if !is_stage && !image.is_empty() && image != "scratch" {
                found.push((number, image));
            }
        }
    }
    found
}

/// What reads the file: another frontend may read it differently.
fn frontend(model: &Model<'_>, settings: &Settings) -> Vec<Finding> {
    let Some((image, _)) = &model.file.syntax else { return Vec::new() };
    let image = image.split(' ').next().unwrap_or_default();
    let mut findings: Vec<_> = origin(("frontend", 0, image), settings).into_iter().collect();
    if !FRONTENDS.contains(&canonical(image).repository.as_str()) {
        let message =
            format!("the frontend {image:?} builds this file, and may read it differently");
        let remedy = "compare the findings with what that frontend documents";
        findings.push(finding(ControlId::HbDfBase, 0, message).noted().with_remedy(remedy));
    }
    findings
}

fn origin((what, number, image): Named<'_>, settings: &Settings) -> Option<Finding> {
    let allowed: Vec<_> =
        settings.allowed_registries.iter().map(|prefix| canonical_prefix(prefix)).collect();
    let known = is_from(image, &allowed);
    let message = format!("{what} {image:?} is not from an allowed registry");
    (!allowed.is_empty() && !known).then(|| finding(ControlId::HbImgRegistry, number, message))
}

fn pinned((what, number, image): Named<'_>, settings: &Settings) -> Option<Finding> {
    let control = ControlId::HbDfBase;
    if has_digest(image) {
        return None;
    }
    let tag = canonical(image).tag;
    if settings.tags == Tags::RequireDigest {
        return Some(finding(control, number, format!("{what} {image:?} has no digest")));
    }
    let moving = match tag.as_deref() {
        None => "has no tag, which means latest",
        Some("latest") => "has the tag latest, which moves",
        Some(_) => {
            let message = format!("{what} {image:?} is pinned by a tag, which can move");
            let pin = "add @sha256:<digest> behind the tag to build the same image again";
            return Some(finding(control, number, message).noted().with_remedy(pin));
        }
    };
    let message = format!("{what} {image:?} {moving}");
    Some(finding(control, number, message).with_remedy("name a version, best with a digest"))
}

fn minimal(stage: &Stage, image: &str, settings: &Settings) -> Option<Finding> {
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
fn stages(model: &Model<'_>, lineage: &[&Stage]) -> Option<Finding> {
    let control = ControlId::HbDfStage;
    let shipped = |number: usize| lineage.iter().any(|stage| stage.range.contains(&number));
    let building = model.commands().filter(|(number, _)| shipped(*number));
    let building = building
        .filter(|(number, _)| model.is_own(*number))
        .find_map(|(number, steps)| tools::kept(steps).map(|tool| (number, tool)));
    if let Some((number, tool)) = building {
        let message = format!("{tool} runs in the stage that becomes the image");
        return Some(finding(control, number, message));
    }
    let image = lineage.last().and_then(|stage| stage.image.as_deref())?;
    let repository = canonical(image).repository;
    let name = repository.rsplit('/').next().unwrap_or_default();
    let from = lineage.last().map(|stage| stage.range.start)?;
    let only = if model.stages.len() == 1 { "the only stage" } else { "the final stage" };
    // The slim variants of Swift hold what its programs need, and no compiler.
    let runs_only = name == "swift" && image.contains("slim");
    (TOOLCHAINS.contains(&name) && !runs_only).then(|| {
        finding(control, from, format!("{only} starts from {image:?}, which holds a compiler"))
    })
}
