//! Real genomic files, split and restored from every choice of jurisdictions.

use std::path::PathBuf;

use crate::world::{World, subsets};

const FILES: [&str; 6] = [
    "shapeit4/unphased.vcf.gz",
    "bam/htsnexus_test_NA12878.bam",
    "bam/htsnexus_test_NA12878.cram",
    "fastq/TESTX_H7YRLADXX_S1_L001_R1_001.fastq.gz",
    "fastq/PRJNA271013_head.fq",
    "c4gh/htsnexus_test_NA12878.bam.c4gh",
];

/// The folder of real files, where there is one.
fn shared_data() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("XGENE_SHARED").map_or_else(beside, PathBuf::from);
    let data = shared.join("data");
    data.is_dir().then_some(data)
}

#[test]
fn real_files_come_back_byte_for_byte() {
    let Some(data) = shared_data() else {
        println!("SKIP real_files_come_back_byte_for_byte: no folder of shared test data");
        return;
    };
    for (threshold, count) in [(2, 3), (3, 5)] {
        let world = World::new(threshold, count);
        for name in FILES {
            let original = std::fs::read(data.join(name)).unwrap();
            world.write("file", &original);
            world.split("file").expect_ok();
            for choice in subsets(&world.codes, usize::from(threshold)) {
                // The other folders are really gone, not merely not asked.
                let absent: Vec<_> = world
                    .codes
                    .iter()
                    .filter(|code| !choice.contains(code))
                    .collect();
                let away = |code: &str| world.path(&format!("away-{code}"));
                absent.iter().for_each(|code| {
                    std::fs::rename(world.path(code), away(code)).unwrap();
                });
                world
                    .run(&["get", "file.xgm", "-q", "-f", "-o", "out"])
                    .expect_ok();
                assert!(
                    std::fs::read(world.path("out")).unwrap() == original,
                    "{name} {choice:?}"
                );
                absent.iter().for_each(|code| {
                    std::fs::rename(away(code), world.path(code)).unwrap();
                });
            }
            std::fs::remove_file(world.path("file.xgm")).unwrap();
        }
    }
    println!(
        "{} files restored from every choice of 2-of-3 and 3-of-5",
        FILES.len()
    );
}
