//! Package `fmt` of Go: how values print.

mod float;
mod integer;
mod text;
mod verbs;

pub(crate) use float::{append_float, whole};
pub(crate) use verbs::printf;

use super::{
    budget::Context,
    buffer::Buffer,
    error::Failure,
    methods,
    time::Time,
    value::{FloatType, IntType, List, Map, Object, Text, Type, UintType, Value},
};

/// `fmt.Sprint` of one value: as `%v` prints it, which is how actions print.
pub(crate) fn display(cx: &mut Context<'_>, value: &Value) -> Result<Text, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        other => printed(cx, room(other), |printer| printer.argument(other, 'v')),
    }
}

/// `fmt.Sprint`: blanks only between two values of which neither is a string.
pub(crate) fn print(cx: &mut Context<'_>, values: &[Value]) -> Result<Text, Failure> {
    printed(cx, values.iter().map(room).sum(), |printer| {
        for (at, value) in values.iter().enumerate() {
            let string = |value: &Value| matches!(value, Value::String(_));
            if at > 0 && !string(value) && !string(&values[at - 1]) {
                printer.out.push(b' ');
            }
            printer.argument(value, 'v')?;
        }
        Ok(())
    })
}

/// `fmt.Sprintln`
pub(crate) fn println(cx: &mut Context<'_>, values: &[Value]) -> Result<Text, Failure> {
    printed(cx, values.iter().map(room).sum(), |printer| {
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                printer.out.push(b' ');
            }
            printer.argument(value, 'v')?;
        }
        printer.out.push(b'\n');
        Ok(())
    })
}

/// Appends what [`display`] gives.
pub(super) fn append(cx: &mut Context<'_>, out: &mut Buffer, value: &Value) -> Result<(), Failure> {
    into(cx, out, |printer| printer.argument(value, 'v'))
}

/// About how many bytes a value takes when it is printed, as far as that is known at once.
fn room(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len().min(256),
        _ => 8,
    }
}

fn printed(
    cx: &mut Context<'_>,
    room: usize,
    print: impl FnOnce(&mut Printer<'_, '_>) -> Result<(), Failure>,
) -> Result<Text, Failure> {
    let mut out = cx.buffer(room)?;
    into(cx, &mut out, print)?;
    Ok(out.into_text())
}

