//! What is checked: a baseline's wishes with every default filled in.

use std::collections::BTreeSet;

use super::error::PolicyError;
use super::image::canonical_repository;
use crate::api::gabion::hardening_baseline::Automount;
use crate::api::gabion::hardening_baseline::HardeningBaselineSpec;
use crate::api::gabion::hardening_baseline::IdRange;
use crate::api::gabion::hardening_baseline::Images;
use crate::api::gabion::hardening_baseline::Level;
use crate::api::gabion::hardening_baseline::PodSecurity;
use crate::api::gabion::hardening_baseline::Pods;
use crate::api::gabion::hardening_baseline::RequiredResource;
use crate::api::gabion::hardening_baseline::Tags;
use crate::api::gabion::hardening_baseline::Verdict;
use crate::policy::version::NEWEST_KNOWN;
use crate::policy::version::PssVersion;

/// A range of ids, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Smallest.
    pub min: i64,
    /// Largest.
    pub max: i64,
}

/// What is checked. The default checks nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Level and version of the Pod Security Standards.
    pub pod_security: Option<(Level, PssVersion)>,
    /// Every container has a read-only root filesystem.
    pub read_only_root: bool,
    /// Allowed user ids.
    pub user_ids: Option<Range>,
    /// Allowed group ids, supplemental ones too.
    pub group_ids: Option<Range>,
    /// Allowed volume group ids.
    pub fs_groups: Option<Range>,
    /// Localhost seccomp profiles that pods may use; empty: not checked.
    pub seccomp_profiles: Vec<String>,
    /// Requests and limits that every container must state.
    pub required_resources: Vec<RequiredResource>,
    /// Registries, or paths in them, that images must come from; empty: not checked.
    pub allowed_registries: Vec<String>,
    /// Repositories that are refused.
    pub denied_repositories: Vec<String>,
    /// Which tags are accepted.
    pub tags: Tags,
    /// Environment variables that look like a credential and have a literal value.
    pub literal_credential_env: Verdict,
    /// Secrets as environment variables.
    pub secret_env: Verdict,
    /// Environment variables that every container must have.
    pub required_env: Vec<String>,
    /// A log volume that containers share is read-only in all but its writer.
    pub log_volume_read_only: bool,
    /// Container ports below this number are warned about.
    pub min_container_port: Option<i32>,
    /// Pods must not ask for the token of their `ServiceAccount`.
    pub no_token: bool,
    /// Audiences other than the API server's that a mounted token may be for all the same.
    pub token_audiences: Vec<String>,
    /// What happens to templates whose pods would be refused.
    pub templates: Verdict,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pod_security: None,
            read_only_root: false,
            user_ids: None,
            group_ids: None,
            fs_groups: None,
            seccomp_profiles: Vec::new(),
            required_resources: Vec::new(),
            allowed_registries: Vec::new(),
            denied_repositories: Vec::new(),
            tags: Tags::Any,
            literal_credential_env: Verdict::Ignore,
            secret_env: Verdict::Ignore,
            required_env: Vec::new(),
            log_volume_read_only: false,
            min_container_port: None,
            no_token: false,
            token_audiences: Vec::new(),
            templates: Verdict::Warn,
        }
    }
}

