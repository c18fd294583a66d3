//! Fixtures of somebody else: `GABION_PSS_FIXTURES` names a directory `LEVEL/v1.MINOR/{pass,fail}/CHECK...yaml`, as
//! the upstream project of the PodSecurity plugin keeps them.

use std::path::Path;

use serde_json::Value;
use support::{Failure, Result};

use crate::{ours, plugin::Bar};

/// Checks of baseline and the stricter ones that take their place at restricted.
const REPLACED: [(&str, &str); 4] = [
    ("hostpathvolumes", "restrictedvolumes"),
    ("capabilities_baseline", "capabilities_restricted"),
    ("seccompprofile_baseline", "seccompprofile_restricted"),
    ("procmount", "procmount_restricted"),
];

fn files(directory: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Evaluates every file of one level and version. What is wrong with the verdicts.
fn evaluate(bar: Bar, directory: &Path, counted: &mut usize) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for verdict in ["pass", "fail"] {
        for file in files(&directory.join(verdict))? {
            let pod: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file)?)?;
            let failed = ours::evaluate(bar, &pod);
            let name = name(&file);
            let check =
                name.trim_end_matches(".yaml").trim_end_matches(|c: char| c.is_ascii_digit());
            let named = failed
                .iter()
                .map(|id| id.to_lowercase())
                .any(|id| id == check || REPLACED.contains(&(check, id.as_str())));
            let right =
                if verdict == "pass" { failed.is_empty() } else { named || check == "base" };
            *counted += 1;
            if !right {
                wrong.push(format!("{}: {failed:?}", file.display()));
            }
        }
    }
    Ok(wrong)
}

#[test]
fn fixtures_of_somebody_else_are_evaluated_as_they_are_named() -> Result<()> {
    let Some(directory) = std::env::var_os("GABION_PSS_FIXTURES") else {
        say!("GABION_PSS_FIXTURES is not set: no fixtures but our own are evaluated");
        return Ok(());
    };
    let (mut wrong, mut counted) = (Vec::new(), 0);
    for level in ["baseline", "restricted"] {
        for version in files(&Path::new(&directory).join(level))? {
            let minor = name(&version).trim_start_matches("v1.").parse::<u16>();
            if let Ok(minor) = minor {
                wrong.append(&mut evaluate(Bar { level, minor }, &version, &mut counted)?);
            }
        }
    }
    say!("{counted} fixtures, {} wrong", wrong.len());
    if counted == 0 {
        return Err(Failure::new("GABION_PSS_FIXTURES names a directory without fixtures"));
    }
    assert_eq!(wrong, Vec::<String>::new());
    Ok(())
}
