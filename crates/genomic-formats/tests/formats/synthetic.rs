//! Tiny files of each format, made from nothing.

use std::io::Write;

use flate2::{Compress, Compression, Crc, FlushCompress, write::GzEncoder};
use genomic_formats::bgzf;

/// A VCF file of two samples and one record.
pub(crate) const VCF: &[u8] = b"##fileformat=VCFv4.3\n\
    ##contig=<ID=chr1,length=248956422,md5=6aef897c3d6ff0c78aff06ac189178dd>\n\
    #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNA001\tNA002\n\
    chr1\t100\t.\tA\tC\t.\tPASS\t.\tGT\t0/1\t1/1\n";

/// A SAM file of one contig, one sample and one read.
pub(crate) const SAM: &[u8] = b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:1\tLN:249250621\tM5:1B\n\
    @RG\tID:a\tSM:NA001\nr1\t0\t1\t100\t60\t4M\t*\t0\t0\tACGT\tIIII\n";

/// A FASTQ file of `count` reads.
pub(crate) fn fastq(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|read| format!("@r{read}\nACGTN\n+\nIIIII\n").into_bytes())
        .collect()
}

/// The content of a BAM file: the header of [`SAM`] and the contig list `contigs`, no reads.
pub(crate) fn bam_content(contigs: &[(&str, u32)]) -> Vec<u8> {
    let text = SAM
        .split_at(SAM.windows(3).position(|w| w == b"\nr1").unwrap() + 1)
        .0;
    let mut bam = [
        b"BAM\x01",
        &u32_le(text.len())[..],
        text,
        &u32_le(contigs.len()),
    ]
    .concat();
    for (name, length) in contigs {
        bam.extend(u32_le(name.len() + 1));
        bam.extend(name.bytes().chain([0]).chain(length.to_le_bytes()));
    }
    bam
}

/// The content of a BCF file: the header of [`VCF`], no records.
pub(crate) fn bcf_content() -> Vec<u8> {
    let header_len = VCF.windows(6).position(|w| w == b"\nchr1\t").unwrap() + 1;
    let text = [&VCF[..header_len], b"\0"].concat();
    [b"BCF\x02\x02", &u32_le(text.len())[..], &text].concat()
}

/// A CRAM file of no reads: definition, then the end container of its version.
pub(crate) fn cram(major: u8, minor: u8, end: &[u8]) -> Vec<u8> {
    [b"CRAM", &[major, minor][..], &[b'x'; 20], end].concat()
}

/// `content` as one gzip member.
pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// `content` as BGZF with blocks of `block_len` bytes of content and the end-of-file marker.
pub(crate) fn bgzf(content: &[u8], block_len: usize) -> Vec<u8> {
    let blocks = content.chunks(block_len).flat_map(bgzf_block);
    blocks.chain(bgzf::EOF_MARKER).collect()
}

/// `content` as one BGZF block.
pub(crate) fn bgzf_block(content: &[u8]) -> Vec<u8> {
    let mut deflate = Vec::with_capacity(content.len() + 64);
    Compress::new(Compression::default(), false)
        .compress_vec(content, &mut deflate, FlushCompress::Finish)
        .unwrap();
    let mut crc = Crc::new();
    crc.update(content);
    let bsize = u16::try_from(18 + deflate.len() + 8 - 1).unwrap();
    let mut block = bgzf::EOF_MARKER[..16].to_vec();
    block.extend(bsize.to_le_bytes());
    block.extend(deflate);
    block.extend(crc.sum().to_le_bytes());
    block.extend(u32_le(content.len()));
    block
}

/// Offsets of the blocks of a BGZF file, its end included.
pub(crate) fn block_starts(file: &[u8]) -> Vec<usize> {
    let mut starts = vec![0];
    while let Some(block) = file
        .get(starts[starts.len() - 1]..)
        .filter(|rest| !rest.is_empty())
    {
        let len = usize::from(u16::from_le_bytes([block[16], block[17]])) + 1;
        starts.push(starts[starts.len() - 1] + len);
    }
    starts
}

/// The block table of a BGZF file whose blocks hold `block_len` bytes.
pub(crate) fn gzi(file: &[u8], block_len: usize) -> Vec<u8> {
    let starts = block_starts(file);
    let inner = &starts[1..starts.len() - 2];
    let entries = inner.iter().enumerate().flat_map(|(index, start)| {
        [*start as u64, ((index + 1) * block_len) as u64].map(u64::to_le_bytes)
    });
    [(inner.len() as u64).to_le_bytes()]
        .into_iter()
        .chain(entries)
        .flatten()
        .collect()
}

fn u32_le(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap().to_le_bytes()
}
