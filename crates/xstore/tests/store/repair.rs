//! A lost share comes back bit for bit from any k others: share bytes, salts, footer and root, with
//! no new randomness and no change to the manifest.

use xorida_core::{
    Kind, Mode, Recovery, Seed, ShareContext, ShareIndex, Suffix, Target, VerifiedShare, unpad,
};
use xstore::Manifest;
use xstore::geometry::Geometry;
use xstore::segment::Footer;

use crate::world::{CHUNK, World, payload, subsets};

const SALT: usize = 32;

/// The segment object of share `lost`, computed from the segment objects of `others`.
fn recomputed(manifest: &Manifest, others: &[(u8, &[u8])], lost: u8) -> Vec<u8> {
    let body = manifest.body();
    let geometry: Geometry = body.geometry().unwrap();
    let access = geometry.layout().access;
    let index = |i: u8| ShareIndex::try_new(i, access).unwrap();
    let indices: Vec<ShareIndex> = others.iter().map(|(i, _)| index(*i)).collect();
    let run = |target: Target, shares: &[VerifiedShare<'_>]| {
        let recovery = Recovery::try_new(access, &indices, target).unwrap();
        let mut output = vec![0; shares[0].bytes().len()];
        recovery
            .run(shares, &mut vec![0; recovery.scratch_len()], &mut output)
            .unwrap();
        output
    };
    let (mut object, mut tags) = (Vec::new(), Vec::new());
    for chunk in 0..geometry.chunks() {
        let record = geometry.records(&(chunk..chunk + 1));
        let at = |offset: u64| usize::try_from(offset).unwrap();
        let record = at(record.start)..at(record.end);
        let shares: Vec<VerifiedShare<'_>> = others
            .iter()
            .map(|(i, bytes)| {
                VerifiedShare::assume_authentic(index(*i), &bytes[record.clone()][SALT..])
            })
            .collect();
        let secret = run(Target::Secret, &shares);
        let secret = unpad(access, &secret).unwrap();
        let salt =
            Seed::from_bytes(secret[secret.len() - 32..].try_into().unwrap()).salt(index(lost));
        let share = run(Target::Share(index(lost)), &shares);
        let last = chunk + 1 == geometry.chunks();
        let context = ShareContext {
            mode: Mode::Perfect,
            kind: if last { Kind::Trailer } else { Kind::Data },
            padding: geometry.layout().padding,
            suffix: Suffix::Seed,
            access,
            chunk_len: geometry.layout().chunk_len(),
            chunks_per_segment: geometry.layout().chunks_per_segment(),
            object_id: body.object_id.0,
            put_id: body.put_id.0,
            chunk,
            share_len: u32::try_from(share.len()).unwrap(),
        };
        tags.push(salt.tag(&context, index(lost), &share));
        object.extend(salt.expose());
        object.extend(share);
    }
    Footer::encode(0, &tags, &mut object);
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lost_share_is_recomputed_from_every_k_others() {
    let mut recomputations = 0;
    for (k, n) in [(2u8, 3u8), (3, 5), (2, 5)] {
        let world = World::new(k, n);
        let manifest = world.put(&payload(2 * CHUNK + 77, k)).await.manifest;
        let objects: Vec<_> = (0..usize::from(n)).map(|at| world.segment(at).1).collect();
        for lost in 0..n {
            for set in subsets(usize::from(n), usize::from(k)) {
                if set.contains(&usize::from(lost)) {
                    continue;
                }
                let others: Vec<(u8, &[u8])> = set
                    .iter()
                    .map(|at| (u8::try_from(*at).unwrap(), &objects[*at][..]))
                    .collect();
                let again = recomputed(&manifest, &others, lost);
                assert!(
                    again == objects[usize::from(lost)],
                    "{k}-of-{n}: {lost} from {set:?}"
                );
                let footer = &again[again.len() - (24 + 4 * 32)..];
                let root = Footer::parse(footer).unwrap().root();
                assert_eq!(root, manifest.body().shares[usize::from(lost)].root);
                recomputations += 1;
            }
        }
    }
    println!("{recomputations} shares recomputed bit for bit, salts and footers included");
    assert_eq!(recomputations, 3 + 5 * 4 + 5 * 6);
}
