//! A kubeconfig that a Secret holds: of it, only what names a server and holds credentials itself. Nothing in it may
//! run a program or read a file of the operator.

use serde::Deserialize;
use zeroize::Zeroizing;

/// What a kubeconfig says.
pub(super) struct Kubeconfig {
    pub(super) server: String,
    /// Certificates of the authority, in base64.
    pub(super) authority: Option<String>,
    pub(super) server_name: Option<String>,
    pub(super) user: User,
}

/// Who asks.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(super) struct User {
    pub(super) token: Option<Zeroizing<String>>,
    pub(super) client_certificate_data: Option<Zeroizing<String>>,
    pub(super) client_key_data: Option<Zeroizing<String>>,
    #[serde(rename = "tokenFile")]
    token_file: Option<serde_json::Value>,
    client_certificate: Option<serde_json::Value>,
    client_key: Option<serde_json::Value>,
    username: Option<serde_json::Value>,
    exec: Option<serde_json::Value>,
    auth_provider: Option<serde_json::Value>,
    #[serde(rename = "as")]
    impersonate: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    current_context: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority_data: Option<String>,
    certificate_authority: Option<serde_json::Value>,
    tls_server_name: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    proxy_url: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: User,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: String,
}

impl Kubeconfig {
    /// Reads the current context. The error is fixed text: the parser's words may quote a credential.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no text")?;
        let file: File = serde_saphyr::from_str(text).map_err(|_| "it is no kubeconfig")?;
        let context = file.contexts.into_iter().find(|one| one.name == file.current_context);
        let context = context.ok_or("it has no current-context, or none of that name")?.context;
        let cluster = file.clusters.into_iter().find(|one| one.name == context.cluster);
        let cluster = cluster.ok_or("its current context names a cluster that it does not have")?;
        let user = file.users.into_iter().find(|one| one.name == context.user);
        let user = user.ok_or("its current context names a user that it does not have")?.user;
        let Cluster { server, certificate_authority_data, tls_server_name, .. } = cluster.cluster;
        if cluster.cluster.insecure_skip_tls_verify {
            return Err("it has insecure-skip-tls-verify, and certificates are always verified: \
                        set certificate-authority-data");
        }
        if cluster.cluster.proxy_url.is_some() {
            return Err("it has a proxy-url, and no proxy is used: remove it");
        }
        if cluster.cluster.certificate_authority.is_some() || user.reads_files() {
            return Err("it names files, which exist elsewhere: put their content into \
                        certificate-authority-data, client-certificate-data, client-key-data and token");
        }
        if user.exec.is_some() || user.auth_provider.is_some() {
            return Err(
                "it runs a program to get credentials, which is not done here: use a token or a certificate",
            );
        }
        if user.username.is_some() || user.impersonate.is_some() {
            return Err(
                "it has a username or impersonates somebody, which is not supported: use a token or a certificate",
            );
        }
        Ok(Self {
            server,
            authority: certificate_authority_data,
            server_name: tls_server_name,
            user,
        })
    }
}

impl User {
    fn reads_files(&self) -> bool {
        self.token_file.is_some() || self.client_certificate.is_some() || self.client_key.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cluster: &str, user: &str) -> Result<Kubeconfig, &'static str> {
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: k, user: u}}}}], \
             clusters: [{{name: k, cluster: {{server: 'https://a:1', {cluster}}}}}], users: [{{name: u, user: {{{user}}}}}]}}"
        );
        Kubeconfig::read(text.as_bytes())
    }

    #[test]
    fn a_kubeconfig_with_its_credentials_is_read() {
        let config = read("certificate-authority-data: eA==", "token: t").expect("readable");
        assert_eq!(
            (config.server.as_str(), config.authority.as_deref()),
            ("https://a:1", Some("eA=="))
        );
        assert_eq!(config.user.token.as_deref().map(String::as_str), Some("t"));
    }

    #[test]
    fn nothing_in_it_runs_a_program_reads_a_file_or_skips_a_check() {
        for (cluster, user, said) in [
            ("", "exec: {command: sh}", "runs a program"),
            ("", "auth-provider: {name: gcp}", "runs a program"),
            ("", "tokenFile: /etc/passwd", "names files"),
            ("", "client-key: /k", "names files"),
            ("certificate-authority: /ca", "token: t", "names files"),
            ("insecure-skip-tls-verify: true", "token: t", "always verified"),
            ("proxy-url: 'http://p'", "token: t", "no proxy"),
            ("", "token: t, as: root", "impersonates"),
        ] {
            let problem = read(cluster, user).err().unwrap_or_default();
            assert!(problem.contains(said), "{cluster} {user}: {problem}");
        }
        for text in ["", "[", "hunter2: {", "{}"] {
            let problem = Kubeconfig::read(text.as_bytes()).err().unwrap_or_default();
            assert!(!problem.is_empty() && !problem.contains("hunter2"), "{problem}");
        }
    }
}
