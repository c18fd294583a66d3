//! `gabion lsp`: findings and repairs in an editor, by the Language Server Protocol over standard input and output.
//!
//! It evaluates what is open, as it is typed, by the same rules as `gabion check`, and writes no file: repairs are
//! edits that the editor makes. The protocol is small enough to be written out here, with a bound on each message.

mod document;
mod frame;

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
    path::PathBuf,
};

use serde_json::{Value, json};

use super::{known::Known, project::Project, rules::Rules};
use document::{OpenText, Setting};
use frame::Incoming;

/// Texts that are open at a time, and their bytes.
const MOST_TEXTS: usize = 1_000;
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// What the server is asked to do.
#[derive(Debug)]
pub struct LspOptions {
    /// The rules, where the project names none.
    pub(crate) rules: Rules,
    /// The command line names rules, and the project's do not count.
    pub(crate) same_rules: bool,
    /// The configuration of the project; without it that at the root of what is open.
    pub(crate) config: Option<PathBuf>,
}

/// Serves one editor until it leaves. Whether it took its leave.
pub fn serve(
    options: &LspOptions,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> io::Result<bool> {
    let mut server = Server {
        options,
        output,
        state: State::New,
        roots: Vec::new(),
        project: None,
        known: None,
        open: BTreeMap::new(),
    };
    loop {
        match frame::read(input)? {
            Incoming::End => return Ok(false),
            Incoming::Unreadable(why) => server.error(&Value::Null, -32700, why)?,
            Incoming::Message(message) => {
                if let Some(orderly) = server.message(&message)? {
                    return Ok(orderly);
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Ready,
    Leaving,
}

struct Server<'s> {
    options: &'s LspOptions,
    output: &'s mut dyn Write,
    state: State,
    roots: Vec<PathBuf>,
    project: Option<Project>,
    known: Option<Known>,
    open: BTreeMap<String, OpenText>,
}

impl Server<'_> {
    /// Whether the editor took its leave, if this was its last message.
    fn message(&mut self, message: &Value) -> io::Result<Option<bool>> {
        let method = message["method"].as_str().unwrap_or_default();
        let params = &message["params"];
        match (message.get("id"), method) {
            (_, "exit") => return Ok(Some(self.state == State::Leaving)),
            // An answer to nothing that was asked.
            (_, "") => {}
            (Some(id), "initialize") if self.state == State::New => {
                self.initialize(params);
                self.answer(id, &capabilities())?;
            }
            (Some(id), _) if self.state == State::New => {
                self.error(id, -32002, "initialize comes first")?;
            }
            (Some(id), "shutdown") => {
                self.state = State::Leaving;
                self.answer(id, &Value::Null)?;
            }
            (Some(id), _) if self.state == State::Leaving => {
                self.error(id, -32600, "the server is shut down")?;
            }
            (Some(id), "textDocument/codeAction") => {
                let actions = self.actions(params);
                self.answer(id, &json!(actions))?;
            }
            (Some(id), _) => self.error(id, -32601, "this server does not know the method")?,
            (None, _) if self.state == State::Ready => self.notification(method, params)?,
            (None, _) => {}
        }
        Ok(None)
    }

    fn initialize(&mut self, params: &Value) {
        let folders = params["workspaceFolders"].as_array().cloned().unwrap_or_default();
        let uris = folders.iter().map(|folder| &folder["uri"]).chain([&params["rootUri"]]);
        self.roots = uris.filter_map(Value::as_str).filter_map(document::path).collect();
        self.state = State::Ready;
    }

    fn notification(&mut self, method: &str, params: &Value) -> io::Result<()> {
        let document = &params["textDocument"];
        let uri = document["uri"].as_str().unwrap_or_default();
        match method {
            "textDocument/didOpen" => {
                let language = document["languageId"].as_str().unwrap_or_default();
                let text = document["text"].as_str().unwrap_or_default();
                self.take(uri, OpenText::new(uri, language, text.to_owned()))?;
            }
            "textDocument/didChange" => {
                let changes = params["contentChanges"].as_array();
                let text = changes.and_then(|changes| changes.last()?["text"].as_str());
                if let Some(text) = text
                    && let Some(mut open) = self.open.remove(uri)
                {
                    text.clone_into(&mut open.text);
                    self.take(uri, open)?;
                }
            }
            // What a text refers to may have changed, and so may the configuration.
            "initialized" | "textDocument/didSave" => self.configure()?,
            "textDocument/didClose" => {
                self.open.remove(uri);
                self.publish(uri, &[])?;
            }
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, uri: &str, open: OpenText) -> io::Result<()> {
        let bytes: usize = self.open.values().map(|open| open.text.len()).sum();
        if self.open.len() >= MOST_TEXTS || bytes + open.text.len() > MOST_BYTES {
            // What was found in it before may be wrong now.
            self.publish(uri, &[])?;
            return self
                .say("too much is open at a time: close some files, and open this one again");
        }
        let diagnostics = open.diagnostics(&self.setting());
        self.open.insert(uri.to_owned(), open);
        self.publish(uri, &diagnostics)
    }

    /// Reads the configuration, and evaluates anew what is open.
    fn configure(&mut self) -> io::Result<()> {
        let named = self.options.config.clone();
        let found = named.or_else(|| Project::find(&self.roots));
        let read = found.map(|file| Project::read(&file, self.options.rules.now)).transpose();
        let known = |project: &Option<Project>| {
            let file = project.as_ref().and_then(|project| project.known.clone());
            file.map(|file| Known::read(&file)).transpose()
        };
        match read.and_then(|project| Ok((known(&project)?, project))) {
            Ok((known, project)) => (self.known, self.project) = (known, project),
            Err(problem) => self.say(&problem)?,
        }
        let all: Vec<_> = self
            .open
            .iter()
            .map(|(uri, open)| (uri.clone(), open.diagnostics(&self.setting())))
            .collect();
        all.iter().try_for_each(|(uri, diagnostics)| self.publish(uri, diagnostics))
    }

    fn setting(&self) -> Setting<'_> {
        let own = self.project.as_ref().and_then(|project| project.rules.as_ref());
        let own = own.filter(|_| !self.options.same_rules);
        Setting {
            rules: own.unwrap_or(&self.options.rules),
            project: self.project.as_ref(),
            known: self.known.as_ref(),
            same_rules: self.options.same_rules,
        }
    }

    fn actions(&self, params: &Value) -> Vec<Value> {
        let uri = params["textDocument"]["uri"].as_str().unwrap_or_default();
        let line = |end: &str| {
            params["range"][end]["line"].as_u64().unwrap_or_default().min(u64::from(u32::MAX))
        };
        let open = self.open.get(uri);
        open.map(|open| open.actions(uri, (line("start"), line("end")), &self.setting()))
            .unwrap_or_default()
    }

    fn publish(&mut self, uri: &str, diagnostics: &[Value]) -> io::Result<()> {
        let params = json!({"uri": uri, "diagnostics": diagnostics});
        let message = json!({"jsonrpc": "2.0", "method": "textDocument/publishDiagnostics", "params": params});
        frame::write(self.output, &message)
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        let params = json!({"type": 2, "message": format!("gabion: {text}")});
        let message = json!({"jsonrpc": "2.0", "method": "window/showMessage", "params": params});
        frame::write(self.output, &message)
    }

    fn answer(&mut self, id: &Value, result: &Value) -> io::Result<()> {
        frame::write(self.output, &json!({"jsonrpc": "2.0", "id": id, "result": result}))
    }

    fn error(&mut self, id: &Value, code: i32, message: &str) -> io::Result<()> {
        let error = json!({"code": code, "message": message});
        frame::write(self.output, &json!({"jsonrpc": "2.0", "id": id, "error": error}))
    }
}

fn capabilities() -> Value {
    json!({
        "capabilities": {
            // Each change comes with the whole text.
            "textDocumentSync": {"openClose": true, "change": 1, "save": true},
            "codeActionProvider": {"codeActionKinds": ["quickfix"]},
        },
        "serverInfo": {"name": "gabion", "version": env!("CARGO_PKG_VERSION")},
    })
}
