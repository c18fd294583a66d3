//! Image references, read as a container runtime reads them.
//!
//! [`canonical`] and [`cel_read`] are the same steps in Rust and in CEL; tests on a live API server compare them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

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

/// Whether a text may be a tag.
pub(crate) fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || b".-".contains(&byte))
}

/// [`has_digest`] in CEL, for `image`.
pub(crate) const CEL_HAS_DIGEST: &str =
    "image.matches('^[^@]*@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$')";

/// Other names of Docker Hub's registry.
const HUB_ALIASES: [&str; 3] =
    ["index.docker.io/", "registry-1.docker.io/", "registry.hub.docker.com/"];

/// The grammar of references, as runtimes read them: host and port, path, tag, digest.
const REFERENCE: &str = r"^((([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])([.]([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(:[0-9]+)?/)?[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$";

static IS_REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(REFERENCE).ok());

/// Whether an image lies in one of these registries, in full form. What no runtime would read as a reference lies in
/// none.
pub(crate) fn is_from(image: &str, registries: &[String]) -> bool {
    let repository = canonical(image).repository;
    registries.iter().any(|registry| within(&repository, registry)) && is_reference(image)
}

/// Whether a runtime would read a text as a reference.
pub(crate) fn is_reference(image: &str) -> bool {
    IS_REFERENCE.as_ref().is_some_and(|grammar| grammar.is_match(image))
}

/// [`is_from`] in CEL, for `image` and `repo`.
pub(crate) fn cel_is_from(registries: &[String]) -> String {
    format!("({} && image.matches({}))", cel_within(registries), literal(REFERENCE))
}

/// The steps of [`canonical`] in CEL: `condition` may name `repo` and `tag` beside `image`.
pub(crate) fn cel_read(condition: &str) -> String {
    let hub = HUB_ALIASES.iter().rev().fold("lower".to_owned(), |otherwise, alias| {
        let name = literal(alias);
        format!(
            "lower.startsWith({name}) ? 'docker.io/' + lower.substring({}) : {otherwise}",
            alias.len()
        )
    });
    let steps: [(&str, &str); 9] = [
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
        // A port is a number: without its leading zeros.
        ("zeros", "full.find('^[^/:]*:0+')"),
        (
            "ported",
            "zeros == '' ? full : full.substring(0, full.indexOf(':') + 1) + full.substring(zeros.size())",
        ),
        ("lower", "ported.lowerAscii().replace(':443/', '/', 1)"),
        ("hub", &hub),
        (
            "repo",
            "hub.startsWith('docker.io/') && hub.indexOf('/', 10) == -1 ? 'docker.io/library/' + hub.substring(10) : hub",
        ),
    ];
    steps.iter().rev().fold(condition.to_owned(), |inner, (name, value)| bound(name, value, &inner))
}

/// Whether `image` is written in full and plainly: a host with a dot and no port that is not Docker Hub, then lower
/// case. Of such an image, which the grammar allows, the repository is what stands before tag and digest.
pub(crate) const CEL_PLAIN: &str = "image.matches('^[a-z0-9]+(-+[a-z0-9]+)*([.][a-z0-9]+(-+[a-z0-9]+)*)+(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$') \
     && !image.contains('docker.io/') && !image.startsWith('registry.hub.docker.com/')";

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
pub(crate) fn is_host(head: &str) -> bool {
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

/// In lower case, the port as a number or left out if it is the default, and with one name for Docker Hub.
fn lowered(full: &str) -> String {
    let (host, path) = full.split_at(full.find('/').unwrap_or(full.len()));
    let host = match host.split_once(':') {
        Some((name, port)) => format!("{name}:{}", port.trim_start_matches('0')),
        None => host.to_owned(),
    };
    let full = format!("{host}{path}").to_ascii_lowercase().replacen(":443/", "/", 1);
    let hub = HUB_ALIASES.iter().find_map(|alias| full.strip_prefix(alias));
    hub.map_or_else(|| full.clone(), |rest| format!("docker.io/{rest}"))
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
            "registry.hub.docker.com/library/ubuntu:20.04",
            "registry.hub.docker.com:443/ubuntu",
            "registry-1.docker.io:0443/library/ubuntu:20.04",
            "registry-1.docker.io:00443/library/ubuntu:20.04",
            "docker.io:000443/ubuntu",
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
    fn a10_a_port_with_leading_zeros_is_the_same_port() {
        assert_eq!(repo("quay.io:0443/team/x:1"), "quay.io/team/x");
        assert_eq!(repo("quay.io:08443/team/x:1"), "quay.io:8443/team/x");
        assert_eq!(canonical_prefix("quay.io:0443/team"), "quay.io/team");
        assert_eq!(canonical_prefix("quay.io:05000"), "quay.io:5000");
    }

    #[test]
    fn hardening_8_what_is_no_reference_is_in_no_registry() {
        let allowed =
            ["registry.corp.example/prod".to_owned(), "registry.corp.example:5000".into()];
        let zeros = "0".repeat(64);
        for rest in [
            "@evil/x",
            "/x:1@evil.example/y:1",
            "/%2e%2e/x:1",
            "/./x:1",
            "//x:1",
            "/x y:1",
            "/x:1:2",
            ":443/x:1",
            "/x@sha256:zz",
            "/x:",
            "/../x",
            "/x..y:1",
            "/x\n",
            "/-x",
            "/X",
        ] {
            assert!(!is_from(&format!("registry.corp.example/prod{rest}"), &allowed), "{rest:?}");
        }
        for rest in ["", ":1", "/a/b__c/d--e.f:v1_2-3", &format!("/x:1@sha256:{zeros}")] {
            assert!(is_from(&format!("registry.corp.example/prod{rest}"), &allowed), "{rest:?}");
        }
        assert!(is_from("REGISTRY.corp.example:05000/x", &allowed));
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
