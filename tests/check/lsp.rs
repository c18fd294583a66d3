//! `gabion lsp`, driven as an editor drives it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use super::program::{Folder, GOOD, writable};

struct Editor {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    root: String,
}

impl Editor {
    fn start(folder: &Folder) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gabion"));
        command
            .args(["lsp", "--stdio"])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let root = format!("file://{}", folder.path("").canonicalize().unwrap().display());
        Self { child, input, output, root }
    }

    fn ready(folder: &Folder) -> Self {
        let mut editor = Self::start(folder);
        let answer = editor.ask("initialize", &json!({"rootUri": editor.root}));
        assert_eq!(answer["result"]["capabilities"]["textDocumentSync"]["change"], 1, "{answer}");
        editor.tell("initialized", &json!({}));
        editor
    }

    fn raw(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(bytes).unwrap();
        input.flush().unwrap();
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        self.raw(format!("Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes());
    }

    fn tell(&mut self, method: &str, params: &Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.send(&json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}));
        let answer = self.next();
        assert_eq!(answer["id"], 7, "{answer}");
        answer
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let length: usize = line.strip_prefix("Content-Length: ").unwrap().trim().parse().unwrap();
        self.output.read_line(&mut line).unwrap();
        let mut bytes = vec![0; length];
        self.output.read_exact(&mut bytes).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn uri(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    fn open(&mut self, name: &str, text: &str) -> Vec<Value> {
        let document =
            json!({"uri": self.uri(name), "languageId": "yaml", "version": 1, "text": text});
        self.tell("textDocument/didOpen", &json!({"textDocument": document}));
        self.diagnostics()
    }

    fn change(&mut self, name: &str, text: &str) -> Vec<Value> {
        let params = json!({"textDocument": {"uri": self.uri(name), "version": 2}, "contentChanges": [{"text": text}]});
        self.tell("textDocument/didChange", &params);
        self.diagnostics()
    }

    fn diagnostics(&mut self) -> Vec<Value> {
        let message = self.next();
        assert_eq!(message["method"], "textDocument/publishDiagnostics", "{message}");
        message["params"]["diagnostics"].as_array().unwrap().clone()
    }

    fn leave(mut self) -> i32 {
        assert_eq!(self.ask("shutdown", &Value::Null)["result"], Value::Null);
        self.tell("exit", &Value::Null);
        self.child.wait().unwrap().code().unwrap()
    }
}

/// A text with the edits of an action.
fn edited(text: &str, edits: &Value) -> String {
    let at = |place: &Value| {
        let line = usize::try_from(place["line"].as_u64().unwrap()).unwrap();
        let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        start + usize::try_from(place["character"].as_u64().unwrap()).unwrap()
    };
    let mut edits: Vec<_> = edits
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(number, edit)| {
            (
                at(&edit["range"]["start"]),
                number,
                at(&edit["range"]["end"]),
                edit["newText"].as_str().unwrap(),
            )
        })
        .collect();
    edits.sort_unstable_by_key(|edit| std::cmp::Reverse((edit.0, edit.1)));
    let mut text = text.to_owned();
    for (start, _, end, new) in edits {
        text.replace_range(start..end, new);
    }
    text
}

#[test]
fn findings_are_shown_while_a_text_is_typed() {
    let folder = Folder::of(&[]);
    let mut editor = Editor::ready(&folder);
    let found = editor.open("a.yaml", &writable());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0]["code"].as_str(), found[0]["severity"].as_u64()),
        (Some("HB-ROFS"), Some(1))
    );
    assert_eq!(found[0]["range"]["start"], json!({"line": 22, "character": 8}));
    assert!(
        found[0]["message"].as_str().unwrap().contains("can write to its root filesystem\nset ")
    );
    assert!(editor.change("a.yaml", GOOD).is_empty());
    assert_eq!(editor.change("a.yaml", "a: [")[0]["severity"], 1, "what cannot be read");
    editor.tell("textDocument/didClose", &json!({"textDocument": {"uri": editor.uri("a.yaml")}}));
    assert!(editor.diagnostics().is_empty());
    assert_eq!(editor.open("Dockerfile", "FROM scratch\n")[0]["code"], "HB-DF-USER");
    assert_eq!(editor.leave(), 0);
}

