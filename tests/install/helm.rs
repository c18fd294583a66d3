//! Helm, as a user has it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{Context as _, Failure, Result, helm_program, repository};

/// Helm with folders of its own, and a cluster if it has a kubeconfig.
pub struct Helm {
    home: tempfile::TempDir,
    kubeconfig: Option<PathBuf>,
}

impl Helm {
    /// Helm without a cluster.
    pub fn alone() -> Result<Self> {
        Ok(Self { home: tempfile::tempdir()?, kubeconfig: None })
    }

    /// Helm as the user in a kubeconfig.
    pub fn with(kubeconfig: &Path) -> Result<Self> {
        Ok(Self { home: tempfile::tempdir()?, kubeconfig: Some(kubeconfig.to_owned()) })
    }

    /// A folder that goes with this.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// Runs it and returns what it prints. If it fails, so does this, with its message.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(helm_program()?);
        command.args(arguments);
        for folder in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{folder}_HOME"), self.home.path().join(folder));
        }
        // Without a cluster nothing may reach the one of whoever runs the tests.
        let none = self.home.path().join("no-kubeconfig");
        command.env("KUBECONFIG", self.kubeconfig.as_deref().unwrap_or(&none));
        let output = command.output().context("helm")?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let mut why = format!("helm {}: {}", arguments.join(" "), output.status);
        let _ = write!(why, "\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
        Err(Failure::new(why))
    }

    /// What the chart renders.
    pub fn render(&self, release: &str, namespace: &str, more: &[&str]) -> Result<String> {
        let chart = chart()?;
        self.run(&[&["template", release, &chart, "-n", namespace], more].concat())
    }
}

/// The chart's folder.
pub fn chart() -> Result<String> {
    text(&repository().join("charts/gabion"))
}

/// A path as an argument.
pub fn text(path: &Path) -> Result<String> {
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| Failure::new("a path that is not UTF-8"))
}

/// The objects in YAML.
pub fn objects(yaml: &str) -> Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml)?;
    Ok(all.into_iter().filter(|object| !object.is_null()).collect())
}

/// The one object of a kind and name.
pub fn object<'a>(all: &'a [Value], kind: &str, name: &str) -> Result<&'a Value> {
    all.iter()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .ok_or_else(|| Failure::new(format!("there is no {kind} {name}")))
}

/// The only object of a kind.
pub fn only<'a>(all: &'a [Value], kind: &str) -> Result<&'a Value> {
    let found: Vec<_> = all.iter().filter(|object| object["kind"] == kind).collect();
    match found[..] {
        [one] => Ok(one),
        _ => Err(Failure::new(format!("there are {} objects of kind {kind}", found.len()))),
    }
}

/// Files with values: their names and paths.
pub fn value_files() -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(repository().join("tests/install/values"))? {
        let path = entry?.path();
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        all.push((name.unwrap_or_default(), text(&path)?));
    }
    all.sort();
    Ok(all)
}
