//! What the tests of this folder share: an environment that counts, and calls as a template makes them.

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{Args, Context, Environment, Failure, KeyKind, Limits, Text, Value, functions::find};

/// Gives the bytes 0, 1, 2 and so on, and always the same time. Keys are real.
#[derive(Default)]
pub(super) struct Counting {
    next: u8,
}

impl Environment for Counting {
    fn now(&mut self) -> Timestamp {
        Timestamp::from_second(1_770_000_000).unwrap()
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        for byte in buffer {
            *byte = self.next;
            self.next = self.next.wrapping_add(1);
        }
        Ok(())
    }

    fn private_key(&mut self, kind: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure> {
        use aws_lc_rs::{
            encoding::AsDer,
            rsa::{KeyPair, KeySize},
            signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
        };
        let bytes = match kind {
            KeyKind::Rsa(_) => {
                KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap().as_ref().to_vec()
            }
            KeyKind::EcdsaP256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
                .unwrap()
                .to_pkcs8v1()
                .unwrap()
                .as_ref()
                .to_vec(),
            KeyKind::Ed25519 => {
                Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap().as_ref().to_vec()
            }
        };
        Ok(Zeroizing::new(bytes))
    }
}

pub(super) fn text(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(Text::from(bytes.as_ref()))
}

/// Calls a function with everything left of its bounds.
pub(super) fn call(name: &str, args: &[Value]) -> Result<Value, Failure> {
    call_within(&Limits::default(), name, args)
}

pub(super) fn call_within(limits: &Limits, name: &str, args: &[Value]) -> Result<Value, Failure> {
    let mut environment = Counting::default();
    let mut cx = Context::new(&mut environment, limits);
    (find(name).unwrap().body)(&mut cx, &Args::new(args))
}

/// Calls a function of texts that gives a text.
pub(super) fn called(name: &str, args: &[&[u8]]) -> Result<Vec<u8>, Failure> {
    let args: Vec<_> = args.iter().map(text).collect();
    Ok(bytes(&call(name, &args)?))
}

/// The bytes of a text.
pub(super) fn bytes(value: &Value) -> Vec<u8> {
    let Value::String(text) = value else { panic!("not a text: {}", value.type_name()) };
    text.to_vec()
}
