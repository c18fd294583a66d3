//! Private keys: read from PKCS#1, SEC 1 and PKCS#8, checked, and written the one way that Go's `crypto/x509` writes
//! them, so that the same key always gives the same bytes.

use aws_lc_rs::{
    agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521},
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, Ed25519KeyPair,
        KeyPair as _, ParsedPublicKey,
    },
};
use zeroize::Zeroizing;

use super::{
    Bytes, Error,
    der::{self, Reader},
    natural::Natural,
    oid,
};

/// Larger moduli are refused: checking them costs more than a template may.
const RSA_BITS: usize = 8192;

pub(super) enum PrivateKey {
    Rsa(Rsa),
    Ec(Ec),
    Ed25519(Bytes),
    X25519(Bytes),
}

/// Magnitudes, most significant byte first.
pub(super) struct Rsa {
    pub modulus: Bytes,
    pub exponent: Bytes,
    pub private: Bytes,
    pub primes: [Bytes; 2],
    /// The private exponent modulo each prime less one.
    pub reduced: [Bytes; 2],
    /// Inverse of the second prime over the first.
    pub coefficient: Bytes,
}

/// A scalar of the curve's full length, and its point.
pub(super) struct Ec {
    pub curve: Curve,
    pub scalar: Bytes,
    pub point: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    pub(super) const fn oid(self) -> &'static [u8] {
        match self {
            Self::P256 => oid::P256,
            Self::P384 => oid::P384,
            Self::P521 => oid::P521,
        }
    }

    pub(super) fn from_oid(oid: &[u8]) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|curve| curve.oid() == oid).ok_or(Error::Curve)
    }

    /// Bytes of a scalar, or of one coordinate.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// Whether the point, uncompressed, is on the curve.
    pub(super) fn check(self, point: &[u8]) -> Result<(), Error> {
        let algorithm = match self {
            Self::P256 => &ECDSA_P256_SHA256_ASN1,
            Self::P384 => &ECDSA_P384_SHA384_ASN1,
            Self::P521 => &ECDSA_P521_SHA512_ASN1,
        };
        // The library reads compressed points and whole SubjectPublicKeyInfos, too.
        let plain = point.first() == Some(&4) && point.len() == 1 + 2 * self.size();
        match ParsedPublicKey::new(algorithm, point) {
            Ok(_) if plain => Ok(()),
            _ => Err(Error::Curve),
        }
    }

    const fn agreement(self) -> &'static agreement::Algorithm {
        match self {
            Self::P256 => &ECDH_P256,
            Self::P384 => &ECDH_P384,
            Self::P521 => &ECDH_P521,
        }
    }
}

