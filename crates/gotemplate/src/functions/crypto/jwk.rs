//! JSON Web Keys to PEM: RSA, the NIST curves and Ed25519.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::{
    Bytes, Error, pem,
    private_key::{Curve, Ec, PrivateKey, Rsa, ec_public, ed25519_public, rsa_public},
};

/// Both alphabets are in use, with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Members that matter here; all numbers are text.
#[derive(Deserialize)]
struct Jwk {
    kty: Zeroizing<String>,
    crv: Option<Zeroizing<String>>,
    n: Option<Zeroizing<String>>,
    e: Option<Zeroizing<String>>,
    x: Option<Zeroizing<String>>,
    y: Option<Zeroizing<String>>,
    /// Its presence makes a key private, a null too.
    #[serde(default, deserialize_with = "present")]
    d: Option<Zeroizing<String>>,
    p: Option<Zeroizing<String>>,
    q: Option<Zeroizing<String>>,
    dp: Option<Zeroizing<String>>,
    dq: Option<Zeroizing<String>>,
    qi: Option<Zeroizing<String>>,
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Option::deserialize(from).map(|value| Some(value.unwrap_or_default()))
}

impl Jwk {
    /// The first JSON value of the text; what comes behind is not looked at.
    fn parse(text: &[u8]) -> Result<Self, Error> {
        let mut json = serde_json::Deserializer::from_slice(text);
        Self::deserialize(&mut json).map_err(|_| Error::Jwk)
    }

    fn curve(&self) -> Result<Curve, Error> {
        match self.crv.as_ref().map(|name| name.as_str()) {
            Some("P-256") => Ok(Curve::P256),
            Some("P-384") => Ok(Curve::P384),
            Some("P-521") => Ok(Curve::P521),
            _ => Err(Error::Curve),
        }
    }

    fn is_ed25519(&self) -> bool {
        self.crv.as_ref().is_some_and(|name| name.as_str() == "Ed25519")
    }

    /// The point, uncompressed.
    fn point(&self, curve: Curve) -> Result<Vec<u8>, Error> {
        let mut point = vec![4];
        for coordinate in [number(self.x.as_ref())?, number(self.y.as_ref())?] {
            let zeros = coordinate.iter().take_while(|byte| **byte == 0).count();
            let digits = &coordinate[zeros..];
            let missing = curve.size().checked_sub(digits.len()).ok_or(Error::Jwk)?;
            point.resize(point.len() + missing, 0);
            point.extend_from_slice(digits);
        }
        curve.check(&point).map_err(|_| Error::Jwk)?;
        Ok(point)
    }

    fn public(&self) -> Result<Bytes, Error> {
        if self.d.is_some() {
            return Err(Error::JwkPrivate);
        }
        match self.kty.as_str() {
            "RSA" => {
                let (modulus, exponent) = (number(self.n.as_ref())?, number(self.e.as_ref())?);
                if exponent.len() > 8 {
                    return Err(Error::Jwk);
                }
                Ok(rsa_public(&modulus, &exponent))
            }
            "EC" => {
                let curve = self.curve()?;
                Ok(ec_public(curve, &self.point(curve)?))
            }
            "OKP" if self.is_ed25519() => Ok(ed25519_public(&number(self.x.as_ref())?)),
            _ => Err(Error::Jwk),
        }
    }

    fn private(&self) -> Result<PrivateKey, Error> {
        let secret = self.d.as_ref().ok_or(Error::JwkPublic)?;
        let secret = decoded(secret)?;
        match self.kty.as_str() {
            "RSA" => self.rsa(&secret).map(PrivateKey::Rsa),
            "EC" => {
                let curve = self.curve()?;
                let key = Ec::new(curve, &secret).map_err(|_| Error::Jwk)?;
                // A point that does not belong to the secret is damage.
                if key.point == self.point(curve)? {
                    Ok(PrivateKey::Ec(key))
                } else {
                    Err(Error::Jwk)
                }
            }
            "OKP" if self.is_ed25519() => {
                if secret.len() != 32 {
                    return Err(Error::Jwk);
                }
                let key = PrivateKey::Ed25519(secret);
                let stated = ed25519_public(&number(self.x.as_ref())?);
                if key.to_public()? == stated { Ok(key) } else { Err(Error::Jwk) }
            }
            _ => Err(Error::Jwk),
        }
    }

    fn rsa(&self, secret: &[u8]) -> Result<Rsa, Error> {
        let (modulus, exponent) = (number(self.n.as_ref())?, number(self.e.as_ref())?);
        let (p, q) = (number(self.p.as_ref())?, number(self.q.as_ref())?);
        let optional = |member: &Option<Zeroizing<String>>| {
            member.as_ref().map_or_else(|| Ok(Bytes::default()), |text| decoded(text))
        };
        let (dp, dq, qi) = (optional(&self.dp)?, optional(&self.dq)?, optional(&self.qi)?);
        // All or none: one alone is not taken, and computed.
        let given = [&dp, &dq, &qi].iter().all(|value| !value.is_empty());
        let derived = given.then_some([&dp[..], &dq, &qi]);
        Rsa::checked(&modulus, &exponent, secret, [&p, &q], derived).map_err(|error| match error {
            Error::RsaSize => error,
            _ => Error::Jwk,
        })
    }
}

/// A member that must be there.
fn number(member: Option<&Zeroizing<String>>) -> Result<Bytes, Error> {
    decoded(member.ok_or(Error::Jwk)?)
}

fn decoded(text: &str) -> Result<Bytes, Error> {
    let mut plain = Bytes::new(Vec::with_capacity(text.len()));
    plain.extend(text.trim_end_matches('=').bytes().filter_map(|byte| match byte {
        b'+' => Some(b'-'),
        b'/' => Some(b'_'),
        b'\r' | b'\n' => None,
        other => Some(other),
    }));
    let mut bytes = Bytes::new(Vec::with_capacity(plain.len()));
    BASE64.decode_vec(&plain[..], &mut bytes).map_err(|_| Error::Jwk)?;
    Ok(bytes)
}

/// `jwkPublicKeyPem`: a PEM block of `SubjectPublicKeyInfo`.
pub(super) fn public_pem(text: &[u8]) -> Result<Bytes, Error> {
    Ok(pem::text("PUBLIC KEY", &Jwk::parse(text)?.public()?))
}

/// `jwkPrivateKeyPem`: a PEM block of PKCS#8.
pub(super) fn private_pem(text: &[u8]) -> Result<Bytes, Error> {
    Ok(pem::text("PRIVATE KEY", &Jwk::parse(text)?.private()?.to_pkcs8()))
}
