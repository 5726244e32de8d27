//! Chance comes in by the door: tags, branches, ids and jitter are drawn from a [`Dice`].

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A source of chance. Seeded from the operating system in the server, from a number in a simulation;
/// a cryptographic generator either way, so that SIP tags cannot be guessed (RFC 3261 §19.3).
#[derive(Debug)]
pub struct Dice(StdRng);

impl Dice {
    /// Dice seeded by the operating system.
    pub fn from_os() -> Self {
        Self(rand::make_rng())
    }

    /// Dice that always fall the same way for the same `seed`.
    pub fn from_seed(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// New dice, drawn from these: give each owner its own.
    pub fn split(&mut self) -> Self {
        Self::from_seed(self.u64())
    }

    /// 64 random bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound` (0 where `bound` is 0).
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { ((u128::from(self.u64()) * u128::from(bound)) >> 64) as u64 }
    }

    /// True with probability `p` (0.0 to 1.0).
    pub fn chance(&mut self, p: f64) -> bool {
        ((self.u64() >> 11) as f64 / (1u64 << 53) as f64) < p
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_falls() {
        let (mut a, mut b) = (Dice::from_seed(7), Dice::from_seed(7));
        assert!((0..100).all(|_| a.u64() == b.u64()));
        assert!((0..1000).all(|_| a.below(6) < 6));
    }
}
