//! A tree and data to bytes: bodies, branches, loops, pipelines, variables.
//!
//! What a command is worth (fields, calls, arguments) is in [`super::call`].

use zeroize::Zeroizing;

use super::{
    budget::Context,
    buffer::Buffer,
    error::{Error, ErrorKind, Failure},
    format,
    tree::{Block, Branch, Call, Node, Pipe, Position, Tree},
    value::{Type, Value},
};

/// What a missing key of a map evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// A failure.
    #[default]
    Error,
    /// Nothing, printed as `<no value>`: Go's own default.
    Invalid,
    /// The zero value of the map's element type.
    Zero,
}

/// A value, and whether it lies in an interface, as the elements of a `[]interface {}` do. Go's errors show the
/// difference, and a nil in an interface is not the same as no value.
#[derive(Clone, Default)]
pub(crate) struct Item {
    /// The value itself.
    pub value: Value,
    /// True where Go's static type is `interface {}`.
    pub boxed: bool,
}

impl From<Value> for Item {
    fn from(value: Value) -> Self {
        Self { value, boxed: false }
    }
}

impl Item {
    /// An element of a container whose elements have this type.
    pub(crate) fn element(value: Value, type_: &Type) -> Self {
        Self { value, boxed: *type_ == Type::Any }
    }

    /// True of nothing at all, Go's invalid value; a nil in an interface is something.
    pub(crate) fn is_invalid(&self) -> bool {
        matches!(self.value, Value::Nil) && !self.boxed
    }
}

/// Where evaluation goes after a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

/// The state of one rendering.
pub(crate) struct Evaluator<'t, 'c, 'a> {
    pub(super) tree: &'t Tree,
    pub(super) cx: &'c mut Context<'a>,
    pub(super) missing_key: MissingKey,
    output: Buffer,
    /// Variables of the templates that are being run, the innermost last.
    variables: Vec<(&'t [u8], Item)>,
    /// Where those begin that the innermost template sees.
    visible: usize,
    /// Arguments of the calls that are being made, the innermost last.
    pub(super) arguments: Vec<Value>,
}

/// Renders a tree. About `expected` bytes of output are made room for at once.
pub(crate) fn render(
    tree: &Tree,
    data: Value,
    missing_key: MissingKey,
    cx: &mut Context<'_>,
    expected: usize,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (mut output, dot) = (Buffer::default(), Item::from(data));
    output.reserve(expected.min(cx.limits.output));
    let mut variables = Vec::with_capacity(tree.variables);
    variables.push((DOLLAR, dot.clone()));
    let (visible, arguments) = (0, Vec::with_capacity(tree.arguments));
    let mut evaluator = Evaluator { tree, cx, missing_key, output, variables, visible, arguments };
    if let Some(body) = tree.templates.get(tree.name.as_bytes()) {
        evaluator.block(&dot, body)?;
    }
    Ok(evaluator.output.into_bytes())
}

const DOLLAR: &[u8] = b"$";

impl<'t> Evaluator<'t, '_, '_> {
    /// A failure at a position.
    pub(super) fn failed(&self, position: Position, failure: Failure) -> Error {
        Error::new(failure.kind, &self.tree.name, position, failure.message)
    }

    pub(super) fn error(
        &self,
        position: Position,
        kind: ErrorKind,
        message: impl Into<String>,
    ) -> Error {
        Error::new(kind, &self.tree.name, position, message)
    }

    pub(super) fn step(&mut self, position: Position) -> Result<(), Error> {
        self.cx.step(1).map_err(|failure| self.failed(position, failure))
    }

    /// Runs `inner` one level of nesting deeper: what recurses goes through here, so that the stack is bounded.
    pub(super) fn nested<T>(
        &mut self,
        position: Position,
        inner: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.cx.enter().map_err(|failure| self.failed(position, failure))?;
        let result = inner(self);
        self.cx.leave();
        result
    }

