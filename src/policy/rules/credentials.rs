//! Credentials that are written into the environment: known by the shape of the value, or by the name of the variable.
//!
//! Each test exists as Rust and as CEL over the same patterns.

use std::sync::LazyLock;

use regex::Regex;

use super::super::literal::text as literal;
use super::super::settings::Settings;
use super::pod::{Pod, Violations, list, text};
use super::{Cel, Over};

/// Words of which one is in the name of every credential: a cheap test before the exact one.
const HINTS: [&str; 9] =
    ["pass", "pwd", "secret", "token", "credential", "key", "auth", "salt", "pepper"];
/// A name that ends in what a credential is called.
const CREDENTIAL: &str = "((requirepass|masterauth|password|passwd|passphrase|secret|token|credential)s?|(^|[_.-])(pwd|pass)|(api|access|private|encryption|signing|account)[_.-]?keys?|(basic|client|db|redis|mongo)[_.-]auth)[_.-]?[0-9]*$";
/// A name with such a word before others, as in `DB_PASSWORD_PROD`.
const QUALIFIED: &str = "((^|[_.-])(password|passwd|passphrase|secret|token|credential|pwd|pass)|(api|access|private|encryption|signing|account)[_.-]?key|auth_token)[_.-]";
/// A name that says that the value is something about a credential: where it is, what it is called, how long it
/// lasts, how it is made.
const ABOUT: &str = "[_.-](file|files|path|paths|dir|directory|name|names|ref|refs|url|urls|uri|endpoint|host|port|enabled|enable|disabled|required|optional|type|types|kind|algorithm|algorithms|alg|algo|length|len|size|min|max|ttl|expiry|expires|expiration|age|seconds|secs|minutes|mins|hours|days|lifetime|validity|timeout|count|limit|limits|version|id|ids|arn|issuer|audience|policy|rules|strategy|rotation|interval|mount|class|provider|store|backend|manager|service|server|region|namespace|header|headers|prefix|suffix|field|param|parameter|cookie|cache|scope|scopes|budget|bucket|quota|rate|usage|hasher|hashers|hash_algorithm|hashing|encryption|encoder|encoding|format|mode|method|scheme|cost|rounds|iterations|history|strength|complexity|attempts|retries|reset|change|generator|validator|validators|validation|template|pattern|regex|label|hint|prompt|placeholder|message|source|env|var|variable|role|user|username|owner|domain|realm|handler|driver|plugin|module|parallelism|context|window|leeway|skew|grace|refresh|renewal)$";
/// A value that is no secret, whatever the variable is called: a flag, a reference, what a tool replaces later, a
/// file below a folder where files are mounted.
const HARMLESS: &str = r"^(true|false|True|False|TRUE|FALSE|yes|no|on|off|none|null|enabled|disabled|required|optional|[01]|[*]+|\$\([A-Za-z_][A-Za-z0-9_.-]*\)|\$\{[A-Za-z_][A-Za-z0-9_.:-]*\}|\$[A-Za-z_][A-Za-z0-9_]*|\{\{[^{}]*\}\}|<[^<>]*>|#\{[^{}]*\}#?|ENC\[[^ ]*\]|(vault|ref\+[a-z0-9]+|op|secretref|arn|file|env|ssm|gcpsm|awssm|sm|azurekeyvault|bws|doppler):[^ ]+|/(run|var|etc|mnt|opt|secrets|vault)/[^ ]*)$";
/// A name that ends in what often is a credential, and often is not: the value decides.
const PERHAPS: &str = "(key|auth|salt|pepper)s?[_.-]?[0-9]*$";
/// Names of such values that everybody may read.
const PUBLIC: &str = "public|gpg|recv|publishable|pubkey|site[_.-]?key|fingerprint|cache|partition|sort|primary|foreign|object|idempotency";
/// A value that is random: long, with digits among its letters, and without anything between words.
const RANDOM: &str = "^(base64:)?[A-Za-z0-9+/_=.-]*[0-9][A-Za-z]{1,6}[0-9][A-Za-z0-9+/_=.-]*$";
/// Every such value is at least as long.
const SHORTEST_RANDOM: usize = 20;
/// A value that says nothing under a name whose last word is no credential: an amount, or one word.
const PLAIN: &str = "^([0-9]+([.][0-9]+)?([a-zA-Z]{1,3}|%)?|[A-Za-z]+([_.-][A-Za-z]+)*)$";
/// Several tokens or keys that are counted, as in `MAX_TOKENS`.
const PLURAL: &str = "(tokens|secrets|passwords|credentials|keys)$";
const AMOUNT: &str = "^[0-9]+([.][0-9]+)?[kKmM]?$";
/// The last words of a reference to another variable.
const REFERENCE: &str = r"\$\([A-Za-z_][A-Za-z0-9_.-]*\)";
/// A URL with a password in it that is more than a reference.
const URL_PASSWORD: &str = r"://[^/ :@]*:([^$/ @<{*][^/ @]*|\$([^({/ @][^/ @]*)?|\$[({][^)}/ @]*|\$[({][^)}/ @]*[)}][^/ @]+)@";
/// A password in a connection string.
const DSN_PASSWORD: &str = "(?i)(^|[;& ?,])(password|passwd|pwd) ?= ?['\"]?[^;& ,$<{*/'\"]";
/// What stands behind a tag is a digest, and no host behind a password.
const DIGEST: &str = "@sha256:";
/// Values that only credentials look like: access keys of AWS, JSON web tokens, private keys, tokens of forges, of npm,
/// Slack and Vault, API keys of Google, Stripe and language models, storage keys of Azure.
const SHAPE: &str = "(^|[^A-Za-z0-9])(AKIA|ASIA)[A-Z0-9]{16}($|[^A-Za-z0-9])|(^|[^A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}[.]eyJ[A-Za-z0-9_-]{8,}[.][A-Za-z0-9_-]{8,}|-----BEGIN [A-Z ]*PRIVATE KEY|(^|[^A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20}|xox[abeprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35}|[sr]k_live_[A-Za-z0-9]{16,}|npm_[A-Za-z0-9]{36}|hvs[.][A-Za-z0-9_-]{24,}|sk-(proj|ant|svcacct)-[A-Za-z0-9_-]{20,}|AccountKey=[A-Za-z0-9+/]{40,})|hooks[.]slack[.]com/services/T[A-Z0-9]+/B";
/// What every such value begins with or holds: a short pattern, for values are read on every request.
const SHAPE_HINT: &str =
    "A[KS]IA|eyJ|--BEGIN|gh[oprsu]_|hub_p|lpat-|xox|AIza|_live_|npm_|hvs[.]|sk-|tKey=|s[.]sl";
