//! Files with credentials that are copied into an image.

use super::{Model, finding};
use crate::policy::ControlId;
use crate::policy::Finding;

/// Names of files, and of folders, that hold a credential.
const NAMES: [&str; 31] = [
    ".aws",
    ".boto",
    ".dockercfg",
    ".dockerconfigjson",
    ".env",
    ".git-credentials",
    ".gnupg",
    ".htpasswd",
    ".kube",
    ".my.cnf",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".pypirc",
    ".s3cfg",
    ".ssh",
    ".vault-token",
    "client_secret.json",
    "credentials",
    "credentials.json",
    "credentials.toml",
    "key.json",
    "kubeconfig",
    "privkey",
    "secrets.json",
    "secrets.yaml",
    "secrets.yml",
    "service-account.json",
    "service_account.json",
    "serviceaccount.json",
    "terraform.tfstate",
];

/// Keys of SSH, which may have more behind their name.
const SSH: [&str; 4] = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"];

/// Ends of names that hold a key.
const ENDS: [&str; 14] = [
    ".pem",
    ".key",
    ".p12",
    ".pfx",
    ".pkcs12",
    ".jks",
    ".jceks",
    ".keystore",
    ".ppk",
    ".kdbx",
    ".keytab",
    ".kubeconfig",
    ".tfvars",
    ".tfstate",
];

/// Ends of paths.
const PATHS: [&str; 3] = [".docker/config.json", ".kube/config", ".aws/config"];

/// Parts of a name of a file that holds certificates or public keys, and nothing private.
const PUBLIC: [&str; 20] = [
    "apt",
    "bundle",
    "ca",
    "cacert",
    "cacerts",
    "cert",
    "certificate",
    "certificates",
    "certs",
    "chain",
    "crl",
    "crt",
    "dhparam",
    "dhparams",
    "fullchain",
    "gpg",
    "intermediate",
    "pub",
    "public",
    "root",
];

/// Which instructions copy a file that, by its name, holds a credential.
pub(crate) fn evaluate(model: &Model<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, own) in model.instructions.iter().enumerate() {
        let own = own.kept();
        if !matches!(own.name.as_str(), "COPY" | "ADD") {
            continue;
        }
        for source in own.sources().iter().filter(|source| holds_credential(source)) {
            let message = format!("{} puts {source} into a layer of the image", own.name);
            findings.push(finding(ControlId::HbDfSecret, number, message));
        }
    }
    findings
}

fn holds_credential(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let path = path.trim_end_matches('/');
    let name = path.rsplit('/').next().unwrap_or_default();
    let example = ["example", "sample", "template", "dist"].iter().any(|word| name.contains(word));
    if example || path.contains("://") || name.strip_suffix(".pub").is_some() {
        return false;
    }
    NAMES.contains(&name)
        || name.starts_with(".env.")
        || SSH.iter().any(|key| name.starts_with(key))
        || PATHS.iter().any(|end| path.ends_with(end))
        || ["-key.json", "_key.json", "-credentials.json", "_credentials.json"]
            .iter()
            .any(|end| name.ends_with(end))
        || ENDS.iter().any(|end| name.strip_suffix(end).is_some_and(|stem| !is_public(stem)))
}

/// Whether what stands before the end of a name says that nothing private is in the file. `ca-key` is the key of an
/// authority, and `public-key` is none.
fn is_public(stem: &str) -> bool {
    let parts = || stem.split(|c: char| !c.is_ascii_alphanumeric());
    let says = |words: &[&str]| parts().any(|part| words.contains(&part));
    if says(&["pub", "public", "pubkey", "publickey", "gpg", "apt", "rpm"]) {
        return true;
    }
    if says(&["key", "private", "priv"]) || parts().any(|part| part.ends_with("key")) {
        return false;
    }
    let within = ["root", "trust", "cacert", "bundle", "chain"];
    let ends = |part: &str| part.len() > 2 && (part.ends_with("ca") || part.ends_with("cert"));
    says(&PUBLIC) || parts().any(|part| ends(part) || within.iter().any(|word| part.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_holds_a_credential() {
        for path in [
            ".env",
            "app/.env.production",
            "keys/id_rsa",
            "id_ed25519",
            "id_ecdsa_sk",
            "tls.KEY",
            "server.key",
            "certs/ca-key.pem",
            "certs/server-key.pem",
            "privkey.pem",
            "private.pem",
            "tls.pem",
            "ca.key.pem",
            "store.p12",
            "app.pfx",
            "keystore.jks",
            "release.keystore",
            ".docker/config.json",
            ".kube/config",
            ".ssh/",
            "gcp-key.json",
            "putty.ppk",
            "krb5.keytab",
        ] {
            assert!(holds_credential(path), "{path}");
        }
        for path in [
            "config.json",
            ".env.example",
            "ca-certificates.crt",
            "/etc/ssl/cert.pem",
            "id_rsa.pub",
            "ca.pem",
            "cert.pem",
            "certs/fullchain.pem",
            "server-cert.pem",
            "my-root-ca.pem",
            "AmazonRootCA1.pem",
            "rds-combined-ca-bundle.pem",
            "corpca.pem",
            "dhparam.pem",
            "public-key.pem",
            "jwt.pub.pem",
            "pubkey.pem",
            "truststore.jks",
            "cacerts.jks",
            "nodesource.gpg.key",
            "known_hosts",
            "monkey.png",
            ".",
        ] {
            assert!(!holds_credential(path), "{path}");
        }
    }
}
