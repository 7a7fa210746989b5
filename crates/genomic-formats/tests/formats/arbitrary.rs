//! Laws over arbitrary bytes: nothing panics, and the way of pushing changes nothing.

use genomic_formats::bgzf::BgzfWalk;
use genomic_formats::{Depth, Inspector, PREFIX_LEN_BYTES, Report, detect};
use proptest::prelude::*;

use crate::synthetic::{self, SAM, VCF};

/// Whole files of the formats that have a parser.
fn whole_file() -> impl Strategy<Value = Vec<u8>> {
    let bam = synthetic::bam_content(&[("1", 249_250_621)]);
    prop::sample::select(vec![
        VCF.to_vec(),
        SAM.to_vec(),
        bam.clone(),
        synthetic::bcf_content(),
        synthetic::fastq(9),
        synthetic::gzip(VCF),
        synthetic::gzip(&synthetic::fastq(9)),
        synthetic::bgzf(VCF, 33),
        synthetic::bgzf(&bam, 33),
        synthetic::bgzf(&synthetic::bcf_content(), 33),
        synthetic::bgzf(&synthetic::fastq(9), 33),
        synthetic::cram(3, 0, &[0; 40]),
    ])
}

/// A file of which some bytes are replaced and the end may be missing.
fn damaged_file() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (whole_file(), edits, any::<prop::sample::Index>()).prop_map(|(mut file, edits, end)| {
        for (at, byte) in edits {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.truncate(end.index(file.len()) + 1);
        file
    })
}

fn report(file: &[u8], piece_len: usize, depth: Depth) -> Report {
    let mut inspector = Inspector::new(depth);
    file.chunks(piece_len)
        .for_each(|piece| inspector.push(piece));
    inspector.finish()
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let report = report(&bytes, 64, Depth::Contents);
        prop_assert_eq!((report.format, report.bytes), (detect(&bytes), bytes.len() as u64));
        let summary = BgzfWalk::read(&bytes[..]).unwrap();
        prop_assert!(summary.compressed_bytes <= bytes.len() as u64);
    }

    #[test]
    fn damaged_files_read_the_same_in_any_pieces(
        file in damaged_file(),
        piece_len in 1_usize..80,
        contents: bool,
    ) {
        let depth = if contents { Depth::Contents } else { Depth::Structure };
        let whole = report(&file, file.len(), depth);
        prop_assert_eq!(&whole, &report(&file, piece_len, depth));
        prop_assert_eq!(whole.format, detect(&file));
    }

    #[test]
    fn damaged_content_in_sound_blocks_does_not_panic(content in damaged_file(), len in 1_usize..99) {
        let file = synthetic::bgzf(&content, len);
        let summary = report(&file, PREFIX_LEN_BYTES, Depth::Contents).bgzf.unwrap();
        prop_assert_eq!(summary.damage, None);
        prop_assert_eq!(summary.content_bytes, content.len() as u64);
    }

    #[test]
    fn the_detected_prefix_is_bounded(tail in prop::collection::vec(any::<u8>(), 0..50)) {
        let prefix = [VCF, &[b'x'; PREFIX_LEN_BYTES]].concat();
        prop_assert_eq!(detect(&[&prefix[..], &tail].concat()), detect(&prefix));
    }
}