impl PrivateKey {
    /// Whichever of the three forms it is.
    pub(super) fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_pkcs1(bytes)
            .or_else(|_| Self::from_pkcs8(bytes))
            .or_else(|_| Self::from_sec1(bytes, None))
            .map_err(|_| Error::PrivateKey)
    }

    pub(super) fn from_pkcs1(bytes: &[u8]) -> Result<Self, Error> {
        let mut key = Reader::only_sequence(bytes)?;
        if key.count()? > 1 {
            return Err(Error::PrivateKey);
        }
        let [modulus, exponent, private] = [key.natural()?, key.natural()?, key.natural()?];
        let primes = [key.natural()?, key.natural()?];
        let derived = if key.is_empty() {
            None
        } else {
            Some([key.natural()?, key.natural()?, key.natural()?])
        };
        if !key.is_empty() {
            return Err(Error::RsaPrimes); // more than two
        }
        Rsa::checked(modulus, exponent, private, primes, derived).map(Self::Rsa)
    }

    pub(super) fn from_pkcs8(bytes: &[u8]) -> Result<Self, Error> {
        let mut key = Reader::only_sequence(bytes)?;
        key.integer()?;
        let mut algorithm = key.sequence()?;
        let kind = algorithm.oid()?;
        let secret = key.take(der::OCTET_STRING)?;
        match kind {
            oid::RSA_ENCRYPTION => Self::from_pkcs1(secret),
            oid::EC_PUBLIC_KEY => {
                let curve = algorithm.oid().ok().map(Curve::from_oid).transpose()?;
                Self::from_sec1(secret, curve)
            }
            oid::ED25519 | oid::X25519 if algorithm.is_empty() => {
                let mut seed = Reader::new(secret);
                let seed = seed.take(der::OCTET_STRING)?;
                if seed.len() != 32 {
                    return Err(Error::PrivateKey);
                }
                let seed = Zeroizing::new(seed.to_vec());
                Ok(if kind == oid::ED25519 { Self::Ed25519(seed) } else { Self::X25519(seed) })
            }
            _ => Err(Error::PrivateKey),
        }
    }

    /// `curve` where something around the key names it.
    pub(super) fn from_sec1(bytes: &[u8], curve: Option<Curve>) -> Result<Self, Error> {
        let mut key = Reader::only_sequence(bytes)?;
        if key.count()? != 1 {
            return Err(Error::PrivateKey);
        }
        let scalar = key.take(der::OCTET_STRING)?;
        let curve = match (curve, key.optional(der::context(0))?) {
            (Some(curve), _) => curve,
            (None, Some(named)) => Curve::from_oid(Reader::new(named).oid()?)?,
            (None, None) => return Err(Error::Curve),
        };
        Ec::new(curve, scalar).map(Self::Ec)
    }

    /// `PrivateKeyInfo`, as under the PEM label `PRIVATE KEY`.
    pub(super) fn to_pkcs8(&self) -> Bytes {
        let wrapped = |kind: &[u8], parameters: &[u8], secret: &[u8]| {
            let algorithm = der::sequence(&[&der::oid(kind), parameters]);
            der::sequence(&[&der::count(0), &algorithm, &der::octets(secret)])
        };
        match self {
            Self::Rsa(rsa) => wrapped(oid::RSA_ENCRYPTION, &der::null(), &rsa.to_pkcs1()),
            Self::Ec(ec) => {
                wrapped(oid::EC_PUBLIC_KEY, &der::oid(ec.curve.oid()), &ec.to_sec1(false))
            }
            Self::Ed25519(seed) => wrapped(oid::ED25519, &[], &der::octets(seed)),
            Self::X25519(seed) => wrapped(oid::X25519, &[], &der::octets(seed)),
        }
    }

    /// PEM label and bytes of the form that belongs to the kind of key: PKCS#1, SEC 1, else PKCS#8.
    pub(super) fn to_traditional(&self) -> (&'static str, Bytes) {
        match self {
            Self::Rsa(rsa) => ("RSA PRIVATE KEY", rsa.to_pkcs1()),
            Self::Ec(ec) => ("EC PRIVATE KEY", ec.to_sec1(true)),
            Self::Ed25519(_) | Self::X25519(_) => ("PRIVATE KEY", self.to_pkcs8()),
        }
    }

    /// `SubjectPublicKeyInfo` of the public half.
    pub(super) fn to_public(&self) -> Result<Bytes, Error> {
        match self {
            Self::Rsa(rsa) => Ok(rsa_public(&rsa.modulus, &rsa.exponent)),
            Self::Ec(ec) => Ok(ec_public(ec.curve, &ec.point)),
            Self::Ed25519(seed) => {
                let pair =
                    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::PrivateKey)?;
                Ok(ed25519_public(pair.public_key().as_ref()))
            }
            Self::X25519(_) => Err(Error::PrivateKey), // signs nothing, so nothing asks for it
        }
    }
}

