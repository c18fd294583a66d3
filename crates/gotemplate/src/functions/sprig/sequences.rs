//! Runs of integers.

use super::printed::accounted;
use crate::{Args, Context, Failure, Function, Type, Value};

const INT: Type = Type::INT;

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("until", &[INT], |cx, args| {
        let count = args.int(0)?;
        run(cx, 0, count, if count < 0 { -1 } else { 1 })
    }),
    Function::new("untilStep", &[INT, INT, INT], |cx, args| {
        run(cx, args.int(0)?, args.int(1)?, args.int(2)?)
    }),
    Function::variadic("seq", &[], INT, seq),
];

/// How many integers there are from `start` to before `stop`; none when the step leads away.
fn count(start: i64, stop: i64, step: i64) -> usize {
    let distance = i128::from(stop) - i128::from(start);
    let step = i128::from(step);
    if distance == 0 || step == 0 || (distance < 0) != (step < 0) {
        return 0;
    }
    let (distance, step) = (distance.unsigned_abs(), step.unsigned_abs());
    usize::try_from(distance.div_ceil(step)).unwrap_or(usize::MAX)
}

/// The integers themselves, when there are not too many.
fn integers(
    cx: &mut Context<'_>,
    start: i64,
    stop: i64,
    step: i64,
) -> Result<impl Iterator<Item = i64> + use<>, Failure> {
    let count = count(start, stop, step);
    cx.step(count)?;
    let mut next = start;
    Ok((0..count).map(move |_| {
        let this = next;
        next = next.saturating_add(step);
        this
    }))
}

fn run(cx: &mut Context<'_>, start: i64, stop: i64, step: i64) -> Result<Value, Failure> {
    cx.allocate(count(start, stop, step).saturating_mul(size_of::<Value>()))?;
    let items = integers(cx, start, stop, step)?.map(Value::int).collect();
    cx.list_of(&INT, items)
}

/// As the shell's `seq`: LAST, FIRST LAST or FIRST STEP LAST, both ends included.
fn seq(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (start, end, step) = match args.len() {
        1 => (1, args.int(0)?, None),
        2 => (args.int(0)?, args.int(1)?, None),
        3 => (args.int(0)?, args.int(2)?, Some(args.int(1)?)),
        _ => return cx.text(""),
    };
    let direction = if end < start { -1 } else { 1 };
    let step = step.unwrap_or(direction);
    if direction < 0 && step > 0 {
        return cx.text("");
    }
    let numbers = integers(cx, start, end.saturating_add(direction), step)?;
    let mut out = String::new();
    for number in numbers {
        if !out.is_empty() {
            out.push(' ');
        }
        let number = number.to_string();
        cx.allocate(number.len() + 1)?;
        out += &number;
    }
    Ok(accounted(out.into_bytes()))
}
