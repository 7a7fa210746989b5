//! Files that other programs wrote. They lie in a folder that is not part of this repository.

use std::fs;
use std::path::{Path, PathBuf};

use genomic_formats::bgzf::Damage;
use genomic_formats::{Assembly, Depth, Level, Report, SortOrder, inspect};

/// The folder of real files, or a line that says why a test did nothing.
fn folder(test: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("XGENE_SHARED").map_or_else(beside, PathBuf::from);
    let data = shared.join("data");
    if !data.is_dir() {
        println!("SKIP {test}: no folder {}", data.display());
        return None;
    }
    Some(data)
}

fn report(path: &Path, depth: Depth) -> Report {
    inspect(fs::File::open(path).unwrap(), depth).unwrap()
}

/// Files of `folder` in order of name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn formats_are_detected_and_whole_files_pass() {
    let Some(data) = folder("formats_are_detected_and_whole_files_pass") else {
        return;
    };
    let expected = [
        ("shapeit4/unphased.vcf.gz", "vcf-bgzf"),
        ("shapeit4/unphased.vcf.gz.csi", "csi"),
        ("shapeit4/unphased.bcf", "bcf"),
        ("shapeit4/unphased.bcf.csi", "csi"),
        ("apoe/apoe.vcf.gz", "vcf-bgzf"),
        ("apoe/apoe.vcf.gz.tbi", "tbi"),
        ("apoe/1000genomes_sampleinfo.tsv", "unknown"),
        ("derived/geuvadis344_14079snps.vcf.gz", "vcf-bgzf"),
        ("derived/geuvadis344_14079snps.vcf.gz.tbi", "tbi"),
        ("bam/htsnexus_test_NA12878.bam", "bam"),
        ("bam/htsnexus_test_NA12878.bam.bai", "bai"),
        ("bam/htsnexus_test_NA12878.bam.gzi", "gzi"),
        ("bam/htsnexus_test_NA12878.cram", "cram"),
        ("bam/htsnexus_test_NA12878.cram.crai", "crai"),
        ("bam/HG00096.tiny.bam", "bam"),
        ("bam/HG00533.tiny.bam", "bam"),
        ("c4gh/htsnexus_test_NA12878.bam.c4gh", "crypt4gh"),
        ("c4gh/spec-v4.3.vcf.gz.c4gh", "crypt4gh"),
        ("c4gh/sample1-bcbio-cancer.vcf.gz.c4gh", "crypt4gh"),
        ("c4gh/plain_spec-v4.3.vcf.gz", "vcf-bgzf"),
        ("c4gh/plain_sample1-bcbio-cancer.bcf", "bcf"),
        (
            "fastq/TESTX_H7YRLADXX_S1_L001_R1_001.fastq.gz",
            "fastq-bgzf",
        ),
        (
            "fastq/TESTX_H7YRLADXX_S1_L001_R2_001.fastq.gz",
            "fastq-bgzf",
        ),
        ("fastq/cutadapt_illumina.fastq.gz", "fastq-gzip"),
        ("fastq/PRJNA271013_head.fq", "fastq"),
        ("reference/apoe_chr19.afreq.gz", "gzip"),
        ("geuvadis/phenotypes.bed.gz", "bgzf"),
        ("malformed/htslib/bgzf_boundaries1.bam", "bam"),
        ("malformed/htslib/bgzf_boundaries2.bam", "bam"),
        ("malformed/htslib/bgzf_boundaries3.bam", "bam"),
        ("malformed/htslib/no_hdr_sq_1.bam", "bam"),
        ("malformed/htslib/colons.bam", "bam"),
        ("malformed/htslib/vcf_meta_meta.vcf", "vcf"),
        ("malformed/htslib/test-vcf-hdr-in.vcf", "vcf"),
    ];
    for (path, name) in expected {
        let report = report(&data.join(path), Depth::Contents);
        assert_eq!(report.format.name(), name, "{path}");
        assert!(
            report.worst() <= Some(Level::Info),
            "{path}: {:?}",
            report.findings
        );
    }
    println!("{} files detected", expected.len());
}

