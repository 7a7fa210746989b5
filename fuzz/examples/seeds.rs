//! Writes the seeds of all targets: `cargo run --example seeds`. The same call writes the same bytes.
//!
//! A seed starts with the byte that chooses between bytes and plan, and none of them sets off a
//! planted defect: what the fuzzer finds, it finds by itself.

use std::fs;
use std::io;
use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use xgene_fuzz::{PLANNED, RAW};
use xorida_core::{AccessStructure, Tag, deal_files};
use xstore::ids::{BackendUid, DeviceId, ObjectId, Prefix, PutId, ShareRoot};
use xstore::keys::{OwnerKeys, RootKey};
use xstore::manifest::{Body, Location, STATE_LIVE, ShareEntry};
use xstore::segment::{Footer, Index};
use xstore::{Manifest, cbor};

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let targets: [(&str, Seeds); 5] = [
        ("consent", consent()),
        ("key_to_path", key_to_path()),
        ("manifest", manifest()?),
        ("segment_footer", segment_footer()),
        ("share_file", share_file()?),
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (target, raw) in targets {
        let folder = root.join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in raw {
            write(&folder.join(name), RAW, &bytes)?;
        }
        for seed in 0..4 {
            write(&folder.join(format!("plan-{seed}")), PLANNED, &plan(seed))?;
        }
    }
    Ok(())
}

fn write(path: &Path, choice: u8, rest: &[u8]) -> io::Result<()> {
    fs::write(path, [&[choice], rest].concat())
}

/// Bytes out of which every plan can be read.
fn plan(seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    ChaCha20Rng::from_seed([seed; 32]).fill_bytes(&mut bytes);
    bytes
}

fn consent() -> Seeds {
    let record = |codes: &str, end: &str| {
        format!(
            "{{\"subjectId\":\"SUBJ-001\",\"purpose\":\"rare-disease-research\",\
             \"grantedBy\":\"patient\",\"grantedAt\":\"2026-04-10T00:00:00Z\",\
             \"authorizedJurisdictions\":{codes}{end}}}"
        )
        .into_bytes()
    };
    vec![
        ("record", record("[\"DE\",\"CA\",\"JP\"]", "")),
        (
            "record-ending",
            record(
                "[\"US\",\"CA-ON\"]",
                ",\"expiresAt\":\"2036-04-10T02:00:00+02:00\"",
            ),
        ),
        ("doubled", record("[\"DE\"]", ",\"purpose\":\"another\"")),
        ("unknown-member", record("[\"XX\"]", ",\"signature\":null")),
    ]
}

fn key_to_path() -> Seeds {
    vec![
        ("segment", b"0a1b/s/2c3d/0/0".to_vec()),
        ("manifest", b"0a1b/o/2c3d/1/4e5f".to_vec()),
        ("parent", b"a/../b".to_vec()),
        ("absolute", b"/a".to_vec()),
        ("longest", vec![b'a'; xstore::ObjectKey::MAX_LEN]),
    ]
}

fn manifest() -> Result<Seeds, xstore::Error> {
    let owner = OwnerKeys::derive(&RootKey::from_bytes([7; 32]));
    let stranger = OwnerKeys::derive(&RootKey::from_bytes([8; 32]));
    let own = body(&owner);
    Ok(vec![
        ("body", cbor::to_vec(&own)),
        ("own", Manifest::seal(own, &owner)?.envelope().to_vec()),
        (
            "strange",
            Manifest::seal(body(&stranger), &stranger)?
                .envelope()
                .to_vec(),
        ),
    ])
}

/// One chunk of 2-of-2 with its trailer.
fn body(owner: &OwnerKeys) -> Body {
    Body {
        object_id: ObjectId([1; 32]),
        put_id: PutId([2; 32]),
        version: 1,
        state: STATE_LIVE,
        device: DeviceId([3; 16]),
        previous: None,
        maker: owner.maker(),
        store_tag: owner.store_tag(),
        scheme: 2,
        mode: 0,
        padding: 0,
        suffix: 0,
        k: 2,
        n: 2,
        chunk_len: 2 << 20,
        chunks_per_segment: 8,
        padded_len: 1000,
        chunks: 2,
        shares: (0..2).map(share).collect(),
        held: Vec::new(),
        revocation: 0,
        created_unix_s: 1_700_000_000,
        expires_unix_s: None,
        superseded: None,
        extension: None,
        trial: None,
    }
}

fn share(index: u8) -> ShareEntry {
    let location = Location {
        backend: BackendUid([index; 16]),
        label: "site".to_owned(),
        manifest_prefix: Prefix([4; 16]),
        share_prefix: Prefix([5; 16]),
        zone: Some("EEA".to_owned()),
        operator: None,
        credential: None,
        host: None,
    };
    ShareEntry {
        index,
        root: ShareRoot([index; 32]),
        location: Some(location),
    }
}

fn segment_footer() -> Seeds {
    let footer = |fills: &[u8]| {
        let tags: Vec<Tag> = fills
            .iter()
            .map(|fill| Tag::from_bytes([*fill; 32]))
            .collect();
        let mut bytes = Vec::new();
        Footer::encode(7, &tags, &mut bytes);
        bytes
    };
    let mut index = Index::default();
    index.push(0, ShareRoot([1; 32]));
    index.push(1, ShareRoot([2; 32]));
    vec![
        ("footer-1", footer(&[1])),
        ("footer-8", footer(&[9; 8])),
        ("index", index.encode()),
    ]
}

fn share_file() -> Result<Seeds, xorida_core::Error> {
    let mut seeds = Vec::new();
    for (name, k, n) in [("2-of-2", 2, 2), ("2-of-3", 2, 3), ("5-of-8", 5, 8)] {
        let mut rng = ChaCha20Rng::from_seed([n; 32]);
        let files = deal_files(AccessStructure::try_new(k, n)?, b"a short secret", &mut rng)?;
        seeds.extend(files.last().map(|file| (name, file.to_vec())));
    }
    Ok(seeds)
}
