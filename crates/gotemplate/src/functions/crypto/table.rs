//! The functions of this folder as templates call them.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};
use memchr::memmem;

use super::{
    Bytes, Error, KEY_STEPS, aes, base64_text,
    certificate::Certificate,
    chain, digests, jwk, made, passwords, pem,
    pkcs12::{self, Contents},
    private_key::PrivateKey,
    rsa,
};
use crate::{Args, Context, Failure, Function, Type, Value, value::UintType};

const ONE: &[Type] = &[Type::String];
const TWO: &[Type] = &[Type::String, Type::String];
/// The hash is of a type of its own in Go: a constant may name it, a variable may not.
const HTPASSWD: &[Type] = &[Type::String, Type::String, Type::NamedString("sprig.HashAlgorithm")];
const THREE: &[Type] = &[Type::String, Type::String, Type::String];
const FOUR: &[Type] = &[Type::String, Type::String, Type::String, Type::String];
const DERIVATION: &[Type] =
    &[Type::Uint(UintType::Uint32), Type::String, Type::String, Type::String, Type::String];

/// Those that the External Secrets Operator adds, then sprig's.
pub(crate) const FUNCTIONS: &[Function] = &[
    Function::new("pkcs12key", ONE, |cx, args| key(cx, b"", args.text(0)?)),
    Function::new("pkcs12keyPass", TWO, |cx, args| key(cx, args.text(0)?, args.text(1)?)),
    Function::new("pkcs12cert", ONE, |cx, args| certificates(cx, b"", args.text(0)?)),
    Function::new("pkcs12certPass", TWO, |cx, args| certificates(cx, args.text(0)?, args.text(1)?)),
    Function::new("pemToPkcs12", TWO, |cx, args| bundle(cx, args, false, b"")),
    Function::new("pemToPkcs12Pass", THREE, |cx, args| bundle(cx, args, false, args.text(2)?)),
    Function::new("fullPemToPkcs12", TWO, |cx, args| bundle(cx, args, true, b"")),
    Function::new("fullPemToPkcs12Pass", THREE, |cx, args| bundle(cx, args, true, args.text(2)?)),
    Function::new("pemTruststoreToPKCS12", ONE, |cx, args| trust_store(cx, args, b"")),
    Function::new("pemTruststoreToPKCS12Pass", TWO, |cx, args| {
        trust_store(cx, args, args.text(1)?)
    }),
    Function::new("filterPEM", TWO, filter_pem),
    Function::new("filterCertChain", TWO, |cx, args| {
        let text = read(cx, args, 1)?;
        let part = chain::filter(cx, args.text(0)?, text);
        returned(cx, part)
    }),
    Function::new("certSANs", ONE, names),
    Function::new("jwkPublicKeyPem", ONE, |cx, args| {
        let text = read(cx, args, 0)?;
        cx.step(KEY_STEPS)?;
        returned(cx, jwk::public_pem(text))
    }),
    Function::new("jwkPrivateKeyPem", ONE, |cx, args| {
        let text = read(cx, args, 0)?;
        // Numbers that are not given are computed, which takes longer.
        cx.step(KEY_STEPS + 8 * text.len())?;
        returned(cx, jwk::private_pem(text))
    }),
    Function::new("rsaDecrypt", FOUR, rsa_decrypt),
    Function::new("sha1sum", ONE, |cx, args| sum(cx, args, &SHA1_FOR_LEGACY_USE_ONLY)),
    Function::new("sha256sum", ONE, |cx, args| sum(cx, args, &SHA256)),
    Function::new("sha512sum", ONE, |cx, args| sum(cx, args, &SHA512)),
    Function::new("adler32sum", ONE, |cx, args| {
        let text = read(cx, args, 0)?;
        cx.text(digests::adler32(text).to_string())
    }),
    Function::new("bcrypt", ONE, |cx, args| {
        let hash = passwords::bcrypt(cx, args.text(0)?);
        returned(cx, hash)
    }),
    Function::new("htpasswd", HTPASSWD, |cx, args| {
        let line = passwords::htpasswd(cx, args.text(0)?, args.text(1)?, args.text(2)?);
        returned(cx, line)
    }),
    Function::new("derivePassword", DERIVATION, derive_password),
    Function::new("randBytes", &[Type::INT], random_bytes),
    Function::new("uuidv4", &[], uuid),
    Function::new("encryptAES", TWO, |cx, args| {
        let encrypted = aes::encrypt(cx, args.text(0)?, args.text(1)?);
        returned(cx, encrypted)
    }),
    Function::new("decryptAES", TWO, |cx, args| {
        let text = read(cx, args, 1)?;
        returned(cx, aes::decrypt(args.text(0)?, text))
    }),
    Function::new("genPrivateKey", ONE, made::private_key),
    Function::new("buildCustomCert", TWO, made::custom),
    Function::new("genCA", made::CA, made::authority),
    Function::new("genCAWithKey", made::CA_WITH_KEY, made::authority),
    Function::new("genSelfSignedCert", made::SELF_SIGNED, made::self_signed),
    Function::new("genSelfSignedCertWithKey", made::SELF_SIGNED_WITH_KEY, made::self_signed),
    Function::new("genSignedCert", made::SIGNED, made::signed),
    Function::new("genSignedCertWithKey", made::SIGNED_WITH_KEY, made::signed),
];

/// A private key, whichever of the three forms it is in.
fn private_key(cx: &mut Context<'_>, text: &[u8]) -> Result<PrivateKey, Failure> {
    cx.step(KEY_STEPS + 2 * text.len())?;
    let block = pem::decode(text).0.ok_or(Error::NoPem)?;
    Ok(PrivateKey::from_der(&block.bytes)?)
}

