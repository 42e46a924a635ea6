//! Seeded chance: the same seed gives the same world, so that what was seen once can be seen again.

use std::time::Duration;

/// A small generator (SplitMix64). Not for secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; zero when `bound` is zero. The bias is far below what a stand-in needs.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.roll() % bound }
    }

    /// True with this probability. Certain answers (0 and 1) leave the dice untouched, so that adding a
    /// rule that is not random does not change what the others do.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        if probability <= 0.0 {
            return false;
        }
        if probability >= 1.0 {
            return true;
        }
        // 53 bits are what a double can hold exactly.
        let unit = (self.roll() >> 11) as f64 / (1u64 << 53) as f64;
        unit < probability
    }

    /// A duration from `min` to `max`, in whole milliseconds; `min` when the two are equal.
    pub(super) fn between(&mut self, min: Duration, max: Duration) -> Duration {
        let spread = max.saturating_sub(min).as_millis();
        if spread == 0 {
            return min;
        }
        let spread = u64::try_from(spread).unwrap_or(u64::MAX - 1);
        min + Duration::from_millis(self.below(spread + 1))
    }

    /// `length` characters of `alphabet`, which is not empty.
    pub(super) fn text(&mut self, length: usize, alphabet: &str) -> String {
        let letters = alphabet.as_bytes();
        (0..length)
            .map(|_| {
                let at = usize::try_from(self.below(letters.len() as u64)).unwrap_or(0);
                char::from(letters.get(at).copied().unwrap_or(b'0'))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_falls_the_same_way() {
        let (mut a, mut b, mut c) = (Dice::new(7), Dice::new(7), Dice::new(8));
        let first: Vec<u64> = (0..8).map(|_| a.roll()).collect();
        assert_eq!(first, (0..8).map(|_| b.roll()).collect::<Vec<_>>());
        assert_ne!(first, (0..8).map(|_| c.roll()).collect::<Vec<_>>());
    }

    #[test]
    fn chance_comes_near_its_probability_and_certainty_is_certain() {
        let mut dice = Dice::new(1);
        let hits = (0..10_000).filter(|_| dice.chance(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!(!dice.chance(0.0) && dice.chance(1.0));
    }

    #[test]
    fn durations_stay_between_their_ends() {
        let mut dice = Dice::new(3);
        let (min, max) = (Duration::from_millis(10), Duration::from_millis(13));
        let seen: std::collections::BTreeSet<_> =
            (0..200).map(|_| dice.between(min, max)).collect();
        assert_eq!(seen.len(), 4);
        assert!(seen.iter().all(|d| (min..=max).contains(d)));
    }
}