/// Every such value is at least as long.
const SHORTEST_SHAPE: usize = 15;

/// Patterns are compiled once; a pattern that could not be compiled would match nothing, which a test excludes.
struct Pattern(LazyLock<Option<Regex>>);

impl Pattern {
    fn is_match(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }
}

macro_rules! patterns {
    ($($name:ident = $text:ident,)*) => {
        $(static $name: Pattern = Pattern(LazyLock::new(|| Regex::new($text).ok()));)*

        #[cfg(test)]
        const PATTERNS: &[&Pattern] = &[$(&$name,)*];
    };
}

patterns! {
    IS_CREDENTIAL = CREDENTIAL,
    IS_QUALIFIED = QUALIFIED,
    IS_ABOUT = ABOUT,
    IS_HARMLESS = HARMLESS,
    IS_PERHAPS = PERHAPS,
    IS_PUBLIC = PUBLIC,
    IS_RANDOM = RANDOM,
    IS_PLAIN = PLAIN,
    IS_PLURAL = PLURAL,
    IS_AMOUNT = AMOUNT,
    HAS_URL_PASSWORD = URL_PASSWORD,
    HAS_DSN_PASSWORD = DSN_PASSWORD,
    HAS_SHAPE = SHAPE,
}

/// Whether a value is a key or a token of a known kind, or an address with a password.
pub(crate) fn is_of_known_shape(value: &str) -> bool {
    (value.len() >= SHORTEST_SHAPE && HAS_SHAPE.is_match(value))
        || (value.contains("://") && !value.contains(DIGEST) && HAS_URL_PASSWORD.is_match(value))
}

