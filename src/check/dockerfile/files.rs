//! Files with credentials that are copied into an image.

use parse_dockerfile::{Instruction, Source};

use super::{Model, finding};
use crate::policy::ControlId;
use crate::policy::Finding;

/// Names of files that hold a credential.
const NAMES: [&str; 19] = [
    ".env",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".dockercfg",
    ".htpasswd",
    ".pgpass",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "kubeconfig",
    "credentials",
    "secrets.yaml",
    "secrets.yml",
    "secrets.json",
    "terraform.tfstate",
    "credentials.json",
];

/// Ends of such names.
const ENDS: [&str; 8] =
    [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kubeconfig", ".tfvars"];

/// Which instructions copy a file that, by its name, holds a credential.
pub(crate) fn evaluate(model: &Model<'_, '_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, instruction) in model.instructions.iter().enumerate() {
        let (word, sources) = match instruction {
            Instruction::Copy(copy) => ("COPY", &copy.src),
            Instruction::Add(add) => ("ADD", &add.src),
            _ => continue,
        };
        for source in sources {
            if let Source::Path(path) = source
                && holds_credential(&path.value)
            {
                let message = format!("{word} puts {} into a layer of the image", path.value);
                findings.push(finding(ControlId::HbDfSecret, number, message));
            }
        }
    }
    findings
}

fn holds_credential(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    // Certificates of authorities are public, and so are examples.
    let public =
        ["cert.pem", "ca.pem", "ca-bundle.pem", "fullchain.pem", "chain.pem", "public.pem"];
    let example = ["example", "sample", "template", "dist"].iter().any(|word| name.contains(word));
    if public.contains(&name) || name.starts_with("ca-") || example || path.contains("://") {
        return false;
    }
    NAMES.contains(&name)
        || name.starts_with(".env.")
        || ENDS.iter().any(|end| name.ends_with(end))
        || path.ends_with(".docker/config.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_holds_a_credential() {
        for path in [".env", "app/.env.production", "keys/id_rsa", "tls.KEY", ".docker/config.json"]
        {
            assert!(holds_credential(path), "{path}");
        }
        for path in [
            "config.json",
            ".env.example",
            "ca-certificates.crt",
            "/etc/ssl/cert.pem",
            "id_rsa.pub",
            ".",
        ] {
            assert!(!holds_credential(path), "{path}");
        }
    }
}
