//! Charts of Helm. A template is no manifest, so `helm` renders the chart, if it is there.

use std::{
    collections::HashMap,
    env,
    io::{self, Read},
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    cross_references::CrossReferences,
    input::{self, Origin, shown},
    manifest,
    position::Position,
    report::FileReport,
    rules::Rules,
    yaml,
};

/// Longest time that rendering may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Most that is read of what it renders, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Before the path of a template, in what helm renders.
const SOURCE: &str = "# Source: ";

/// What became of a chart.
pub(crate) enum Outcome {
    /// What helm makes of it.
    Rendered(Rendered),
    /// It cannot be rendered.
    Broken(FileReport),
    /// Why it is not evaluated.
    Not(String),
}

/// What helm makes of a chart.
pub(crate) struct Rendered {
    folder: PathBuf,
    text: String,
}

/// The program, if there is one in the folders of `PATH`. Relative ones do not count: what is checked could bring it.
pub(crate) fn helm() -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    let mut programs = env::split_paths(&paths).filter(|folder| folder.is_absolute());
    programs.find_map(|folder| Some(folder.join("helm")).filter(|program| program.is_file()))
}

/// Renders a chart with its own values.
pub(crate) fn render(folder: &Path, helm: Option<&Path>) -> Outcome {
    let name = shown(folder);
    if is_library(folder) {
        return Outcome::Not(format!("{name} (a library chart, which renders nothing by itself)"));
    }
    let Some(helm) = helm else {
        return Outcome::Not(format!(
            "{name} (a chart, and there is no helm in the PATH: `helm template {name} | gabion check -`)"
        ));
    };
    match run(helm, folder) {
        Ok(text) => Outcome::Rendered(Rendered { folder: folder.to_owned(), text }),
        Err(problem) => {
            let file = shown(&folder.join("Chart.yaml"));
            Outcome::Broken(FileReport::fault(&file, problem))
        }
    }
}

impl Rendered {
    /// Evaluates what came out; places are in that.
    pub(crate) fn evaluate(&self, rules: &Rules, across: &mut CrossReferences) -> FileReport {
        manifest::check(&shown(&self.folder), &self.text, rules, across)
    }

    /// Bytes that are held of it.
    pub(crate) fn size(&self) -> usize {
        self.text.len()
    }

    /// The report on it as reports on the chart and its templates.
    pub(crate) fn split(&self, whole: FileReport) -> Vec<FileReport> {
        split(&self.folder, &self.text, whole)
    }
}

fn is_library(folder: &Path) -> bool {
    let text = input::read(&Origin::File(folder.join("Chart.yaml")), &mut io::empty());
    let documents = text.map(|text| yaml::read(&text.text)).unwrap_or_default();
    let mut roots = documents.into_iter().flatten().filter_map(|document| document.root);
    roots.any(|root| root.get("type").and_then(yaml::Node::as_str) == Some("library"))
}

fn run(helm: &Path, folder: &Path) -> Result<String, String> {
    let mut command = Command::new(helm);
    command
        .args(["template", "--skip-tests", "release"])
        .arg(folder.canonicalize().as_deref().unwrap_or(folder));
    command.env("HELM_NO_PLUGINS", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |error: io::Error| format!("cannot be rendered: {error}");
    let mut child = command.spawn().map_err(failed)?;
    let (output, errors) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if Instant::now() > end => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!(
                    "cannot be rendered: helm takes longer than {} s",
                    PATIENCE.as_secs()
                ));
            }
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    let text = |reader: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
    };
    let (output, errors) = (text(output), text(errors));
    if !status.success() {
        return Err(refusal(&errors));
    }
    if output.len() as u64 > LARGEST {
        return Err(format!("renders more than {} MiB, which is more than is read", LARGEST >> 20));
    }
    Ok(output)
}

/// Reads beside the program, so that it never waits for its reader; what is too much is thrown away.
fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(LARGEST + 1).read_to_end(&mut bytes);
            let _ = io::copy(&mut pipe, &mut io::sink());
        }
        bytes
    })
}

/// What helm says, in one line.
fn refusal(errors: &str) -> String {
    const LONGEST: usize = 300;
    let line = errors.lines().find(|line| line.contains("Error")).or(errors.lines().next());
    let line: String = line.unwrap_or("it does not say why").chars().take(LONGEST).collect();
    let needs_network = line.contains("charts/ directory") || line.contains("dependenc");
    let hint = if needs_network {
        ": run `helm dependency build`, which fetches the charts that it is made of"
    } else {
        ""
    };
    format!("cannot be rendered by helm: {line}{hint}")
}

