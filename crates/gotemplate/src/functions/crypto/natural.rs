//! Whole numbers without sign, as large as RSA keys are: what it takes to complete and check a key that comes without
//! its derived numbers. Wiped on drop; not constant in time, so nothing here runs on what a stranger can measure often.

use std::cmp::Ordering;

use zeroize::Zeroizing;

use super::Bytes;

/// Little-endian limbs without leading zeros.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Natural(Zeroizing<Vec<u32>>);

impl Natural {
    /// From a magnitude, most significant byte first.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let limb = |chunk: &[u8]| chunk.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte));
        Self(Zeroizing::new(bytes.rchunks(4).map(limb).collect())).trimmed()
    }

    /// The magnitude, most significant byte first, without leading zeros.
    pub(super) fn to_bytes(&self) -> Bytes {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.0.len() * 4));
        for limb in self.0.iter().rev() {
            bytes.extend_from_slice(&limb.to_be_bytes());
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Zeroizing::new(bytes[zeros..].to_vec())
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn is_one(&self) -> bool {
        self.0[..] == [1]
    }

    pub(super) fn is_even(&self) -> bool {
        self.0.first().is_none_or(|limb| limb & 1 == 0)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let limbs = || self.0.iter().rev().cmp(other.0.iter().rev());
        self.0.len().cmp(&other.0.len()).then_with(limbs)
    }

    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (at, limb) in self.0.iter_mut().enumerate() {
            let (less, first) = limb.overflowing_sub(other.0.get(at).copied().unwrap_or(0));
            let (less, second) = less.overflowing_sub(u32::from(borrow));
            (*limb, borrow) = (less, first || second);
        }
        debug_assert!(!borrow, "the smaller is taken from the larger");
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn add(&mut self, other: &Self) {
        let size = self.0.len().max(other.0.len()) + 1;
        let mut sum = Zeroizing::new(Vec::with_capacity(size));
        let mut carry = false;
        for at in 0..size {
            let limb = |number: &Self| number.0.get(at).copied().unwrap_or(0);
            let (more, first) = limb(self).overflowing_add(limb(other));
            let (more, second) = more.overflowing_add(u32::from(carry));
            sum.push(more);
            carry = first || second;
        }
        *self = Self(sum).trimmed();
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for limb in self.0.iter_mut().rev() {
            let low = *limb & 1;
            *limb = (*limb >> 1) | (carry << 31);
            carry = low;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// One less; zero stays.
    pub(super) fn predecessor(&self) -> Self {
        let mut less = self.clone();
        if !less.is_zero() {
            less.subtract(&Self(Zeroizing::new(vec![1])));
        }
        less
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        let mut product = Zeroizing::new(vec![0_u32; self.0.len() + other.0.len()]);
        for (at, a) in self.0.iter().enumerate() {
            let mut carry = 0_u64;
            for (offset, b) in other.0.iter().enumerate() {
                let cell = &mut product[at + offset];
                let sum = u64::from(*a) * u64::from(*b) + u64::from(*cell) + carry;
                *cell = low(sum);
                carry = sum >> 32;
            }
            product[at + other.0.len()] = low(carry);
        }
        Self(product).trimmed()
    }

    /// What is left over after division by `modulus`, which must not be zero.
    pub(super) fn modulo(&self, modulus: &Self) -> Self {
        // Long division in base 2^32 (Knuth, algorithm D), without keeping the quotient. The divisor's top bit must be
        // set for a digit's guess to be at most two too large.
        let Some(top) = modulus.0.last() else { return self.clone() };
        let shift = top.leading_zeros();
        let divisor = modulus.shifted(shift).trimmed();
        let mut rest = self.shifted(shift);
        let size = divisor.0.len();
        for at in (0..rest.0.len().saturating_sub(size)).rev() {
            let digit = rest.guess(&divisor, at);
            rest.subtract_multiple(&divisor, at, digit);
        }
        let mut rest = rest.trimmed();
        if rest.compare(&divisor) != Ordering::Less {
            rest.subtract(&divisor);
        }
        for _ in 0..shift {
            rest.halve();
        }
        rest
    }

    /// Times a power of two below 2^32, with one limb more than before.
    fn shifted(&self, bits: u32) -> Self {
        let mut limbs = Zeroizing::new(Vec::with_capacity(self.0.len() + 1));
        let mut carry = 0;
        for limb in self.0.iter() {
            let wide = (u64::from(*limb) << bits) | carry;
            limbs.push(low(wide));
            carry = wide >> 32;
        }
        limbs.push(low(carry));
        Self(limbs)
    }

    /// How often the divisor fits at this limb, at most one too many.
    fn guess(&self, divisor: &Self, at: usize) -> u64 {
        let size = divisor.0.len();
        let limb = |number: &Self, at: usize| u64::from(number.0.get(at).copied().unwrap_or(0));
        let head = (limb(self, at + size) << 32) | limb(self, at + size - 1);
        let first = limb(divisor, size - 1);
        let (mut digit, mut rest) = (head / first, head % first);
        let second = if size > 1 { limb(divisor, size - 2) } else { 0 };
        let third = if at + size > 1 { limb(self, at + size - 2) } else { 0 };
        while digit >> 32 != 0 || digit * second > (rest << 32) | third {
            digit -= 1;
            rest += first;
            if rest >> 32 != 0 {
                break;
            }
        }
        digit
    }

    /// Takes off the divisor so many times, shifted to this limb; once less if that is too often.
    fn subtract_multiple(&mut self, divisor: &Self, at: usize, digit: u64) {
        let size = divisor.0.len();
        let part = &mut self.0[at..=at + size];
        let (mut carry, mut borrow) = (0, 0);
        for (place, limb) in part.iter_mut().enumerate() {
            let factor = divisor.0.get(place).copied().unwrap_or(0);
            let product = digit * u64::from(factor) + carry;
            carry = product >> 32;
            let less = u64::from(*limb).wrapping_sub(u64::from(low(product))).wrapping_sub(borrow);
            borrow = less >> 63;
            *limb = low(less);
        }
        if borrow != 0 {
            let mut carry = 0;
            for (place, limb) in part.iter_mut().enumerate() {
                let addend = divisor.0.get(place).copied().unwrap_or(0);
                let sum = u64::from(*limb) + u64::from(addend) + carry;
                *limb = low(sum);
                carry = sum >> 32;
            }
        }
    }

    /// The number that times this one leaves 1 over `modulus`, which must be odd; none if they share a divisor.
    pub(super) fn inverse(&self, modulus: &Self) -> Option<Self> {
        if modulus.is_even() || modulus.is_one() {
            return None;
        }
        // Binary extended Euclid. At all times a * self = u and b * self = v, over the modulus.
        let mut u = self.modulo(modulus);
        let mut v = modulus.clone();
        let mut a = Self(Zeroizing::new(vec![1]));
        let mut b = Self(Zeroizing::new(Vec::new()));
        while !u.is_zero() {
            while u.is_even() {
                u.halve();
                halve_over(&mut a, modulus);
            }
            while v.is_even() {
                v.halve();
                halve_over(&mut b, modulus);
            }
            if u.compare(&v) == Ordering::Less {
                v.subtract(&u);
                subtract_over(&mut b, &a, modulus);
            } else {
                u.subtract(&v);
                subtract_over(&mut a, &b, modulus);
            }
        }
        v.is_one().then_some(b)
    }
}

#[allow(clippy::cast_possible_truncation)] // the low half is what is asked for
const fn low(value: u64) -> u32 {
    value as u32
}

fn halve_over(number: &mut Natural, modulus: &Natural) {
    if !number.is_even() {
        number.add(modulus);
    }
    number.halve();
}

fn subtract_over(number: &mut Natural, other: &Natural, modulus: &Natural) {
    if number.compare(other) == Ordering::Less {
        number.add(modulus);
    }
    number.subtract(other);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::cast_possible_truncation)]
mod tests {
    use super::*;

    fn natural(value: u128) -> Natural {
        Natural::from_bytes(&value.to_be_bytes())
    }

    #[test]
    fn small_numbers_agree_with_the_machine() {
        let samples = [1, 2, 3, 5, 7, 0xffff_ffff, 0x1_0000_0000, 0xffff_ffff_ffff_fffb, 1 << 63];
        for a in samples {
            assert_eq!(natural(a).predecessor().0, natural(a - 1).0);
            for b in samples {
                assert!(natural(a).times(&natural(b)) == natural(a * b), "{a} * {b}");
                assert!(natural(a * b + 1).modulo(&natural(b)) == natural((a * b + 1) % b));
            }
        }
    }

    #[test]
    fn division_survives_the_digits_that_are_hard_to_guess() {
        // Numbers of all ones and all zeros are where a guess is too large, and once more after its correction.
        let limbs = [0_u32, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
        let mut numbers = Vec::new();
        for a in limbs {
            for b in limbs {
                for c in limbs {
                    numbers.push(u128::from(a) << 64 | u128::from(b) << 32 | u128::from(c));
                }
            }
        }
        for a in &numbers {
            for b in numbers.iter().filter(|b| **b != 0) {
                assert!(natural(*a).modulo(&natural(*b)) == natural(a % b), "{a:x} % {b:x}");
            }
        }
    }

    #[test]
    fn a_product_less_its_rest_can_be_divided() {
        let number = |seed: u8, size: usize| {
            let byte = |at: usize| seed.wrapping_mul(31).wrapping_add((at * at) as u8 | 1);
            Natural::from_bytes(&(0..size).map(byte).collect::<Vec<_>>())
        };
        for (seed, size) in [(1, 128), (2, 129), (3, 256), (4, 64)] {
            let (a, b) = (number(seed, size), number(seed + 7, 100));
            assert!(a.times(&b).modulo(&b).is_zero() && a.times(&b).modulo(&a).is_zero());
            let rest = a.modulo(&b);
            assert!(rest.compare(&b) == Ordering::Less);
            let mut whole = a.clone();
            whole.subtract(&rest);
            assert!(whole.modulo(&b).is_zero());
        }
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
