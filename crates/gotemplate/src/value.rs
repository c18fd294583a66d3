//! The values of Go that templates see.
//!
//! Strings are bytes. Numbers keep their Go type, because `%T`, `typeOf` and comparisons show it. Cloning is
//! cheap: containers are shared, and a map is shared *mutably*, as in Go. There is no `Debug`, because any value
//! may be confidential.

use std::{any::Any, rc::Rc};

use super::{function::Function, time::Time};
pub(crate) use super::{
    map::{Entries, Map},
    text::Text,
};

/// Any value.
#[derive(Clone, Default)]
pub(crate) enum Value {
    /// Go's nil without a type: a missing value, or an interface that holds nothing.
    #[default]
    Nil,
    /// `bool`
    Bool(bool),
    /// Signed integers, those of package time too.
    Int(IntType, i64),
    /// Unsigned integers.
    Uint(UintType, u64),
    /// Floats. A `float32` is kept as the double of equal value.
    Float(FloatType, f64),
    /// `complex128`: only constants such as `1i` make it.
    Complex(f64, f64),
    /// `string`
    String(Text),
    /// Slices of any type, nil ones too.
    List(List),
    /// Maps from strings, nil ones too.
    Map(Map),
    /// `time.Time`
    Time(Rc<Time>),
    /// Structs and pointers that functions return, such as `*semver.Version`.
    Object(Rc<dyn Object>),
}

/// Types of signed integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntType {
    Int,
    Int32,
    Int64,
    /// `time.Duration`, in nanoseconds.
    Duration,
    /// `time.Month`, from 1.
    Month,
    /// `time.Weekday`, Sunday is 0.
    Weekday,
}

/// Types of unsigned integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UintType {
    Uint8,
    Uint32,
    Uint64,
}

/// Types of floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FloatType {
    Float32,
    Float64,
}

/// A type of Go: of a parameter, of a container's elements, of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// `interface {}`
    Any,
    /// `reflect.Value`: a parameter that takes everything, nil too. Only built-in functions have such.
    Reflect,
    /// `bool`
    Bool,
    /// A signed integer.
    Int(IntType),
    /// An unsigned integer.
    Uint(UintType),
    /// A float.
    Float(FloatType),
    /// `complex128`
    Complex,
    /// `string`
    String,
    /// A string type of a library's own, by its Go name: only constants become one.
    NamedString(&'static str),
    /// A slice.
    Slice(&'static Type),
    /// A map from strings.
    Map(&'static Type),
    /// `time.Time`
    Time,
    /// A struct, by its Go name.
    Struct(&'static str),
    /// A pointer to a struct, by the struct's Go name.
    Pointer(&'static str),
}

impl Type {
    /// `int`
    pub(crate) const INT: Self = Self::Int(IntType::Int);
    /// `uint8`
    pub(crate) const BYTE: Self = Self::Uint(UintType::Uint8);
    /// `float64`
    pub(crate) const FLOAT64: Self = Self::Float(FloatType::Float64);
    /// `[]interface {}`
    pub(crate) const LIST: Self = Self::Slice(&Self::Any);
    /// `map[string]interface {}`
    pub(crate) const DICT: Self = Self::Map(&Self::Any);

    /// As `%T` and error messages write it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Any => "interface {}".to_owned(),
            Self::Reflect => "reflect.Value".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Int(int) => int.name().to_owned(),
            Self::Uint(uint) => uint.name().to_owned(),
            Self::Float(FloatType::Float32) => "float32".to_owned(),
            Self::Float(FloatType::Float64) => "float64".to_owned(),
            Self::Complex => "complex128".to_owned(),
            Self::String => "string".to_owned(),
            Self::Slice(element) => format!("[]{}", element.name()),
            Self::Map(element) => format!("map[string]{}", element.name()),
            Self::Time => "time.Time".to_owned(),
            Self::NamedString(name) | Self::Struct(name) => (*name).to_owned(),
            Self::Pointer(name) => format!("*{name}"),
        }
    }

    /// As `reflect.Kind` writes it, for `kindOf`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Any => "interface",
            Self::Bool => "bool",
            Self::Int(int) => int.kind(),
            Self::Uint(uint) => uint.name(),
            Self::Float(FloatType::Float32) => "float32",
            Self::Float(FloatType::Float64) => "float64",
            Self::Complex => "complex128",
            Self::String | Self::NamedString(_) => "string",
            Self::Slice(_) => "slice",
            Self::Map(_) => "map",
            Self::Reflect | Self::Time | Self::Struct(_) => "struct",
            Self::Pointer(_) => "ptr",
        }
    }
}

impl IntType {
    /// As `%T` writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Duration => "time.Duration",
            Self::Month => "time.Month",
            Self::Weekday => "time.Weekday",
            plain => plain.kind(),
        }
    }

    /// The integer beneath.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Int | Self::Month | Self::Weekday => "int",
            Self::Int32 => "int32",
            Self::Int64 | Self::Duration => "int64",
        }
    }
}

impl UintType {
    /// As `%T` writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uint8 => "uint8",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
        }
    }
}

/// A slice. Its elements never change; functions that "append" make a new one.
#[derive(Clone)]
pub(crate) struct List {
    element: &'static Type,
    items: Option<Rc<Items>>,
}

/// Elements of a slice.
struct Items(Vec<Value>);

impl Drop for Items {
    fn drop(&mut self) {
        drop_flat(Elements::List(std::mem::take(&mut self.0).into_iter()));
    }
}

/// What is left to drop of a container that nobody else holds.
pub(super) enum Elements {
    List(std::vec::IntoIter<Value>),
    Map(std::vec::IntoIter<(Text, Value)>),
}

