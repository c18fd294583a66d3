//! What a command is worth: constants, fields, methods, calls with Go's checks of their arguments.

use super::{
    error::{Error, ErrorKind},
    eval::{Evaluator, Item, MissingKey},
    function::{Args, Function},
    methods,
    number::Number,
    tree::{Command, Operand, Position, Term},
    value::{FloatType, Text, Type, Value},
};

/// What a field, method or function is given.
#[derive(Clone, Copy)]
struct Given<'t, 'i> {
    arguments: &'t [Operand],
    /// The value of the command before, in a pipeline.
    last: Option<&'i Item>,
}

impl Given<'_, '_> {
    const NOTHING: Self = Self { arguments: &[], last: None };

    fn is_nothing(&self) -> bool {
        self.arguments.is_empty() && self.last.is_none()
    }

    fn count(&self) -> usize {
        self.arguments.len() + usize::from(self.last.is_some())
    }
}

impl<'t> Evaluator<'t, '_, '_> {
    /// The value of a command, which gets the value of the one before as its last argument.
    pub(super) fn command(
        &mut self,
        dot: &Item,
        command: &'t Command,
        last: Option<&Item>,
    ) -> Result<Item, Error> {
        let given = Given { arguments: &command.arguments, last };
        self.evaluate(dot, &command.head, given)
    }

    fn evaluate(
        &mut self,
        dot: &Item,
        operand: &'t Operand,
        given: Given<'t, '_>,
    ) -> Result<Item, Error> {
        let position = operand.position;
        match &operand.term {
            Term::Field(names) => self.chain(dot, dot.clone(), position, names, given),
            Term::Variable(name, names) if !names.is_empty() => {
                let variable = self.variable(position, name)?;
                self.chain(dot, variable, position, names, given)
            }
            Term::Chain(inner, names) => {
                let receiver = self.nested(position, |e| e.evaluate(dot, inner, Given::NOTHING))?;
                self.chain(dot, receiver, position, names, given)
            }
            Term::Function(function) => {
                self.call(dot, position, function, None, given).map(Item::from)
            }
            _ if !given.is_nothing() => {
                Err(self.error(position, ErrorKind::Type, "can't give argument to non-function"))
            }
            Term::Variable(name, _) => self.variable(position, name),
            Term::Pipe(pipe) => self.nested(position, |e| e.pipe(dot, pipe)),
            Term::Dot => Ok(dot.clone()),
            Term::Nil => Err(self.error(position, ErrorKind::Exec, "nil is not a command")),
            Term::Bool(truth) => Ok(Value::Bool(*truth).into()),
            Term::Number(number) => self.constant(position, number).map(Item::from),
            Term::String(text) => Ok(Value::String(text.clone()).into()),
        }
    }

    /// A number where nothing asks for a type: its spelling decides.
    fn constant(&self, position: Position, number: &Number) -> Result<Value, Error> {
        match (number.complex, number.float, number.int) {
            (Some((real, imaginary)), ..) => Ok(Value::Complex(real, imaginary)),
            (_, Some(float), _) if number.is_float => Ok(Value::float(float)),
            (.., Some(int)) => Ok(Value::int(int)),
            _ => Err(self.error(position, ErrorKind::Exec, "integer constant overflows int")),
        }
    }

    /// `.a.b.c` from a receiver on. Only the last name gets arguments.
    fn chain(
        &mut self,
        dot: &Item,
        mut receiver: Item,
        position: Position,
        names: &'t [Text],
        given: Given<'t, '_>,
    ) -> Result<Item, Error> {
        let last = names.len().saturating_sub(1);
        for (at, name) in names.iter().enumerate() {
            let cost = 1 + name.len() / 32;
            self.cx.step(cost).map_err(|failure| self.failed(position, failure))?;
            let given = if at == last { given } else { Given::NOTHING };
            receiver = self.field(dot, &receiver, position, name, given)?;
        }
        Ok(receiver)
    }