fn into(
    cx: &mut Context<'_>,
    out: &mut Buffer,
    print: impl FnOnce(&mut Printer<'_, '_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let paid = out.allocated();
    let mut printer = Printer { cx, out, flags: Flags::default(), paid, erroring: false };
    print(&mut printer)?;
    printer.pay(0)
}

/// What stands between `%` and the verb.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools)] // each is a flag of Go's own
struct Flags {
    width: Option<usize>,
    precision: Option<usize>,
    /// `-`
    minus: bool,
    /// `+`, but not of `%+v`
    plus: bool,
    /// `#`, but not of `%#v`
    sharp: bool,
    /// ` `
    space: bool,
    /// `0`
    zero: bool,
    /// `%+v`
    plus_v: bool,
    /// `%#v`
    sharp_v: bool,
}

impl Flags {
    /// True where nothing asks for padding, signs or prefixes.
    fn is_plain(&self) -> bool {
        let sized = self.width.is_some() || self.precision.is_some();
        !(sized || self.plus || self.sharp || self.space)
    }
}

/// Writes values.
struct Printer<'p, 'a> {
    cx: &'p mut Context<'a>,
    out: &'p mut Buffer,
    flags: Flags,
    /// Bytes of `out` that the budget knows.
    paid: usize,
    /// True inside `%!d(string=...)`, where values print without their `String` method.
    erroring: bool,
}

impl Printer<'_, '_> {
    /// Accounts for what was written, and for what is going to be before it is.
    fn pay(&mut self, coming: usize) -> Result<(), Failure> {
        let allocated = self.out.allocated() + self.out.growth(coming);
        self.cx.allocate(allocated - self.paid)?;
        self.paid = allocated;
        self.out.reserve(coming);
        Ok(())
    }

    fn str(&mut self, text: &str) {
        self.out.extend(text.as_bytes());
    }

    /// A value that a verb is given.
    fn argument(&mut self, value: &Value, verb: char) -> Result<(), Failure> {
        self.pay(0)?;
        match (value, verb) {
            (Value::Nil, 'T' | 'v') => self.pad(b"<nil>"),
            (value, 'T') => self.string(value.type_name().as_bytes(), 's', value),
            (Value::List(_) | Value::Map(_), 'p') => self.address(),
            (value, 'p') => self.bad_verb('p', value),
            (Value::List(list), _) if *list.element() == Type::BYTE => {
                self.bytes(list, verb, "[]byte")
            }
            _ => self.value(value, verb),
        }
    }

    /// A value, by its kind.
    fn value(&mut self, value: &Value, verb: char) -> Result<(), Failure> {
        self.cx.step(1)?;
        if let Some(text) = self.stringer(value, verb) {
            return self.string(&text, verb, value);
        }
        match value {
            _ if verb == 'w' && !self.erroring => self.bad_verb(verb, value),
            Value::Nil => self.bad_verb(verb, value),
            Value::Bool(truth) => match verb {
                't' | 'v' => self.pad(truth.to_string().as_bytes()),
                _ => self.bad_verb(verb, value),
            },
            Value::Int(_, number) => {
                self.integer(number.unsigned_abs(), *number < 0, true, verb, value)
            }
            Value::Uint(_, number) => self.integer(*number, false, false, verb, value),
            Value::Float(type_, number) => {
                self.float(*number, *type_ == FloatType::Float32, verb, value)
            }
            Value::Complex(real, imaginary) => self.complex(*real, *imaginary, verb, value),
            Value::String(text) => self.string(text, verb, value),
            Value::List(list) => self.list(list, verb),
            Value::Map(map) => self.map(map, verb),
            Value::Time(time) if self.flags.sharp_v && !self.erroring => {
                let text = time.go_string();
                self.string(text.as_bytes(), 's', value)
            }
            Value::Time(time) => self.time(time, verb),
            Value::Object(object) => self.object(object.as_ref(), verb),
        }
    }

    /// What the value's `String` method gives, where this verb asks for it.
    fn stringer(&self, value: &Value, verb: char) -> Option<Vec<u8>> {
        let asked = matches!(verb, 'v' | 's' | 'x' | 'X' | 'q');
        if self.erroring || self.flags.sharp_v || !asked {
            return None;
        }
        match value {
            Value::Int(type_ @ (IntType::Duration | IntType::Month | IntType::Weekday), number) => {
                Some(methods::integer_text(*type_, *number).into_bytes())
            }
            Value::Time(time) => Some(time.to_string().into_bytes()),
            Value::Object(object) => object.display(),
            _ => None,
        }
    }

    /// `%!d(string=text)`: a verb that the value's type has not.
    fn bad_verb(&mut self, verb: char, value: &Value) -> Result<(), Failure> {
        let outer = std::mem::replace(&mut self.erroring, true);
        self.str("%!");
        self.out.rune(verb);
        self.out.push(b'(');
        if let Some(type_) = value.type_() {
            self.str(&type_.name());
            self.out.push(b'=');
            self.argument(value, 'v')?;
        } else {
            self.str("<nil>");
        }
        self.out.push(b')');
        self.erroring = outer;
        Ok(())
    }

    /// Go prints an address here; ours would tell where secrets lie.
    fn address(&mut self) -> Result<(), Failure> {
        self.pad(b"0xc000000000")
    }

    /// Elements of a slice, or entries of a map, one level deeper.
    fn elements<T>(
        &mut self,
        elements: impl Iterator<Item = T>,
        mut element: impl FnMut(&mut Self, T) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.cx.enter()?;
        for (at, item) in elements.enumerate() {
            if at > 0 {
                self.str(if self.flags.sharp_v { ", " } else { " " });
            }
            self.pay(0)?;
            element(self, item)?;
        }
        self.cx.leave();
        Ok(())
    }

    /// Opens a container in Go's syntax, `[]int{`; true where it is nil and thereby done.
    fn open(&mut self, type_: Type, nil: bool) -> bool {
        self.str(&type_.name());
        self.str(if nil { "(nil)" } else { "{" });
        nil
    }

    fn list(&mut self, list: &List, verb: char) -> Result<(), Failure> {
        let bytes = *list.element() == Type::BYTE;
        if bytes && matches!(verb, 's' | 'q' | 'x' | 'X') {
            return self.bytes(list, verb, "[]uint8");
        }
        let sharp = self.flags.sharp_v;
        if !sharp {
            self.out.push(b'[');
        } else if self.open(Type::Slice(list.element()), list.is_nil()) {
            return Ok(());
        }
        let type_ = list.element();
        self.elements(list.iter(), |printer, item| printer.element(item, type_, verb))?;
        self.out.push(if sharp { b'}' } else { b']' });
        Ok(())
    }

    fn map(&mut self, map: &Map, verb: char) -> Result<(), Failure> {
        let sharp = self.flags.sharp_v;
        if !sharp {
            self.str("map[");
        } else if self.open(Type::Map(map.element()), map.is_nil()) {
            return Ok(());
        }
        let (type_, entries) = (map.element(), map.read());
        let entries = entries.as_deref().map_or(&[][..], |entries| entries);
        self.elements(entries.iter(), |printer, (key, value)| {
            printer.value(&Value::String(key.clone()), verb)?;
            printer.out.push(b':');
            printer.element(value, type_, verb)
        })?;
        self.out.push(if sharp { b'}' } else { b']' });
        Ok(())
    }

    /// An element: nil prints the same under any verb.
    fn element(&mut self, value: &Value, type_: &Type, verb: char) -> Result<(), Failure> {
        match value {
            Value::Nil if self.flags.sharp_v => {
                self.str(&type_.name());
                self.str("(nil)");
                Ok(())
            }
            Value::Nil => {
                self.str("<nil>");
                Ok(())
            }
            value => self.value(value, verb),
        }
    }

    /// `[]byte`, which is text for some verbs.
    fn bytes(&mut self, list: &List, verb: char, type_: &str) -> Result<(), Failure> {
        let value = Value::List(list.clone());
        match verb {
            's' | 'x' | 'X' | 'q' => {
                let bytes = list.iter().map(|byte| match byte {
                    Value::Uint(UintType::Uint8, byte) => u8::try_from(*byte).unwrap_or(0),
                    _ => 0,
                });
                let text = Text::new(bytes.collect());
                self.string(&text, verb, &value)
            }
            'v' | 'd' if self.flags.sharp_v => {
                self.str(type_);
                if list.is_nil() {
                    self.str("(nil)");
                    return Ok(());
                }
                self.out.push(b'{');
                self.elements(list.iter(), |printer, byte| printer.value(byte, 'v'))?;
                self.out.push(b'}');
                Ok(())
            }
            _ => self.list(list, verb),
        }
    }

    /// The fields of a `time.Time`, which show under verbs that are none for text.
    fn time(&mut self, time: &Time, verb: char) -> Result<(), Failure> {
        let (nanoseconds, seconds) = time.since_year_one();
        let fields =
            [("wall", Value::Uint(UintType::Uint64, nanoseconds)), ("ext", Value::int64(seconds))];
        if self.flags.sharp_v {
            self.str("time.Time");
        }
        self.out.push(b'{');
        for (name, value) in fields {
            self.field_name(name);
            self.value(&value, verb)?;
            self.str(if self.flags.sharp_v { ", " } else { " " });
        }
        self.field_name("loc");
        // A pointer, which is nil for UTC. Others differ from run to run in Go.
        match verb {
            'v' if self.flags.sharp_v => self.str("(*time.Location)(nil)"),
            'v' => self.pad(b"<nil>")?,
            'b' | 'o' | 'd' | 'x' | 'X' => self.integer(0, false, false, verb, &Value::Nil)?,
            _ => {
                self.str("%!");
                self.out.rune(verb);
                self.str("(*time.Location=");
                self.pad(b"<nil>")?;
                self.out.push(b')');
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The name before a field of a struct, where `%+v` or `%#v` asks for it.
    fn field_name(&mut self, name: &str) {
        if self.flags.sharp_v || self.flags.plus_v {
            self.str(name);
            self.out.push(b':');
        }
    }

    /// A struct, or a pointer to one, by its fields.
    fn object(&mut self, object: &dyn Object, verb: char) -> Result<(), Failure> {
        let type_ = object.type_();
        if let Type::Pointer(_) = type_ {
            self.out.push(b'&');
        }
        if let (true, Type::Pointer(name) | Type::Struct(name)) = (self.flags.sharp_v, type_) {
            self.str(name);
        }
        self.out.push(b'{');
        self.elements(object.all_fields().into_iter(), |printer, (name, value)| {
            printer.field_name(name);
            printer.element(&value, &Type::Any, verb)
        })?;
        self.out.push(b'}');
        Ok(())
    }
}
