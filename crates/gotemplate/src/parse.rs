//! Tokens to a tree.

mod pipeline;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Delimiters,
    error::{Error, ErrorKind},
    lex::{Lexer, Token, TokenKind},
    quote,
    tree::{Block, Branch, Call, Node, Tree},
    value::Text,
};

/// Blocks and parentheses inside one another. Parsing, rendering and dropping recurse that deep.
const NESTING: usize = 64;

/// Actions, texts between them and operands; each takes up to 300 bytes.
const NODES: usize = 20_000;

/// Variables that one template declares.
const VARIABLES: usize = 500;

/// Bytes of a template.
const TEXT: usize = 2 << 20;

/// Parses a text and the templates that it defines.
pub(crate) fn parse(name: &str, text: &[u8], delimiters: &Delimiters) -> Result<Tree, Error> {
    let lexer = Lexer::new(name, text, delimiters);
    let scope = Scope::default();
    let (ahead, names, templates) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    let mut parser = Parser {
        lexer,
        ahead,
        last: 0,
        scope,
        nesting: 0,
        nodes: 0,
        variables: 1,
        arguments: 0,
        names,
        templates,
    };
    if text.len() > TEXT {
        return Err(parser.too_large(format!("longer than {TEXT} bytes")));
    }
    let body = parser.text()?;
    parser.define(Text::from(name), body, text.len())?;
    let Parser { templates, nodes, variables, arguments, .. } = parser;
    Ok(Tree { name: name.to_owned(), templates, nodes, variables, arguments })
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
    variables: usize,
    arguments: usize,
    names: BTreeSet<Text>,
    templates: BTreeMap<Text, Block>,
}

/// What a template sees of what is around it; each `define` and `block` starts afresh.
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
            if token.kind != TokenKind::Space {
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

    fn expect(&mut self, kind: TokenKind, context: &str) -> Result<Token<'t>, Error> {
        let token = self.next_non_space()?;
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(token, context)) }
    }

    fn error(&mut self, message: impl Into<String>) -> Error {
        self.lexer.error(self.last, message)
    }

    fn unexpected(&mut self, token: Token<'t>, context: &str) -> Error {
        let shown = match token.kind {
            TokenKind::End => {
                return self.lexer.error(token.at, "unexpected EOF: {{ end }} is missing");
            }
            _ => String::from_utf8_lossy(&token.text[..token.text.len().min(20)]).into_owned(),
        };
        self.lexer.error(token.at, format!("unexpected {shown:?} in {context}"))
    }

    fn too_large(&mut self, what: String) -> Error {
        let mut error = self.error(what);
        error.kind = ErrorKind::Bound;
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
        while self.peek()?.kind != TokenKind::End {
            let token = self.next()?;
            if token.kind == TokenKind::Left {
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
        self.expect(TokenKind::Right, CONTEXT)?;
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
            if token.kind == TokenKind::End {
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
            TokenKind::Text => {
                let position = self.lexer.position(token.at);
                Ok(Item::Node(Node::Text(position, Text::from(token.text))))
            }
            TokenKind::Left => self.action(),
            _ => Err(self.unexpected(token, "input")),
        }
    }

    fn action(&mut self) -> Result<Item, Error> {
        let token = self.next_non_space()?;
        let word = if token.kind == TokenKind::Name { token.text } else { b"" };
        let node = match word {
            b"if" => Node::If(self.control("if")?),
            b"with" => Node::With(self.control("with")?),
            b"range" => Node::Range(self.control("range")?),
            b"block" => self.block()?,
            b"template" => self.template()?,
            b"break" | b"continue" => self.jump(token)?,
            b"end" => {
                self.expect(TokenKind::Right, "end")?;
                return Ok(Item::Ending(Ending::End));
            }
            b"else" => {
                let next = self.peek_non_space()?;
                if !(next.is_word("if") || next.is_word("with")) {
                    self.expect(TokenKind::Right, "else")?;
                }
                return Ok(Item::Ending(Ending::Else));
            }
            _ => {
                self.back(token);
                Node::Action(self.pipeline("command", TokenKind::Right)?)
            }
        };
        Ok(Item::Node(node))
    }

    fn jump(&mut self, token: Token<'t>) -> Result<Node, Error> {
        let word = if token.text == b"break" { "break" } else { "continue" };
        self.expect(TokenKind::Right, &format!("{{{{{word}}}}}"))?;
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
        let pipe = self.pipeline(word, TokenKind::Right)?;
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
        let pipe = self.pipeline(CONTEXT, TokenKind::Right)?;
        self.body_of(name.clone(), token.at, CONTEXT)?;
        let position = self.lexer.position(token.at);
        Ok(Node::Template(Call { position, name, pipe: Some(pipe) }))
    }

    fn template(&mut self) -> Result<Node, Error> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space()?;
        let name = self.template_name(token, CONTEXT)?;
        let next = self.next_non_space()?;
        let pipe = if next.kind == TokenKind::Right {
            None
        } else {
            self.back(next);
            Some(self.pipeline(CONTEXT, TokenKind::Right)?)
        };
        let position = self.lexer.position(token.at);
        Ok(Node::Template(Call { position, name, pipe }))
    }

    fn template_name(&mut self, token: Token<'t>, context: &str) -> Result<Text, Error> {
        match token.kind {
            TokenKind::String | TokenKind::RawString => self.unquoted(token),
            _ => Err(self.unexpected(token, context)),
        }
    }

    fn unquoted(&mut self, token: Token<'t>) -> Result<Text, Error> {
        quote::unquote(token.text)
            .map(Text::new)
            .ok_or_else(|| self.lexer.error(token.at, "invalid escape in a quoted string"))
    }
}

/// True of nothing but blanks.
fn is_blank(body: &Block) -> bool {
    body.iter().all(|node| match node {
        Node::Text(_, text) => text.trim_ascii().is_empty(),
        _ => false,
    })
}
