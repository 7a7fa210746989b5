//! Cuts and damage are found, with the code that says which.

use genomic_formats::bgzf::{self, BgzfWalk, Damage};
use genomic_formats::{Assembly, Depth, Inspector, Level, Report, SortOrder, inspect};

use crate::synthetic::{self, SAM, VCF};

const CRAM_END_2_1: &[u8] =
    b"\x0b\0\0\0\xff\xff\xff\xff\x0f\xe0EOF\0\0\0\0\x01\0\0\x01\0\x06\x06\x01\0\x01\0\x01\0";
const CRAM_END_3: &[u8] = b"\x0f\0\0\0\xff\xff\xff\xff\x0f\xe0EOF\0\0\0\0\x01\0\x05\xbd\xd9\x4f\0\
    \x01\0\x06\x06\x01\0\x01\0\x01\0\xee\x63\x01\x4b";

fn report(file: &[u8], depth: Depth) -> Report {
    inspect(file, depth).unwrap()
}

/// The codes of all findings.
fn codes(file: &[u8], depth: Depth) -> Vec<&'static str> {
    report(file, depth)
        .findings
        .iter()
        .map(|finding| finding.code)
        .collect()
}

#[test]
fn whole_files_have_no_finding_and_all_facts() {
    let vcf = report(&synthetic::bgzf(VCF, 50), Depth::Structure);
    assert_eq!(vcf.findings, []);
    assert_eq!(vcf.facts.samples, ["NA001", "NA002"]);
    assert_eq!(vcf.facts.assembly, Some(Assembly::Grch38));
    assert_eq!(vcf.bgzf.unwrap().blocks, VCF.len().div_ceil(50) as u64 + 1);
    assert_eq!(vcf.bgzf.unwrap().content_bytes, VCF.len() as u64);
    assert_eq!(
        report(
            &synthetic::bgzf(&synthetic::bcf_content(), 9),
            Depth::Structure
        )
        .facts,
        vcf.facts
    );

    let contigs = [("1", 249_250_621)];
    let bam = report(
        &synthetic::bgzf(&synthetic::bam_content(&contigs), 7),
        Depth::Structure,
    );
    assert_eq!(bam.findings, []);
    assert_eq!(bam.facts, report(SAM, Depth::Structure).facts);
    assert_eq!(bam.facts.sort_order, Some(SortOrder::Coordinate));
    assert_eq!(bam.facts.assembly, Some(Assembly::Grch37));
    assert_eq!(bam.facts.contigs[0].md5.as_deref(), Some("1b"));
    assert_eq!(bam.facts.samples, ["NA001"]);
}

#[test]
fn every_cut_of_a_bgzf_file_is_an_error() {
    let file = synthetic::bgzf(VCF, 40);
    let starts = synthetic::block_starts(&file);
    assert!(starts.len() > 5);
    for len in 4..file.len() {
        let codes = codes(&file[..len], Depth::Contents);
        let expected = if starts.contains(&len) {
            "bgzf-eof-missing"
        } else {
            "bgzf-truncated"
        };
        assert!(codes.contains(&expected), "{len} bytes: {codes:?}");
    }
    // Too short to tell BGZF from gzip.
    assert!(codes(&file[..3], Depth::Structure).contains(&"gzip-truncated"));
    assert_eq!(codes(&file[..1], Depth::Structure), ["format-unknown"]);
    assert_eq!(codes(&[], Depth::Structure), ["file-empty"]);
}

#[test]
fn a_cut_block_says_what_it_needs() {
    let file = synthetic::bgzf(VCF, 100);
    let start = synthetic::block_starts(&file)[1];
    let needed = synthetic::block_starts(&file)[2] - start;
    let cut = BgzfWalk::read(&file[..start + 30]).unwrap();
    let offset = start as u64;
    assert_eq!(
        cut.damage,
        Some(Damage::Cut {
            offset,
            needed,
            available: 30
        })
    );
    assert_eq!(cut.compressed_bytes, offset);
}

