//! Tools that only a build needs.

use crate::check::shell::Step;

/// The first tool that commands of one RUN build with, or install, and leave behind.
pub(super) fn kept(steps: &[Step]) -> Option<String> {
    steps.iter().enumerate().find_map(|(at, step)| {
        builds(step).filter(|tool| !is_removed(tool, steps, at)).map(|tool| tool.to_string())
    })
}

/// A tool that a command builds with, or installs.
struct Tool {
    /// The command as it is shown.
    shown: String,
    /// The package, or the group of packages that can be removed together.
    package: Option<String>,
}

impl std::fmt::Display for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Packages that hold a compiler, or what drives one.
const PACKAGES: [&str; 12] = [
    "build-essential",
    "build-base",
    "gcc",
    "g++",
    "gcc-c++",
    "clang",
    "make",
    "cmake",
    "automake",
    "autoconf",
    "golang",
    "cargo",
];

/// The tool that a command builds with, if it builds.
fn builds(step: &Step) -> Option<Tool> {
    let (program, arguments) = step.arguments();
    let first = arguments.iter().find(|word| !word.starts_with('-')).map_or("", String::as_str);
    let compiler =
        ["make", "cmake", "gcc", "g++", "cc", "javac", "mvn", "mvnw", "gradle", "gradlew", "ninja"];
    let with_verb = [
        ("go", "build"),
        ("go", "install"),
        ("cargo", "build"),
        ("cargo", "install"),
        ("dotnet", "publish"),
        ("dotnet", "build"),
    ];
    if step.only_tells() {
        return None;
    }
    if compiler.contains(&program) {
        return Some(Tool { shown: program.to_owned(), package: None });
    }
    if with_verb.contains(&(program, first)) {
        return Some(Tool { shown: format!("{program} {first}"), package: None });
    }
    let installs = is_manager(program) && matches!(first, "install" | "add");
    let tool = arguments.iter().map(|word| package(word)).find(|word| PACKAGES.contains(word))?;
    let shown = format!("{program} {first} {tool}");
    let package = group(step).unwrap_or(tool).to_owned();
    installs.then_some(Tool { shown, package: Some(package) })
}

fn is_manager(program: &str) -> bool {
    matches!(
        program,
        "apt-get" | "apt" | "aptitude" | "apk" | "yum" | "dnf" | "microdnf" | "zypper"
    )
}

/// The name of a package without version and architecture: `gcc=4:12`, `gcc:amd64`, `make~4`, `gcc-13.2`.
fn package(word: &str) -> &str {
    let word = word.trim_matches(['"', '\'']);
    let name = word.split(['=', '~', ':', '<', '>']).next().unwrap_or(word);
    match name.rsplit_once('-') {
        Some((before, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => before,
        _ => name,
    }
}

/// The name under which apk installs packages, to remove them together.
fn group(step: &Step) -> Option<&str> {
    let (program, arguments) = step.arguments();
    if program != "apk" {
        return None;
    }
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if matches!(word.as_str(), "--virtual" | "-t") {
            return words.next().map(String::as_str);
        }
        if let Some(name) = word.strip_prefix("--virtual=") {
            return Some(name);
        }
    }
    None
}

/// Whether later commands of the same RUN remove a tool, and so leave nothing behind.
fn is_removed(tool: &Tool, steps: &[Step], at: usize) -> bool {
    let groups: Vec<_> = steps.iter().filter_map(group).collect();
    let is_marked = steps.iter().any(|step| step.program() == "apt-mark" && step.has("auto"));
    steps.iter().skip(at + 1).any(|step| {
        let (program, arguments) = step.arguments();
        let verbs = ["purge", "remove", "autoremove", "del", "erase"];
        let removes =
            is_manager(program) && arguments.iter().any(|word| verbs.contains(&word.as_str()));
        let is_own = |word: &String| match &tool.package {
            Some(own) => package(word) == package(own) || word.starts_with('$'),
            // What built something came from a package, a group of them, or a list of them.
            None => {
                PACKAGES.contains(&package(word))
                    || word.starts_with(['$', '.'])
                    || groups.contains(&word.as_str())
            }
        };
        // What nobody wants is marked first, and goes with the rest.
        let sweeps =
            step.has("--auto-remove") || step.has("--autoremove") || step.has("autoremove");
        removes && (arguments.iter().any(is_own) || is_marked && sweeps)
    })
}
