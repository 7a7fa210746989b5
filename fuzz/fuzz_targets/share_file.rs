//! The stand-alone share file (docs/formats/share-file.md): parsed without panic, encoded as it was
//! read, and never believed after a change.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use xgene_fuzz::{Damage, Input, read};
use xorida_core::{AccessStructure, ShareFile, combine_files, deal_files};

/// A dealing, one of its files, and what happens to that file.
#[derive(Debug, Arbitrary)]
struct Plan {
    threshold: u8,
    spare: u8,
    holder: u8,
    seed: u8,
    damage: Damage,
    secret: Vec<u8>,
}

fuzz_target!(|data: &[u8]| {
    match read::<Plan>(data) {
        Some(Input::Raw(bytes)) => parse_is_stable(bytes),
        Some(Input::Planned(plan)) => plan.run(),
        None => {}
    }
});

/// A file has one form: what is read is written again byte for byte.
fn parse_is_stable(bytes: &[u8]) {
    let Ok(file) = ShareFile::parse(bytes) else {
        return;
    };
    let mut written = vec![0; file.encoded_len()];
    assert!(
        file.encode(&mut written).is_ok(),
        "a parsed file has an encoding"
    );
    assert_eq!(written, bytes);
}

impl Plan {
    fn run(&self) {
        let threshold = 2 + self.threshold % 4;
        let Ok(access) = AccessStructure::try_new(threshold, threshold + self.spare % 5) else {
            panic!("2 of 2 to 5 of 9 are access structures")
        };
        let mut rng = ChaCha20Rng::from_seed([self.seed; 32]);
        let Ok(encoded) = deal_files(access, &self.secret, &mut rng) else {
            panic!("every secret can be dealt")
        };
        let files: Vec<ShareFile<'_>> = encoded
            .iter()
            .filter_map(|bytes| ShareFile::parse(bytes).ok())
            .collect();
        assert_eq!(files.len(), encoded.len(), "every dealt file is read");
        let qualified = &files[files.len() - usize::from(threshold)..];
        let combined = combine_files(qualified);
        assert!(
            combined.is_ok_and(|secret| **secret == *self.secret),
            "k files are the secret"
        );
        self.damage_one(&encoded[usize::from(self.holder) % files.len()], &files[0]);
    }

    fn damage_one(&self, intact: &[u8], witness: &ShareFile<'_>) {
        let damaged = self.damage.apply(intact);
        parse_is_stable(&damaged);
        if damaged != intact
            && let Ok(file) = ShareFile::parse(&damaged)
        {
            assert!(file.verify(witness).is_err(), "a changed file was believed");
        }
    }
}
