//! The flags of `gabion verify`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::{
    registry::Reference,
    verify::{Format, Options, Source},
};

/// Flags of `gabion verify`.
#[derive(Debug, Args)]
pub struct VerifyFlags {
    /// Images to verify, each with its digest: HOST/PATH@sha256:DIGITS
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// File with one or more TrustPolicies in YAML. All that cover an image must hold. Can be repeated
    #[arg(long, value_name = "FILE", required = true)]
    policy: Vec<PathBuf>,
    /// OCI layout that holds the images and their signatures, as skopeo, oras and cosign save write it
    #[arg(long, value_name = "DIR", required_unless_present = "bundle")]
    layout: Option<PathBuf>,
    /// One bundle of a signature, in place of a layout
    #[arg(long, value_name = "FILE", conflicts_with = "layout")]
    bundle: Option<PathBuf>,
    /// Use no network. This release never does: the flag says that you count on it
    #[arg(long)]
    offline: bool,
    /// Time by which the validity of keys is judged, such as 2027-01-01T00:00:00Z; by default now
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Output format: text for people, json for programs
    #[arg(short = 'o', long, value_name = "FORMAT", default_value = "text")]
    format: FormatWord,
    /// Tell each signature that was found, and which steps held
    #[arg(long)]
    explain: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatWord {
    Text,
    Json,
}

impl VerifyFlags {
    /// What is asked; the error is for the user.
    pub fn options(self) -> Result<Options, String> {
        let images: Result<Vec<_>, _> =
            self.images.iter().map(|image| Reference::parse(image)).collect();
        let source = match (self.layout, self.bundle) {
            (Some(folder), None) => Source::Layout(folder),
            (None, Some(file)) => Source::Bundle(file),
            _ if self.offline => {
                return Err(
                    "--offline reads no registry: give --layout DIR or --bundle FILE".to_owned()
                );
            }
            _ => return Err("give one of --layout DIR and --bundle FILE".to_owned()),
        };
        Ok(Options {
            images: images.map_err(|error| error.to_string())?,
            policies: self.policy,
            source,
            at: self.at.unwrap_or_else(Timestamp::now),
            format: match self.format {
                FormatWord::Text => Format::Text,
                FormatWord::Json => Format::Json,
            },
            explain: self.explain,
        })
    }
}