/// A report on what was rendered as reports on the templates.
fn split(folder: &Path, text: &str, whole: FileReport) -> Vec<FileReport> {
    let mut templates = Templates::of(folder, text);
    let mut rest = FileReport { name: whole.name, objects: whole.objects, ..FileReport::default() };
    for mut located in whole.findings {
        let Some((report, position)) = templates.at(located.position) else {
            rest.findings.push(located);
            continue;
        };
        if position == Position::default() {
            let line = located.position.line;
            let message = &mut located.finding.message;
            *message = format!("{message} (line {line} of what helm renders)");
        }
        located.position = Position { line: position.line.max(1), column: position.column.max(1) };
        report.findings.push(located);
    }
    let faults = whole.faults.into_iter().map(|fault| (fault, true));
    let remarks = whole.remarks.into_iter().map(|remark| (remark, false));
    for (mut diagnostic, is_fault) in faults.chain(remarks) {
        let place = match diagnostic.position {
            Some(position) => templates.at(position),
            None => None,
        };
        let report = match place {
            Some((report, position)) => {
                diagnostic.position = Some(position).filter(|position| position.line > 0);
                report
            }
            None => &mut rest,
        };
        let list = if is_fault { &mut report.faults } else { &mut report.remarks };
        list.push(diagnostic);
    }
    let templates = templates.all.into_iter().map(|template| template.report);
    std::iter::once(rest).chain(templates).collect()
}

/// The templates of a chart that render something.
struct Templates<'t> {
    folder: &'t Path,
    /// What is rendered.
    lines: Vec<&'t str>,
    /// The lines, by number, from which another template renders, and its path.
    sources: Vec<(usize, &'t str)>,
    all: Vec<Template>,
    /// Places in `all`, by path.
    known: HashMap<&'t str, usize>,
}

impl<'t> Templates<'t> {
    fn of(folder: &'t Path, text: &'t str) -> Self {
        let lines: Vec<_> = text.lines().collect();
        let sources = lines.iter().enumerate();
        let sources = sources
            .filter_map(|(number, line)| Some((number, line.strip_prefix(SOURCE)?.trim())))
            .collect();
        Self { folder, lines, sources, all: Vec::new(), known: HashMap::new() }
    }

    /// The report on the template of a line, and where that line stands in it, if that can be known.
    fn at(&mut self, rendered: Position) -> Option<(&mut FileReport, Position)> {
        let begun = self.sources.partition_point(|(number, _)| *number < rendered.line);
        let (_, source) = *self.sources.get(begun.checked_sub(1)?)?;
        let number = *self.known.entry(source).or_insert_with(|| {
            self.all.push(Template::of(self.folder, source));
            self.all.len() - 1
        });
        let template = self.all.get_mut(number)?;
        let position = template.place(self.lines.get(rendered.line.checked_sub(1)?)?);
        Some((&mut template.report, position))
    }
}

/// A template, and what was found in what it renders.
struct Template {
    /// Where each line stands, without the space around it; `None` if it stands in several places.
    places: HashMap<String, Option<Position>>,
    report: FileReport,
}

impl Template {
    /// Helm calls a template by the name of the chart, which need not be that of its folder.
    fn of(folder: &Path, source: &str) -> Self {
        let within = Path::new(source.split_once('/').map_or(source, |(_, rest)| rest));
        let path = folder.join(within);
        // A template can render such a line itself, with any path in it.
        let is_inside = within.components().all(|part| matches!(part, Component::Normal(_)));
        let text = is_inside.then(|| input::read(&Origin::File(path.clone()), &mut io::empty()));
        let text = text.and_then(Result::ok).map(|text| text.text).unwrap_or_default();
        let mut places = HashMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let column = line.chars().take_while(|c| c.is_whitespace()).count() + 1;
            let place = Position { line: number + 1, column };
            places
                .entry(line.trim().to_owned())
                .and_modify(|place| *place = None)
                .or_insert(Some(place));
        }
        let name = if is_inside { shown(&path) } else { shown(folder) };
        Self { places, report: FileReport { name, ..FileReport::default() } }
    }

    /// Where a line that was rendered stands in the template, if it stands there as it is, and only once.
    fn place(&self, rendered: &str) -> Position {
        self.places.get(rendered.trim()).copied().flatten().unwrap_or_default()
    }
}