#[test]
fn bytes_after_the_marker_are_told_from_bytes_between_blocks() {
    let file = synthetic::bgzf(VCF, 40);
    let trailing = [&file[..], b"tail"].concat();
    assert_eq!(codes(&trailing, Depth::Structure), ["bgzf-trailing-bytes"]);
    let offset = file.len() as u64;
    let damage = BgzfWalk::read(&trailing[..]).unwrap().damage;
    assert_eq!(
        damage,
        Some(Damage::NotABlock {
            offset,
            trailing_bytes: 4
        })
    );

    let middle = synthetic::block_starts(&file)[4];
    let broken = [&file[..middle], b"tail", &file[middle..]].concat();
    assert_eq!(codes(&broken, Depth::Structure), ["bgzf-block-malformed"]);
}

#[test]
fn concatenated_files_are_legal_and_noted() {
    let file = [synthetic::bgzf(VCF, 40), synthetic::bgzf(VCF, 40)].concat();
    let report = report(&file, Depth::Structure);
    assert_eq!(report.worst(), Some(Level::Info));
    assert_eq!(report.findings[0].code, "bgzf-empty-blocks");
    assert_eq!(report.bgzf.unwrap().empty_blocks_inside, 1);
    assert!(report.require_valid().is_ok());
}

#[test]
fn an_empty_block_that_is_not_the_marker_is_no_marker() {
    let mut file = synthetic::bgzf(VCF, 40);
    let compressed_byte = file.len() - 9;
    file[compressed_byte] ^= 0x30;
    assert_eq!(codes(&file, Depth::Structure), ["bgzf-eof-missing"]);
}

#[test]
fn damage_inside_any_block_is_found_at_full_depth() {
    let file = synthetic::bgzf(VCF, 60);
    let starts = synthetic::block_starts(&file);
    for block in starts.windows(2).take(starts.len() - 2) {
        // The last byte of the DEFLATE stream may hold padding alone, of which nothing depends.
        let (deflate, trailer) = (block[0] + 18..block[1] - 9, block[1] - 8..block[1] - 2);
        for at in deflate.chain(trailer) {
            let mut damaged = file.clone();
            damaged[at] ^= 0x10;
            let codes = codes(&damaged, Depth::Contents);
            assert!(
                codes.contains(&"bgzf-block-corrupt"),
                "byte {at}: {codes:?}"
            );
        }
    }
}

#[test]
fn plain_gzip_is_read_to_its_end() {
    let file = synthetic::gzip(&synthetic::fastq(500));
    let whole = report(&file, Depth::Structure);
    assert_eq!(whole.worst(), Some(Level::Info));
    assert_eq!(whole.facts.records, Some(500));
    for len in 2..file.len() {
        let cut = report(&file[..len], Depth::Structure);
        assert!(
            cut.findings
                .iter()
                .any(|finding| finding.code == "gzip-truncated"),
            "{len}"
        );
        assert_eq!(cut.facts.records, None, "{len}");
    }
}

#[test]
fn fastq_is_counted_where_it_is_inflated() {
    let text = synthetic::fastq(40);
    let file = synthetic::bgzf(&text, 100);
    assert_eq!(report(&text, Depth::Structure).facts.records, Some(40));
    assert_eq!(report(&file, Depth::Contents).facts.records, Some(40));
    assert_eq!(report(&file, Depth::Structure).facts.records, None);

    let cut = &text[..text.len() - 3];
    assert_eq!(
        codes(cut, Depth::Structure),
        ["text-line-open", "fastq-lengths-differ"]
    );
    assert_eq!(
        codes(&synthetic::bgzf(cut, 100), Depth::Contents),
        ["fastq-lengths-differ"]
    );
    assert_eq!(codes(&synthetic::bgzf(cut, 100), Depth::Structure), [""; 0]);
}