    fn block(&mut self, dot: &Item, block: &'t Block) -> Result<Flow, Error> {
        for node in block {
            let flow = match node {
                Node::Text(position, text) => self.write(text, *position)?,
                Node::Action(pipe) => self.action(dot, pipe)?,
                Node::If(branch) => {
                    self.nested(branch.pipe.position, |e| e.branch(dot, branch, false))?
                }
                Node::With(branch) => {
                    self.nested(branch.pipe.position, |e| e.branch(dot, branch, true))?
                }
                Node::Range(branch) => {
                    self.nested(branch.pipe.position, |e| e.range(dot, branch))?
                }
                Node::Template(call) => self.nested(call.position, |e| e.template(dot, call))?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn write(&mut self, bytes: &[u8], position: Position) -> Result<Flow, Error> {
        let limit = self.cx.limits.output;
        if self.output.len() + bytes.len() > limit {
            return Err(self.failed(position, Failure::bound("bytes of output", limit)));
        }
        self.cx.step(1 + bytes.len() / 256).map_err(|failure| self.failed(position, failure))?;
        self.output.extend(bytes);
        Ok(Flow::On)
    }

    /// Variables that it declares live on, up to the `end` of what is around.
    fn action(&mut self, dot: &Item, pipe: &'t Pipe) -> Result<Flow, Error> {
        let item = self.pipe(dot, pipe)?;
        match &item.value {
            _ if !pipe.variables.is_empty() => Ok(Flow::On),
            Value::Nil => self.write(NO_VALUE, pipe.position),
            Value::String(text) => self.write(text, pipe.position),
            value => {
                let written = format::append(self.cx, &mut self.output, value);
                written.map_err(|failure| self.failed(pipe.position, failure))?;
                self.write(b"", pipe.position)
            }
        }
    }

    /// `if` and `with`.
    fn branch(&mut self, dot: &Item, branch: &'t Branch, with: bool) -> Result<Flow, Error> {
        let outer = self.variables.len();
        let item = self.pipe(dot, &branch.pipe)?;
        let flow = if item.value.is_true() {
            self.block(if with { &item } else { dot }, &branch.body)
        } else {
            self.otherwise(dot, branch)
        };
        self.variables.truncate(outer);
        flow
    }

    fn otherwise(&mut self, dot: &Item, branch: &'t Branch) -> Result<Flow, Error> {
        branch.otherwise.as_ref().map_or(Ok(Flow::On), |block| self.block(dot, block))
    }

    fn range(&mut self, dot: &Item, branch: &'t Branch) -> Result<Flow, Error> {
        let outer = self.variables.len();
        let item = self.pipe(dot, &branch.pipe)?;
        let position = branch.pipe.position;
        let any = match &item.value {
            Value::Nil => false,
            Value::List(list) => {
                let type_ = list.element();
                let items = list
                    .iter()
                    .enumerate()
                    .map(|(at, value)| (at_index(at).into(), Item::element(value.clone(), type_)));
                self.iterate(branch, items)?
            }
            Value::Map(map) => {
                let (type_, entries) = (map.element(), map.entries());
                self.cx.step(entries.len()).map_err(|failure| self.failed(position, failure))?;
                let items = entries
                    .into_iter()
                    .map(|(key, value)| (Value::String(key).into(), Item::element(value, type_)));
                self.iterate(branch, items)?
            }
            Value::Int(..) | Value::Uint(..) if branch.pipe.variables.len() > 1 => {
                let message = "can't use an integer to iterate over more than one variable";
                return Err(self.error(position, ErrorKind::Type, message));
            }
            Value::Int(type_, end) => {
                let items = (0..*end).map(|at| (Item::default(), Value::Int(*type_, at).into()));
                self.iterate(branch, items)?
            }
            Value::Uint(type_, end) => {
                let items = (0..*end).map(|at| (Item::default(), Value::Uint(*type_, at).into()));
                self.iterate(branch, items)?
            }
            other => {
                let message = format!("range can't iterate over a {}", other.type_name());
                return Err(self.error(position, ErrorKind::Type, message));
            }
        };
        let flow = if any { Ok(Flow::On) } else { self.otherwise(dot, branch) };
        self.variables.truncate(outer);
        flow
    }

    /// Runs the body for each index and element; false without any.
    fn iterate(
        &mut self,
        branch: &'t Branch,
        items: impl Iterator<Item = (Item, Item)>,
    ) -> Result<bool, Error> {
        let (top, mut any) = (self.variables.len(), false);
        for (index, element) in items {
            any = true;
            self.step(branch.pipe.position)?;
            self.set_loop_variables(&branch.pipe, index, &element)?;
            let flow = self.block(&element, &branch.body)?;
            self.variables.truncate(top);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(any)
    }

    /// One variable gets the element; the first of two gets the index.
    fn set_loop_variables(
        &mut self,
        pipe: &'t Pipe,
        index: Item,
        element: &Item,
    ) -> Result<(), Error> {
        let count = pipe.variables.len();
        let items = [index, element.clone()];
        let first = items.len().saturating_sub(count);
        for (at, item) in items.into_iter().skip(first).enumerate() {
            if pipe.assigns {
                self.assign(pipe.position, &pipe.variables[at], item)?;
                continue;
            }
            let declared = self.variables.len() - count + at;
            self.variables[declared].1 = item;
        }
        Ok(())
    }

    /// A template sees its dot as `$`, and no variable of its caller.
    fn template(&mut self, dot: &Item, call: &'t Call) -> Result<Flow, Error> {
        let Some(body) = self.tree.templates.get(&call.name) else {
            let name = String::from_utf8_lossy(&call.name);
            let message = format!("template {name:?} not defined");
            return Err(self.error(call.position, ErrorKind::Exec, message));
        };
        self.step(call.position)?;
        let dot = match &call.pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Item::default(),
        };
        let caller = std::mem::replace(&mut self.visible, self.variables.len());
        self.variables.push((DOLLAR, dot.clone()));
        self.block(&dot, body)?;
        self.variables.truncate(self.visible);
        self.visible = caller;
        Ok(Flow::On)
    }

    /// The value of a pipeline, taken out of its interface.
    pub(super) fn pipe(&mut self, dot: &Item, pipe: &'t Pipe) -> Result<Item, Error> {
        let mut last = None;
        for command in &pipe.commands {
            self.step(pipe.position)?;
            let item = self.command(dot, command, last.as_ref())?;
            last = Some(Item::from(item.value));
        }
        let item = last.unwrap_or_default();
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(pipe.position, name, item.clone())?;
            } else {
                self.variables.push((name, item.clone()));
            }
        }
        Ok(item)
    }

    /// Changes the innermost variable of this name.
    fn assign(&mut self, position: Position, name: &[u8], item: Item) -> Result<(), Error> {
        let at = self.find_variable(position, name)?;
        if let Some(variable) = self.variables.get_mut(at) {
            variable.1 = item;
        }
        Ok(())
    }

    /// The innermost variable of this name.
    pub(super) fn variable(&mut self, position: Position, name: &[u8]) -> Result<Item, Error> {
        let at = self.find_variable(position, name)?;
        Ok(self.variables.get(at).map(|(_, item)| item.clone()).unwrap_or_default())
    }

    fn find_variable(&mut self, position: Position, name: &[u8]) -> Result<usize, Error> {
        let visible = &self.variables[self.visible..];
        let found = visible.iter().rposition(|(known, _)| *known == name);
        let passed = visible.len() - found.unwrap_or(0);
        let cost = passed / 16 + name.len() / 32;
        self.cx.step(cost).map_err(|failure| self.failed(position, failure))?;
        found.map(|at| self.visible + at).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            self.error(position, ErrorKind::Exec, format!("undefined variable: {name}"))
        })
    }
}

/// What Go prints for no value.
pub(crate) const NO_VALUE: &[u8] = b"<no value>";

/// An index as Go's `int`.
pub(crate) fn at_index(at: usize) -> Value {
    Value::int(i64::try_from(at).unwrap_or(i64::MAX))
}
