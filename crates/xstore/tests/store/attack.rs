//! The guessing attack: twelve unknown genotypes in an otherwise known file.
//!
//! The attacker holds the manifest, k-1 whole shares, and everything that a lawful reader of
//! another chunk of the same object saw: that chunk's records of every share, its seed, and all
//! footers. For each of 3^12 guesses they compute every digest, tag and share piece they can think
//! of, and look for it in what they hold. They must find nothing; the control shows that the same
//! search does find a genotype as soon as one plain digest is published.

use std::collections::HashSet;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use xstore::ids::hex;

use crate::world::{CHUNK, World, payload};

const SNPS: usize = 12;
const GENOTYPES: [&[u8; 3]; 3] = [b"0/0", b"0/1", b"1/1"];

/// The unknown chunk with one guess filled in.
fn record(guess: u32) -> Vec<u8> {
    let mut rest = guess;
    let mut line = b"chr19\t44908684\trs429358\tT\tC\t.\tPASS\t.\tGT".to_vec();
    for _ in 0..SNPS {
        line.push(b'\t');
        line.extend(GENOTYPES[(rest % 3) as usize]);
        rest /= 3;
    }
    line.push(b'\n');
    line
}

/// Everything the attacker holds, as a set of 32-byte windows.
struct View {
    windows: HashSet<[u8; 32]>,
    keys: Vec<[u8; 32]>,
    pieces: HashSet<[u8; 32]>,
}

impl View {
    fn add(&mut self, bytes: &[u8]) {
        for window in bytes.windows(32) {
            self.windows.insert(window.try_into().unwrap());
        }
    }

    /// Whether anything computable from `guess` stands in the view.
    fn confirms(&self, known: &Sha256, guess: &[u8], own_pieces: &[&[u8]]) -> bool {
        let whole: [u8; 32] = known.clone().chain_update(guess).finalize().into();
        let alone: [u8; 32] = Sha256::digest(guess).into();
        let leaf: [u8; 32] = Sha256::new_with_prefix([0])
            .chain_update(guess)
            .finalize()
            .into();
        let mut derived = vec![whole, alone, leaf];
        for key in &self.keys {
            let mut block = [0; 64];
            block[..32].copy_from_slice(key);
            let mac = |message: &[u8]| -> [u8; 32] {
                let mut mac = Hmac::<Sha256>::new(&block.into());
                mac.update(message);
                mac.finalize().into_bytes().into()
            };
            derived.push(mac(guess));
            derived.push(mac(&whole));
        }
        // Pieces of the unseen shares that the guess and the attacker's own share would give.
        let xor = |piece: &[u8]| {
            let start: [u8; 32] = std::array::from_fn(|i| piece[i] ^ guess[i]);
            start
        };
        derived.iter().any(|digest| self.windows.contains(digest))
            || own_pieces
                .iter()
                .any(|piece| self.pieces.contains(&xor(piece)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_shares_and_another_chunk_confirm_no_guess() {
    let world = World::new(2, 3);
    let public = payload(CHUNK, 1);
    let truth = 271_828;
    let secret = record(truth);
    let data = [public.as_slice(), &secret].concat();
    let manifest = world.put(&data).await.manifest;

    let first_record = 32 + (CHUNK + 36 + 2);
    let (_, own) = world.segment(0);
    let mut view = View {
        windows: HashSet::new(),
        keys: Vec::new(),
        pieces: HashSet::new(),
    };
    view.add(manifest.envelope());
    view.add(&own);
    for at in 0..3 {
        let (_, other) = world.segment(at);
        let footer = other.len() - (24 + 3 * 32);
        // What the reader of chunk 0 saw of this share: its record and the segment's footer.
        view.add(&other[..first_record]);
        view.add(&other[footer..]);
        view.keys.push(other[..32].try_into().unwrap());
    }
    // The attacker's own salt of the unknown chunk, and the identifiers in the manifest.
    view.keys
        .push(own[first_record..first_record + 32].try_into().unwrap());
    view.keys.push(manifest.body().object_id.0);
    view.keys.push(manifest.body().put_id.0);
    view.keys.push([0; 32]);
    // Tags of the unknown chunk at the other sites are what a guess would have to meet.
    for at in 1..3 {
        let (_, other) = world.segment(at);
        let footer = other.len() - 3 * 32;
        view.pieces
            .insert(other[footer + 32..footer + 64].try_into().unwrap());
    }

    let known = Sha256::new_with_prefix(&public);
    let share = &own[first_record + 32..];
    let pieces = [&share[..32], &share[32..64]];
    let guesses = 3u32.pow(u32::try_from(SNPS).unwrap());
    let hits = |view: &View| {
        (0..guesses)
            .filter(|&guess| view.confirms(&known, &record(guess), &pieces))
            .collect::<Vec<_>>()
    };
    assert_eq!(hits(&view), [], "{guesses} guesses");

    // The same search finds the genotype at once when a plain digest is published.
    let digest: [u8; 32] = Sha256::digest(&data).into();
    assert!(!hex(manifest.envelope()).contains(&hex(&digest)));
    view.add(&digest);
    assert_eq!(
        hits(&view),
        [truth],
        "the attack works where there is an oracle"
    );
    println!("{guesses} guesses, 0 hits; 1 hit in the control with a plain digest");
}
