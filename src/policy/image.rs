//! Image references, read as a container runtime reads them.
//!
//! [`canonical`] and [`CEL_STAGES`] are the same steps in Rust and in CEL; tests on a live API server compare them.

use std::collections::{BTreeMap, BTreeSet};

use super::literal::{any_of, bound, text as literal, texts};

/// What an image reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Registry and path in full: lower case, Docker Hub's aliases resolved, the default port left out.
    pub(crate) repository: String,
    /// The tag, when there is one.
    pub(crate) tag: Option<String>,
    /// Whether there is a digest, well formed or not.
    pub(crate) digest: bool,
}

/// Reads a reference. Text that is no reference gets an answer too: one that no runtime would pull.
pub(crate) fn canonical(image: &str) -> Reference {
    let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    let (path, tag) = match (name.rfind(':'), name.rfind('/')) {
        (Some(colon), slash) if slash.is_none_or(|slash| colon > slash) => {
            (&name[..colon], Some(name[colon + 1..].to_owned()))
        }
        _ => (name, None),
    };
    Reference { repository: repository(path), tag, digest }
}

/// A registry, or a path in one, as settings name it: in the same full form as [`Reference::repository`].
pub(crate) fn canonical_prefix(registry: &str) -> String {
    match registry.split_once('/') {
        None if is_host(registry) => lowered(&format!("{registry}/")).trim_end_matches('/').into(),
        None => format!("docker.io/{}", registry.to_ascii_lowercase()),
        Some(_) => {
            let full = if is_host(head(registry)) {
                registry.to_owned()
            } else {
                format!("docker.io/{registry}")
            };
            lowered(&full)
        }
    }
}

/// A denied repository in full form; a bare name is one of Docker Hub's official images.
pub(crate) fn canonical_repository(name: &str) -> String {
    repository(name)
}

