//! Which secret an event is about, and whether a key of an ExternalSecret means it.

/// A service that secrets are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Holder {
    SecretsManager,
    ParameterStore,
}

/// The secret of an event, as far as the event tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventSecret {
    pub(crate) holder: Holder,
    pub(crate) region: String,
    /// Whose it is, if that is known.
    pub(crate) account: Option<String>,
    /// Its full ARN, if that is known.
    pub(crate) arn: Option<String>,
    /// What it may be called: of an ARN of which nobody says whether it is complete, both readings.
    pub(crate) names: Vec<String>,
}

/// What of an ARN counts here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arn<'a> {
    pub(crate) holder: Holder,
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
    /// Behind `secret:` or `parameter`: with the suffix that Secrets Manager appends, if it is complete.
    pub(crate) name: &'a str,
}

impl<'a> Arn<'a> {
    /// Reads the ARN of a secret or parameter.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (arn, _partition) = (parts.next()?, parts.next()?);
        let (service, region, account) = (parts.next()?, parts.next()?, parts.next()?);
        let resource = parts.next()?;
        let (holder, name) = match service {
            "secretsmanager" => (Holder::SecretsManager, resource.strip_prefix("secret:")?),
            "ssm" => (
                Holder::ParameterStore,
                resource.strip_prefix("parameter").filter(|it| it.starts_with('/'))?,
            ),
            _ => return None,
        };
        let is_whole = arn == "arn" && !region.is_empty() && !name.is_empty();
        is_whole.then_some(Self { holder, region, account, name })
    }

    /// The names that it may mean: a name may end like a suffix.
    pub(crate) fn names(&self) -> Vec<&'a str> {
        match self.holder {
            Holder::SecretsManager => {
                std::iter::once(self.name).chain(without_suffix(self.name)).collect()
            }
            // The slash of a name in a hierarchy is the separator of the ARN.
            Holder::ParameterStore => vec![self.name, self.name.trim_start_matches('/')],
        }
    }
}

/// A name or ARN without the hyphen and the six characters that Secrets Manager appends.
pub(crate) fn without_suffix(text: &str) -> Option<&str> {
    let (front, suffix) = text.split_at_checked(text.len().checked_sub(7)?)?;
    let is_suffix = suffix.strip_prefix('-').is_some_and(|characters| {
        characters.len() == 6 && characters.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    (is_suffix && !front.is_empty()).then_some(front)
}

impl EventSecret {
    /// Whether a full key (prefix and key of an ExternalSecret) means this secret: its name, its ARN, or its ARN
    /// without the suffix. Where the event leaves it open, yes: that costs one read.
    pub(crate) fn is_meant_by(&self, full: &str) -> bool {
        let Some(asked) = Arn::parse(full) else {
            return self.names.iter().any(|name| name == full);
        };
        if asked.holder != self.holder || asked.region != self.region {
            return false;
        }
        if self.account.as_ref().is_some_and(|account| account != asked.account) {
            return false;
        }
        match (&self.arn, self.holder) {
            (Some(arn), Holder::SecretsManager) => arn == full || without_suffix(arn) == Some(full),
            _ => asked.names().iter().any(|name| self.names.iter().any(|own| own == name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-AbCd12";

    fn whole() -> EventSecret {
        EventSecret {
            holder: Holder::SecretsManager,
            region: "eu-west-1".into(),
            account: Some("123456789012".into()),
            arn: Some(ARN.into()),
            names: vec!["shop/db".into()],
        }
    }

    #[test]
    fn e9_name_partial_arn_and_arn_mean_the_secret_and_nothing_else_does() {
        for key in ["shop/db", ARN, &ARN[..ARN.len() - 7]] {
            assert!(whole().is_meant_by(key), "{key}");
        }
        for key in [
            "shop/d",
            "shop/db2",
            "shop/db-AbCd12",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-AbCd13",
            "arn:aws:secretsmanager:eu-west-2:123456789012:secret:shop/db-AbCd12",
            "arn:aws:secretsmanager:eu-west-1:000000000000:secret:shop/db-AbCd12",
            "arn:aws:ssm:eu-west-1:123456789012:parameter/shop/db",
            "",
        ] {
            assert!(!whole().is_meant_by(key), "{key}");
        }
    }

    #[test]
    fn an_event_without_an_arn_is_matched_by_the_name_in_the_arn_that_is_asked_for() {
        let named = EventSecret { arn: None, ..whole() };
        assert!(named.is_meant_by(ARN) && named.is_meant_by(&ARN[..ARN.len() - 7]));
        let other = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/d";
        assert!(!named.is_meant_by(other));
    }

    #[test]
    fn a_suffix_is_a_hyphen_and_six_characters_behind_something() {
        assert_eq!(without_suffix("db-AbCd12"), Some("db"));
        for text in ["-AbCd12", "db-AbCd1", "db_AbCd12", "db-AbC/12", "", "döb-AbCdä"] {
            assert_eq!(without_suffix(text), None, "{text}");
        }
    }
}
