//! Pipelines: commands, operands, terms.

use super::{
    super::{
        error::Error,
        function::Function,
        functions,
        lex::{Kind, Token},
        number::{Malformed, Number},
        tree::{Command, Operand, Pipe, Term},
        value::Text,
    },
    Parser, VARIABLES,
};

impl<'t> Parser<'t> {
    /// Declarations, then commands, up to `end`.
    pub(super) fn pipeline(&mut self, context: &'static str, end: Kind) -> Result<Pipe, Error> {
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
