//! Methods of Go's values that templates reach, such as `(now).Year`.

use super::{
    function::Function,
    time::{MONTHS, WEEKDAYS, duration_text},
    value::{IntType, Value},
};

/// The method of a value's type.
pub fn find(value: &Value, name: &str) -> Option<&'static Function> {
    match value {
        Value::Object(object) => object.method(name),
        _ => None,
    }
}

/// Go's `String` of the integers of package time.
pub fn integer_text(type_: IntType, number: i64) -> String {
    let named = |names: &[&str], at: i64, type_: &str| {
        let name = usize::try_from(at).ok().and_then(|at| names.get(at));
        name.map_or_else(|| format!("%!{type_}({number})"), |name| (*name).to_owned())
    };
    match type_ {
        IntType::Duration => duration_text(number),
        IntType::Month => named(&MONTHS, number.saturating_sub(1), "Month"),
        IntType::Weekday => named(&WEEKDAYS, number, "Weekday"),
        _ => number.to_string(),
    }
}
