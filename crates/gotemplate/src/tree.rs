//! What a template is made of, once parsed.

use std::collections::BTreeMap;

pub(crate) use super::position::Position;
use super::{function::Function, number::Number, value::Text};

/// A template with those that it defines.
pub(crate) struct Tree {
    /// Name that the text was parsed under; places count in that text.
    pub name: String,
    /// Bodies by the name of the template, the text's own one under `name`.
    pub templates: BTreeMap<Text, Block>,
    /// Number of actions, texts and operands.
    pub nodes: usize,
    /// The most variables, and the most arguments of a call, that one template has at a time: room for them is
    /// made at once.
    pub variables: usize,
    /// See `variables`.
    pub arguments: usize,
}

/// What a node takes at most, in bytes, without the text of constants.
pub(crate) const NODE_BYTES: usize = 250;

/// A body: what stands between actions, and actions.
pub(crate) type Block = Vec<Node>;

/// A piece of a body.
pub(crate) enum Node {
    /// Text as it is, and where it starts.
    Text(Position, Text),
    /// A pipeline whose value is printed, unless it declares variables.
    Action(Pipe),
    /// `if`
    If(Branch),
    /// `with`
    With(Branch),
    /// `range`
    Range(Branch),
    /// `template`, and the call that `block` is.
    Template(Call),
    /// `break`
    Break,
    /// `continue`
    Continue,
}

/// `if`, `with` and `range`.
pub(crate) struct Branch {
    /// What decides.
    pub pipe: Pipe,
    /// Where it is true.
    pub body: Block,
    /// After `else`, where there is one.
    pub otherwise: Option<Block>,
}

/// A template that is called by name.
pub(crate) struct Call {
    /// Where.
    pub position: Position,
    /// Its name.
    pub name: Text,
    /// What it gets as dot. Without it, nothing.
    pub pipe: Option<Pipe>,
}

/// Commands of which each gets the value of the one before as its last argument.
pub(crate) struct Pipe {
    /// Where it starts.
    pub position: Position,
    /// True of `=`, false of `:=`.
    pub assigns: bool,
    /// Variables that get the value.
    pub variables: Vec<Text>,
    /// At least one.
    pub commands: Vec<Command>,
}

/// An operand, with arguments where it is a function or a method.
pub(crate) struct Command {
    /// What is called, or just evaluated.
    pub head: Operand,
    /// Its arguments.
    pub arguments: Vec<Operand>,
}

/// A term with its position.
pub(crate) struct Operand {
    /// Where.
    pub position: Position,
    /// What.
    pub term: Term,
}

/// The smallest expressions.
pub(crate) enum Term {
    /// `.`
    Dot,
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// A number or character constant.
    Number(Box<Number>),
    /// A string constant.
    String(Text),
    /// `.a.b`
    Field(Vec<Text>),
    /// `$x.a.b`
    Variable(Text, Vec<Text>),
    /// A function, called without arguments where it is an argument itself.
    Function(&'static Function),
    /// A pipeline in parentheses.
    Pipe(Box<Pipe>),
    /// Fields of a function's or a parenthesised pipeline's value.
    Chain(Box<Operand>, Vec<Text>),
}
