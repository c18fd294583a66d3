//! What differs of stores.

use regex::Regex;
use serde_json::Value;

use super::external_secret::items;
use super::{differs, idle, lacks, spec, text};
use crate::check::object::{Object, short};
use crate::policy::FieldPath;
use crate::policy::Finding;

/// The providers that Gabion has.
pub(super) const PROVIDERS: [&str; 3] = ["aws", "fake", "kubernetes"];
/// Session tags that an operator sets.
const RESERVED: [&str; 3] = ["esonamespace", "esostorename", "esostorekind"];

/// Why nothing can be read from a store, if nothing can.
pub(super) fn foreign(object: &Value) -> Option<(FieldPath, String)> {
    let provider = &object["spec"]["provider"];
    let at = spec().key("provider");
    let name = provider.as_object().and_then(|fields| {
        fields.iter().find(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str())
    });
    match name {
        None => Some((at, "it names no provider".to_owned())),
        Some("aws") => match text(provider, "/aws/service") {
            Some("SecretsManager" | "ParameterStore") => None,
            service => {
                let service = short(service.unwrap_or("without a service"));
                let at = at.keys(&["aws", "service"]);
                Some((at, format!("Gabion has no provider aws {service}")))
            }
        },
        Some(name) if PROVIDERS.contains(&name) => None,
        Some(name) => Some((at.key(name), format!("Gabion has no provider {}", short(name)))),
    }
}

pub(super) fn evaluate(object: &Object<'_>, found: &mut Vec<Finding>) {
    let value = object.value;
    if let Some((path, message)) = foreign(value) {
        // What its fields look like does not matter any more.
        found.retain(|finding| !is_below(&finding.path, &spec().key("provider")));
        let remedy = "keep ESO for the ExternalSecrets of this store, in a class of its own";
        found.push(lacks(path, message, remedy));
    } else if value["spec"]["provider"]["aws"].is_object() {
        aws(object, &spec().keys(&["provider", "aws"]), found);
    } else if value["spec"]["provider"]["kubernetes"].is_object() {
        kubernetes(value, &spec().keys(&["provider", "kubernetes"]), found);
    }
    class(value, found);
    for (condition, at) in items(&value["spec"], "conditions", &spec()) {
        for (expression, at) in items(condition, "namespaceRegexes", &at) {
            if expression.as_str().is_some_and(|text| Regex::new(text).is_err()) {
                let message = "Gabion does not understand this regular expression";
                found.push(lacks(at, message, "write it in the syntax of RE2"));
            }
        }
    }
    let key = "external-secrets.io/ignore-maintenance-checks";
    if value["metadata"]["annotations"][key].is_string() {
        let at = FieldPath::default().keys(&["metadata", "annotations", key]);
        found.push(idle(at, "this annotation has no effect", "remove it").noted());
    }
}

fn is_below(path: &FieldPath, above: &FieldPath) -> bool {
    path.0.starts_with(&above.0)
}

fn class(object: &Value, found: &mut Vec<Finding>) {
    let Some(class) = text(object, "/spec/controller").filter(|class| *class != "default") else {
        return;
    };
    let message = format!("the store belongs to the operator of class {:?}", short(class));
    let remedy = format!("run Gabion with --controller-class={} if it is to have it", short(class));
    found.push(differs(spec().key("controller"), message, &remedy).noted());
}

fn kubernetes(object: &Value, at: &FieldPath, found: &mut Vec<Finding>) {
    let store = &object["spec"]["provider"]["kubernetes"];
    if store["authRef"].is_object() {
        return;
    }
    let url = text(store, "/server/url").unwrap_or_default();
    if !store["auth"].is_object() {
        let message =
            "a store of Kubernetes without auth reads nothing: Gabion never reads as itself";
        found.push(lacks(
            at.key("auth"),
            message,
            "set auth.serviceAccount, auth.token or auth.cert",
        ));
    }
    if url.starts_with("http://") {
        let message = "Gabion sends credentials to an API server over TLS only";
        found.push(lacks(at.keys(&["server", "url"]), message, "use its https:// address"));
    }
    let is_own =
        url.is_empty() || url.trim_start_matches("https://").starts_with("kubernetes.default");
    if store["auth"]["serviceAccount"].is_object() && !is_own {
        let message = "the token for another server has the audience of auth.serviceAccount.audiences, or else the URL, and never that of this cluster";
        let remedy = "have that server accept this audience";
        found.push(differs(at.keys(&["auth", "serviceAccount"]), message, remedy).noted());
    }
}

fn aws(object: &Object<'_>, at: &FieldPath, found: &mut Vec<Finding>) {
    let aws = &object.value["spec"]["provider"]["aws"];
    let auth = &aws["auth"];
    let at_auth = at.key("auth");
    let (jwt, keys) = (&auth["jwt"], &auth["secretRef"]);
    if jwt.is_object() {
        if text(jwt, "/serviceAccountRef/name").is_none() {
            let remedy = "name the ServiceAccount whose role is assumed, or remove jwt";
            let message = "auth.jwt names no ServiceAccount: ESO falls back to its own identity, Gabion refuses";
            found.push(lacks(at_auth.key("jwt"), message, remedy));
        }
    } else if !keys.is_object() && object.kind == "SecretStore" {
        let message = "a SecretStore without auth may not use the identity of the operator";
        let remedy = "give it an auth, or run Gabion with --ambient-credentials=all";
        found.push(lacks(at_auth, message, remedy));
    }
    for field in ["sessionTags", "customSessionTags"] {
        let listed =
            aws[field].as_array().into_iter().flatten().filter_map(|tag| text(tag, "/key"));
        let mapped = aws[field].as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        if listed.chain(mapped).any(|key| RESERVED.contains(&key.to_ascii_lowercase().as_str())) {
            let message = "esoNamespace, esoStoreName and esoStoreKind are set by the operator";
            found.push(lacks(at.key(field), message, "remove them and set sessionTagsPolicy"));
        }
    }
    let deletion = &aws["secretsManager"];
    let days = deletion["recoveryWindowInDays"].as_i64().unwrap_or(0);
    let at = at.keys(&["secretsManager", "recoveryWindowInDays"]);
    if days != 0 && !(7..=30).contains(&days) {
        found.push(lacks(at.clone(), "must be between 7 and 30", "correct it"));
    }
    if days != 0 && deletion["forceDeleteWithoutRecovery"] == true {
        let message = "recoveryWindowInDays and forceDeleteWithoutRecovery exclude each other";
        found.push(lacks(at, message, "remove one"));
    }
}
