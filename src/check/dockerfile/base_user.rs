//! As whom well-known images run when nobody says otherwise. Of all others nothing is claimed.

use crate::policy::image::canonical;
use crate::policy::image::has_digest;

/// The user of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BaseUser {
    Root,
    Other,
    Unknown,
}

/// Words in the name of an image that say that it does not run as root.
const NOT_ROOT: [&str; 5] = ["nonroot", "non-root", "rootless", "unprivileged", "chiseled"];

/// Words in the name of an image of Windows, whose users have names and no numbers.
const WINDOWS: [&str; 4] =
    ["nanoserver", "servercore", "mcr.microsoft.com/windows", "dotnet/framework"];

/// Docker's official images, and where copies of them are.
const OFFICIAL: [&str; 3] =
    ["docker.io/library/", "public.ecr.aws/docker/library/", "mirror.gcr.io/library/"];

/// Official images with a user of their own.
const OFFICIAL_OTHER: [&str; 14] = [
    "elasticsearch",
    "groovy",
    "haproxy",
    "jetty",
    "kibana",
    "kong",
    "logstash",
    "memcached",
    "odoo",
    "rocket.chat",
    "solr",
    "sonarqube",
    "spiped",
    "varnish",
];

/// Official images that run as root, or at least start so: Kubernetes asks for the user that the image names.
const OFFICIAL_ROOT: [&str; 58] = [
    "almalinux",
    "alpine",
    "amazoncorretto",
    "amazonlinux",
    "archlinux",
    "bash",
    "buildpack-deps",
    "busybox",
    "caddy",
    "cassandra",
    "centos",
    "clojure",
    "composer",
    "dart",
    "debian",
    "docker",
    "eclipse-temurin",
    "elixir",
    "erlang",
    "fedora",
    "gcc",
    "ghost",
    "golang",
    "gradle",
    "haskell",
    "httpd",
    "influxdb",
    "joomla",
    "julia",
    "mageia",
    "mariadb",
    "maven",
    "mongo",
    "mysql",
    "nextcloud",
    "nginx",
    "node",
    "openjdk",
    "oraclelinux",
    "perl",
    "photon",
    "php",
    "postgres",
    "pypy",
    "python",
    "r-base",
    "rabbitmq",
    "redis",
    "registry",
    "rockylinux",
    "ruby",
    "rust",
    "swift",
    "tomcat",
    "traefik",
    "ubuntu",
    "wordpress",
    "zookeeper",
];

/// Other images that run as root, with everything below them.
const ROOT: [&str; 12] = [
    "docker.io/almalinux",
    "docker.io/nvidia/cuda",
    "docker.io/opensuse",
    "docker.io/rockylinux",
    "mcr.microsoft.com/azurelinux/base",
    "mcr.microsoft.com/cbl-mariner/base",
    "mcr.microsoft.com/dotnet",
    "mcr.microsoft.com/openjdk/jdk",
    "public.ecr.aws/amazonlinux",
    "quay.io/centos/centos",
    "quay.io/fedora/fedora",
    "quay.io/fedora/fedora-minimal",
];

/// Other images that do not, with everything below them.
const OTHER: [&str; 9] = [
    "docker.elastic.co/elasticsearch",
    "docker.elastic.co/kibana",
    "docker.elastic.co/logstash",
    "docker.io/curlimages/curl",
    "docker.io/grafana/grafana",
    "docker.io/jenkins/jenkins",
    "docker.io/prom/prometheus",
    "mcr.microsoft.com/dotnet/monitor",
    "quay.io/keycloak/keycloak",
];

/// Where Red Hat and Fedora publish images.
const RED_HAT: [&str; 6] = [
    "registry.access.redhat.com/",
    "registry.redhat.io/",
    "docker.io/redhat/",
    "quay.io/sclorg/",
    "quay.io/fedora/",
    "quay.io/centos7/",
];

/// First words of their images for programs in a language, which run as 1001 or 185.
const LANGUAGES: [&str; 11] = [
    "python",
    "nodejs",
    "php",
    "ruby",
    "perl",
    "go-toolset",
    "openjdk",
    "httpd",
    "nginx",
    "dotnet",
    "s2i",
];

/// The user of an image, as it is written and, where its variables are known, as it is.
pub(super) fn of(written: &str, image: Option<&str>) -> BaseUser {
    let name = image.unwrap_or(written);
    if NOT_ROOT.iter().any(|word| name.contains(word)) {
        return BaseUser::Other;
    }
    if WINDOWS.iter().any(|word| name.contains(word)) {
        return BaseUser::Unknown;
    }
    let Some(image) = image else { return BaseUser::Unknown };
    if image == "scratch" {
        return BaseUser::Root;
    }
    let reference = canonical(image);
    let repository = reference.repository.as_str();
    let tag = reference.tag.as_deref();
    if let Some(name) = OFFICIAL.iter().find_map(|from| repository.strip_prefix(from)) {
        let is_cli = name == "wordpress" && tag.is_some_and(|tag| tag.starts_with("cli"));
        return if is_cli { BaseUser::Other } else { official(name) };
    }
    if let Some(name) = RED_HAT.iter().find_map(|from| repository.strip_prefix(from)) {
        return red_hat(name);
    }
    if repository.starts_with("gcr.io/distroless/") {
        // The digest alone does not say whether it is that of the tag nonroot.
        let hidden = tag.is_none() && has_digest(image);
        return if hidden { BaseUser::Unknown } else { BaseUser::Root };
    }
    let chainguard = repository.starts_with("cgr.dev/chainguard/")
        || repository.starts_with("docker.io/chainguard/");
    if chainguard {
        // What others build on may be root's.
        let is_base = repository.ends_with("-base");
        return if is_base { BaseUser::Unknown } else { BaseUser::Other };
    }
    let is_below = |known: &&str| {
        repository.strip_prefix(*known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let distroless = tag.is_some_and(|tag| tag.contains("distroless"));
    match () {
        () if OTHER.iter().any(is_below) => BaseUser::Other,
        () if repository.starts_with("mcr.microsoft.com/dotnet/") && distroless => BaseUser::Other,
        () if ROOT.iter().any(is_below) => BaseUser::Root,
        () => BaseUser::Unknown,
    }
}

fn official(name: &str) -> BaseUser {
    match name {
        name if OFFICIAL_OTHER.contains(&name) => BaseUser::Other,
        name if OFFICIAL_ROOT.contains(&name) => BaseUser::Root,
        _ => BaseUser::Unknown,
    }
}

/// `ubi9/python-312` has a user, `ubi9/ubi-minimal` and `ubi9` have none.
fn red_hat(name: &str) -> BaseUser {
    let last = name.rsplit('/').next().unwrap_or(name);
    let is = |stem: &&str| {
        last.strip_prefix(*stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    if LANGUAGES.iter().any(is) {
        BaseUser::Other
    } else if last.starts_with("ubi") || matches!(last, "fedora" | "fedora-minimal" | "centos") {
        BaseUser::Root
    } else {
        BaseUser::Unknown
    }
}
