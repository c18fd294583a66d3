//! Base64, base32, hexadecimal; checksums.
//!
//! What cannot be decoded gives the text of Go's error, as the template's output: no failure.

use aws_lc_rs::digest;
use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::printed::accounted;
use crate::{Args, Context, Failure, Function, Text, Type, Value, rune};

/// This family.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("b64enc", &[Type::String], b64enc),
    Function::new("b64dec", &[Type::String], b64dec),
    Function::new("b32enc", &[Type::String], b32enc),
    Function::new("b32dec", &[Type::String], b32dec),
    Function::new("hexdec", &[Type::String], hexdec),
    Function::new("sha1sum", &[Type::String], |cx, args| {
        digest_of(cx, args, &digest::SHA1_FOR_LEGACY_USE_ONLY)
    }),
    Function::new("sha256sum", &[Type::String], |cx, args| digest_of(cx, args, &digest::SHA256)),
    Function::new("sha512sum", &[Type::String], |cx, args| digest_of(cx, args, &digest::SHA512)),
    Function::new("adler32sum", &[Type::String], adler32sum),
];

/// Go's standard encoding: padding is required, the bits after the last byte are not looked at.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn b64enc(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = args.text(0)?;
    cx.allocate(text.len().div_ceil(3) * 4)?;
    Ok(accounted(BASE64.encode(&**text).into_bytes()))
}

fn b64dec(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = args.text(0)?;
    cx.allocate(text.len() * 2)?;
    let clean = without_newlines(text);
    match BASE64.decode(&*clean) {
        Ok(bytes) => Ok(accounted(bytes)),
        Err(_) => cx.text(format!("illegal base64 data at input byte {}", base64_fault(text))),
    }
}

/// Newlines mean nothing to Go's decoders.
fn without_newlines(text: &Text) -> Text {
    let is_newline = |byte: &u8| matches!(byte, b'\r' | b'\n');
    if !text.iter().any(is_newline) {
        return text.clone();
    }
    let mut clean = Vec::with_capacity(text.len());
    clean.extend(text.iter().filter(|byte| !is_newline(byte)));
    Text::new(clean)
}

/// Offset at which Go's decoder stops: it reads by fours, and complains about the byte that it has not
/// expected or, at the end, about the first of an unfinished four.
fn base64_fault(text: &[u8]) -> usize {
    let is_newline = |byte: u8| matches!(byte, b'\r' | b'\n');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut at = 0;
    loop {
        let mut filled = 0;
        while filled < 4 {
            let Some(&byte) = text.get(at) else {
                return if filled == 0 { at } else { at - filled };
            };
            at += 1;
            if is_newline(byte) {
                continue;
            }
            if is_digit(byte) {
                filled += 1;
                continue;
            }
            if byte != b'=' || filled < 2 {
                return at - 1;
            }
            if filled == 2 {
                at += text[at..].iter().take_while(|byte| is_newline(**byte)).count();
                match text.get(at) {
                    None => return text.len(),
                    Some(b'=') => at += 1,
                    Some(_) => return at - 1,
                }
            }
            at += text[at..].iter().take_while(|byte| is_newline(**byte)).count();
            return at;
        }
    }
}

fn b32enc(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = args.text(0)?;
    let size = text.len().div_ceil(5) * 8;
    cx.allocate(size)?;
    let mut out = Vec::with_capacity(size);
    for group in text.chunks(5) {
        let mut bits = [0_u8; 8];
        bits[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(bits);
        let digits = (group.len() * 8).div_ceil(5);
        for nth in 0..8 {
            let digit = usize::try_from(bits >> (35 - nth * 5) & 31).unwrap_or_default();
            out.push(if nth < digits { BASE32[digit] } else { b'=' });
        }
    }
    Ok(accounted(out))
}

fn b32dec(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = args.text(0)?;
    cx.allocate(text.len() * 2)?;
    let clean = without_newlines(text);
    match base32(&clean) {
        Ok(bytes) => Ok(accounted(bytes)),
        Err(at) => cx.text(format!("illegal base32 data at input byte {at}")),
    }
}

/// Decodes by eights, padding required; or the offset at which Go's decoder stops.
fn base32(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() / 8 * 5);
    let mut at = 0;
    while at < text.len() {
        let (mut bits, mut digits) = (0_u64, 0);
        let group = at;
        while digits < 8 {
            let Some(&byte) = text.get(at) else { return Err(group) };
            at += 1;
            if byte == b'=' && digits >= 2 && text.len() - at < 8 {
                break;
            }
            let digit = BASE32.iter().position(|digit| *digit == byte).ok_or(at - 1)?;
            bits |= (digit as u64) << (59 - digits * 5);
            digits += 1;
        }
        if digits < 8 {
            padding(text, group, digits)?;
            at = text.len();
        }
        out.extend(&bits.to_be_bytes()[..digits * 5 / 8]);
    }
    Ok(out)
}

/// After the last digits only so many `=` may stand as make eight, and only where whole bytes are there.
fn padding(text: &[u8], group: usize, digits: usize) -> Result<(), usize> {
    let end = group + 8;
    if text.len() < end {
        return Err(text.len());
    }
    if let Some(wrong) = text[group + digits..end].iter().position(|byte| *byte != b'=') {
        return Err(group + digits + wrong - 1);
    }
    // What follows the padding is not looked at.
    if matches!(digits, 1 | 3 | 6) { Err(group + digits) } else { Ok(()) }
}

fn hexdec(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let text = args.text(0)?;
    cx.allocate(text.len() / 2)?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(text.len() / 2);
    for pair in text.chunks(2) {
        let wrong = pair.iter().find(|byte| digit(**byte).is_none());
        match (wrong, pair) {
            (None, &[high, low]) => {
                out.push(digit(high).unwrap_or_default() << 4 | digit(low).unwrap_or_default());
            }
            (None, _) => return cx.text("encoding/hex: odd length hex string"),
            (Some(byte), _) => {
                let rune = char::from(*byte);
                let shown =
                    if rune::is_printable(rune) { format!(" '{rune}'") } else { String::new() };
                return cx.text(format!("encoding/hex: invalid byte: U+{byte:04X}{shown}"));
            }
        }
    }
    Ok(accounted(out))
}

fn digest_of(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    algorithm: &'static digest::Algorithm,
) -> Result<Value, Failure> {
    let text = args.text(0)?;
    // About eight bytes of input cost what copying 32 does.
    cx.step(text.len() / 8)?;
    let digest = digest::digest(algorithm, text);
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    let hex = digest.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    cx.text(hex.collect::<String>())
}

fn adler32sum(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    const MODULUS: u32 = 65_521;
    let text = args.text(0)?;
    cx.step(text.len() / 16)?;
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in text.iter() {
        low = (low + u32::from(*byte)) % MODULUS;
        high = (high + low) % MODULUS;
    }
    cx.text((high << 16 | low).to_string())
}
