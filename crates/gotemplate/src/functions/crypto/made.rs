//! Keys and certificates that a template asks for: sprig's `genPrivateKey`, `genCA` and their like.

use std::{any::Any, net::IpAddr, rc::Rc};

use super::{
    Bytes, Error, KEY_STEPS, SLOW_RSA_2048,
    certificate::{self, Certificate},
    from_base64,
    issue::{self, Request, Signer},
    pem,
    private_key::PrivateKey,
};
use crate::{Args, Context, Failure, KeyKind, Object, Type, Value};

const CERTIFICATE: Type = Type::Struct("sprig.certificate");

pub(super) const CA: &[Type] = &[Type::String, Type::INT];
pub(super) const CA_WITH_KEY: &[Type] = &[Type::String, Type::INT, Type::String];
pub(super) const SELF_SIGNED: &[Type] = &[Type::String, Type::LIST, Type::LIST, Type::INT];
pub(super) const SELF_SIGNED_WITH_KEY: &[Type] =
    &[Type::String, Type::LIST, Type::LIST, Type::INT, Type::String];
pub(super) const SIGNED: &[Type] = &[Type::String, Type::LIST, Type::LIST, Type::INT, CERTIFICATE];
pub(super) const SIGNED_WITH_KEY: &[Type] =
    &[Type::String, Type::LIST, Type::LIST, Type::INT, CERTIFICATE, Type::String];

/// What the functions return: a certificate and its key, both PEM.
struct Pair {
    certificate: Value,
    key: Value,
}