/// Whether a repository is a prefix or lies below it.
pub(crate) fn within(repository: &str, prefix: &str) -> bool {
    repository.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a reference ends in a digest of the right length.
pub(crate) fn has_digest(image: &str) -> bool {
    let Some((_, digest)) = image.split_once('@') else { return false };
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// [`has_digest`] in CEL, for `image`.
pub(crate) const CEL_HAS_DIGEST: &str =
    "image.matches('^[^@]*@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$')";

/// The steps of [`canonical`] in CEL: each is a variable made from `variables.images` of the step before, which
/// the first takes from `variables.named`.
pub(crate) const CEL_STAGES: [(&str, &str); 3] = [
    (
        "untagged",
        "variables.named.map(i, {'kind': i.kind, 'name': i.name, 'image': i.image, 'ref': i.image.split('@')[0]})\
         .map(i, i.ref.lastIndexOf(':') > i.ref.lastIndexOf('/') \
         ? {'kind': i.kind, 'name': i.name, 'image': i.image, 'path': i.ref.substring(0, i.ref.lastIndexOf(':')), 'tag': i.ref.substring(i.ref.lastIndexOf(':') + 1)} \
         : {'kind': i.kind, 'name': i.name, 'image': i.image, 'path': i.ref, 'tag': ''})",
    ),
    (
        "hosted",
        "variables.untagged.map(i, {'kind': i.kind, 'name': i.name, 'image': i.image, 'tag': i.tag, 'repo': \
         (!i.path.contains('/') ? 'docker.io/library/' + i.path \
         : [i.path.split('/')[0]].exists(h, h.contains('.') || h.contains(':') || h == 'localhost' || h != h.lowerAscii()) ? i.path \
         : 'docker.io/' + i.path).lowerAscii().replace(':443/', '/', 1)})",
    ),
    (
        "images",
        "variables.hosted.map(i, {'kind': i.kind, 'name': i.name, 'image': i.image, 'tag': i.tag, 'repo': \
         i.repo.startsWith('index.docker.io/') ? i.repo.replace('index.docker.io/', 'docker.io/', 1) \
         : i.repo.startsWith('registry-1.docker.io/') ? i.repo.replace('registry-1.docker.io/', 'docker.io/', 1) : i.repo})\
         .map(i, {'kind': i.kind, 'name': i.name, 'image': i.image, 'tag': i.tag, 'repo': \
         i.repo.startsWith('docker.io/') && i.repo.indexOf('/', 10) == -1 ? i.repo.replace('docker.io/', 'docker.io/library/', 1) : i.repo})",
    ),
];

/// The same steps for one image without a variable: `condition` may name `repo` and `tag` beside `image`.
pub(crate) fn cel_read(condition: &str) -> String {
    const STEPS: [(&str, &str); 7] = [
        ("ref", "image.contains('@') ? image.split('@')[0] : image"),
        (
            "path",
            "ref.lastIndexOf(':') > ref.lastIndexOf('/') ? ref.substring(0, ref.lastIndexOf(':')) : ref",
        ),
        ("tag", "path == ref ? '' : ref.substring(path.size() + 1)"),
        (
            "full",
            "!path.contains('/') ? 'docker.io/library/' + path \
             : [path.substring(0, path.indexOf('/'))].exists(h, h.contains('.') || h.contains(':') || h == 'localhost' || h != h.lowerAscii()) \
             ? path : 'docker.io/' + path",
        ),
        ("lower", "full.lowerAscii().replace(':443/', '/', 1)"),
        (
            "hub",
            "lower.startsWith('index.docker.io/') ? lower.substring(6) \
             : lower.startsWith('registry-1.docker.io/') ? lower.substring(11) : lower",
        ),
        (
            "repo",
            "hub.startsWith('docker.io/') && hub.indexOf('/', 10) == -1 ? 'docker.io/library/' + hub.substring(10) : hub",
        ),
    ];
    STEPS.iter().rev().fold(condition.to_owned(), |inner, (name, value)| bound(name, value, &inner))
}

/// Whether `image` is written in full and plainly: a host with a dot and no port that is not Docker Hub, then lower
/// case. Of such an image the repository is what stands before tag and digest.
pub(crate) const CEL_PLAIN: &str = "image.matches('^[a-z0-9-]+([.][a-z0-9-]+)+(/[a-z0-9_-]+([.][a-z0-9_-]+)*)+(:[A-Za-z0-9_.-]+)?(@sha256:[0-9a-f]{64})?$') \
     && !image.contains('docker.io/')";

/// Whether `repo` is one of these paths or lies below one.
pub(crate) fn cel_within(prefixes: &[String]) -> String {
    looked_up("repo", "[^/]*", prefixes)
}

/// The same for a plain `image`.
pub(crate) fn cel_plain_within(prefixes: &[String]) -> String {
    looked_up("image", "[^/:@]+", prefixes)
}

/// Paths of the same number of parts are looked up together: the API server makes a table of a constant list.
fn looked_up(name: &str, part: &str, prefixes: &[String]) -> String {
    let mut by_parts: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for prefix in prefixes {
        by_parts.entry(prefix.split('/').count()).or_default().insert(prefix);
    }
    any_of(by_parts.into_iter().map(|(parts, prefixes)| {
        let head = format!("^{part}(/{part}){{{}}}", parts - 1);
        format!("{name}.find({}) in {}", literal(&head), texts(prefixes))
    }))
}

fn head(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

/// Whether the first part of a path is a host: the rule of the reference grammar.
fn is_host(head: &str) -> bool {
    head.contains(['.', ':']) || head == "localhost" || head.bytes().any(|b| b.is_ascii_uppercase())
}

fn repository(path: &str) -> String {
    let full = if !path.contains('/') {
        format!("docker.io/library/{path}")
    } else if is_host(head(path)) {
        path.to_owned()
    } else {
        format!("docker.io/{path}")
    };
    let full = lowered(&full);
    match full.strip_prefix("docker.io/") {
        Some(rest) if !rest.contains('/') => format!("docker.io/library/{rest}"),
        _ => full,
    }
}

/// In lower case, without the default port, and with one name for Docker Hub.
fn lowered(full: &str) -> String {
    let full = full.to_ascii_lowercase().replacen(":443/", "/", 1);
    for alias in ["index.docker.io/", "registry-1.docker.io/"] {
        if let Some(rest) = full.strip_prefix(alias) {
            return format!("docker.io/{rest}");
        }
    }
    full
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo(image: &str) -> String {
        canonical(image).repository
    }

    #[test]
    fn docker_hub_has_one_name() {
        for image in [
            "ubuntu",
            "ubuntu:20.04",
            "library/ubuntu",
            "docker.io/library/ubuntu",
            "docker.io/ubuntu",
            "index.docker.io/library/ubuntu:latest",
            "registry-1.docker.io/library/ubuntu@sha256:00",
            "docker.io:443/library/ubuntu",
            "Docker.io/ubuntu",
        ] {
            assert_eq!(repo(image), "docker.io/library/ubuntu", "{image}");
        }
        assert_eq!(repo("corp/ubuntu"), "docker.io/corp/ubuntu");
    }

    #[test]
    fn a_port_is_not_a_tag() {
        assert_eq!(
            canonical("a:5000/x"),
            Reference { repository: "a:5000/x".into(), tag: None, digest: false }
        );
        let tagged = canonical("a:5000/x:1.2@sha256:00");
        assert_eq!((tagged.tag.as_deref(), tagged.digest), (Some("1.2"), true));
        assert_eq!(repo("a:5000/x:1.2@sha256:00"), "a:5000/x");
    }

    #[test]
    fn look_alikes_lie_outside_the_registry() {
        let allowed = ["registry.corp.example/prod", "gcr.io/distroless"].map(canonical_prefix);
        let inside = |image: &str| allowed.iter().any(|prefix| within(&repo(image), prefix));
        for image in [
            "registry.corp.example.evil.io/prod/x",
            "registry.corp.example/production/x",
            "registry.corp.example:5000/prod/x",
            "gcr.io/distroless-evil/x",
            "nginx",
            "library/nginx",
            "localhost/x",
            "x@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "",
        ] {
            assert!(!inside(image), "{image}");
        }
        for image in ["registry.corp.example/prod/a/b:1", "gcr.io/distroless/java@sha256:00"] {
            assert!(inside(image), "{image}");
        }
    }

    #[test]
    fn a_registry_of_one_word_is_a_path_on_docker_hub() {
        assert_eq!(canonical_prefix("gcr.io"), "gcr.io");
        assert_eq!(canonical_prefix("gcr.io:443"), "gcr.io");
        assert_eq!(canonical_prefix("localhost:5000"), "localhost:5000");
        assert_eq!(canonical_prefix("docker.io"), "docker.io");
        assert_eq!(canonical_prefix("index.docker.io"), "docker.io");
        assert_eq!(canonical_prefix("corp"), "docker.io/corp");
        assert_eq!(canonical_prefix("corp/team"), "docker.io/corp/team");
        assert_eq!(canonical_repository("ubuntu"), "docker.io/library/ubuntu");
    }

    #[test]
    fn only_a_whole_digest_pins() {
        let digest = "0123456789abcdef".repeat(4);
        assert!(has_digest(&format!("a@sha256:{digest}")));
        assert!(has_digest(&format!("a@sha512:{digest}{digest}")));
        for bad in [
            "a".to_owned(),
            "a@sha256:".to_owned(),
            format!("a@sha256:{}", &digest[1..]),
            format!("a@sha256:{digest}0"),
            format!("a@md5:{digest}"),
            format!("a@sha256:{}", digest.to_uppercase()),
            format!("a@x@sha256:{digest}"),
        ] {
            assert!(!has_digest(&bad), "{bad}");
        }
    }
}
