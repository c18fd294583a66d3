//! Whole numbers without sign, as large as RSA keys are: they complete and check a key that comes without its derived
//! numbers. Not constant in time, so nothing here runs on what a stranger can measure often.

use crypto_bigint::{BoxedUint, ConcatenatingMul, Odd};
use zeroize::Zeroizing;

use super::Bytes;

/// Wiped on drop.
#[derive(Clone)]
pub(super) struct Natural(Zeroizing<BoxedUint>);

impl PartialEq for Natural {
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl Natural {
    fn new(number: BoxedUint) -> Self {
        Self(Zeroizing::new(number))
    }

    /// From a magnitude, most significant byte first.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self::new(BoxedUint::from_be_slice_vartime(bytes))
    }

    /// The magnitude, most significant byte first, without leading zeros.
    pub(super) fn to_bytes(&self) -> Bytes {
        let bytes = Zeroizing::new(self.0.to_be_bytes().into_vec());
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Zeroizing::new(bytes[zeros..].to_vec())
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_zero().to_bool()
    }

    pub(super) fn is_even(&self) -> bool {
        self.0.as_odd_vartime().is_none()
    }

    /// One less; zero stays.
    pub(super) fn predecessor(&self) -> Self {
        if self.is_zero() { self.clone() } else { Self::new(self.0.wrapping_sub(BoxedUint::one())) }
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        Self::new(self.0.concatenating_mul(&*other.0))
    }

    /// What is left over after division by `modulus`, which must not be zero.
    pub(super) fn modulo(&self, modulus: &Self) -> Self {
        match modulus.0.as_nz_vartime() {
            Some(modulus) => Self::new(self.0.rem_vartime(modulus)),
            None => self.clone(),
        }
    }

    /// The number that times this one leaves 1 over `modulus`, which must be odd; none if they share a divisor.
    pub(super) fn inverse(&self, modulus: &Self) -> Option<Self> {
        let odd: &Odd<BoxedUint> = modulus.0.as_odd_vartime()?;
        let reduced = self.modulo(modulus);
        reduced.0.invert_odd_mod_vartime(odd).into_option().map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn natural(value: u128) -> Natural {
        Natural::from_bytes(&value.to_be_bytes())
    }

    #[test]
    fn small_numbers_agree_with_the_machine() {
        let samples = [1, 2, 3, 5, 7, 0xffff_ffff, 0x1_0000_0000, 0xffff_ffff_ffff_fffb, 1 << 63];
        for a in samples {
            assert!(natural(a).predecessor() == natural(a - 1));
            for b in samples {
                assert!(natural(a).times(&natural(b)) == natural(a * b), "{a} * {b}");
                assert!(natural(a * b + 1).modulo(&natural(b)) == natural((a * b + 1) % b));
            }
        }
        assert!(
            natural(0).predecessor() == natural(0) && natural(2).is_even() && !natural(3).is_even()
        );
    }

    #[test]
    fn an_inverse_times_its_number_leaves_one() {
        for modulus in [3_u128, 7, 65_537, 0xffff_ffff_ffff_ffc5, (1 << 89) - 1] {
            for number in [1_u128, 2, 5, 0x1234_5678_9abc_def1] {
                if number % modulus == 0 {
                    continue;
                }
                let inverse = natural(number).inverse(&natural(modulus)).unwrap();
                let product = inverse.times(&natural(number)).modulo(&natural(modulus));
                assert!(product == natural(1), "{number} over {modulus}");
            }
        }
        assert!(natural(6).inverse(&natural(9)).is_none(), "they share 3");
        assert!(natural(0).inverse(&natural(9)).is_none());
        assert!(natural(3).inverse(&natural(8)).is_none(), "an even modulus is not handled");
    }

    #[test]
    fn bytes_come_back_without_leading_zeros() {
        for bytes in [&[][..], &[1], &[1, 2, 3, 4, 5], &[0xff; 33]] {
            assert_eq!(Natural::from_bytes(bytes).to_bytes()[..], *bytes);
        }
        assert!(Natural::from_bytes(&[0; 9]).is_zero());
    }
}
