//! Pipelines: commands, operands, terms.

use super::{
    super::{
        error::Error,
        function::Function,
        functions,
        lex::{Token, TokenKind},
        number::{Malformed, Number},
        tree::{Command, Operand, Pipe, Term},
        value::Text,
    },
    Parser, VARIABLES,
};

impl<'t> Parser<'t> {
    /// Declarations, then commands, up to `end`.
    pub(super) fn pipeline(
        &mut self,
        context: &'static str,
        end: TokenKind,
    ) -> Result<Pipe, Error> {
        let start = self.peek_non_space()?.at;
        let position = self.lexer.position(start);
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
        Ok(Pipe { position, assigns, variables, commands })
    }

    /// `$x :=`, `$x =`, in `range` also `$i, $x :=`. A variable that is none of these is put back.
    fn declarations(&mut self, context: &str) -> Result<(Vec<Text>, bool), Error> {
        let mut variables = Vec::new();
        loop {
            let token = self.peek_non_space()?;
            if token.kind != TokenKind::Variable {
                return Ok((variables, false));
            }
            let variable = self.next_non_space()?;
            let after = self.next()?;
            let next = if after.kind == TokenKind::Space { self.next_non_space()? } else { after };
            let comma = next.kind == TokenKind::Other && next.text == b",";
            if !comma && !matches!(next.kind, TokenKind::Assign | TokenKind::Declare) {
                self.back(next);
                if after.kind == TokenKind::Space {
                    self.back(after);
                }
                self.back(variable);
                return Ok((variables, false));
            }
            variables.push(self.name(variable.text));
            self.declare(variable.text)?;
            if !comma {
                return Ok((variables, next.kind == TokenKind::Assign));
            }
            if context != "range" || variables.len() > 1 {
                return Err(self.error(format!("too many declarations in {context}")));
            }
            let next = self.peek_non_space()?;
            if !matches!(
                next.kind,
                TokenKind::Variable | TokenKind::Right | TokenKind::RightParenthesis
            ) {
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
        self.variables = self.variables.max(self.scope.variables.len());
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
                TokenKind::Space => continue,
                TokenKind::Right | TokenKind::RightParenthesis => self.back(token),
                TokenKind::Pipe => {}
                _ => return Err(self.unexpected(token, "operand")),
            }
            break;
        }
        if operands.is_empty() {
            return Err(self.error("empty command"));
        }
        let head = operands.remove(0);
        operands.shrink_to_fit();
        if let Term::Function(_) = head.term {
            // One more is what a pipe hands over.
            self.arguments = self.arguments.max(operands.len() + 1);
        }
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
        if first.kind != TokenKind::Field {
            return Ok(Some(operand));
        }
        let mut fields = Vec::new();
        while self.peek()?.kind == TokenKind::Field {
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
                let position = operand.position;
                operand = Operand { position, term: Term::Chain(Box::new(operand), fields) };
            }
        }
        Ok(Some(operand))
    }

    fn term(&mut self) -> Result<Option<Operand>, Error> {
        self.count()?;
        let token = self.next_non_space()?;
        let term = match token.kind {
            TokenKind::Dot => Term::Dot,
            TokenKind::Bool => Term::Bool(token.text == b"true"),
            TokenKind::Name if token.text == b"nil" => Term::Nil,
            TokenKind::Name if !is_reserved(token) => Term::Function(self.function(token)?),
            TokenKind::Field => Term::Field(vec![self.field_name(token)]),
            TokenKind::Variable => {
                if !self.scope.variables.iter().any(|name| name == token.text) {
                    let name = String::from_utf8_lossy(token.text);
                    return Err(self.error(format!("undefined variable {name:?}")));
                }
                Term::Variable(self.name(token.text), Vec::new())
            }
            TokenKind::Number | TokenKind::Complex | TokenKind::Character => {
                Term::Number(Box::new(self.number(token)?))
            }
            TokenKind::String | TokenKind::RawString => Term::String(self.unquoted(token)?),
            TokenKind::LeftParenthesis => {
                let pipe = self.nested(|parser| {
                    parser.pipeline("parenthesized pipeline", TokenKind::RightParenthesis)
                })?;
                Term::Pipe(Box::new(pipe))
            }
            _ => {
                self.back(token);
                return Ok(None);
            }
        };
        Ok(Some(Operand { position: self.lexer.position(token.at), term }))
    }

    fn function(&mut self, token: Token<'t>) -> Result<&'static Function, Error> {
        let name = String::from_utf8_lossy(token.text);
        functions::find(&name).ok_or_else(|| self.error(format!("function {name:?} not defined")))
    }

    fn number(&mut self, token: Token<'t>) -> Result<Number, Error> {
        let text = std::str::from_utf8(token.text).unwrap_or_default();
        let number = match token.kind {
            TokenKind::Character => Number::character(token.text),
            TokenKind::Complex => Number::complex(text),
            _ => Number::parse(text),
        };
        number.map_err(|malformed| {
            self.lexer.error(
                token.at,
                match malformed {
                    Malformed::Syntax if token.kind == TokenKind::Character => {
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
        TokenKind::Name => !is_reserved(token),
        TokenKind::Bool
        | TokenKind::Character
        | TokenKind::Complex
        | TokenKind::Dot
        | TokenKind::Field
        | TokenKind::Number
        | TokenKind::RawString
        | TokenKind::String
        | TokenKind::Variable
        | TokenKind::LeftParenthesis => true,
        _ => false,
    }
}

fn is_constant(term: &Term) -> bool {
    matches!(term, Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::String(_))
}