    /// A method, the field of a struct or the entry of a map.
    fn field(
        &mut self,
        dot: &Item,
        receiver: &Item,
        position: Position,
        name: &'t Text,
        given: Given<'t, '_>,
    ) -> Result<Item, Error> {
        let shown = String::from_utf8_lossy(name);
        if let Value::Nil = receiver.value {
            return match self.missing_key {
                _ if receiver.boxed => {
                    let message = format!("nil pointer evaluating interface {{}}.{shown}");
                    Err(self.error(position, ErrorKind::Type, message))
                }
                MissingKey::Error => {
                    let message = format!("nil data; no entry for key {shown:?}");
                    Err(self.error(position, ErrorKind::Type, message))
                }
                _ => Ok(Item::default()),
            };
        }
        if let Some(method) = methods::find(&receiver.value, &shown) {
            return self.call(dot, position, method, Some(&receiver.value), given).map(Item::from);
        }
        match &receiver.value {
            Value::Map(_) if !given.is_nothing() => {
                let message = format!("{shown} is not a method but has arguments");
                Err(self.error(position, ErrorKind::Type, message))
            }
            Value::Map(map) => match (map.get(name), self.missing_key) {
                (Some(value), _) => Ok(Item::element(value, map.element())),
                (None, MissingKey::Invalid) => Ok(Item::default()),
                (None, MissingKey::Zero) => {
                    Ok(Item::element(Value::zero_of(map.element()), map.element()))
                }
                (None, MissingKey::Error) => {
                    let message = format!("map has no entry for key {shown:?}");
                    Err(self.error(position, ErrorKind::MissingKey, message))
                }
            },
            _ => self.struct_field(receiver, position, &shown, given),
        }
    }

    /// The field of a struct.
    fn struct_field(
        &self,
        receiver: &Item,
        position: Position,
        name: &str,
        given: Given<'t, '_>,
    ) -> Result<Item, Error> {
        let fields = match &receiver.value {
            Value::Object(object) => object.fields(),
            _ => Vec::new(),
        };
        let message = match fields.into_iter().find(|(known, _)| *known == name) {
            Some((_, field)) if given.is_nothing() => return Ok(Item::from(field)),
            Some(_) => format!("{name} has arguments but cannot be invoked as function"),
            None => {
                let boxed = receiver.boxed;
                let type_ = if boxed { Type::Any.name() } else { receiver.value.type_name() };
                format!("can't evaluate field {name} in type {type_}")
            }
        };
        Err(self.error(position, ErrorKind::Type, message))
    }

    /// Calls a function, or a method with its receiver as first argument.
    fn call(
        &mut self,
        dot: &Item,
        position: Position,
        function: &'static Function,
        receiver: Option<&Value>,
        given: Given<'t, '_>,
    ) -> Result<Value, Error> {
        self.check_count(position, function, given)?;
        if function.short_circuits() {
            return self.short_circuit(dot, position, function, given);
        }
        self.step(position)?;
        let first = self.arguments.len();
        self.arguments.extend(receiver.cloned());
        for (at, argument) in given.arguments.iter().enumerate() {
            let type_ = function.parameter(at).unwrap_or(Type::Any);
            let value = self.argument(dot, argument, type_)?;
            self.arguments.push(value);
        }
        if let Some(last) = given.last {
            let type_ = function.parameter(given.arguments.len()).unwrap_or(Type::Any);
            let value = self.checked(position, last.clone(), type_)?;
            self.arguments.push(value);
        }
        let result = (function.body)(self.cx, &Args::new(&self.arguments[first..]));
        self.arguments.truncate(first);
        result.map_err(|mut failure| {
            if failure.kind != ErrorKind::Bound {
                failure.message = format!("error calling {}: {}", function.name, failure.message);
            }
            self.failed(position, failure)
        })
    }

