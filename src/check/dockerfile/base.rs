//! What an image is built on: minimal, from where it may come, pinned; and how many stages there are.

use parse_dockerfile::Instruction;

use super::{super::table::rule, Draft, Recipe, Stage, shell};
use crate::api::gabion::hardening_baseline::Tags;
use crate::policy::Settings;
use crate::policy::image::canonical;
use crate::policy::image::canonical_repository;
use crate::policy::image::has_digest;
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
pub(crate) fn evaluate(recipe: &Recipe<'_, '_>, settings: &Settings) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for stage in recipe.stages.iter().filter(|stage| stage.parent.is_none()) {
        if let Some(image) = stage.image.as_deref().filter(|image| *image != "scratch") {
            drafts.extend(origin(stage, image, settings));
            drafts.extend(pinned(stage, image, settings));
        }
    }
    let lineage = recipe.lineage();
    let base = lineage.last().filter(|stage| stage.parent.is_none());
    if let Some((stage, image)) = base.and_then(|stage| Some((stage, stage.image.as_deref()?))) {
        drafts.extend(minimal(stage, image, settings));
    }
    drafts.extend(stages(recipe, &lineage));
    drafts
}

fn origin(stage: &Stage<'_, '_>, image: &str, settings: &Settings) -> Option<Draft> {
    let repository = canonical(image).repository;
    let allowed = &settings.allowed_registries;
    let known = allowed
        .iter()
        .any(|prefix| within(&repository, &crate::policy::image::canonical_prefix(prefix)));
    let message = format!("base image {image:?} is not from an allowed registry");
    (!allowed.is_empty() && !known)
        .then(|| Draft::new(rule("HB-IMG-REGISTRY"), stage.range.start, message))
}

fn pinned(stage: &Stage<'_, '_>, image: &str, settings: &Settings) -> Option<Draft> {
    let (from, control) = (stage.range.start, rule("HB-DF-BASE"));
    if has_digest(image) {
        return None;
    }
    let tag = canonical(image).tag;
    if settings.tags == Tags::RequireDigest {
        return Some(Draft::new(control, from, format!("base image {image:?} has no digest")));
    }
    let moving = match tag.as_deref() {
        None => "has no tag, which means latest",
        Some("latest") => "has the tag latest, which moves",
        Some(_) => {
            let message = format!("base image {image:?} is pinned by a tag, which can move");
            let pin = "add @sha256:<digest> behind the tag to build the same image again";
            return Some(Draft::new(control, from, message).noted().remedy(pin));
        }
    };
    let message = format!("base image {image:?} {moving}");
    Some(Draft::new(control, from, message).remedy("name a version, best with a digest"))
}

fn minimal(stage: &Stage<'_, '_>, image: &str, settings: &Settings) -> Option<Draft> {
    let reference = canonical(image);
    let control = rule("HB-DF-BASE");
    let is = |name: &str| within(&reference.repository, &canonical_repository(name));
    let denied =
        settings.denied_repositories.iter().any(|name| is(name)) || FULL.into_iter().any(is);
    if denied {
        let message = format!("the image is built on {image:?}, a whole distribution");
        let smaller = "build on a distroless image, on alpine, or on scratch";
        return Some(Draft::new(control, stage.range.start, message).remedy(smaller));
    }
    let small = ["slim", "minimal", "micro"].iter().any(|word| image.contains(word));
    let message = format!("the image is built on {image:?}, which has a smaller variant");
    (LARGE.into_iter().any(is) && !small)
        .then(|| Draft::new(control, stage.range.start, message).noted())
}

/// Whether tools that only a build needs end up in the image.
fn stages(recipe: &Recipe<'_, '_>, lineage: &[&Stage<'_, '_>]) -> Option<Draft> {
    let control = rule("HB-DF-STAGE");
    let building = lineage.iter().flat_map(|stage| stage.steps()).find_map(|(number, step)| {
        let Instruction::Run(run) = step else { return None };
        let steps = shell::steps(&shell::text(run));
        steps.iter().find_map(builds).map(|tool| (number, tool))
    });
    if let Some((number, tool)) = building {
        let message = format!("{tool} runs in the stage that becomes the image");
        return Some(Draft::new(control, number, message));
    }
    let image = lineage.last().and_then(|stage| stage.image.as_deref())?;
    let repository = canonical(image).repository;
    let name = repository.rsplit('/').next().unwrap_or_default();
    let from = lineage.last().map(|stage| stage.range.start)?;
    let only = if recipe.stages.len() == 1 { "the only stage" } else { "the final stage" };
    TOOLCHAINS.contains(&name).then(|| {
        Draft::new(control, from, format!("{only} starts from {image:?}, which holds a compiler"))
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