/// Whether a value is a credential by its own shape, whatever it is called.
pub(crate) fn looks_like_credential(value: &str) -> bool {
    is_of_known_shape(value) || (value.contains('=') && HAS_DSN_PASSWORD.is_match(value))
}

/// Whether a variable with that name and literal value holds a credential, as far as both can tell; also used for
/// variables in Dockerfiles.
pub(crate) fn is_literal_credential(name: &str, value: &str) -> bool {
    !value.is_empty() && (looks_like_credential(value) || is_named_so(name, value))
}

/// Whether a variable is a credential by its name, and its value does not speak against it.
fn is_named_so(name: &str, value: &str) -> bool {
    is_credential_name(name, value) && !IS_HARMLESS.is_match(value)
}

fn is_credential_name(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    HINTS.iter().any(|hint| name.contains(hint))
        && !IS_ABOUT.is_match(&name)
        && if IS_CREDENTIAL.is_match(&name) {
            !(IS_PLURAL.is_match(&name) && IS_AMOUNT.is_match(value))
        } else {
            (IS_QUALIFIED.is_match(&name) && !IS_PLAIN.is_match(value))
                || (value.len() >= SHORTEST_RANDOM
                    && IS_PERHAPS.is_match(&name)
                    && !IS_PUBLIC.is_match(&name)
                    && IS_RANDOM.is_match(value))
        }
}

/// The variables of a list whose value is a credential, by their place in it.
pub(super) fn literals(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    for c in &pod.containers {
        let entries = list(c.value, &["env"]);
        for (index, entry) in entries.iter().enumerate() {
            let name = text(entry, &["name"]).unwrap_or_default();
            let value = text(entry, &["value"]).unwrap_or_default();
            // A reference to a literal of the same container is as good as the literal.
            let refers = || {
                let others = entries
                    .iter()
                    .filter(|other| text(other, &["value"]).is_some_and(|value| !value.is_empty()));
                let mut names = others.filter_map(|other| text(other, &["name"]));
                names.any(|other| other != name && refers_to(name, value, other))
            };
            if is_literal_credential(name, value) || (value.contains("$(") && refers()) {
                let message =
                    format!("{} has a literal value in the variable {name:?}", c.called());
                violations.push((c.path.key("env").index(index).key("value"), message));
            }
        }
    }
}

/// Whether a credential is nothing but a reference to this variable, or the password of a URL is.
fn refers_to(name: &str, value: &str, other: &str) -> bool {
    (value == format!("$({other})") && is_credential_name(name, value))
        || (value.contains("://") && value.contains(&format!(":$({other})@")))
}

