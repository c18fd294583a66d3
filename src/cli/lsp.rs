//! The flags of `gabion lsp`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use crate::check::{LspOptions, baseline};

/// Flags of `gabion lsp`.
#[derive(Debug, Args)]
pub struct LspFlags {
    /// Evaluate by the HardeningBaseline in this file
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    baseline: Option<PathBuf>,
    /// Evaluate by built-in rules; by default what .gabion.yaml says, or guide
    #[arg(long, value_name = "NAME", value_parser = ["baseline", "restricted", "guide"])]
    profile: Option<String>,
    /// Configuration file of the project; by default the .gabion.yaml at the root of the workspace
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Use standard input and output, which is the only way; editors pass this flag
    #[arg(long)]
    stdio: bool,
}

impl LspFlags {
    /// Reads the rules; the error is for the user.
    pub fn options(self) -> Result<LspOptions, String> {
        let same_rules = self.baseline.is_some() || self.profile.is_some();
        let mut rules = match &self.baseline {
            Some(path) => baseline::from_file(path)?,
            None => baseline::built_in(self.profile.as_deref().unwrap_or("guide"))?,
        };
        rules.now = Timestamp::now();
        Ok(LspOptions { rules, same_rules, config: self.config })
    }
}