impl Object for Pair {
    fn type_(&self) -> Type {
        CERTIFICATE
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Cert", self.certificate.clone()), ("Key", self.key.clone())]
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn pair(cx: &mut Context<'_>, mut certificate: Bytes, mut key: Bytes) -> Result<Value, Failure> {
    let certificate = cx.text(std::mem::take(&mut *certificate))?;
    let key = cx.text(std::mem::take(&mut *key))?;
    Ok(Value::Object(Rc::new(Pair { certificate, key })))
}

/// A new key. An RSA key costs with the cube of its length.
fn generated(cx: &mut Context<'_>, kind: KeyKind) -> Result<PrivateKey, Failure> {
    if let KeyKind::Rsa(bits) = kind {
        if bits > cx.limits.key_bits {
            return Err(Failure::bound("bits of an RSA key", cx.limits.key_bits));
        }
        cx.slow_operations(SLOW_RSA_2048 * u64::from(bits).div_ceil(2048).pow(3))?;
    } else {
        cx.step(1000)?;
    }
    let key = cx.environment.private_key(kind)?;
    Ok(PrivateKey::from_pkcs8(&key)?)
}

/// `genPrivateKey`: unknown kinds give a text, as in sprig.
pub(super) fn private_key(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let kind = args.text(0)?;
    let kind = match &kind[..] {
        b"" | b"rsa" => KeyKind::Rsa(4096),
        b"ecdsa" => KeyKind::EcdsaP256,
        b"ed25519" => KeyKind::Ed25519,
        b"dsa" => return Err(Error::Dsa.into()),
        _ => return cx.text([b"Unknown type ", &kind[..]].concat()),
    };
    let (label, key) = generated(cx, kind)?.to_traditional();
    let mut text = pem::text(label, &key);
    cx.text(std::mem::take(&mut *text))
}

/// `buildCustomCert`: a pair from base64 of two PEM texts, both checked and otherwise left alone.
pub(super) fn custom(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let (certificate, key) = (args.text(0)?, args.text(1)?);
    cx.allocate(certificate.len() + key.len())?;
    cx.step(KEY_STEPS)?;
    let (certificate, key) = (from_base64(certificate)?, from_base64(key)?);
    let block = pem::decode(&certificate).0.ok_or(Error::NoPem)?;
    Certificate::parse(&block.bytes)?;
    from_pem(&key)?;
    pair(cx, certificate, key)
}

/// `genCA` and `genCAWithKey`: a certificate that signs itself and may sign others.
pub(super) fn authority(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let request = Request {
        common_name: args.text(0)?,
        addresses: Vec::new(),
        names: Vec::new(),
        days: args.int(1)?,
        authority: true,
    };
    let key = given_or_generated(cx, args, 2)?;
    let signer = Signer { key: &key, certificate: None };
    let certificate = issue::issue(cx, &request, &key, &signer)?;
    issued(cx, &certificate, &key)
}

/// `genSelfSignedCert` and `genSelfSignedCertWithKey`.
pub(super) fn self_signed(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let request = leaf(cx, args)?;
    let key = given_or_generated(cx, args, 4)?;
    let signer = Signer { key: &key, certificate: None };
    let certificate = issue::issue(cx, &request, &key, &signer)?;
    issued(cx, &certificate, &key)
}

/// `genSignedCert` and `genSignedCertWithKey`: signed by the pair that is given.
pub(super) fn signed(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Value, Failure> {
    let request = leaf(cx, args)?;
    let (authority, authority_key) = match args.any(4) {
        Value::Object(object) => match object.as_any().downcast_ref() {
            Some(Pair { certificate: Value::String(certificate), key: Value::String(key) }) => {
                (certificate.clone(), key.clone())
            }
            _ => return Err(Error::NotCertificateValue.into()),
        },
        _ => return Err(Error::NotCertificateValue.into()),
    };
    let key = given_or_generated(cx, args, 5)?;
    let block = pem::decode(&authority).0.ok_or(Error::NoPem)?;
    let authority = Certificate::parse(&block.bytes)?;
    // Checking the key and signing with it takes with the cube of its length.
    match authority_key.len() {
        ..2000 => cx.step(2 * KEY_STEPS)?,
        2000..3500 => cx.step(10 * KEY_STEPS)?,
        _ => cx.slow_operation()?,
    }
    let authority_key = from_pem(&authority_key)?;
    let signer = Signer { key: &authority_key, certificate: Some(&authority) };
    let certificate = issue::issue(cx, &request, &key, &signer)?;
    issued(cx, &certificate, &key)
}

fn issued(cx: &mut Context<'_>, certificate: &[u8], key: &PrivateKey) -> Result<Value, Failure> {
    let (label, key) = key.to_traditional();
    pair(cx, pem::text(certificate::LABEL, certificate), pem::text(label, &key))
}

/// Common name, addresses, DNS names and days: the first four arguments.
fn leaf<'v>(cx: &mut Context<'_>, args: &Args<'v>) -> Result<Request<'v>, Failure> {
    let (addresses, names) = (args.list(1)?, args.list(2)?);
    cx.step(addresses.len() + names.len())?;
    cx.allocate(64 * (addresses.len() + names.len()))?;
    let mut request = Request {
        common_name: args.text(0)?,
        addresses: Vec::with_capacity(addresses.len()),
        names: Vec::with_capacity(names.len()),
        days: args.int(3)?,
        authority: false,
    };
    // The lists outlive the call: they belong to the arguments.
    for address in addresses.iter() {
        let text = std::str::from_utf8(text(address)?).map_err(|_| Error::Address)?;
        request.addresses.push(text.parse::<IpAddr>().map_err(|_| Error::Address)?);
    }
    for name in names.iter() {
        let name = text(name)?;
        cx.allocate(4 * name.len())?;
        request.names.push(name);
    }
    Ok(request)
}

fn text(value: &Value) -> Result<&[u8], Error> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(Error::NotString),
    }
}

/// The PEM key at this place, or a new RSA key of 2048 bits where the function takes none.
fn given_or_generated(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    at: usize,
) -> Result<PrivateKey, Failure> {
    if args.len() > at {
        cx.slow_operation()?; // checking it and signing with it
        return Ok(from_pem(args.text(at)?)?);
    }
    generated(cx, KeyKind::Rsa(2048))
}

/// A private key, whose label says in which form it is.
fn from_pem(text: &[u8]) -> Result<PrivateKey, Error> {
    let block = pem::decode(text).0.ok_or(Error::NoPem)?;
    let key = match &block.kind[..] {
        b"PRIVATE KEY" => PrivateKey::from_pkcs8(&block.bytes),
        b"RSA PRIVATE KEY" => PrivateKey::from_pkcs1(&block.bytes),
        b"EC PRIVATE KEY" => PrivateKey::from_sec1(&block.bytes, None),
        b"DSA PRIVATE KEY" => return Err(Error::Dsa),
        _ => return Err(Error::NotPrivateKey),
    };
    key.map_err(|error| if error == Error::Asn1 { Error::PrivateKey } else { error })
}
