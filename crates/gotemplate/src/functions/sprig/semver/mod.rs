//! Semantic versions, as the library `semver` 3 reads and compares them.

mod constraint;
mod version;

use std::{any::Any, rc::Rc};

use version::Version;

use crate::{Args, Context, Failure, Function, Object, Text, Type, Value, value::UintType};

const STRING: Type = Type::String;
const VERSION: &str = "semver.Version";

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("semver", &[STRING], semver),
    Function::new("semverCompare", &[STRING, STRING], compare),
];

/// `*semver.Version`, or `semver.Version` of what a method returns.
struct Handle {
    version: Version,
    pointer: bool,
}

impl Object for Handle {
    fn type_(&self) -> Type {
        if self.pointer { Type::Pointer(VERSION) } else { Type::Struct(VERSION) }
    }

    fn display(&self) -> Option<Vec<u8>> {
        Some(self.version.to_string().into_bytes())
    }

    fn all_fields(&self) -> Vec<(&'static str, Value)> {
        let version = &self.version;
        let number = |number| Value::Uint(UintType::Uint64, number);
        let text = |text: &String| Value::String(Text::from(text.as_str()));
        vec![
            ("major", number(version.major)),
            ("minor", number(version.minor)),
            ("patch", number(version.patch)),
            ("pre", text(&version.prerelease)),
            ("metadata", text(&version.metadata)),
            ("original", text(&version.original)),
        ]
    }

    fn method(&self, name: &str) -> Option<&'static Function> {
        // Those that Go declares for the pointer are out of reach of a plain value.
        let methods = METHODS.iter().chain(POINTER_METHODS.iter().filter(|_| self.pointer));
        methods.into_iter().find(|method| method.name == name)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

const OTHER: &[Type] = &[Type::Pointer(VERSION)];
static METHODS: &[Function] = &[
    Function::new("Major", &[], |_, args| Ok(unsigned(receiver(args)?.major))),
    Function::new("Minor", &[], |_, args| Ok(unsigned(receiver(args)?.minor))),
    Function::new("Patch", &[], |_, args| Ok(unsigned(receiver(args)?.patch))),
    Function::new("Prerelease", &[], |cx, args| cx.text(receiver(args)?.prerelease.as_str())),
    Function::new("Metadata", &[], |cx, args| cx.text(receiver(args)?.metadata.as_str())),
    Function::new("String", &[], |cx, args| cx.text(receiver(args)?.to_string())),
    Function::new("IncMajor", &[], |_, args| Ok(structure(receiver(args)?.next_major()))),
    Function::new("IncMinor", &[], |_, args| Ok(structure(receiver(args)?.next_minor()))),
    Function::new("IncPatch", &[], |_, args| Ok(structure(receiver(args)?.next_patch()))),
];

static POINTER_METHODS: &[Function] = &[
    Function::new("Original", &[], |cx, args| cx.text(receiver(args)?.original.as_str())),
    Function::new("Compare", OTHER, |_, args| Ok(Value::int(ordering(args)? as i64))),
    Function::new("Equal", OTHER, |_, args| Ok(Value::Bool(ordering(args)?.is_eq()))),
    Function::new("LessThan", OTHER, |_, args| Ok(Value::Bool(ordering(args)?.is_lt()))),
    Function::new("LessThanEqual", OTHER, |_, args| Ok(Value::Bool(ordering(args)?.is_le()))),
    Function::new("GreaterThan", OTHER, |_, args| Ok(Value::Bool(ordering(args)?.is_gt()))),
    Function::new("GreaterThanEqual", OTHER, |_, args| Ok(Value::Bool(ordering(args)?.is_ge()))),
];

fn unsigned(number: u64) -> Value {
    Value::Uint(UintType::Uint64, number)
}

fn structure(version: Version) -> Value {
    Value::Object(Rc::new(Handle { version, pointer: false }))
}

fn version<'v>(args: &Args<'v>, at: usize) -> Result<&'v Version, Failure> {
    let handle = match args.any(at) {
        Value::Object(object) => object.as_any().downcast_ref::<Handle>(),
        _ => None,
    };
    handle.map(|handle| &handle.version).ok_or_else(|| Failure::function("this is no version"))
}

fn receiver<'v>(args: &Args<'v>) -> Result<&'v Version, Failure> {
    version(args, 0)
}

fn ordering(args: &Args<'_>) -> Result<std::cmp::Ordering, Failure> {
    Ok(version(args, 0)?.compare(version(args, 1)?))
}

/// Texts of a version that are longer say nothing.
const LONGEST: usize = 4096;

fn text<'v>(cx: &mut Context<'_>, args: &Args<'v>, at: usize) -> Result<&'v str, Failure> {
    let text = args.text(at)?;
    cx.step(text.len())?;
    cx.allocate(text.len() * 8)?;
    if text.len() > LONGEST {
        return Err(Failure::bound("bytes of a version", LONGEST));
    }
    std::str::from_utf8(text).map_err(|_| invalid())
}

fn invalid() -> Failure {
    Failure::function("the text is no semantic version")
}

fn semver(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let version = Version::parse(text(cx, args, 0)?).ok_or_else(invalid)?;
    Ok(Value::Object(Rc::new(Handle { version, pointer: true })))
}

fn compare(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let alternatives = constraint::parse(text(cx, args, 0)?).ok_or_else(|| {
        Failure::function("the text is no constraint such as \">= 1.2, < 2 || ^3.1\"")
    })?;
    let version = Version::parse(text(cx, args, 1)?).ok_or_else(invalid)?;
    Ok(Value::Bool(constraint::check(&alternatives, &version)))
}
