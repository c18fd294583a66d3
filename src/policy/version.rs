//! Versions of the Pod Security Standards.

use std::fmt;

/// Newest minor version of the standards that this compiler knows.
pub const NEWEST_KNOWN: u16 = 37;

/// A version of the Pod Security Standards; later ones order after earlier ones, `latest` last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PssVersion {
    /// A fixed minor version.
    Pinned(u16),
    /// Whatever the API server knows.
    Latest,
}

impl PssVersion {
    /// Reads `latest` or `v1.N`, with N up to what this compiler knows.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "latest" {
            return Some(Self::Latest);
        }
        let minor = text.strip_prefix("v1.")?;
        if !minor.bytes().all(|b| b.is_ascii_digit()) || (minor.len() > 1 && minor.starts_with('0'))
        {
            return None;
        }
        minor.parse().ok().filter(|minor| *minor <= NEWEST_KNOWN).map(Self::Pinned)
    }

    /// The version for a baseline that names none: the one pinned earlier, else the newest that both the API
    /// server and this compiler know.
    pub(crate) fn pin(pinned: Option<&str>, server_minor: u16) -> Self {
        match pinned.and_then(Self::parse) {
            Some(Self::Pinned(minor)) => Self::Pinned(minor),
            _ => Self::Pinned(server_minor.min(NEWEST_KNOWN)),
        }
    }
}

impl fmt::Display for PssVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned(minor) => write!(f, "v1.{minor}"),
            Self::Latest => f.write_str("latest"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_upgrade_does_not_move_a_pinned_version() {
        assert_eq!(PssVersion::pin(None, 33), PssVersion::Pinned(33));
        assert_eq!(PssVersion::pin(Some("v1.33"), 36), PssVersion::Pinned(33));
        assert_eq!(PssVersion::pin(None, 60), PssVersion::Pinned(NEWEST_KNOWN));
    }

    #[test]
    fn only_versions_that_the_compiler_knows_are_read() {
        assert_eq!(PssVersion::parse("v1.0"), Some(PssVersion::Pinned(0)));
        assert_eq!(PssVersion::parse("latest"), Some(PssVersion::Latest));
        for text in ["v1.38", "v1.999", "v1.", "v1.01", "1.30", "v2.1", "v1.-1", "Latest"] {
            assert_eq!(PssVersion::parse(text), None, "{text}");
        }
    }
}