#[test]
fn a_quick_fix_writes_what_fix_writes() {
    let text = GOOD
        .replace("        readOnlyRootFilesystem: true\n", "")
        .replace("        allowPrivilegeEscalation: false\n", "");
    let folder = Folder::of(&[("a.yaml", &text)]);
    let mut editor = Editor::ready(&folder);
    let found = editor.open("a.yaml", &text);
    assert_eq!(found.len(), 2, "{found:?}");
    let uri = editor.uri("a.yaml");
    let params = json!({"textDocument": {"uri": uri}, "range": found[0]["range"], "context": {"diagnostics": found}});
    let actions =
        editor.ask("textDocument/codeAction", &params)["result"].as_array().unwrap().clone();
    let titles: Vec<_> = actions.iter().map(|action| action["title"].as_str().unwrap()).collect();
    assert!(
        titles[0].starts_with("PSS-allowPrivilegeEscalation: set")
            && titles[1].starts_with("HB-ROFS: set"),
        "{titles:?}"
    );
    let one = edited(&text, &actions[0]["edit"]["changes"][&uri]);
    let left = editor.change("a.yaml", &one);
    assert_eq!((left.len(), left[0]["code"].as_str()), (1, Some("HB-ROFS")), "{one}");
    let all = edited(&text, &actions.last().unwrap()["edit"]["changes"][&uri]);
    assert!(editor.change("a.yaml", &all).is_empty(), "{all}");
    folder.check(&["--fix", "a.yaml"]);
    assert_eq!(folder.read("a.yaml"), all);
    // Elsewhere there is nothing to put right.
    let params = json!({"textDocument": {"uri": uri}, "range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}});
    assert_eq!(editor.ask("textDocument/codeAction", &params)["result"], json!([]));
    assert_eq!(editor.leave(), 0);
}

#[test]
fn the_configuration_counts_and_is_read_again_when_something_is_saved() {
    let skip = "skip:\n- {control: HB-ROFS, reason: x}\n";
    let folder = Folder::of(&[(".gabion.yaml", skip), (".git/HEAD", "")]);
    let mut editor = Editor::ready(&folder);
    assert!(editor.open("deploy/a.yaml", &writable()).is_empty());
    folder.write(".gabion.yaml", b"exclude: [nothing]\n");
    editor.tell(
        "textDocument/didSave",
        &json!({"textDocument": {"uri": editor.uri(".gabion.yaml")}}),
    );
    assert_eq!(editor.diagnostics().len(), 1);
    folder.write(".gabion.yaml", b"exclud: [deploy]\n");
    editor.tell(
        "textDocument/didSave",
        &json!({"textDocument": {"uri": editor.uri(".gabion.yaml")}}),
    );
    let said = editor.next();
    assert_eq!(said["method"], "window/showMessage");
    assert!(
        said["params"]["message"].as_str().unwrap().contains("did you mean exclude?"),
        "{said}"
    );
    assert_eq!(editor.diagnostics().len(), 1, "the last one that could be read counts");
    assert_eq!(editor.leave(), 0);
}

#[test]
fn a_text_too_many_is_said_and_shows_nothing_old() {
    let folder = Folder::of(&[]);
    let mut editor = Editor::ready(&folder);
    for number in 0..1_000 {
        editor.open(&format!("{number}.yaml"), "a: b\n");
    }
    assert_eq!(editor.open("more.yaml", "a: b\n"), Vec::<Value>::new());
    let said = editor.next();
    assert_eq!(said["method"], "window/showMessage", "{said}");
    let words = said["params"]["message"].as_str().unwrap();
    assert!(words.contains("close some files, and open this one again"), "{words}");
    assert_eq!(editor.leave(), 0);
}

#[test]
fn an_editor_that_errs_is_told_and_one_that_leaves_ends_the_server() {
    let folder = Folder::of(&[]);
    let mut editor = Editor::start(&folder);
    assert_eq!(editor.ask("textDocument/codeAction", &json!({}))["error"]["code"], -32002);
    editor.tell("textDocument/didOpen", &json!({}));
    editor.raw(b"Content-Length: 1\r\n\r\n{");
    assert_eq!(editor.next()["error"]["code"], -32700);
    editor.ask("initialize", &json!({"rootUri": null}));
    assert_eq!(editor.ask("textDocument/hover", &json!({}))["error"]["code"], -32601);
    // Too much in one message, or too deep, and the next one is read as ever.
    let long = 33 << 20;
    editor.raw(format!("Content-Length: {long}\r\n\r\n").as_bytes());
    editor.raw(&vec![b' '; long]);
    assert_eq!(editor.next()["error"]["code"], -32700);
    let deep = "[".repeat(100_000);
    editor.raw(format!("Content-Length: {}\r\n\r\n{deep}", deep.len()).as_bytes());
    assert_eq!(editor.next()["error"]["code"], -32700);
    assert_eq!(editor.ask("unknown", &json!({}))["error"]["code"], -32601);
    drop(editor.input.take());
    assert_eq!(editor.child.wait().unwrap().code(), Some(1), "it never took its leave");
}