pub(super) fn literals_cel() -> Cel {
    let hints = literal(&format!("(?i){}", HINTS.join("|")));
    let named = format!(
        "e.name.matches({hints}) && [e.name.lowerAscii()].exists(n, !n.matches({about}) \
         && (n.matches({credential}) ? !(n.matches({plural}) && e.value.matches({amount})) \
         : (n.matches({qualified}) && !e.value.matches({plain})) || (e.value.size() >= {SHORTEST_RANDOM} \
         && n.matches({perhaps}) && !n.matches({public}) && e.value.matches({random}))))",
        about = literal(ABOUT),
        credential = literal(CREDENTIAL),
        plural = literal(PLURAL),
        amount = literal(AMOUNT),
        qualified = literal(QUALIFIED),
        plain = literal(PLAIN),
        perhaps = literal(PERHAPS),
        public = literal(PUBLIC),
        random = literal(RANDOM),
    );
    let url = format!(
        "(e.value.contains('://') && !e.value.contains({}) && e.value.matches({}))",
        literal(DIGEST),
        literal(URL_PASSWORD)
    );
    let dsn = format!("(e.value.contains('=') && e.value.matches({}))", literal(DSN_PASSWORD));
    let shape = format!(
        "(e.value.size() >= {SHORTEST_SHAPE} && e.value.matches({}) && e.value.matches({}))",
        literal(SHAPE_HINT),
        literal(SHAPE)
    );
    let others = "c.env.exists(o, o.name != e.name && o.?value.orValue('') != ''";
    let refers = format!(
        "(e.value.contains('$(') && e.value.matches({reference}) && {others} \
         && ((e.value == '$(' + o.name + ')' && {named}) \
         || (e.value.contains('://') && e.value.contains(':$(' + o.name + ')@')))))",
        reference = literal(REFERENCE),
    );
    Cel::each(
        Over::Containers,
        format!(
            "!has(c.env) || !c.env.exists(e, has(e.value) && e.value != '' && ({url} || {dsn} || {shape} \
             || ({named} && !e.value.matches({})) || {refers}))",
            literal(HARMLESS)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!(PATTERNS.iter().all(|pattern| pattern.0.is_some()));
    }

    #[test]
    fn reports_10_names_that_only_sound_like_credentials_are_none() {
        for (name, value) in [
            ("TOKEN_BUDGET", "8192"),
            ("PASSWORD_HASHER", "bcrypt"),
            ("PASSWORD_HASHER", "argon2id"),
            ("MAX_TOKENS", "4096"),
            ("TOKENS", "100"),
            ("TOKENIZER", "gpt2"),
            ("TOKENIZERS_PARALLELISM", "false"),
            ("REQUIRE_PASSWORD", "yes"),
            ("USE_TOKEN", "1"),
            ("PASSWORD_STRATEGY", "pbkdf2_sha256"),
            ("SECRET_BACKEND", "aws"),
            ("TOKEN_BUCKET_CAPACITY", "100"),
            ("PASS_THROUGH", "all"),
            ("DB_PASSWORD", "${DB_PASSWORD}"),
            ("DB_PASSWORD", "<set by the pipeline>"),
            ("DB_PASSWORD", "{{ .Values.password }}"),
            ("DB_PASSWORD", "vault:secret/data/db#password"),
            ("DB_PASSWORD", "/run/secrets/db"),
            ("SECRET_ROTATION_PERIOD", "30d"),
            ("REDIS_URL", "redis://:$(CACHE_PW)@cache:6379"),
            ("DATABASE_URL", "postgres://app:${PW}@db/app"),
            ("QUERY", "update u set password = $1"),
            ("GREETING", "eyJ is how they begin"),
            ("DB_PASSWORD", "$DB_PASSWORD"),
            ("DB_PASSWORD", "****"),
            ("DB_PASSWORD", "ENC[AES256_GCM,data:abc]"),
            ("CACHE_KEY", "u1a2b3c4d5e6f7a8b9c0d1e2f3"),
            ("ROUTING_KEY", "orders.created.v2.europe-west1"),
            ("STRIPE_PUBLISHABLE_KEY", "9f8a7b6c5d4e3f2a1b0c9d8e"),
            ("BASE", "docker-image://alpine:3.20@sha256:0123456789abcdef"),
            ("DATABASE_URL", "postgres://app:<password>@db/app"),
        ] {
            assert!(!is_literal_credential(name, value), "{name}={value}");
        }
    }

    #[test]
    fn credentials_are_known_by_their_shape_whatever_they_are_called() {
        for (name, value) in [
            ("ADMIN_PASSWORD", "123456"),
            ("GITHUB_TOKENS", "not-a-real-one"),
            ("DB_PASSWORD_PROD", "hunter2"),
            ("A", "AKIAIOSFODNN7EXAMPLE"),
            ("A", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"),
            ("A", "-----BEGIN RSA PRIVATE KEY-----\nMIIE"),
            ("A", "ghp_0123456789abcdefghij0123456789abcdef"),
            ("DSN", "host=db user=app password=hunter2 dbname=app"),
            ("CONNECTION", "Server=db;User Id=sa;Password=hunter2;"),
            ("DATABASE_URL", "postgres://db/app?user=a&password=hunter2"),
            ("REDIS_URL", "redis://:hunter2@cache:6379"),
            ("REDIS_URL", "redis://:$(A)hunter2@cache:6379"),
            ("LICENSE_KEY", "9f8a7b6c5d4e3f2a1b0c9d8e"),
            ("PASSWORD_SALT", "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA=="),
            ("A", "npm_0123456789abcdefghij0123456789abcdef"),
            ("A", "hvs.CAESIJ0123456789abcdefghijklm"),
        ] {
            assert!(is_literal_credential(name, value), "{name}={value}");
        }
    }
}
