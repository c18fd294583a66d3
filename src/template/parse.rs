//! Tokens to a tree.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Delimiters,
    error::{Class, Error},
    function::Function,
    functions,
    lex::{Kind, Lexer, Token},
    number::{Malformed, Number},
    quote,
    tree::{Block, Branch, Call, Command, Node, Operand, Pipe, Term, Tree},
    value::Text,
};

/// Blocks and parentheses inside one another. Parsing, rendering and dropping recurse that deep.
const NESTING: usize = 64;

/// Actions, texts between them and operands; each takes up to 300 bytes.
const NODES: usize = 20_000;

/// Variables that one template declares.
const VARIABLES: usize = 500;

/// Bytes of a text: more than a Kubernetes object holds.
const TEXT: usize = 2 << 20;

/// Parses a text and the templates that it defines.
pub fn parse(name: &str, text: &[u8], delimiters: &Delimiters) -> Result<Tree, Error> {
    let lexer = Lexer::new(name, text, delimiters);
    let scope = Scope::default();
    let (ahead, names, templates) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    let (last, nesting, nodes) = (0, 0, 0);
    let mut parser = Parser { lexer, ahead, last, scope, nesting, nodes, names, templates };
    if text.len() > TEXT {
        return Err(parser.too_large(format!("longer than {TEXT} bytes")));
    }
    let body = parser.text()?;
    parser.define(Text::from(name), body, text.len())?;
    Ok(Tree { name: name.to_owned(), templates: parser.templates, nodes: parser.nodes })
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    /// Tokens that were read and put back, the next one last.
    ahead: Vec<Token<'t>>,
    /// Offset of the last token read: where a mistake is.
    last: usize,
    scope: Scope,
    nesting: usize,
    nodes: usize,
    names: BTreeSet<Text>,
    templates: BTreeMap<Text, Block>,
}

/// What a template sees of its surroundings; each `define` and `block` starts afresh.
struct Scope {
    /// Variables, the innermost last.
    variables: Vec<Vec<u8>>,
    /// `range`s around.
    ranges: usize,
}

impl Default for Scope {
    fn default() -> Self {
        Self { variables: vec![b"$".to_vec()], ranges: 0 }
    }
}

/// What ended a list of nodes.
enum Ending {
    End,
    /// `else`, with `if` or `with` behind it still to be read.
    Else,
}

/// A node, or what ends the list of nodes.
enum Item {
    Node(Node),
    Ending(Ending),
}