impl Elements {
    /// None of what holds no values, or is held by others too.
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::List(List { items: Some(mut items), .. }) => {
                let items = std::mem::take(&mut Rc::get_mut(&mut items)?.0);
                Some(Self::List(items.into_iter()))
            }
            Value::Map(Map { entries: Some(mut entries), .. }) => {
                let entries = std::mem::take(Rc::get_mut(&mut entries)?.get_mut());
                Some(Self::Map(entries.into_vec().into_iter()))
            }
            _ => None,
        }
    }

    fn next(&mut self) -> Option<Value> {
        match self {
            Self::List(items) => items.next(),
            Self::Map(entries) => entries.next().map(|(_, value)| value),
        }
    }
}

/// Drops values without recursion, however deep they nest: a template may nest them deeper than the stack is.
pub(super) fn drop_flat(mut open: Elements) {
    let mut around = Vec::new();
    loop {
        match open.next() {
            Some(value) => {
                if let Some(inner) = Elements::of(value) {
                    around.push(std::mem::replace(&mut open, inner));
                }
            }
            None => match around.pop() {
                Some(outer) => open = outer,
                None => return,
            },
        }
    }
}

impl List {
    /// A slice of elements of this type.
    pub(crate) fn new(element: &'static Type, items: Vec<Value>) -> Self {
        Self { element, items: Some(Rc::new(Items(items))) }
    }

    /// The nil slice of this type: like an empty one, but JSON's null.
    pub(crate) fn nil(element: &'static Type) -> Self {
        Self { element, items: None }
    }

    /// Type of the elements.
    pub(crate) fn element(&self) -> &'static Type {
        self.element
    }

    /// True of the nil slice.
    pub(crate) fn is_nil(&self) -> bool {
        self.items.is_none()
    }

    /// True when both are the same slice, not only equal ones.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.items, &other.items) {
            (Some(one), Some(two)) => Rc::ptr_eq(one, two),
            (None, None) => true,
            _ => false,
        }
    }
}

impl std::ops::Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        self.items.as_ref().map_or(&[], |items| &items.0)
    }
}

/// A struct, or a pointer to one, that a function returns.
pub(crate) trait Object {
    /// [`Type::Struct`] or [`Type::Pointer`].
    fn type_(&self) -> Type;

    /// What Go's `String` or `Error` method gives, when the type has one.
    fn display(&self) -> Option<Vec<u8>> {
        None
    }

    /// Exported fields in order: reached by `.Name`.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// All fields in order, as `printf` shows them.
    fn all_fields(&self) -> Vec<(&'static str, Value)> {
        self.fields()
    }

    /// A method. Its parameters do not count the receiver, which is the first argument of its body.
    fn method(&self, _name: &str) -> Option<&'static Function> {
        None
    }

    /// For the methods' bodies.
    fn as_any(&self) -> &dyn Any;
}

impl Value {
    /// An `int`.
    pub(crate) fn int(number: i64) -> Self {
        Self::Int(IntType::Int, number)
    }

    /// An `int64`.
    pub(crate) fn int64(number: i64) -> Self {
        Self::Int(IntType::Int64, number)
    }

    /// A `uint8`.
    pub(crate) fn byte(byte: u8) -> Self {
        Self::Uint(UintType::Uint8, u64::from(byte))
    }

    /// A `float64`.
    pub(crate) fn float(number: f64) -> Self {
        Self::Float(FloatType::Float64, number)
    }

    /// A `time.Duration`, in nanoseconds.
    pub(crate) fn duration(nanoseconds: i64) -> Self {
        Self::Int(IntType::Duration, nanoseconds)
    }

    /// The nil of a type that has one: what Go makes of nil where a parameter has this type.
    pub(crate) fn nil_of(type_: Type) -> Option<Self> {
        match type_ {
            Type::Any | Type::Reflect | Type::Pointer(_) => Some(Self::Nil),
            Type::Slice(element) => Some(Self::List(List::nil(element))),
            Type::Map(element) => Some(Self::Map(Map::nil(element))),
            _ => None,
        }
    }

    /// The zero of a type that a container may hold.
    pub(crate) fn zero_of(type_: &Type) -> Self {
        match type_ {
            Type::Bool => Self::Bool(false),
            Type::Int(int) => Self::Int(*int, 0),
            Type::Uint(uint) => Self::Uint(*uint, 0),
            Type::Float(float) => Self::Float(*float, 0.0),
            Type::Complex => Self::Complex(0.0, 0.0),
            Type::String => Self::String(Text::default()),
            other => Self::nil_of(*other).unwrap_or_default(),
        }
    }

    /// Its Go type; none of nil.
    pub(crate) fn type_(&self) -> Option<Type> {
        Some(match self {
            Self::Nil => return None,
            Self::Bool(_) => Type::Bool,
            Self::Int(type_, _) => Type::Int(*type_),
            Self::Uint(type_, _) => Type::Uint(*type_),
            Self::Float(type_, _) => Type::Float(*type_),
            Self::Complex(..) => Type::Complex,
            Self::String(_) => Type::String,
            Self::List(list) => Type::Slice(list.element),
            Self::Map(map) => Type::Map(map.element()),
            Self::Time(_) => Type::Time,
            Self::Object(object) => object.type_(),
        })
    }

    /// As `%T` writes it: `<nil>` of nil.
    pub(crate) fn type_name(&self) -> String {
        self.type_().map_or_else(|| "<nil>".to_owned(), |type_| type_.name())
    }

    /// Go's `template.IsTrue`: not the zero of its type.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(_, number) => *number != 0,
            Self::Uint(_, number) => *number != 0,
            Self::Float(_, number) => *number != 0.0,
            Self::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
            Self::String(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Time(_) | Self::Object(_) => true,
        }
    }
}