#[test]
fn every_cut_of_a_cram_file_is_an_error() {
    for file in [
        synthetic::cram(2, 1, CRAM_END_2_1),
        synthetic::cram(3, 0, CRAM_END_3),
    ] {
        assert_eq!(codes(&file, Depth::Structure), [""; 0]);
        for len in 6..file.len() {
            assert_eq!(
                codes(&file[..len], Depth::Structure),
                ["cram-eof-missing"],
                "{len}"
            );
        }
    }
    // The number -1 has two spellings, which differ in bits that nobody reads.
    let mut spelled = CRAM_END_3.to_vec();
    spelled[8] = 0xff;
    assert_eq!(
        codes(&synthetic::cram(3, 1, &spelled), Depth::Structure),
        [""; 0]
    );
    spelled[7] = 0x7f;
    assert_eq!(
        codes(&synthetic::cram(3, 1, &spelled), Depth::Structure),
        ["cram-eof-missing"]
    );

    let swapped = synthetic::cram(3, 0, CRAM_END_2_1);
    assert_eq!(codes(&swapped, Depth::Structure), ["cram-eof-missing"]);
    let old = synthetic::cram(1, 0, &[]);
    assert_eq!(codes(&old, Depth::Structure), ["cram-eof-undefined"]);
}

#[test]
fn bam_headers_are_checked() {
    let found = |content: &[u8]| codes(&synthetic::bgzf(content, 11), Depth::Structure);
    let content = synthetic::bam_content(&[("1", 249_250_621)]);
    for len in 4..content.len() {
        assert_eq!(found(&content[..len]), ["bam-header-cut"], "{len} bytes");
    }
    assert_eq!(found(&synthetic::bam_content(&[])), ["bam-contigs-missing"]);
    assert_eq!(
        found(&synthetic::bam_content(&[("2", 249_250_621)])),
        ["bam-contigs-differ"]
    );
    assert_eq!(found(b"BAM\x01\xff\xff\xff\xff"), ["bam-header-malformed"]);
    assert_eq!(
        found(b"BAM\x01\0\0\0\0\xff\xff\xff\xff"),
        ["bam-header-malformed"]
    );
    assert_eq!(
        found(b"BAM\x01\0\0\0\0\x01\0\0\0\0\0\0\0"),
        ["bam-header-malformed"]
    );
    assert_eq!(
        found(b"BAM\x01\0\0\0\0\x01\0\0\0\x02\0\0\0XX\x09\0\0\0"),
        ["bam-header-malformed"]
    );
}

#[test]
fn bcf_headers_are_checked() {
    let content = synthetic::bcf_content();
    for len in 5..content.len() {
        let file = synthetic::bgzf(&content[..len], 11);
        assert_eq!(
            codes(&file, Depth::Structure),
            ["bcf-header-cut"],
            "{len} bytes"
        );
    }
}

#[test]
fn a_header_without_end_is_given_up() {
    let mut content = b"##fileformat=VCFv4.3\n".to_vec();
    content.extend(
        b"##x="
            .iter()
            .chain(&[b'y'; 60])
            .copied()
            .collect::<Vec<_>>()
            .repeat(1_100_000),
    );
    let report = report(&content, Depth::Structure);
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.code == "header-too-long")
    );
    assert!(report.require_valid().is_ok());
}

#[test]
fn an_inspector_moves_between_threads() {
    let file = synthetic::bgzf(VCF, 40);
    let mut inspector = Inspector::new(Depth::Structure);
    let (head, tail) = file.split_at(100);
    inspector.push(head);
    let moved = std::thread::scope(|scope| {
        let finish = move || {
            inspector.push(tail);
            inspector.finish()
        };
        scope.spawn(finish).join().unwrap()
    });
    assert_eq!(moved, report(&file, Depth::Structure));
}

#[test]
fn a_refusal_names_its_first_error() {
    let file = synthetic::bgzf(VCF, 40);
    let cut = report(
        &file[..file.len() - bgzf::EOF_MARKER.len()],
        Depth::Structure,
    );
    let error = cut.require_valid().unwrap_err();
    assert_eq!(error.code(), "FORMAT_INVALID");
    let message = "integrity errors in the vcf-bgzf file: 1, the first is bgzf-eof-missing";
    assert_eq!(error.to_string(), message);
    assert!(!error.recovery().is_empty());
}