impl Settings {
    /// Names of the built-in settings.
    pub const BUILT_IN: [&'static str; 3] = ["baseline", "restricted", "guide"];

    /// The settings of a baseline. `version` is the version of the Pod Security Standards where the spec names
    /// none: the one that is pinned, or the newest known.
    pub fn of(spec: &HardeningBaselineSpec, version: PssVersion) -> Result<Self, PolicyError> {
        let mut settings = Self::default();
        if let Some(ask) = &spec.pod_security {
            settings.pod_security = Some(pod_security(ask, version)?);
        }
        if let Some(pods) = &spec.pods {
            settings.pods(pods)?;
        }
        if let Some(resources) = &spec.resources {
            settings.required_resources = sorted(&resources.require);
            if settings.required_resources.contains(&RequiredResource::Unknown) {
                return Err(unknown("resources.require"));
            }
        }
        if let Some(images) = &spec.images {
            settings.images(images)?;
        }
        if let Some(secrets) = &spec.secrets {
            settings.literal_credential_env = verdict(
                "secrets.literalCredentialEnv",
                secrets.literal_credential_env,
                Verdict::Warn,
            )?;
            settings.secret_env =
                verdict("secrets.secretEnv", secrets.secret_env, Verdict::Ignore)?;
        }
        if let Some(logging) = &spec.logging {
            at_most("logging.requireEnv", logging.require_env.len(), 16)?;
            settings.required_env = sorted(&logging.require_env);
            settings.log_volume_read_only =
                logging.shared_log_volume_read_only_for_sidecars.unwrap_or_default();
        }
        if let Some(accounts) = &spec.service_accounts {
            settings.no_token = accounts.automount_token == Some(Automount::Disabled);
            at_most(
                "serviceAccounts.allowedTokenAudiences",
                accounts.allowed_token_audiences.len(),
                16,
            )?;
            settings.token_audiences = sorted(&accounts.allowed_token_audiences);
            // The API server's own is written by leaving it out, and is never allowed.
            settings.token_audiences.retain(|audience| !audience.is_empty());
        }
        Ok(settings)
    }

    /// The built-in settings `baseline`, `restricted` and `guide`; `None` for another name.
    pub fn built_in(name: &str) -> Option<Self> {
        let standard =
            |level| Self { pod_security: Some((level, PssVersion::Latest)), ..Self::default() };
        match name {
            "baseline" => Some(standard(Level::Baseline)),
            "restricted" => Some(standard(Level::Restricted)),
            "guide" => Some(Self::guide(standard(Level::Restricted))),
            _ => None,
        }
    }

    /// Everything that the hardening guide asks of a pod.
    fn guide(standard: Self) -> Self {
        let ids = Some(Range { min: 1000, max: 65_535 });
        Self {
            read_only_root: true,
            user_ids: ids,
            group_ids: ids,
            fs_groups: ids,
            required_resources: vec![
                RequiredResource::LimitsCpu,
                RequiredResource::LimitsMemory,
                RequiredResource::LimitsEphemeralStorage,
                RequiredResource::RequestsCpu,
                RequiredResource::RequestsMemory,
                RequiredResource::RequestsEphemeralStorage,
            ],
            denied_repositories: ["ubuntu", "centos"].map(canonical_repository).to_vec(),
            tags: Tags::DenyLatest,
            literal_credential_env: Verdict::Deny,
            required_env: ["LOG_FORMAT", "LOG_LEVEL"].map(str::to_owned).to_vec(),
            log_volume_read_only: true,
            min_container_port: Some(1024),
            no_token: true,
            ..standard
        }
    }

    /// What is checked beyond the Pod Security Standards, by field and value.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let ids = |range: Option<Range>| range.map(|r| format!("{} to {}", r.min, r.max));
        let list = |items: &[String]| (!items.is_empty()).then(|| items.join(", "));
        let flag = |set: bool| set.then(|| "required".to_owned());
        let verdict = |v: Verdict| (v != Verdict::Ignore).then(|| v.to_string());
        let resources: Vec<_> =
            self.required_resources.iter().map(|r| r.as_str().to_owned()).collect();
        let rows = [
            ("pods.readOnlyRootFilesystem", flag(self.read_only_root)),
            ("pods.runAsUser", ids(self.user_ids)),
            ("pods.runAsGroup", ids(self.group_ids)),
            ("pods.fsGroup", ids(self.fs_groups)),
            ("pods.localhostSeccompProfiles", list(&self.seccomp_profiles)),
            ("pods.minContainerPort", self.min_container_port.map(|port| port.to_string())),
            ("resources.require", list(&resources)),
            ("images.allowedRegistries", list(&self.allowed_registries)),
            ("images.deniedRepositories", list(&self.denied_repositories)),
            ("images.tags", (self.tags != Tags::Any).then(|| self.tags.to_string())),
            ("serviceAccounts.allowedTokenAudiences", list(&self.token_audiences)),
            ("secrets.literalCredentialEnv", verdict(self.literal_credential_env)),
            ("secrets.secretEnv", verdict(self.secret_env)),
            ("logging.requireEnv", list(&self.required_env)),
            ("logging.sharedLogVolumeReadOnlyForSidecars", flag(self.log_volume_read_only)),
        ];
        rows.into_iter().filter_map(|(item, value)| Some((item, value?))).collect()
    }

    /// Level of the Pod Security Standards; privileged when they are not checked.
    pub(crate) fn level(&self) -> Level {
        self.pod_security.map_or(Level::Privileged, |(level, _)| level)
    }

    /// Minor version of the Pod Security Standards.
    pub(crate) fn minor(&self) -> u16 {
        match self.pod_security {
            Some((_, PssVersion::Pinned(minor))) => minor,
            Some((_, PssVersion::Latest)) | None => NEWEST_KNOWN,
        }
    }