#[test]
fn facts_agree_with_what_is_known_of_the_files() {
    let Some(data) = folder("facts_agree_with_what_is_known_of_the_files") else {
        return;
    };
    let facts = |path: &str, depth| report(&data.join(path), depth).facts;

    let vcf = facts("shapeit4/unphased.vcf.gz", Depth::Structure);
    assert_eq!(
        (vcf.samples.len(), vcf.assembly),
        (203, Some(Assembly::Grch37))
    );
    assert_eq!(facts("shapeit4/unphased.bcf", Depth::Structure), vcf);
    assert_eq!(
        facts("apoe/apoe.vcf.gz", Depth::Structure).samples.len(),
        2504
    );
    let derived = facts("derived/geuvadis344_14079snps.vcf.gz", Depth::Structure);
    assert_eq!(derived.samples.len(), 344);

    let report = report(
        &data.join("bam/htsnexus_test_NA12878.bam"),
        Depth::Structure,
    );
    assert_eq!(report.bgzf.map(|bgzf| bgzf.blocks), Some(165));
    assert_eq!(report.facts.samples, ["NA12878"]);
    assert_eq!(report.facts.assembly, Some(Assembly::Grch37));
    assert_eq!(report.facts.sort_order, Some(SortOrder::Coordinate));
    let chr11 = report
        .facts
        .contigs
        .iter()
        .find(|contig| contig.name == "11")
        .unwrap();
    assert_eq!(
        chr11.md5.as_deref(),
        Some("98c59049a2df285c76ffb1c6db8f8b96")
    );

    for (path, depth, records) in [
        (
            "fastq/TESTX_H7YRLADXX_S1_L001_R1_001.fastq.gz",
            Depth::Contents,
            25_000,
        ),
        (
            "fastq/TESTX_H7YRLADXX_S1_L001_R2_001.fastq.gz",
            Depth::Contents,
            25_000,
        ),
        ("fastq/cutadapt_illumina.fastq.gz", Depth::Structure, 100),
        ("fastq/PRJNA271013_head.fq", Depth::Structure, 2_000),
    ] {
        assert_eq!(facts(path, depth).records, Some(records), "{path}");
    }
}

/// The verdicts of `samtools quickcheck`, one folder of its own tests.
#[test]
fn quickcheck_verdicts_are_matched() {
    let Some(data) = folder("quickcheck_verdicts_are_matched") else {
        return;
    };
    let folder = data.join("malformed/samtools-quickcheck");
    let refused = fs::read_to_string(folder.join("all.expected")).unwrap();
    let mut verdicts = 0;
    for path in files(&folder)
        .iter()
        .filter(|path| !path.ends_with("all.expected"))
    {
        let report = report(path, Depth::Structure);
        let name = path.file_name().unwrap().to_str().unwrap();
        let flagged = report.worst() >= Some(Level::Warning);
        assert_eq!(
            flagged,
            refused.lines().any(|line| line == name),
            "{name}: {report:?}"
        );
        verdicts += 1;
    }
    println!("{verdicts} of {verdicts} verdicts of quickcheck matched");

    for (name, code) in [
        ("1.quickcheck.badeof.bam", "bgzf-eof-missing"),
        ("2.quickcheck.badheader.bam", "gzip-corrupt"),
        ("5.quickcheck.scramble30.truncated.cram", "cram-eof-missing"),
        ("8.quickcheck.cram21.truncated.cram", "cram-eof-missing"),
        ("9.quickcheck.cram30.truncated.cram", "cram-eof-missing"),
        ("10.quickcheck.notargets.bam", "bam-contigs-missing"),
    ] {
        let report = report(&folder.join(name), Depth::Structure);
        assert!(
            codes(&report).contains(&code),
            "{name}: {:?}",
            report.findings
        );
    }
}

#[test]
fn a_real_bam_file_cut_anywhere_is_refused() {
    let Some(data) = folder("a_real_bam_file_cut_anywhere_is_refused") else {
        return;
    };
    let file = fs::read(data.join("bam/htsnexus_test_NA12878.bam")).unwrap();
    let step = 9_973; // prime, so that the cuts wander through the blocks
    let mut cuts = 0;
    for len in (step..file.len()).step_by(step) {
        let report = inspect(&file[..len], Depth::Structure).unwrap();
        assert!(report.require_valid().is_err(), "{len} bytes");
        let damage = report.bgzf.and_then(|bgzf| bgzf.damage);
        let in_block = matches!(damage, Some(Damage::Cut { needed, available, .. })
            if available < needed);
        assert!(
            in_block || codes(&report).contains(&"bgzf-eof-missing"),
            "{len} bytes"
        );
        cuts += 1;
    }
    println!("{cuts} cuts refused");
    assert!(cuts > 250);
}

/// The corpus of the EBI validator: what it calls valid has no error here.
#[test]
fn valid_vcf_and_sam_files_pass() {
    let Some(data) = folder("valid_vcf_and_sam_files_pass") else {
        return;
    };
    let corpus = data.join("malformed/hts-specs");
    for (kind, folder) in [
        ("vcf", "vcf/4.1/passed"),
        ("sam", "sam/passed"),
        ("bam", "bam/passed"),
    ] {
        let files = files(&corpus.join(folder));
        assert!(!files.is_empty());
        for path in &files {
            let report = report(path, Depth::Contents);
            assert!(
                report.require_valid().is_ok(),
                "{}: {:?}",
                path.display(),
                report.findings
            );
            assert_eq!(report.format.name(), kind, "{}", path.display());
        }
        println!("{} valid {kind} files pass", files.len());
    }
}

/// Header faults alone: records are not checked yet, so that most invalid files pass.
#[test]
fn invalid_vcf_headers_are_found() {
    let Some(data) = folder("invalid_vcf_headers_are_found") else {
        return;
    };
    let files = files(&data.join("malformed/hts-specs/vcf/4.1/failed"));
    let refused = files
        .iter()
        .filter(|path| report(path, Depth::Contents).require_valid().is_err());
    let refused = refused.count();
    println!(
        "{refused} of {} invalid VCF files refused by their header",
        files.len()
    );
    assert!(refused > 0);
}
