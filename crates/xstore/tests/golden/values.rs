//! The values that `docs/formats` prints: `values.txt` holds them, the code gives them, and the
//! documents show them.

use std::collections::BTreeMap;
use std::path::Path;

use ed25519_dalek::SigningKey;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use xorida_core::scheme::Equations;
use xorida_core::{
    AccessStructure, Kind, MerkleTree, Mode, Padding, Seed, ShareContext, Suffix, pad,
};
use xstore::geometry::{Geometry, Layout, padme};
use xstore::ids::{BackendUid, ObjectId, PutId, hex, unhex};
use xstore::keys::trust::{from_did_key, to_did_key};
use xstore::keys::{INVENTORY, file::write_root_key};
use xstore::segment::{Footer, Index};
use xstore::{Manifest, names};

use crate::{manifest, owner, segment, short_format};

/// Document, name of the value, value.
type Value = (&'static str, String, String);

#[test]
fn the_code_gives_every_value() {
    let stored = stored();
    let computed = computed();
    for (document, name, value) in &computed {
        let expected = stored.get(&(document.to_string(), name.clone()));
        assert_eq!(expected, Some(value), "{document}: {name}");
    }
    assert_eq!(computed.len(), stored.len(), "values that nothing computes");
    println!("{} values", computed.len());
}

/// White space does not count: documents break and group long values.
#[test]
fn the_documents_show_every_value() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats");
    for ((document, name), value) in stored() {
        let text = std::fs::read_to_string(folder.join(&document)).unwrap();
        assert!(dense(&text).contains(&dense(&value)), "{document}: {name}");
    }
}

/// What HKDF gives is what the owner's keys work with.
#[test]
fn derived_keys_are_those_in_use() {
    let owner = owner();
    let [mac_key, seed, name_key, tag, _] = INVENTORY.map(|(label, _)| derived(label));
    assert_eq!(owner.authenticate(b"message").0, hmac(&mac_key, b"message"));
    let maker = SigningKey::from_bytes(&seed).verifying_key();
    assert_eq!(owner.maker().0, maker.to_bytes());
    let part = |part: &[u8]| [&(part.len() as u64).to_be_bytes(), part].concat();
    let input = [part(b"o"), part(b"cohort-7")].concat();
    assert_eq!(owner.named_object("cohort-7").0, hmac(&name_key, &input));
    assert_eq!(owner.store_tag().0, tag[..16]);
}

#[test]
fn the_printed_manifest_is_what_the_store_seals() {
    let envelope = manifest::seal(&manifest::two_shares().encode());
    let read = manifest::open(&envelope).unwrap();
    let sealed = Manifest::seal(read.body().clone(), &owner()).unwrap();
    assert_eq!(sealed.envelope(), envelope);
}

fn stored() -> BTreeMap<(String, String), String> {
    let lines = include_str!("values.txt").lines();
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut parts = line.split(" | ");
            let mut part = || parts.next().unwrap().to_owned();
            ((part(), part()), part())
        })
        .collect()
}

