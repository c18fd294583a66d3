//! What package managers leave behind in a layer.

use super::{Variables, instruction::Instruction};
use crate::check::shell::Step;

/// A package manager and how it leaves nothing behind.
struct Manager {
    programs: &'static [&'static str],
    /// What makes it write a cache.
    installs: &'static [&'static str],
    /// Flags with which an installation leaves nothing.
    flags: &'static [&'static str],
    /// What a later command removes.
    removed: &'static [&'static str],
    /// A later command of the program itself.
    cleaned: &'static [&'static str],
    /// Parts of the path that a mount may keep out of the image.
    mounted: &'static [&'static str],
    /// A variable that switches the cache off.
    variable: Option<&'static str>,
    message: &'static str,
    remedy: &'static str,
}

const MANAGERS: [Manager; 5] = [
    Manager {
        programs: &["apt-get", "apt", "aptitude"],
        installs: &["update", "install", "upgrade", "dist-upgrade", "full-upgrade", "build-dep"],
        flags: &[],
        removed: &["/var/lib/apt"],
        cleaned: &["dist-clean", "distclean"],
        mounted: &["/var/lib/apt", "/var/cache/apt"],
        variable: None,
        message: "the package lists of apt stay in the image",
        remedy: "end the same RUN with rm -rf /var/lib/apt/lists/*",
    },
    Manager {
        programs: &["apk"],
        installs: &["add", "update", "upgrade"],
        flags: &["--no-cache"],
        removed: &["/var/cache/apk", "/etc/apk/cache"],
        cleaned: &["cache purge", "cache clean"],
        mounted: &["/var/cache/apk", "/etc/apk/cache"],
        variable: None,
        message: "the package index of apk stays in the image",
        remedy: "install with apk add --no-cache",
    },
    Manager {
        programs: &["yum", "dnf", "dnf5", "microdnf", "tdnf"],
        installs: &[
            "install",
            "update",
            "upgrade",
            "makecache",
            "groupinstall",
            "distro-sync",
            "reinstall",
        ],
        flags: &[],
        removed: &["/var/cache/dnf", "/var/cache/yum", "/var/cache/libdnf5", "/var/cache/tdnf"],
        cleaned: &["clean all"],
        mounted: &["/var/cache"],
        variable: None,
        message: "the package cache of yum or dnf stays in the image",
        remedy: "end the same RUN with clean all of the same program",
    },
    Manager {
        programs: &["zypper"],
        installs: &["install", "in", "update", "up", "refresh", "ref", "dist-upgrade", "dup"],
        flags: &[],
        removed: &["/var/cache/zypp"],
        cleaned: &["clean", "cc"],
        mounted: &["/var/cache"],
        variable: None,
        message: "the package cache of zypper stays in the image",
        remedy: "end the same RUN with zypper clean --all",
    },
    Manager {
        programs: &["pip"],
        installs: &["install"],
        flags: &["--no-cache-dir", "--no-cache"],
        removed: &[".cache"],
        cleaned: &["cache purge"],
        mounted: &[".cache", "pip"],
        variable: Some("PIP_NO_CACHE_DIR"),
        message: "the cache of pip stays in the image",
        remedy: "install with pip install --no-cache-dir",
    },
];

/// What a package manager leaves behind, and how it would not. What is removed before an installation, or by another
/// RUN, is still there after it.
pub(super) fn leftovers(
    run: &Instruction,
    steps: &[Step],
    variables: &Variables,
) -> Option<(&'static str, &'static str)> {
    let mounts: Vec<_> = run.mounts().collect();
    let left = MANAGERS.iter().find(|manager| {
        let leaving = |step: &Step| manager.is_left_by(step, steps, variables);
        let last = steps.iter().rposition(leaving);
        !manager.is_mounted(&mounts)
            && last.is_some_and(|last| {
                !steps.iter().skip(last + 1).any(|step| manager.is_cleaned_by(step))
            })
    });
    left.map(|manager| (manager.message, manager.remedy))
}

impl Manager {
    /// What is mounted is not part of the image.
    fn is_mounted(&self, mounts: &[&str]) -> bool {
        mounts.iter().any(|mount| {
            let apart = ["type=cache", "type=tmpfs"].iter().any(|kind| mount.contains(kind));
            apart && self.mounted.iter().any(|path| mount.contains(path))
        })
    }

    fn is_own(&self, step: &Step) -> bool {
        let (program, arguments) = step.arguments();
        let module = program.starts_with("python") && arguments.iter().any(|word| word == "pip");
        self.programs.iter().any(|own| match *own {
            "pip" => module || is_pip(program),
            own => own == program,
        })
    }

    fn is_left_by(&self, step: &Step, steps: &[Step], variables: &Variables) -> bool {
        self.is_own(step)
            && self.installs.iter().any(|verb| step.has(verb))
            && !self.flags.iter().any(|flag| step.has(flag))
            && !self.variable.is_some_and(|name| is_set(name, step, steps, variables))
    }

    fn is_cleaned_by(&self, step: &Step) -> bool {
        let text = step.arguments().1.join(" ");
        let removes = matches!(step.program(), "rm" | "find");
        removes && self.removed.iter().any(|path| text.contains(path) || is_below(path, step))
            || self.is_own(step) && self.cleaned.iter().any(|words| text.contains(words))
    }
}

/// pip itself under its names, such as `pip3.12`: not pipenv, nor pipx.
pub(super) fn is_pip(program: &str) -> bool {
    let rest = program.strip_prefix("pip");
    rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// Whether `rm -r` takes a folder together with what it is in: `/var/cache`, `/var/cache/*`, `/var/{cache,log}/*`.
fn is_below(path: &str, step: &Step) -> bool {
    let (program, arguments) = step.arguments();
    let recursive = |word: &String| {
        word.starts_with('-') && word.contains(['r', 'R']) && !word.starts_with("--")
            || word == "--recursive"
    };
    program == "rm"
        && arguments.iter().any(recursive)
        && arguments.iter().flat_map(|word| spread(word)).any(|operand| {
            let folder = operand.trim_end_matches('*').trim_end_matches('/');
            folder.len() > 1
                && path
                    .strip_prefix(folder)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

/// What the first braces in a word stand for.
fn spread(word: &str) -> Vec<String> {
    let parts = word.split_once('{').and_then(|(before, rest)| {
        let (within, after) = rest.split_once('}')?;
        Some(within.split(',').map(|one| format!("{before}{one}{after}")).collect())
    });
    parts.unwrap_or_else(|| vec![word.to_owned()])
}

/// Whether a variable has a value: by the command itself, by an `export` before it, or by the file. pip takes every value
/// of `PIP_NO_CACHE_DIR` for a yes, "false" too, and an empty one for none.
fn is_set(name: &str, step: &Step, steps: &[Step], variables: &Variables) -> bool {
    let assigned = |step: &Step| {
        let value = step.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| !value.trim_matches(['"', '\'']).is_empty())
    };
    let exported = || {
        let exports = steps.iter().filter(|step| step.program() == "export");
        exports.filter_map(assigned).next_back()
    };
    let set = || variables.value(name).is_some_and(|value| !value.is_empty());
    assigned(step).or_else(exported).unwrap_or_else(set)
}
