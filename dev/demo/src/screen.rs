//! What the reader sees: headings, a few words, the commands and what they printed.

use std::io::{IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use support::Result;

/// Lines are folded at this width.
const WIDTH: usize = 110;
/// A terminal that is wider than [`WIDTH`] is not asked for: output looks the same in a file.
const INDENT: &str = "   ";

/// Where the story is printed.
pub struct Screen {
    out: Box<dyn Write + Send>,
    terminal: bool,
    part: usize,
    /// The heading under which everything is at the moment.
    title: String,
}

/// What a captured screen showed.
#[derive(Clone, Default)]
pub struct Recording(Arc<Mutex<Vec<u8>>>);

impl Recording {
    /// The text so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Recording {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Screen {
    /// Standard output. Colours only if that is a terminal whose user has not declined them.
    pub fn stdout() -> Self {
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let terminal =
            std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() && !dumb;
        Self { out: Box::new(std::io::stdout()), terminal, part: 0, title: String::new() }
    }

    /// A screen that only remembers.
    pub fn captured() -> (Self, Recording) {
        let recording = Recording::default();
        let out = Box::new(recording.clone());
        (Self { out, terminal: false, part: 0, title: String::new() }, recording)
    }

    /// The heading of the current part.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The first line of all.
    pub fn banner(&mut self, text: &str) -> Result<()> {
        let text = self.painted("1", text);
        self.line(&text)
    }

    /// Begins a part.
    pub fn heading(&mut self, title: &str) -> Result<()> {
        self.part += 1;
        self.title = format!("{}. {title}", self.part);
        let text = self.painted("1;36", &self.title.clone());
        self.line(&format!("\n{text}"))
    }

    /// A sentence or two.
    pub fn say(&mut self, text: &str) -> Result<()> {
        for line in folded(text, WIDTH - INDENT.len()) {
            self.line(&format!("{INDENT}{line}"))?;
        }
        Ok(())
    }

    /// A command, before it is run.
    pub fn command(&mut self, command: &str) -> Result<()> {
        let text = self.painted("1", &format!("$ {command}"));
        self.line(&format!("{INDENT}{text}"))
    }

    /// What a command printed.
    pub fn output(&mut self, text: &str) -> Result<()> {
        for line in text.lines().flat_map(|line| folded(line, WIDTH - INDENT.len())) {
            self.line(&format!("{INDENT}{line}"))?;
        }
        Ok(())
    }

    /// Something that is awaited. It is gone from a terminal once [`Self::done`] is called.
    pub fn awaiting(&mut self, what: &str) -> Result<()> {
        if self.terminal {
            write!(self.out, "{INDENT}... {what}")?;
            self.out.flush()?;
        }
        Ok(())
    }

    /// Something that was checked and is so.
    pub fn done(&mut self, what: &str) -> Result<()> {
        if self.terminal {
            write!(self.out, "\r\x1b[2K")?;
        }
        for (index, line) in folded(what, WIDTH - INDENT.len() - 2).iter().enumerate() {
            let mark = if index == 0 { self.painted("32", "✓") } else { " ".to_owned() };
            self.line(&format!("{INDENT}{mark} {line}"))?;
        }
        Ok(())
    }

    /// An empty line.
    pub fn gap(&mut self) -> Result<()> {
        self.line("")
    }

    fn line(&mut self, text: &str) -> Result<()> {
        writeln!(self.out, "{text}")?;
        Ok(self.out.flush()?)
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.terminal { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// `text` in lines of at most `width` characters, broken at spaces where there are any. A line that fits
/// stays as it is, so that tables keep their columns.
fn folded(text: &str, width: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    let mut length = 0;
    for word in text.split(' ') {
        let size = word.chars().count();
        if length > 0 && length + 1 + size > width {
            lines.push(String::new());
            length = 0;
        }
        if let Some(line) = lines.last_mut() {
            if length > 0 {
                line.push(' ');
                length += 1;
            }
            line.push_str(word);
            length += size;
        }
    }
    lines
}

/// A time as people say it.
pub fn spoken(time: Duration) -> String {
    match time.as_millis() {
        0 => "less than 1 ms".to_owned(),
        millis @ 1..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}