impl Rsa {
    /// Checks that the numbers belong together; computes the derived ones where they are not given.
    #[allow(clippy::many_single_char_names)] // everyone calls them so
    pub(super) fn checked(
        modulus: &[u8],
        exponent: &[u8],
        private: &[u8],
        primes: [&[u8]; 2],
        derived: Option<[&[u8]; 3]>,
    ) -> Result<Self, Error> {
        if modulus.len() * 8 > RSA_BITS || private.len() > modulus.len() {
            return Err(Error::RsaSize);
        }
        let (n, e, d) = (
            Natural::from_bytes(modulus),
            Natural::from_bytes(exponent),
            Natural::from_bytes(private),
        );
        let [p, q] = primes.map(Natural::from_bytes);
        let odd = [&n, &e, &p, &q].iter().all(|number| !number.is_even());
        if !odd || exponent.len() > 4 || p.times(&q) != n {
            return Err(Error::PrivateKey);
        }
        let one = Natural::from_bytes(&[1]);
        let mut reduced = Vec::with_capacity(2);
        for prime in [&p, &q] {
            let order = prime.predecessor();
            if order.is_zero() || e.times(&d).modulo(&order) != one.modulo(&order) {
                return Err(Error::PrivateKey);
            }
            reduced.push(d.modulo(&order));
        }
        // An inverse is quickly checked, and slowly found.
        let coefficient = match derived.map(|given| given.map(Natural::from_bytes)) {
            None => q.inverse(&p).ok_or(Error::PrivateKey)?,
            Some([first, second, coefficient]) => {
                let is_inverse = coefficient.times(&q).modulo(&p) == one;
                if [first, second] != reduced[..]
                    || !is_inverse
                    || coefficient.modulo(&p) != coefficient
                {
                    return Err(Error::PrivateKey);
                }
                coefficient
            }
        };
        let reduced =
            [reduced.swap_remove(0), reduced.swap_remove(0)].map(|number| number.to_bytes());
        let coefficient = coefficient.to_bytes();
        let [modulus, exponent, private] = [n, e, d].map(|number| number.to_bytes());
        let primes = [p, q].map(|number| number.to_bytes());
        Ok(Self { modulus, exponent, private, primes, reduced, coefficient })
    }

    pub(super) fn to_pkcs1(&self) -> Bytes {
        let numbers = [
            &self.modulus,
            &self.exponent,
            &self.private,
            &self.primes[0],
            &self.primes[1],
            &self.reduced[0],
            &self.reduced[1],
            &self.coefficient,
        ]
        .map(|number| der::natural(number));
        let version = der::count(0);
        let mut parts: Vec<&[u8]> = vec![&version];
        parts.extend(numbers.iter().map(|number| &number[..]));
        der::sequence(&parts)
    }
}

impl Ec {
    /// The scalar may have lost or gained leading zeros on its way.
    pub(super) fn new(curve: Curve, scalar: &[u8]) -> Result<Self, Error> {
        let zeros = scalar.len().saturating_sub(curve.size());
        if scalar[..zeros].iter().any(|byte| *byte != 0) {
            return Err(Error::PrivateKey);
        }
        let mut full = Zeroizing::new(vec![0; curve.size()]);
        full[curve.size() - (scalar.len() - zeros)..].copy_from_slice(&scalar[zeros..]);
        let key = agreement::PrivateKey::from_private_key(curve.agreement(), &full)
            .map_err(|_| Error::PrivateKey)?;
        let point = key.compute_public_key().map_err(|_| Error::PrivateKey)?.as_ref().to_vec();
        Ok(Self { curve, scalar: full, point })
    }

    fn to_sec1(&self, with_curve: bool) -> Bytes {
        let curve = der::element(der::context(0), &[&der::oid(self.curve.oid())]);
        let curve = if with_curve { &curve[..] } else { &[] };
        let point = der::element(der::context(1), &[&der::bits(&self.point)]);
        der::sequence(&[&der::count(1), &der::octets(&self.scalar), curve, &point])
    }
}

pub(super) fn rsa_public(modulus: &[u8], exponent: &[u8]) -> Bytes {
    let key = der::sequence(&[&der::natural(modulus), &der::natural(exponent)]);
    let algorithm = der::sequence(&[&der::oid(oid::RSA_ENCRYPTION), &der::null()]);
    der::sequence(&[&algorithm, &der::bits(&key)])
}

pub(super) fn ec_public(curve: Curve, point: &[u8]) -> Bytes {
    let algorithm = der::sequence(&[&der::oid(oid::EC_PUBLIC_KEY), &der::oid(curve.oid())]);
    der::sequence(&[&algorithm, &der::bits(point)])
}

pub(super) fn ed25519_public(point: &[u8]) -> Bytes {
    der::sequence(&[&der::sequence(&[&der::oid(oid::ED25519)]), &der::bits(point)])
}
