//! Random moments and choices that can be had again: the seed is printed, and may be given.

use std::hash::{BuildHasher, RandomState};

/// A source of numbers.
#[derive(Debug)]
pub struct Seed(u64);

impl Seed {
    /// From `III_TEST_SEED`, or a new one. It is printed, so that a failed test can be run again with it.
    ///
    /// # Panics
    ///
    /// If the variable is no number.
    #[allow(clippy::print_stderr)]
    pub fn new() -> Self {
        let said = std::env::var("III_TEST_SEED").ok();
        let seed = said.map_or_else(
            || RandomState::new().hash_one("seed"),
            |text| text.parse().expect("III_TEST_SEED is a number"),
        );
        eprintln!("III_TEST_SEED={seed}");
        Self(seed)
    }

    /// A number below `end`, by splitmix64.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}

impl Default for Seed {
    fn default() -> Self {
        Self::new()
    }
}