/// An argument that is read from end to end, twice or so, with copies of it on the way.
fn read<'v>(cx: &mut Context<'_>, args: &Args<'v>, at: usize) -> Result<&'v [u8], Failure> {
    let text = args.text(at)?;
    cx.allocate(2 * text.len())?;
    Ok(text)
}

/// A string of Go.
fn returned(cx: &mut Context<'_>, result: Result<Bytes, Error>) -> Result<Value, Failure> {
    let mut bytes = result?;
    cx.text(std::mem::take(&mut *bytes))
}

fn sum(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    algorithm: &'static Algorithm,
) -> Result<Value, Failure> {
    let text = args.text(0)?;
    cx.step(text.len() / 32)?;
    cx.text(digests::hex(algorithm, text))
}

fn key(cx: &mut Context<'_>, password: &[u8], file: &[u8]) -> Result<Value, Failure> {
    let Contents { key, .. } = pkcs12::read(cx, file, password)?;
    returned(cx, Ok(pem::text("PRIVATE KEY", &key.to_pkcs8())))
}

/// From leaf to root, or as they are in the file if they make no chain.
fn certificates(cx: &mut Context<'_>, password: &[u8], file: &[u8]) -> Result<Value, Failure> {
    let Contents { certificates, .. } = pkcs12::read(cx, file, password)?;
    let parse = || certificates.iter().map(|bytes| Certificate::parse(bytes)).collect();
    let parsed: Result<Vec<_>, Error> = parse();
    let ordered = match chain::ordered(cx, parsed?) {
        Ok(ordered) => ordered,
        Err(error @ Error::Rendering(_)) => return Err(error.into()),
        Err(_) => parse()?,
    };
    returned(cx, Ok(chain::joined(&ordered)))
}

fn bundle(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    full: bool,
    password: &[u8],
) -> Result<Value, Failure> {
    let text = read(cx, args, 0)?;
    let key = private_key(cx, args.text(1)?)?;
    let blocks = if full { whole_blocks(text)? } else { pem::decode(text).0.into_iter().collect() };
    let certificates = chain::certificates(&blocks)?;
    let (certificate, others) = certificates.split_first().ok_or(Error::NoPem)?;
    let file = pkcs12::bundle(cx, &key, certificate, others, password)?;
    returned(cx, Ok(base64_text(&file)))
}

/// The cipher text is bytes, not base64.
fn rsa_decrypt(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (scheme, encrypted) = (args.text(0)?, read(cx, args, 2)?);
    match &scheme[..] {
        b"None" => cx.text(encrypted),
        b"RSA-OAEP" => {
            let key = private_key(cx, args.text(3)?)?;
            cx.slow_operation()?;
            returned(cx, rsa::decrypt_oaep(args.text(1)?, encrypted, &key))
        }
        _ => Err(Error::RsaScheme.into()),
    }
}

fn trust_store(cx: &mut Context<'_>, args: &Args<'_>, password: &[u8]) -> Result<Value, Failure> {
    let blocks = whole_blocks(read(cx, args, 0)?)?;
    let file = pkcs12::trust_store(cx, &chain::certificates(&blocks)?, password)?;
    returned(cx, Ok(base64_text(&file)))
}

/// All blocks of a text with nothing but white space behind the last.
fn whole_blocks(text: &[u8]) -> Result<Vec<pem::Block>, Error> {
    let (mut rest, mut blocks) = (text, Vec::new());
    while !rest.trim_ascii().is_empty() {
        let (block, after) = pem::decode(rest);
        blocks.push(block.ok_or(Error::NoPem)?);
        rest = after;
    }
    Ok(blocks)
}

/// The text from its first block on.
fn without_junk(text: &[u8]) -> &[u8] {
    &text[memmem::find(text, b"-----BEGIN").unwrap_or(0)..]
}

fn filter_pem(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let kind = args.text(0)?;
    let mut rest = without_junk(read(cx, args, 1)?);
    let mut kept = Bytes::new(Vec::with_capacity(rest.len()));
    while let (Some(block), after) = pem::decode(rest) {
        rest = after;
        if block.kind.eq_ignore_ascii_case(kind) {
            let text = pem::encode(&block)?;
            cx.allocate(text.len())?;
            kept.extend_from_slice(&text);
        }
    }
    let result = if kept.is_empty() && !rest.is_empty() { Err(Error::PemJunk) } else { Ok(kept) };
    returned(cx, result)
}

fn names(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let block = pem::decode(without_junk(read(cx, args, 0)?)).0.ok_or(Error::NoPem)?;
    let names = Certificate::parse(&block.bytes)?.names()?;
    let names: Result<_, _> = names.into_iter().map(|name| cx.text(name)).collect();
    cx.list_of(&Type::String, names?)
}

fn derive_password(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let counter = match args.any(0) {
        Value::Uint(_, counter) => u32::try_from(*counter).unwrap_or(u32::MAX),
        _ => return Err(Failure::type_("the counter of derivePassword is not a uint32")),
    };
    let texts = [args.text(1)?, args.text(2)?, args.text(3)?, args.text(4)?];
    let password = passwords::derive(cx, counter, texts.map(|text| &text[..]));
    returned(cx, password)
}

fn random_bytes(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let count = usize::try_from(args.int(0)?).map_err(|_| Error::Length)?;
    cx.allocate(count)?;
    let mut bytes = Bytes::new(vec![0; count]);
    cx.environment.fill(&mut bytes)?;
    returned(cx, Ok(base64_text(&bytes)))
}

/// Random but for the six bits that say so.
fn uuid(cx: &mut Context<'_>, _: &Args<'_>) -> Result<Value, Failure> {
    let mut bytes = [0; 16];
    cx.environment.fill(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    cx.text(parts.join("-"))
}