    fn check_count(
        &self,
        position: Position,
        function: &Function,
        given: Given<'_, '_>,
    ) -> Result<(), Error> {
        let (wanted, got) = (function.fixed.len(), given.count());
        let at_least = match function.rest {
            Some(_) if got < wanted => "at least ",
            None if got != wanted => "",
            _ => return Ok(()),
        };
        let name = function.name;
        let message = format!("wrong number of args for {name}: want {at_least}{wanted} got {got}");
        Err(self.error(position, ErrorKind::Type, message))
    }

    /// `and` and `or`: the first argument that decides, or the last one. What follows is not evaluated.
    fn short_circuit(
        &mut self,
        dot: &Item,
        position: Position,
        function: &'static Function,
        given: Given<'t, '_>,
    ) -> Result<Value, Error> {
        let decides = function.name == "or";
        let mut value = Value::Nil;
        for argument in given.arguments {
            value = self.argument(dot, argument, Type::Reflect)?;
            if value.is_true() == decides {
                return Ok(value);
            }
        }
        match given.last {
            Some(last) => self.checked(position, last.clone(), Type::Reflect),
            None => Ok(value),
        }
    }

    /// An argument as the parameter's type: constants become that type, values must have it.
    fn argument(&mut self, dot: &Item, operand: &'t Operand, type_: Type) -> Result<Value, Error> {
        let position = operand.position;
        match &operand.term {
            Term::Nil => Value::nil_of(type_).ok_or_else(|| {
                self.error(
                    position,
                    ErrorKind::Type,
                    format!("cannot assign nil to {}", type_.name()),
                )
            }),
            Term::Bool(_) | Term::Number(_) | Term::String(_) => {
                self.typed_constant(operand, type_)
            }
            _ => {
                let item = self.evaluate(dot, operand, Given::NOTHING)?;
                self.checked(position, item, type_)
            }
        }
    }

    fn typed_constant(&self, operand: &Operand, type_: Type) -> Result<Value, Error> {
        let position = operand.position;
        let found = match (&operand.term, type_) {
            (Term::Bool(truth), Type::Bool | Type::Any | Type::Reflect) => {
                Some(Value::Bool(*truth))
            }
            (
                Term::String(text),
                Type::String | Type::NamedString(_) | Type::Any | Type::Reflect,
            ) => Some(Value::String(text.clone())),
            (Term::Number(number), Type::Any | Type::Reflect) => {
                return self.constant(position, number);
            }
            (Term::Number(number), Type::Int(int)) => number.int.map(|n| Value::Int(int, n)),
            (Term::Number(number), Type::Uint(uint)) => number.uint.map(|n| Value::Uint(uint, n)),
            (Term::Number(number), Type::Float(float)) => number.float.map(|n| {
                #[expect(clippy::cast_possible_truncation)] // what a float32 is
                let narrow = if float == FloatType::Float32 { f64::from(n as f32) } else { n };
                Value::Float(float, narrow)
            }),
            (Term::Number(number), Type::Complex) => number
                .complex
                .or(number.float.map(|float| (float, 0.0)))
                .map(|(real, imaginary)| Value::Complex(real, imaginary)),
            _ => None,
        };
        found.ok_or_else(|| {
            let message = format!("expected {}; found another constant", type_.name());
            self.error(position, ErrorKind::Type, message)
        })
    }

    /// A value that must have the parameter's type.
    fn checked(&self, position: Position, item: Item, type_: Type) -> Result<Value, Error> {
        let wanted = |what: String| self.error(position, ErrorKind::Type, what);
        if item.is_invalid() {
            return Value::nil_of(type_)
                .ok_or_else(|| wanted(format!("invalid value; expected {}", type_.name())));
        }
        if matches!(type_, Type::Any | Type::Reflect) || item.value.type_() == Some(type_) {
            return Ok(item.value);
        }
        let got = item.value.type_().unwrap_or(Type::Any);
        let (expected, got) = (type_.name(), got.name());
        Err(wanted(format!("wrong type for value; expected {expected}; got {got}")))
    }
}
