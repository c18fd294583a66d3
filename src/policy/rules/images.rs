//! Where images may come from, and how they are named.

use serde_json::Value;

use super::super::controls::ControlId;
use super::super::finding::FieldPath;
use super::super::image::{
    CEL_HAS_DIGEST, Reference, canonical, canonical_prefix, canonical_repository, cel_is_from,
    cel_plain_within, cel_within, has_digest, is_from, within,
};
use super::super::settings::Settings;
use super::guide::deny_if;
use super::pod::{Pod, Violations, list, text};
use super::{Cel, Over, Rule};
use crate::api::gabion::hardening_baseline::Tags;
use crate::api::gabion::hardening_baseline::Verdict;

pub(super) static RULES: [Rule; 3] = [
    Rule {
        id: ControlId::HbImgRegistry,
        when: |s| deny_if(!s.allowed_registries.is_empty()),
        evaluate: |s, pod, violations| {
            let allowed: Vec<_> =
                s.allowed_registries.iter().map(|registry| canonical_prefix(registry)).collect();
            each_image(pod, violations, |image, _| {
                (!is_from(image, &allowed))
                    .then(|| "comes from a registry that is not allowed".to_owned())
            });
        },
        cel: |s| {
            let allowed: Vec<_> =
                s.allowed_registries.iter().map(|r| canonical_prefix(r)).collect();
            Cel::each(Over::Images, cel_is_from(&allowed)).or_plain(cel_plain_within(&allowed))
        },
        remedy: Some(|s| {
            let (shown, more) = first_three(&s.allowed_registries);
            format!("use an image from {shown}{more}, by its full name")
        }),
    },
    Rule {
        id: ControlId::HbImgBase,
        when: |s| deny_if(!s.denied_repositories.is_empty()),
        evaluate: |s, pod, violations| {
            let denied: Vec<_> =
                s.denied_repositories.iter().map(|name| canonical_repository(name)).collect();
            each_image(pod, violations, |_, reference| {
                let found = denied.iter().find(|denied| within(&reference.repository, denied));
                found.map(|denied| format!("is from the denied repository {denied}"))
            });
        },
        cel: |s| {
            let denied: Vec<_> =
                s.denied_repositories.iter().map(|name| canonical_repository(name)).collect();
            Cel::each(Over::Images, format!("!{}", cel_within(&denied)))
                .or_plain(format!("!{}", cel_plain_within(&denied)))
        },
        remedy: None,
    },
    Rule {
        id: ControlId::HbImgTag,
        when: |s| match s.tags {
            Tags::DenyLatest | Tags::RequireDigest => Verdict::Deny,
            Tags::Any | Tags::Unknown => Verdict::Ignore,
        },
        evaluate: tags,
        cel: |s| {
            let (pinned, plain) = match s.tags {
                Tags::RequireDigest => (CEL_HAS_DIGEST, CEL_HAS_DIGEST),
                _ => (
                    "(image.contains('@') || !(tag in ['', 'latest']))",
                    "(image.contains('@') || (image.contains(':') && !image.endsWith(':latest')))",
                ),
            };
            Cel::each(Over::Images, pinned).or_plain(plain)
        },
        remedy: Some(|s| match s.tags {
            Tags::RequireDigest => "name the image by digest: add @sha256:<digest>".to_owned(),
            _ => "name a version, or a digest, instead of latest".to_owned(),
        }),
    },
];

/// The first three of a list, and how many more there are.
fn first_three(names: &[String]) -> (String, String) {
    let shown = names.iter().take(3).map(|name| clipped(name)).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(3);
    (shown, if more > 0 { format!(" or {more} more") } else { String::new() })
}

fn clipped(name: &str) -> String {
    let short: String = name.chars().take(60).collect();
    if short.len() < name.len() { format!("{short}...") } else { short }
}

/// Every image that is named, those of image volumes too.
fn images<'a>(pod: &Pod<'a>) -> Vec<(FieldPath, String, &'a str)> {
    let mut images = Vec::new();
    for c in &pod.containers {
        if let Some(image) = text(c.value, &["image"]).filter(|image| !image.is_empty()) {
            images.push((c.path.key("image"), c.called(), image));
        }
    }
    for (index, volume) in list(pod.spec(), &["volumes"]).iter().enumerate() {
        if let Some(image) = text(volume, &["image", "reference"]).filter(|i| !i.is_empty()) {
            let name = volume.get("name").and_then(Value::as_str).unwrap_or_default();
            let path = pod.path(&["volumes"]).index(index).keys(&["image", "reference"]);
            images.push((path, format!("volume {name:?}"), image));
        }
    }
    images
}

fn each_image(
    pod: &Pod<'_>,
    violations: &mut Violations,
    problem: impl Fn(&str, &Reference) -> Option<String>,
) {
    for (path, called, image) in images(pod) {
        if let Some(problem) = problem(image, &canonical(image)) {
            violations.push((path, format!("the image {image:?} of {called} {problem}")));
        }
    }
}

fn tags(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    let digests = settings.tags == Tags::RequireDigest;
    each_image(pod, violations, |image, reference| {
        if digests {
            return (!has_digest(image)).then(|| "has no digest".to_owned());
        }
        match reference.tag.as_deref() {
            _ if reference.digest => None,
            None | Some("") => Some("has no tag, which means latest".to_owned()),
            Some("latest") => Some("has the tag latest".to_owned()),
            Some(_) => None,
        }
    });
}