fn computed() -> Vec<Value> {
    [
        chunk(),
        short_chunk(),
        padded(),
        segments(),
        manifests(),
        object_names(),
        key_files(),
        worked_example(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn dense(text: &str) -> String {
    text.split_whitespace().collect()
}

/// A number as the documents write it, with commas.
fn commas(number: u64) -> String {
    let digits = number.to_string();
    let first = (digits.len() + 2) % 3 + 1;
    let (head, tail) = digits.split_at(first);
    let groups = tail
        .as_bytes()
        .chunks(3)
        .map(|g| std::str::from_utf8(g).unwrap());
    std::iter::once(head)
        .chain(groups)
        .collect::<Vec<_>>()
        .join(",")
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.chain_update(message).finalize().into_bytes().into()
}

fn derived(label: &str) -> [u8; 32] {
    let mut key = [0; 32];
    let hkdf = Hkdf::<Sha256>::new(None, &[7; 32]);
    hkdf.expand(label.as_bytes(), &mut key).unwrap();
    key
}

/// "A chunk to compare with": 2 of 3, data `GATTACA`, seed 00 .. 1f, random pieces 80 .. ab.
fn chunk() -> Vec<Value> {
    let access = AccessStructure::try_new(2, 3).unwrap();
    let seed: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let mut secret = [b"GATTACA\0\0\0\x07".as_slice(), &seed].concat();
    let len = secret.len();
    secret.resize(access.padded_len(len), 0);
    pad(access, &mut secret, len).unwrap();

    let random: Vec<u8> = (0x80..=0xab).collect();
    let mut shares = vec![vec![0; secret.len()]; 3];
    let mut slices: Vec<&mut [u8]> = shares.iter_mut().map(Vec::as_mut_slice).collect();
    let equations = Equations::try_new(2, 3).unwrap();
    equations
        .deal_pieces(&secret, &random, &mut slices)
        .unwrap();

    let context = ShareContext {
        mode: Mode::Perfect,
        kind: Kind::Data,
        padding: Padding::None,
        suffix: Suffix::Seed,
        access,
        chunk_len: 65_536,
        chunks_per_segment: 256,
        object_id: [1; 32],
        put_id: [2; 32],
        chunk: 0,
        share_len: 44,
    };
    let value = |name: String, bytes: &[u8]| ("chunk.md", name, hex(bytes));
    let mut values = vec![value("secret".into(), &secret)];
    let seed = Seed::from_bytes(seed);
    for (index, share) in access.indices().zip(&shares) {
        let (salt, i) = (seed.salt(index), index.get());
        let tag = salt.tag(&context, index, share);
        let mut tree = MerkleTree::new();
        tree.push_tag(&tag);
        values.push(value(format!("share {i}"), share));
        values.push(value(format!("salt {i}"), salt.expose()));
        values.push(value(format!("tag {i}"), tag.as_bytes()));
        if i == 0 {
            values.push(value("leaf 0".into(), &tree.root().into_bytes()));
        }
    }
    values
}

/// "The same chunk in short mode": random pieces 80 .. a5.
fn short_chunk() -> Vec<Value> {
    let access = AccessStructure::try_new(2, 3).unwrap();
    let seed: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let mut split = [b"\0\0\0\x07".as_slice(), &seed].concat();
    let len = split.len();
    split.resize(access.padded_len(len), 0);
    pad(access, &mut split, len).unwrap();
    let random: Vec<u8> = (0x80..=0xa5).collect();
    let mut parts = vec![vec![0; split.len()]; 3];
    let mut slices: Vec<&mut [u8]> = parts.iter_mut().map(Vec::as_mut_slice).collect();
    let equations = Equations::try_new(2, 3).unwrap();
    equations.deal_pieces(&split, &random, &mut slices).unwrap();

    let layout = Layout::try_new(access, Padding::None, 65_536).unwrap();
    let geometry = Geometry::try_new(layout.in_mode(Mode::Short), 7).unwrap();
    let context = ShareContext {
        mode: Mode::Short,
        kind: Kind::Data,
        padding: Padding::None,
        suffix: Suffix::Seed,
        access,
        chunk_len: 65_536,
        chunks_per_segment: 256,
        object_id: [1; 32],
        put_id: [2; 32],
        chunk: 0,
        share_len: u32::try_from(geometry.share_len(0)).unwrap(),
    };
    let first = access.indices().next().unwrap();
    let sealed = short_format::seal(&seed, &context.encode(first), b"GATTACA", 2);
    let opened = short_format::open(&seed, &context.encode(first), &sealed);
    assert_eq!(opened.unwrap(), b"GATTACA\0");
    let sources: Vec<(u8, &[u8])> = (0..2).zip(sealed.chunks(sealed.len() / 2)).collect();

    let value = |name: String, bytes: &[u8]| ("chunk.md", name, hex(bytes));
    let mut values = vec![
        value("key, short".into(), &short_format::key(&seed)),
        value("sealed, short".into(), &sealed),
    ];
    let seed = Seed::from_bytes(seed);
    for (index, part) in access.indices().zip(&parts) {
        let (salt, i) = (seed.salt(index), index.get());
        let shard = short_format::shard(&sources, i);
        let share = [shard.as_slice(), part].concat();
        let tag = salt.tag(&context, index, &share);
        values.push(value(format!("shard {i}, short"), &shard));
        values.push(value(format!("share {i}, short"), &share));
        values.push(value(format!("tag {i}, short"), tag.as_bytes()));
    }
    values
}

fn padded() -> Vec<Value> {
    [9, 1000, 20_000_000, 100_000_000_000]
        .map(|len| {
            // Documents write no comma in numbers of four digits.
            let number = |n: u64| if n < 10_000 { n.to_string() } else { commas(n) };
            let example = format!("{} -> {}", number(len), number(padme(len)));
            ("chunk.md", format!("Padmé of {len}"), example)
        })
        .into()
}

fn segments() -> Vec<Value> {
    let footer = segment::footer();
    let footer_root = Footer::parse(&footer).unwrap().root();
    let index: Index = segment::index();
    let value = |name: &str, bytes: &[u8]| ("segment.md", name.to_owned(), hex(bytes));
    vec![
        value("footer", &footer),
        value("segment root", &footer_root.0),
        value("index", &index.encode()),
        value("share root", &index.root().0),
    ]
}

fn manifests() -> Vec<Value> {
    let body = manifest::two_shares().encode();
    let envelope = manifest::seal(&body);
    let hash = manifest::open(&envelope).unwrap().hash();
    let limit = xstore::manifest::MAX_LEN as u64;
    vec![
        ("manifest.md", "envelope".into(), hex(&envelope)),
        ("manifest.md", "hash".into(), hash.to_string()),
        (
            "manifest.md",
            "body length".into(),
            format!("body has {} bytes", body.len()),
        ),
        (
            "manifest.md",
            "length".into(),
            format!("envelope {}", envelope.len()),
        ),
        (
            "manifest.md",
            "limit".into(),
            format!("at most {}", commas(limit)),
        ),
    ]
}

fn object_names() -> Vec<Value> {
    let owner = owner();
    let (object, put, backend) = (ObjectId([1; 32]), PutId([2; 32]), BackendUid([4; 16]));
    let value = |name: &str, value: String| ("names.md", name.to_owned(), value);
    let (t, m) = (owner.store_tag(), owner.manifest_prefix(object, backend));
    let p = owner.share_prefix(object, put, backend);
    assert_eq!(names::index(t, p).as_str(), format!("{t}/s/{p}/index"));
    vec![
        value("name_key", hex(&derived("xgene/name-prf/1"))),
        value("T", t.to_string()),
        value("M", m.to_string()),
        value("P", p.to_string()),
        value("cohort-7", owner.named_object("cohort-7").to_string()),
    ]
}

fn key_files() -> Vec<Value> {
    let owner = owner();
    let did = to_did_key(owner.maker());
    assert_eq!(from_did_key(&did), Some(owner.maker()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    write_root_key(&path, owner.root()).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| !line.starts_with('#')).unwrap();
    let check = hmac(&[7; 32], b"xgene/root-key-check/1");
    let last = line.rsplit(' ').next().and_then(unhex::<4>);
    assert_eq!(last.as_ref().map(<[u8; 4]>::as_slice), Some(&check[..4]));

    let value = |name: &str, value: String| ("key-files.md", name.to_owned(), value);
    let keys = INVENTORY.map(|(label, _)| value(label, hex(&derived(label))));
    let rest = [
        value("root key line", line.to_owned()),
        value("public key", owner.maker().to_string()),
        value("did:key", did),
    ];
    keys.into_iter().chain(rest).collect()
}

/// The table of sizes: 20,000,000 bytes, 2 of 3, chunks of 2 MiB, Padmé.
fn worked_example() -> Vec<Value> {
    let access = AccessStructure::try_new(2, 3).unwrap();
    let layout = Layout::try_new(access, Padding::Padme, 2 << 20).unwrap();
    let padded_len = layout.padded_len(20_000_000).unwrap();
    let geometry = Geometry::try_new(layout, padded_len).unwrap();
    let object = |segment| geometry.footer(segment).end;
    let index = Index::encoded_len(geometry.segments());
    [
        ("padded length", padded_len),
        ("data chunks", geometry.data_chunks()),
        ("chunks", geometry.chunks()),
        ("chunks per segment", layout.chunks_per_segment().into()),
        ("segments", geometry.segments()),
        ("share of chunks 0 to 8", geometry.share_len(8) as u64),
        ("share of chunk 9", geometry.share_len(9) as u64),
        (
            "share of chunk 10, the trailer",
            geometry.share_len(10) as u64,
        ),
        ("object of segment 0", object(0)),
        ("object of segment 1", object(1)),
        ("index", index),
        ("one share in all", object(0) + object(1) + index),
    ]
    .map(|(name, number)| ("README.md", name.to_owned(), commas(number)))
    .into()
}
