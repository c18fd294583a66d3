//! Keys from passwords: PBKDF2, and the derivation of RFC 7292, appendix B. Both repeat a hash as often as the file
//! says, so what they cost is accounted for before they run.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, pbkdf2};
use zeroize::Zeroizing;

use crate::{
    Context,
    functions::crypto::{Bytes, Error},
};

/// Up to so many hashes count as ordinary steps; more are slow operations.
const ORDINARY: u64 = 40_000;
/// Hashes in the time of one slow operation.
const PER_SLOW_OPERATION: u64 = 200_000;

/// What is derived.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Key = 1,
    Vector = 2,
    Mac = 3,
}

/// Accounts for hashes of short texts.
fn account(cx: &mut Context<'_>, hashes: u64) -> Result<(), Error> {
    if hashes <= ORDINARY {
        return Ok(cx.step(usize::try_from(hashes).unwrap_or(usize::MAX))?);
    }
    Ok(cx.slow_operations(hashes.div_ceil(PER_SLOW_OPERATION))?)
}

/// PBKDF2; as in Go, less than one repetition is one.
pub(super) fn pbkdf2(
    cx: &mut Context<'_>,
    algorithm: pbkdf2::Algorithm,
    password: &[u8],
    salt: &[u8],
    iterations: u64,
    size: usize,
) -> Result<Bytes, Error> {
    // Each repetition hashes twice, and each block of the key repeats anew.
    let output = match () {
        () if algorithm == pbkdf2::PBKDF2_HMAC_SHA1 => 20,
        () if algorithm == pbkdf2::PBKDF2_HMAC_SHA256 => 32,
        () => 64,
    };
    let blocks = size.div_ceil(output) as u64;
    account(cx, iterations.max(1).saturating_mul(2 * blocks))?;
    cx.step(password.len() / 32 + size.div_ceil(output) * salt.len() / 32)?;
    let iterations = u32::try_from(iterations).ok().and_then(NonZeroU32::new);
    let mut key = Zeroizing::new(vec![0; size]);
    pbkdf2::derive(algorithm, iterations.unwrap_or(NonZeroU32::MIN), salt, password, &mut key);
    Ok(key)
}

/// RFC 7292, appendix B.2, with the password as UTF-16 and the letters that the RFC uses.
#[allow(clippy::many_single_char_names)]
pub(super) fn rfc7292(
    cx: &mut Context<'_>,
    hash: &'static digest::Algorithm,
    purpose: Purpose,
    password: &[u8],
    salt: &[u8],
    iterations: u64,
    size: usize,
) -> Result<Bytes, Error> {
    let (u, v) = (hash.output_len(), hash.block_len());
    cx.allocate(salt.len() + password.len() + 4 * v)?;
    let d = vec![purpose as u8; v];
    let filled = |part: &[u8]| part.len().next_multiple_of(v);
    let mut i = Zeroizing::new(Vec::with_capacity(filled(salt) + filled(password)));
    i.extend(salt.iter().cycle().take(filled(salt)));
    i.extend(password.iter().cycle().take(filled(password)));
    let mut key = Zeroizing::new(Vec::with_capacity(size + u));
    loop {
        account(cx, iterations)?;
        cx.step(i.len() / 16)?;
        let mut a = Zeroizing::new([0; digest::MAX_OUTPUT_LEN]);
        let mut first = digest::Context::new(hash);
        first.update(&d);
        first.update(&i);
        a[..u].copy_from_slice(first.finish().as_ref());
        for _ in 1..iterations {
            let next = digest::digest(hash, &a[..u]);
            a[..u].copy_from_slice(next.as_ref());
        }
        key.extend_from_slice(&a[..u]);
        if key.len() >= size {
            key.truncate(size);
            return Ok(key);
        }
        for block in i.chunks_exact_mut(v) {
            add(block, &a[..u]);
        }
    }
}

/// `block` plus `a`, repeated to the block's length, plus one, without what overflows.
fn add(block: &mut [u8], a: &[u8]) {
    let mut carry = 1;
    for at in (0..block.len()).rev() {
        let sum = u16::from(block[at]) + u16::from(a[at % a.len()]) + carry;
        carry = sum >> 8;
        block[at] = sum.to_be_bytes()[1];
    }
}
