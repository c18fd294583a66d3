//! Random texts and numbers, made of what the caller's environment gives.

use zeroize::Zeroizing;

use super::printed::accounted;
use crate::{Args, Context, Failure, Function, Type, Value, rune};

const INT: Type = Type::INT;
const DIGITS: &[u8] = b"0123456789";
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ALPHANUMERIC: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("randAlphaNum", &[INT], |cx, args| text(cx, args, ALPHANUMERIC)),
    Function::new("randAlpha", &[INT], |cx, args| text(cx, args, LETTERS)),
    Function::new("randNumeric", &[INT], |cx, args| text(cx, args, DIGITS)),
    Function::new("randAscii", &[INT], |cx, args| {
        let printable: Vec<u8> = (b' '..=b'~').collect();
        text(cx, args, &printable)
    }),
    Function::new("randInt", &[INT, INT], rand_int),
    Function::new("shuffle", &[Type::String], shuffle),
];

/// So many characters of an alphabet, each as likely as every other. A negative number gives none.
fn text(cx: &mut Context<'_>, args: &Args<'_>, alphabet: &[u8]) -> Result<Value, Failure> {
    let count = usize::try_from(args.int(0)?).unwrap_or(0);
    cx.allocate(count)?;
    let mut out = Vec::with_capacity(count);
    let mut dice = Dice::default();
    for _ in 0..count {
        out.push(alphabet[dice.below(cx, alphabet.len())?]);
    }
    Ok(accounted(out))
}

/// From the first number to before the second.
fn rand_int(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (least, end) = (args.int(0)?, args.int(1)?);
    let range = end.checked_sub(least).and_then(|range| usize::try_from(range).ok());
    let range = range
        .filter(|range| *range > 0)
        .ok_or_else(|| Failure::function("the second number must be larger than the first"))?;
    let offset = Dice::default().below(cx, range)?;
    Ok(Value::int(least.wrapping_add(i64::try_from(offset).unwrap_or(0))))
}

/// The runes in another order. Bytes that are no UTF-8 become U+FFFD.
fn shuffle(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = args.text(0)?;
    cx.allocate(text.len().saturating_mul(7))?;
    let mut runes: Zeroizing<Vec<char>> =
        Zeroizing::new(rune::runes(text).map(|(_, rune, _)| rune).collect());
    let mut dice = Dice::default();
    for last in (1..runes.len()).rev() {
        let other = dice.below(cx, last + 1)?;
        runes.swap(last, other);
    }
    Ok(accounted(runes.iter().collect::<String>().into_bytes()))
}

/// Random numbers, some bytes of the environment at a time.
#[derive(Default)]
struct Dice {
    bytes: Zeroizing<[u8; 32]>,
    left: usize,
}

impl Dice {
    /// A number below `end`, without bias: what lies in the last, incomplete range is thrown away.
    fn below(&mut self, cx: &mut Context<'_>, end: usize) -> Result<usize, Failure> {
        cx.step(1)?;
        if end <= 256 {
            let fair = 256 - 256 % end;
            loop {
                let number = usize::from(self.byte(cx)?);
                if number < fair {
                    return Ok(number % end);
                }
            }
        }
        let end = end as u64;
        let fair = u64::MAX - u64::MAX % end;
        loop {
            let mut number = 0;
            for _ in 0..8 {
                number = number << 8 | u64::from(self.byte(cx)?);
            }
            if number < fair {
                return Ok(usize::try_from(number % end).unwrap_or(0));
            }
        }
    }

    fn byte(&mut self, cx: &mut Context<'_>) -> Result<u8, Failure> {
        if self.left == 0 {
            cx.environment.fill(&mut *self.bytes)?;
            self.left = self.bytes.len();
        }
        self.left -= 1;
        Ok(self.bytes[self.left])
    }
}