    fn pods(&mut self, pods: &Pods) -> Result<(), PolicyError> {
        self.read_only_root = pods.read_only_root_filesystem.unwrap_or_default();
        self.user_ids = range("pods.runAsUser", pods.run_as_user.as_ref())?;
        self.group_ids = range("pods.runAsGroup", pods.run_as_group.as_ref())?;
        self.fs_groups = range("pods.fsGroup", pods.fs_group.as_ref())?;
        at_most("pods.localhostSeccompProfiles", pods.localhost_seccomp_profiles.len(), 64)?;
        let outside = |path: &&String| path.starts_with('/') || path.contains("..");
        if let Some(path) = pods.localhost_seccomp_profiles.iter().find(outside) {
            return Err(PolicyError::invalid(
                "pods.localhostSeccompProfiles",
                format!("{path:?} must be relative to the kubelet's seccomp folder, without '..'"),
            ));
        }
        self.seccomp_profiles = sorted(&pods.localhost_seccomp_profiles);
        self.templates = verdict("pods.templates", pods.templates, Verdict::Warn)?;
        self.min_container_port = pods.min_container_port;
        if pods.min_container_port.is_some_and(|port| !(1..=65_535).contains(&port)) {
            return Err(PolicyError::invalid("pods.minContainerPort", "must be from 1 to 65535"));
        }
        Ok(())
    }

    fn images(&mut self, images: &Images) -> Result<(), PolicyError> {
        for (field, names) in [
            ("images.allowedRegistries", &images.allowed_registries),
            ("images.deniedRepositories", &images.denied_repositories),
        ] {
            at_most(field, names.len(), 64)?;
            if let Some(name) = names.iter().find(|name| !is_registry(name)) {
                return Err(PolicyError::invalid(
                    field,
                    format!(
                        "{name:?} must be host[:port][/path] in lower case, without scheme, wildcard or tag"
                    ),
                ));
            }
        }
        self.allowed_registries = sorted(&images.allowed_registries);
        self.denied_repositories = sorted(&images.denied_repositories);
        self.tags = match images.tags {
            Some(Tags::Unknown) => return Err(unknown("images.tags")),
            tags => tags.unwrap_or(Tags::DenyLatest),
        };
        Ok(())
    }
}

fn unknown(field: &str) -> PolicyError {
    PolicyError::invalid(
        field,
        "holds a word that this version does not know; use one from the schema",
    )
}

fn at_most(field: &str, count: usize, most: usize) -> Result<(), PolicyError> {
    if count <= most {
        return Ok(());
    }
    Err(PolicyError::invalid(field, format!("has {count} entries; at most {most} are allowed")))
}

fn verdict(field: &str, asked: Option<Verdict>, default: Verdict) -> Result<Verdict, PolicyError> {
    match asked {
        Some(Verdict::Unknown) => Err(unknown(field)),
        asked => Ok(asked.unwrap_or(default)),
    }
}

/// In a fixed order, each once: the order in which a user lists things must not change the revision.
fn sorted<T: Ord + Clone>(items: &[T]) -> Vec<T> {
    items.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

fn range(field: &str, asked: Option<&IdRange>) -> Result<Option<Range>, PolicyError> {
    let Some(asked) = asked else { return Ok(None) };
    let range =
        Range { min: asked.min.unwrap_or(1), max: asked.max.unwrap_or(i64::from(i32::MAX)) };
    if range.min < 1 || range.min > range.max {
        return Err(PolicyError::invalid(field, "min must be at least 1 and not above max"));
    }
    Ok(Some(range))
}

fn pod_security(
    ask: &PodSecurity,
    version: PssVersion,
) -> Result<(Level, PssVersion), PolicyError> {
    let level = match ask.level {
        Some(Level::Unknown) => return Err(unknown("podSecurity.level")),
        level => level.unwrap_or(Level::Restricted),
    };
    let version = match ask.version.as_deref() {
        None => version,
        Some(text) => PssVersion::parse(text).ok_or_else(|| {
            PolicyError::invalid(
                "podSecurity.version",
                "must be latest or a version from v1.0 to v1.37",
            )
        })?,
    };
    Ok((level, version))
}

/// `host[:port][/path]` in lower case, as the schema has it.
fn is_registry(name: &str) -> bool {
    let word = |text: &str, inner: &[u8]| {
        let ends = [text.as_bytes().first(), text.as_bytes().last()];
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        ends.iter().all(|end| end.is_some_and(plain))
            && text.bytes().all(|b| plain(&b) || inner.contains(&b))
    };
    let (host, path) = name.split_once('/').map_or((name, None), |(host, path)| (host, Some(path)));
    let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
    name.len() <= 255
        && host.split('.').all(|part| word(part, b"-"))
        && port.is_none_or(|p| (1..=5).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
        && path.is_none_or(|path| path.split('/').all(|part| word(part, b"._-")))
}
