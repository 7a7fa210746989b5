//! Authentic shares of nonsense: the reader says so, and releases nothing under a final name.

use xstore::Padding;
use xstore::testing::faulty_dealer::{Nonsense, deal_nonsense};

use crate::world::{MODES, World, get, payload};

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_under_valid_tags_has_its_own_codes() {
    for mode in MODES {
        for (nonsense, code) in [
            (Nonsense::OtherPayload, "PAYLOAD_HMAC_FAILED"),
            (Nonsense::OtherLength, "PAYLOAD_HMAC_FAILED"),
            (Nonsense::Padding, "PADDING_INVALID"),
            (Nonsense::ValidLen, "RECONSTRUCTION_FAILED"),
        ] {
            let world = World {
                padding: Padding::Padme,
                ..World::new(2, 3).in_mode(mode)
            };
            // 1001 bytes are padded to 1024.
            let data = payload(1001, 1);
            let honest = world.put(&data).await.manifest;
            assert_eq!(get(&world.store(), &honest).await.unwrap().0, data);
            let forged = deal_nonsense(&world.store(), &world.keys, &honest, &data, nonsense).await;
            let error = get(&world.store(), &forged.unwrap()).await.unwrap_err();
            assert_eq!(error.code(), code, "{nonsense:?}");
        }
    }
}

/// Shares of another generation or object are not authentic for this one, whatever is dealt.
#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_of_another_object_fits_no_share() {
    for mode in MODES {
        let world = World::new(2, 3).in_mode(mode);
        let one = world.put(&payload(100, 2)).await.manifest;
        let other = world.put(&payload(100, 3)).await.manifest;
        let mut mixed = one.body().clone();
        mixed.shares = other.body().shares.clone();
        let mixed = xstore::Manifest::seal(mixed, &world.keys).unwrap();
        assert_eq!(
            get(&world.store(), &mixed).await.unwrap_err().code(),
            "INSUFFICIENT_SHARES"
        );
    }
}
