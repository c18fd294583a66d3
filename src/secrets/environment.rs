//! What templates get from outside: the clock, randomness and new keys.

use aws_lc_rs::{
    encoding::AsDer as _,
    rand,
    rsa::{KeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use jiff::Timestamp;
use zeroize::Zeroizing;

use gotemplate::Environment;
use gotemplate::Failure;
use gotemplate::KeyKind;

/// The system's clock and random generator.
///
/// A key of 4096 bits may take seconds, so a rendering does not belong on a thread of the runtime.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn now(&mut self) -> Timestamp {
        Timestamp::now()
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        rand::fill(buffer).map_err(|_| Failure::function("the random generator failed"))
    }

    fn private_key(&mut self, kind: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let failed = |_| Failure::function("the private key could not be made");
        // The library wipes its own copies.
        let pkcs8 = match kind {
            KeyKind::Rsa(bits) => {
                let size = match bits {
                    2048 => KeySize::Rsa2048,
                    3072 => KeySize::Rsa3072,
                    4096 => KeySize::Rsa4096,
                    8192 => KeySize::Rsa8192,
                    _ => {
                        return Err(Failure::function(
                            "RSA keys have 2048, 3072, 4096 or 8192 bits",
                        ));
                    }
                };
                let document = KeyPair::generate(size).and_then(|pair| pair.as_der());
                Zeroizing::new(document.map_err(failed)?.as_ref().to_vec())
            }
            KeyKind::EcdsaP256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
                let document = pair.and_then(|pair| pair.to_pkcs8v1());
                Zeroizing::new(document.map_err(failed)?.as_ref().to_vec())
            }
            KeyKind::Ed25519 => {
                let document = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1());
                Zeroizing::new(document.map_err(failed)?.as_ref().to_vec())
            }
        };
        Ok(pkcs8)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use gotemplate::Data;
    use gotemplate::Delimiters;
    use gotemplate::Limits;
    use gotemplate::Template;

    #[test]
    fn no_two_fillings_are_alike() {
        let (mut one, mut two) = ([0; 32], [0; 32]);
        SystemEnvironment.fill(&mut one).unwrap();
        SystemEnvironment.fill(&mut two).unwrap();
        assert!(one != two && one != [0; 32]);
    }

    #[test]
    fn keys_of_every_kind_are_such_that_templates_can_use() {
        for (kind, label) in [("ecdsa", "EC PRIVATE KEY"), ("ed25519", "PRIVATE KEY")] {
            let text = format!("{{{{ genPrivateKey {kind:?} }}}}");
            let template = Template::parse("key", text.as_bytes(), &Delimiters::default()).unwrap();
            let data: Data = [("", "")].into_iter().collect();
            let key = template.render(&data, &mut SystemEnvironment, &Limits::default()).unwrap();
            assert!(key.starts_with(format!("-----BEGIN {label}-----").as_bytes()));
        }
        let rsa = SystemEnvironment.private_key(KeyKind::Rsa(2048)).unwrap();
        assert!(KeyPair::from_pkcs8(&rsa).is_ok());
        assert!(SystemEnvironment.private_key(KeyKind::Rsa(1024)).is_err());
    }
}
