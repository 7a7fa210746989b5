//! Segment footers and share indices (docs/formats/segment.md): both come from a backend, so both are
//! read without panic and in one form only.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use xgene_fuzz::{Damage, Input, read};
use xorida_core::Tag;
use xstore::ids::ShareRoot;
use xstore::segment::{Footer, Index};

/// One document and what happens to it. Tags and roots are 32 times the byte given.
#[derive(Debug, Arbitrary)]
enum Plan {
    Footer {
        segment: u64,
        damage: Damage,
        tags: Vec<u8>,
    },
    Index {
        damage: Damage,
        entries: Vec<(u32, u8)>,
    },
}

fuzz_target!(|data: &[u8]| {
    match read::<Plan>(data) {
        Some(Input::Raw(bytes)) => {
            footer_is_stable(bytes);
            index_is_stable(bytes);
        }
        Some(Input::Planned(Plan::Footer {
            segment,
            damage,
            tags,
        })) => {
            damaged_footer(segment, damage, &tags);
        }
        Some(Input::Planned(Plan::Index { damage, entries })) => damaged_index(damage, &entries),
        None => {}
    }
});

fn damaged_footer(segment: u64, damage: Damage, fills: &[u8]) {
    let tags: Vec<Tag> = fills
        .iter()
        .map(|fill| Tag::from_bytes([*fill; 32]))
        .collect();
    let mut bytes = Vec::new();
    Footer::encode(segment, &tags, &mut bytes);
    // A segment has at least one chunk, so a footer without tags is written but not read.
    match Footer::parse(&bytes) {
        Ok(footer) => assert!(footer.segment() == segment && footer.tags().eq(tags)),
        Err(_) => assert!(tags.is_empty(), "a written footer is read"),
    }
    footer_is_stable(&damage.apply(&bytes));
}

fn damaged_index(damage: Damage, entries: &[(u32, u8)]) {
    let mut index = Index::default();
    for (attempt, fill) in entries {
        index.push(*attempt, ShareRoot([*fill; 32]));
    }
    let bytes = index.encode();
    match Index::parse(&bytes) {
        Ok(read) => assert_eq!(read, index),
        Err(_) => assert!(entries.is_empty(), "a written index is read"),
    }
    index_is_stable(&damage.apply(&bytes));
}

fn footer_is_stable(bytes: &[u8]) {
    let Ok(footer) = Footer::parse(bytes) else {
        return;
    };
    let tags: Vec<Tag> = footer.tags().collect();
    let mut written = Vec::new();
    Footer::encode(footer.segment(), &tags, &mut written);
    assert_eq!(written, bytes);
    assert_eq!(
        footer.root(),
        xstore::segment::segment_root(tags.into_iter())
    );
}

fn index_is_stable(bytes: &[u8]) {
    let Ok(index) = Index::parse(bytes) else {
        return;
    };
    assert_eq!(index.encode(), bytes);
    assert_eq!(Index::encoded_len(index.segments()), bytes.len() as u64);
    assert!(index.get(index.segments() - 1).is_some() && index.get(index.segments()).is_none());
    // Computed for its asserts and bounds; there is no second way to compute it here.
    std::hint::black_box(index.root());
}
