//! `fmt.Sprintf`: format strings.

use super::{
    super::{
        budget::Context,
        error::Failure,
        rune,
        value::{Text, Value},
    },
    Flags, Printer, printed, room,
};

/// Go takes no larger widths and precisions.
const LARGEST: usize = 1_000_000;

/// `fmt.Sprintf`
pub(crate) fn printf(
    cx: &mut Context<'_>,
    format: &[u8],
    values: &[Value],
) -> Result<Text, Failure> {
    let literal = format.len().min(256).saturating_sub(2 * values.len());
    printed(cx, literal + values.iter().map(room).sum::<usize>(), |printer| {
        let mut state = State { format, at: 0, values, next: 0, reordered: false, good: true };
        state.run(printer)
    })
}

struct State<'f> {
    format: &'f [u8],
    at: usize,
    values: &'f [Value],
    /// The value that the next verb prints.
    next: usize,
    /// True once values were chosen by `%[n]`.
    reordered: bool,
    /// False where such a choice failed.
    good: bool,
}

impl State<'_> {
    fn run(&mut self, printer: &mut Printer<'_, '_>) -> Result<(), Failure> {
        while self.at < self.format.len() {
            let rest = &self.format[self.at..];
            let length = rest.iter().position(|byte| *byte == b'%').unwrap_or(rest.len());
            printer.out.extend(&rest[..length]);
            self.at += length + 1;
            if length < rest.len() {
                self.directive(printer)?;
            }
            printer.pay(0)?;
            printer.cx.step(1)?;
        }
        self.extra(printer)
    }

    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    /// What stands behind a percent sign.
    fn directive(&mut self, printer: &mut Printer<'_, '_>) -> Result<(), Failure> {
        printer.flags = Flags::default();
        self.good = true;
        while self.flag(&mut printer.flags) {}
        let mut after_index = self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            self.star_width(printer);
            after_index = false;
        } else {
            printer.flags.width = self.number();
            self.good &= !(after_index && printer.flags.width.is_some());
        }
        if self.peek() == Some(b'.') && self.at + 1 < self.format.len() {
            self.at += 1;
            self.good &= !after_index;
            after_index = self.index();
            if self.peek() == Some(b'*') {
                self.at += 1;
                self.star_precision(printer);
                after_index = false;
            } else {
                printer.flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        self.verb(printer)
    }

    fn verb(&mut self, printer: &mut Printer<'_, '_>) -> Result<(), Failure> {
        let Some((verb, width)) = rune::first(&self.format[self.at.min(self.format.len())..])
        else {
            printer.str("%!(NOVERB)");
            return Ok(());
        };
        self.at += width;
        let broken = match self.values.get(self.next) {
            _ if verb == '%' => {
                printer.out.push(b'%');
                return Ok(());
            }
            _ if !self.good => "(BADINDEX)",
            None => "(MISSING)",
            Some(value) => {
                let flags = &mut printer.flags;
                if matches!(verb, 'v' | 'w') {
                    flags.sharp_v = std::mem::take(&mut flags.sharp);
                    flags.plus_v = std::mem::take(&mut flags.plus);
                }
                self.next += 1;
                return printer.argument(value, verb);
            }
        };
        printer.str("%!");
        printer.out.rune(verb);
        printer.str(broken);
        Ok(())
    }

    fn flag(&mut self, flags: &mut Flags) -> bool {
        match self.peek() {
            Some(b'#') => flags.sharp = true,
            Some(b'0') => flags.zero = true,
            Some(b'+') => flags.plus = true,
            Some(b'-') => flags.minus = true,
            Some(b' ') => flags.space = true,
            _ => return false,
        }
        self.at += 1;
        true
    }

    /// Digits; none where there are none. A number that is too large swallows the rest of the format.
    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let so_far: usize = number.unwrap_or(0);
            if so_far > LARGEST {
                self.at = self.format.len();
                return None;
            }
            number = Some(so_far * 10 + usize::from(digit - b'0'));
            self.at += 1;
        }
        number
    }

    /// `[n]`, which chooses the next value; true where there is one.
    fn index(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let Some(end) = rest.iter().position(|byte| *byte == b']').filter(|_| rest.len() >= 3)
        else {
            self.good = false;
            self.at += 1;
            return false;
        };
        let digits = std::str::from_utf8(&rest[1..end]).unwrap_or_default();
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let index: Option<usize> =
            digits.parse().ok().filter(|index| plain && *index <= 10 * LARGEST);
        self.at += end + 1;
        match index {
            Some(index) if (1..=self.values.len()).contains(&index) => {
                self.next = index - 1;
                true
            }
            index => {
                self.good = false;
                index.is_some()
            }
        }
    }

    /// The next value as a width or precision.
    fn star(&mut self) -> Option<i64> {
        let number = match self.values.get(self.next)? {
            Value::Int(_, number) => Some(*number),
            Value::Uint(_, number) => i64::try_from(*number).ok(),
            _ => None,
        };
        self.next += 1;
        number.filter(|number| number.unsigned_abs() <= LARGEST as u64)
    }

    fn star_width(&mut self, printer: &mut Printer<'_, '_>) {
        let Some(width) = self.star() else {
            printer.str("%!(BADWIDTH)");
            return;
        };
        if width < 0 {
            printer.flags.minus = true;
            printer.flags.zero = false;
        }
        printer.flags.width = usize::try_from(width.unsigned_abs()).ok();
    }

    fn star_precision(&mut self, printer: &mut Printer<'_, '_>) {
        printer.flags.precision = self.star().and_then(|number| usize::try_from(number).ok());
        if printer.flags.precision.is_none() {
            printer.str("%!(BADPREC)");
        }
    }

    /// Values that no verb printed.
    fn extra(&self, printer: &mut Printer<'_, '_>) -> Result<(), Failure> {
        if self.reordered || self.next >= self.values.len() {
            return Ok(());
        }
        printer.flags = Flags::default();
        printer.str("%!(EXTRA ");
        for (at, value) in self.values[self.next..].iter().enumerate() {
            if at > 0 {
                printer.str(", ");
            }
            match value {
                Value::Nil => printer.str("<nil>"),
                value => {
                    printer.str(&value.type_name());
                    printer.out.push(b'=');
                    printer.argument(value, 'v')?;
                }
            }
        }
        printer.out.push(b')');
        Ok(())
    }
}