impl<'t> Parser<'t> {
    fn next(&mut self) -> Result<Token<'t>, Error> {
        let token = match self.ahead.pop() {
            Some(token) => token,
            None => self.lexer.next()?,
        };
        self.last = token.at;
        Ok(token)
    }

    fn next_non_space(&mut self) -> Result<Token<'t>, Error> {
        loop {
            let token = self.next()?;
            if token.kind != Kind::Space {
                return Ok(token);
            }
        }
    }

    fn back(&mut self, token: Token<'t>) {
        self.ahead.push(token);
    }

    fn peek(&mut self) -> Result<Token<'t>, Error> {
        let token = self.next()?;
        self.back(token);
        Ok(token)
    }

    fn peek_non_space(&mut self) -> Result<Token<'t>, Error> {
        let token = self.next_non_space()?;
        self.back(token);
        Ok(token)
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token<'t>, Error> {
        let token = self.next_non_space()?;
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(token, context)) }
    }

    fn error(&mut self, message: impl Into<String>) -> Error {
        self.lexer.error(self.last, message)
    }

    fn unexpected(&mut self, token: Token<'t>, context: &str) -> Error {
        let shown = match token.kind {
            Kind::End => return self.lexer.error(token.at, "unexpected EOF: {{ end }} is missing"),
            _ => String::from_utf8_lossy(&token.text[..token.text.len().min(20)]).into_owned(),
        };
        self.lexer.error(token.at, format!("unexpected {shown:?} in {context}"))
    }

    /// Runs `inner` one level of nesting deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.nesting >= NESTING {
            return Err(self.too_large(format!("nested deeper than {NESTING} levels")));
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    /// Adds a template. A later one replaces an earlier one only when either is blank.
    fn define(&mut self, name: Text, body: Block, at: usize) -> Result<(), Error> {
        match self.templates.get(&name) {
            Some(before) if !is_blank(before) => {
                if is_blank(&body) {
                    return Ok(());
                }
                let shown = String::from_utf8_lossy(&name).into_owned();
                return Err(self
                    .lexer
                    .error(at, format!("multiple definition of template {shown:?}")));
            }
            _ => {}
        }
        self.templates.insert(name, body);
        Ok(())
    }

    /// The whole text: only here may templates be defined.
    fn text(&mut self) -> Result<Block, Error> {
        let mut body = Vec::new();
        while self.peek()?.kind != Kind::End {
            let token = self.next()?;
            if token.kind == Kind::Left {
                let word = self.next_non_space()?;
                if word.is_word("define") {
                    self.definition()?;
                    continue;
                }
                self.back(word);
            }
            self.back(token);
            let at = token.at;
            match self.text_or_action()? {
                Item::Node(node) => body.push(node),
                Item::Ending(ending) => {
                    let word = if matches!(ending, Ending::End) { "end" } else { "else" };
                    let message = format!("unexpected {{{{{word}}}}}: it closes nothing");
                    return Err(self.lexer.error(at, message));
                }
            }
        }
        body.shrink_to_fit();
        Ok(body)
    }

    fn definition(&mut self) -> Result<(), Error> {
        const CONTEXT: &str = "define clause";
        let token = self.next_non_space()?;
        let name = self.template_name(token, CONTEXT)?;
        self.expect(Kind::Right, CONTEXT)?;
        self.body_of(name, token.at, CONTEXT)
    }

    /// The body of `define` or `block`: it sees no variable and no `range` of what surrounds it.
    fn body_of(&mut self, name: Text, at: usize, context: &str) -> Result<(), Error> {
        let outer = std::mem::take(&mut self.scope);
        let (body, ending) = self.nested(Self::list)?;
        self.scope = outer;
        if matches!(ending, Ending::Else) {
            return Err(self.error(format!("unexpected {{{{else}}}} in {context}")));
        }
        self.define(name, body, at)
    }

    /// Nodes up to `end` or `else`.
    fn list(&mut self) -> Result<(Block, Ending), Error> {
        let mut list = Vec::new();
        loop {
            let token = self.peek_non_space()?;
            if token.kind == Kind::End {
                return Err(self.unexpected(token, "input"));
            }
            match self.text_or_action()? {
                Item::Node(node) => list.push(node),
                Item::Ending(ending) => {
                    list.shrink_to_fit();
                    return Ok((list, ending));
                }
            }
        }
    }

    fn text_or_action(&mut self) -> Result<Item, Error> {
        self.count()?;
        let token = self.next_non_space()?;
        match token.kind {
            Kind::Text => {
                let place = self.lexer.place(token.at);
                Ok(Item::Node(Node::Text(place, Text::from(token.text))))
            }
            Kind::Left => self.action(),
            _ => Err(self.unexpected(token, "input")),
        }
    }

    fn action(&mut self) -> Result<Item, Error> {
        let token = self.next_non_space()?;
        let word = if token.kind == Kind::Name { token.text } else { b"" };
        let node = match word {
            b"if" => Node::If(self.control("if")?),
            b"with" => Node::With(self.control("with")?),
            b"range" => Node::Range(self.control("range")?),
            b"block" => self.block()?,
            b"template" => self.template()?,
            b"break" | b"continue" => self.jump(token)?,
            b"end" => {
                self.expect(Kind::Right, "end")?;
                return Ok(Item::Ending(Ending::End));
            }
            b"else" => {
                let next = self.peek_non_space()?;
                if !(next.is_word("if") || next.is_word("with")) {
                    self.expect(Kind::Right, "else")?;
                }
                return Ok(Item::Ending(Ending::Else));
            }
            _ => {
                self.back(token);
                Node::Action(self.pipeline("command", Kind::Right)?)
            }
        };
        Ok(Item::Node(node))
    }

    fn jump(&mut self, token: Token<'t>) -> Result<Node, Error> {
        let word = if token.text == b"break" { "break" } else { "continue" };
        self.expect(Kind::Right, &format!("{{{{{word}}}}}"))?;
        if self.scope.ranges == 0 {
            let message = format!("{{{{{word}}}}} outside {{{{range}}}}");
            return Err(self.lexer.error(token.at, message));
        }
        Ok(if word == "break" { Node::Break } else { Node::Continue })
    }

    /// `if`, `with`, `range`: variables that they declare end with them.
    fn control(&mut self, word: &'static str) -> Result<Branch, Error> {
        self.nested(|parser| {
            let variables = parser.scope.variables.len();
            let branch = parser.branch(word);
            parser.scope.variables.truncate(variables);
            branch
        })
    }

    fn branch(&mut self, word: &'static str) -> Result<Branch, Error> {
        let ranges = usize::from(word == "range");
        let pipe = self.pipeline(word, Kind::Right)?;
        self.scope.ranges += ranges;
        let (body, ending) = self.list()?;
        self.scope.ranges -= ranges;
        let otherwise = match ending {
            Ending::End => None,
            Ending::Else => Some(self.otherwise(word)?),
        };
        Ok(Branch { pipe, body, otherwise })
    }

    /// `{{ else if b }}` is `{{ else }}{{ if b }}` whose `end` closes both.
    fn otherwise(&mut self, word: &'static str) -> Result<Block, Error> {
        let next = self.peek()?;
        if word != "range" && next.is_word(word) {
            self.next()?;
            let branch = self.control(word)?;
            return Ok(vec![if word == "if" { Node::If(branch) } else { Node::With(branch) }]);
        }
        let (list, ending) = self.list()?;
        match ending {
            Ending::End => Ok(list),
            Ending::Else => Err(self.error("expected end; found {{else}}")),
        }
    }

    fn block(&mut self) -> Result<Node, Error> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space()?;
        let name = self.template_name(token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::Right)?;
        self.body_of(name.clone(), token.at, CONTEXT)?;
        let place = self.lexer.place(token.at);
        Ok(Node::Template(Call { place, name, pipe: Some(pipe) }))
    }

    fn template(&mut self) -> Result<Node, Error> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space()?;
        let name = self.template_name(token, CONTEXT)?;
        let next = self.next_non_space()?;
        let pipe = if next.kind == Kind::Right {
            None
        } else {
            self.back(next);
            Some(self.pipeline(CONTEXT, Kind::Right)?)
        };
        let place = self.lexer.place(token.at);
        Ok(Node::Template(Call { place, name, pipe }))
    }

    fn template_name(&mut self, token: Token<'t>, context: &str) -> Result<Text, Error> {
        match token.kind {
            Kind::String | Kind::RawString => self.unquoted(token),
            _ => Err(self.unexpected(token, context)),
        }
    }

    fn unquoted(&mut self, token: Token<'t>) -> Result<Text, Error> {
        quote::unquote(token.text)
            .map(Text::new)
            .ok_or_else(|| self.lexer.error(token.at, "invalid escape in a quoted string"))
    }

    /// Declarations, then commands, up to `end`.
    fn pipeline(&mut self, context: &'static str, end: Kind) -> Result<Pipe, Error> {
        let start = self.peek_non_space()?.at;
        let place = self.lexer.place(start);
        let (variables, assigns) = self.declarations(context)?;
        let mut commands = Vec::new();
        loop {
            let token = self.next_non_space()?;
            if token.kind == end {
                break;
            }
            if !starts_operand(token) {
                return Err(self.unexpected(token, context));
            }
            self.back(token);
            let command = self.command()?;
            if !commands.is_empty() && is_constant(&command.head.term) {
                let stage = commands.len() + 1;
                let message = format!("non executable command in pipeline stage {stage}");
                return Err(self.lexer.error(token.at, message));
            }
            commands.push(command);
        }
        if commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        commands.shrink_to_fit();
        Ok(Pipe { place, assigns, variables, commands })
    }

    /// `$x :=`, `$x =`, in `range` also `$i, $x :=`. A variable that is none of these is put back.
    fn declarations(&mut self, context: &str) -> Result<(Vec<Text>, bool), Error> {
        let mut variables = Vec::new();
        loop {
            let token = self.peek_non_space()?;
            if token.kind != Kind::Variable {
                return Ok((variables, false));
            }
            let variable = self.next_non_space()?;
            let after = self.next()?;
            let next = if after.kind == Kind::Space { self.next_non_space()? } else { after };
            let comma = next.kind == Kind::Other && next.text == b",";
            if !comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
                self.back(next);
                if after.kind == Kind::Space {
                    self.back(after);
                }
                self.back(variable);
                return Ok((variables, false));
            }
            variables.push(self.name(variable.text));
            self.declare(variable.text)?;
            if !comma {
                return Ok((variables, next.kind == Kind::Assign));
            }
            if context != "range" || variables.len() > 1 {
                return Err(self.error(format!("too many declarations in {context}")));
            }
            let next = self.peek_non_space()?;
            if !matches!(next.kind, Kind::Variable | Kind::Right | Kind::RightParenthesis) {
                return Err(self.error("range can only initialize variables"));
            }
        }
    }

    /// Only whether a variable is known matters here, so that one name is kept once.
    fn declare(&mut self, name: &[u8]) -> Result<(), Error> {
        if self.scope.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        if self.scope.variables.len() > VARIABLES {
            return Err(self.too_large(format!("more than {VARIABLES} variables")));
        }
        self.scope.variables.push(name.to_vec());
        Ok(())
    }

    fn too_large(&mut self, what: String) -> Error {
        let mut error = self.error(what);
        error.class = Class::Bound;
        error
    }

    /// Accounts for a node of the tree.
    fn count(&mut self) -> Result<(), Error> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(self.too_large(format!("more than {NODES} actions and operands")));
        }
        Ok(())
    }

    /// Operands between blanks, up to a pipe, which is read, or the end of the pipeline, which is not.
    fn command(&mut self) -> Result<Command, Error> {
        let mut operands = Vec::new();
        loop {
            self.skip_space()?;
            operands.extend(self.operand()?);
            let token = self.next()?;
            match token.kind {
                Kind::Space => continue,
                Kind::Right | Kind::RightParenthesis => self.back(token),
                Kind::Pipe => {}
                _ => return Err(self.unexpected(token, "operand")),
            }
            break;
        }
        if operands.is_empty() {
            return Err(self.error("empty command"));
        }
        let head = operands.remove(0);
        operands.shrink_to_fit();
        Ok(Command { head, arguments: operands })
    }

    /// A name, kept once however often it is written.
    fn name(&mut self, name: &[u8]) -> Text {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let name = Text::from(name);
        self.names.insert(name.clone());
        name
    }

    fn field_name(&mut self, token: Token<'t>) -> Text {
        self.name(token.text.get(1..).unwrap_or_default())
    }

    fn skip_space(&mut self) -> Result<(), Error> {
        self.peek_non_space().map(drop)
    }

    /// A term and the fields behind it; none where no operand starts.
    fn operand(&mut self) -> Result<Option<Operand>, Error> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        let first = self.peek()?;
        if first.kind != Kind::Field {
            return Ok(Some(operand));
        }
        let mut fields = Vec::new();
        while self.peek()?.kind == Kind::Field {
            self.count()?;
            let field = self.next()?;
            fields.push(self.field_name(field));
        }
        fields.shrink_to_fit();
        match &mut operand.term {
            Term::Field(names) | Term::Variable(_, names) => {
                names.reserve_exact(fields.len());
                names.append(&mut fields);
            }
            term if is_constant(term) => {
                return Err(self.lexer.error(first.at, "unexpected . after a constant"));
            }
            _ => {
                let place = operand.place;
                operand = Operand { place, term: Term::Chain(Box::new(operand), fields) };
            }
        }
        Ok(Some(operand))
    }

    fn term(&mut self) -> Result<Option<Operand>, Error> {
        self.count()?;
        let token = self.next_non_space()?;
        let term = match token.kind {
            Kind::Dot => Term::Dot,
            Kind::Bool => Term::Bool(token.text == b"true"),
            Kind::Name if token.text == b"nil" => Term::Nil,
            Kind::Name if !is_reserved(token) => Term::Function(self.function(token)?),
            Kind::Field => Term::Field(vec![self.field_name(token)]),
            Kind::Variable => {
                if !self.scope.variables.iter().any(|name| name == token.text) {
                    let name = String::from_utf8_lossy(token.text);
                    return Err(self.error(format!("undefined variable {name:?}")));
                }
                Term::Variable(self.name(token.text), Vec::new())
            }
            Kind::Number | Kind::Complex | Kind::Character => {
                Term::Number(Box::new(self.number(token)?))
            }
            Kind::String | Kind::RawString => Term::String(self.unquoted(token)?),
            Kind::LeftParenthesis => {
                let pipe = self.nested(|parser| {
                    parser.pipeline("parenthesized pipeline", Kind::RightParenthesis)
                })?;
                Term::Pipe(Box::new(pipe))
            }
            _ => {
                self.back(token);
                return Ok(None);
            }
        };
        Ok(Some(Operand { place: self.lexer.place(token.at), term }))
    }

    fn function(&mut self, token: Token<'t>) -> Result<&'static Function, Error> {
        let name = String::from_utf8_lossy(token.text);
        functions::find(&name).ok_or_else(|| self.error(format!("function {name:?} not defined")))
    }

    fn number(&mut self, token: Token<'t>) -> Result<Number, Error> {
        let text = std::str::from_utf8(token.text).unwrap_or_default();
        let number = match token.kind {
            Kind::Character => Number::character(token.text),
            Kind::Complex => Number::complex(text),
            _ => Number::parse(text),
        };
        number.map_err(|malformed| {
            self.lexer.error(
                token.at,
                match malformed {
                    Malformed::Syntax if token.kind == Kind::Character => {
                        "malformed character constant"
                    }
                    Malformed::Syntax => "illegal number syntax",
                    Malformed::Overflow => "integer overflow",
                },
            )
        })
    }
}

/// Words of the language are no functions.
fn is_reserved(token: Token<'_>) -> bool {
    const WORDS: [&str; 10] =
        ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];
    WORDS.iter().any(|word| token.is_word(word))
}

fn starts_operand(token: Token<'_>) -> bool {
    match token.kind {
        Kind::Name => !is_reserved(token),
        Kind::Bool
        | Kind::Character
        | Kind::Complex
        | Kind::Dot
        | Kind::Field
        | Kind::Number
        | Kind::RawString
        | Kind::String
        | Kind::Variable
        | Kind::LeftParenthesis => true,
        _ => false,
    }
}

fn is_constant(term: &Term) -> bool {
    matches!(term, Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::String(_))
}

/// True of nothing but blanks.
fn is_blank(body: &Block) -> bool {
    body.iter().all(|node| match node {
        Node::Text(_, text) => text.trim_ascii().is_empty(),
        _ => false,
    })
}
