//! Each format is told by its content, in each compression.

use genomic_formats::{PREFIX_LEN_BYTES, detect};

use crate::synthetic::{self, SAM, VCF};

/// Names of `content` when plain, in gzip and in BGZF.
fn names(content: &[u8]) -> [&'static str; 3] {
    let bgzf = detect(&synthetic::bgzf(content, 1000));
    assert!(bgzf.is_bgzf());
    [
        detect(content).name(),
        detect(&synthetic::gzip(content)).name(),
        bgzf.name(),
    ]
}

#[test]
fn content_and_compression_are_told_apart() {
    let fastq = synthetic::fastq(3);
    let bam = synthetic::bam_content(&[("1", 249_250_621)]);
    assert_eq!(names(VCF), ["vcf", "vcf-gzip", "vcf-bgzf"]);
    assert_eq!(
        names(&synthetic::bcf_content()),
        ["bcf-plain", "bcf-gzip", "bcf"]
    );
    assert_eq!(names(SAM), ["sam", "sam-gzip", "sam-bgzf"]);
    assert_eq!(names(&bam), ["bam-plain", "bam-gzip", "bam"]);
    assert_eq!(names(&fastq), ["fastq", "fastq-gzip", "fastq-bgzf"]);
    assert_eq!(
        names(b">chr1\nACGT\n"),
        ["fasta", "fasta-gzip", "fasta-bgzf"]
    );
    assert_eq!(names(b"10\t4999976\t68584\t6134\t953\t473425\n")[1], "crai");
    assert_eq!(names(b"TBI\x01\0\0\0\0")[2], "tbi");
    assert_eq!(names(b"CSI\x01\0\0\0\0")[2], "csi");
    assert_eq!(names(b"plain words\n"), ["unknown", "gzip", "bgzf"]);
}

#[test]
fn binary_formats_are_told_by_their_first_bytes() {
    assert_eq!(detect(b"CRAM\x03\x01name").label(), "CRAM 3.1");
    assert_eq!(detect(b"CRAM\x03\x01name").name(), "cram");
    assert_eq!(detect(b"BAI\x01\0\0\0\0").name(), "bai");
    assert_eq!(detect(b"crypt4gh\x01\0\0\0").name(), "crypt4gh");
    assert_eq!(detect(&[0x6c, 0x1b, 0x01, 0xff]).name(), "plink-bed");
    assert_eq!(detect(&[0x6c, 0x1b, 0x10, 0xff]).name(), "plink-pgen");
    assert_eq!(detect(&[0x6c, 0x1b, 0x77, 0xff]).name(), "unknown");
    assert_eq!(detect(&[]).name(), "unknown");
}

#[test]
fn a_gzi_has_no_magic_but_a_shape() {
    let gzi = synthetic::gzi(&synthetic::bgzf(&synthetic::fastq(90), 100), 100);
    assert_eq!(detect(&gzi).name(), "gzi");
    assert_eq!(detect(&gzi[..gzi.len() - 1]).name(), "unknown");
    let mut falling = gzi;
    falling[24] = 0;
    falling[25] = 0;
    assert_eq!(detect(&falling).name(), "unknown");
}

#[test]
fn text_is_told_by_the_shape_of_its_lines() {
    // The name of a read may look like a header line.
    assert_eq!(detect(b"@CO\tx\nACGT\n+\nIIII\n").name(), "fastq");
    assert_eq!(detect(b"r1\t4\t*\t0\t0\t*\t*\t0\t0\tA\tI\n").name(), "sam");
    assert_eq!(
        detect(b"r1\tx\t*\t0\t0\t*\t*\t0\t0\tA\tI\n").name(),
        "unknown"
    );
    assert_eq!(
        detect(b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n").name(),
        "vcf"
    );
    assert_eq!(
        detect(b"#CHROM\tPOS\tID\tREF\tALT\tALT_FREQS\tOBS_CT\n").name(),
        "unknown"
    );
    assert_eq!(detect(b"@mail.example\nwith words\n").name(), "unknown");

    let long_read = [b"@r\n".to_vec(), b"ACGT".repeat(PREFIX_LEN_BYTES)].concat();
    assert_eq!(detect(&long_read).name(), "fastq");
    assert_eq!(detect(&synthetic::gzip(&long_read)).name(), "fastq-gzip");
}

#[test]
fn empty_blocks_at_the_start_are_passed_over() {
    let file = [synthetic::bgzf(b"", 1), synthetic::bgzf(VCF, 20)].concat();
    assert_eq!(detect(&file).name(), "vcf-bgzf");
}

#[test]
fn labels_are_for_people() {
    assert_eq!(detect(&synthetic::bgzf(VCF, 20)).label(), "VCF in BGZF");
    assert_eq!(detect(&synthetic::gzip(SAM)).label(), "SAM in plain gzip");
    assert_eq!(detect(SAM).label(), "SAM");
}
