//! Segments and metadata snapshots, batch by batch.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use ringlog_engine::batch::{
    BATCH_HEADER_BYTES, BatchHeader, Codec, Record, TimestampType, UNCOMPRESSED_BATCH_BYTES_MAX,
    records, unpack,
};

use super::decode::{Decoder, control};
use super::{DumpArgs, Faults, optional};

/// Fewer bytes than this at the end of a file are no batch, Kafka says.
const HEAD_BYTES: u64 = 17;

/// Walks a segment's batches.
pub(super) struct Batches {
    file: BufReader<File>,
    /// Where the next batch starts.
    pub(super) position: u64,
    end: u64,
}

/// What comes next in a segment.
pub(super) enum Next {
    /// A batch, its header decoded.
    Batch(BatchHeader, Vec<u8>),
    /// Nothing more that could be a batch.
    End,
    /// What cannot be one, and ends Kafka's tool.
    Corrupt(String),
}

impl Batches {
    /// From a position on, up to `bytes_max` of the file.
    pub(super) fn open(path: &Path, position: u64, bytes_max: u64) -> io::Result<Batches> {
        #[allow(clippy::disallowed_methods, reason = "a command, there is no driver")]
        let mut file = BufReader::new(File::open(path)?);
        let end = file.get_ref().metadata()?.len().min(bytes_max);
        file.seek(SeekFrom::Start(position))?;
        Ok(Batches { file, position, end })
    }

    pub(super) fn next(&mut self) -> io::Result<Next> {
        let left = self.end.saturating_sub(self.position);
        if left <= HEAD_BYTES {
            return Ok(Next::End);
        }
        let mut bytes = vec![0; BATCH_HEADER_BYTES.min(left as usize)];
        self.file.read_exact(&mut bytes)?;
        let header = match BatchHeader::parse(&bytes) {
            Ok(header) => header,
            Err(error) => return Ok(Next::Corrupt(error.to_string())),
        };
        if header.size as u64 > left {
            return Ok(Next::End);
        }
        bytes.resize(header.size, 0);
        self.file.read_exact(&mut bytes[BATCH_HEADER_BYTES..])?;
        self.position += header.size as u64;
        Ok(Next::Batch(header, bytes))
    }

    /// Whether nothing but zeros follows from the position on.
    fn ends_in_zeros(&mut self) -> io::Result<bool> {
        self.file.seek(SeekFrom::Start(self.position))?;
        let mut rest = (&mut self.file).take(self.end - self.position);
        let mut chunk = [0; 8192];
        loop {
            match rest.read(&mut chunk)? {
                0 => return Ok(true),
                count if chunk[..count].iter().any(|byte| *byte != 0) => return Ok(false),
                _ => {}
            }
        }
    }
}

/// A batch's records, unpacked.
pub(super) fn unpacked<'a>(header: &BatchHeader, batch: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
    unpack(header, batch, UNCOMPRESSED_BATCH_BYTES_MAX).map_err(|error| error.to_string())
}

pub(super) fn dump(
    args: &DumpArgs,
    path: &Path,
    out: &mut impl Write,
    gaps: &mut Faults,
) -> Result<(), String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let failed = |error: io::Error| named(&error);
    write_title(path, out).map_err(failed)?;
    let deep = args.deep_iteration || args.prints_data();
    let mut batches = Batches::open(path, 0, args.max_bytes).map_err(failed)?;
    let mut last = None;
    loop {
        let position = batches.position;
        match batches.next().map_err(failed)? {
            Next::Batch(header, batch) => {
                write_batch(&header, &batch, position, out).map_err(failed)?;
                if deep {
                    let unpacked = unpacked(&header, &batch).map_err(|error| named(&error))?;
                    for record in records(&header, &unpacked) {
                        let record = record.map_err(|error| named(&error))?;
                        let before = last.replace(record.offset.0);
                        if let Some(before) = before.filter(|b| b + 1 != record.offset.0) {
                            gaps.entry(path.to_owned())
                                .or_default()
                                .push((before, record.offset.0));
                        }
                        write_record(args, &header, &record, out).map_err(|error| named(&error))?;
                    }
                }
            }
            Next::End => break,
            Next::Corrupt(what) => {
                if batches.ends_in_zeros().map_err(failed)? {
                    let zeros = batches.end - position;
                    writeln!(out, "Data ends at position {position}, {zeros} zeros follow")
                        .map_err(failed)?;
                    return Ok(());
                }
                return Err(named(&format!("position {position}: {what}")));
            }
        }
    }
    let trailing = batches.end - batches.position;
    if trailing > 0 && args.max_bytes >= i32::MAX as u64 {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        writeln!(out, "Found {trailing} invalid bytes at the end of {name}").map_err(failed)?;
    }
    Ok(())
}

fn write_title(path: &Path, out: &mut impl Write) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = |text: &str| text.parse::<i64>().ok();
    let stem = name.split('.').next().unwrap_or_default();
    if name.ends_with(".log") {
        let start = number(stem).unwrap_or(-1);
        return writeln!(out, "Log starting offset: {start}");
    }
    match stem.split_once('-') {
        Some((offset, epoch)) => {
            let (offset, epoch) = (number(offset).unwrap_or(-1), number(epoch).unwrap_or(-1));
            writeln!(out, "Snapshot end offset: {offset}, epoch: {epoch}")
        }
        None => writeln!(out, "KRaft bootstrap snapshot"),
    }
}

fn time_type(header: &BatchHeader) -> &'static str {
    match header.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

fn codec_name(header: &BatchHeader) -> &'static str {
    match header.codec() {
        Some(Codec::None) => "none",
        Some(Codec::Gzip) => "gzip",
        Some(Codec::Snappy) => "snappy",
        Some(Codec::Lz4) => "lz4",
        Some(Codec::Zstd) => "zstd",
        None => "unknown",
    }
}

fn write_batch(
    header: &BatchHeader,
    batch: &[u8],
    position: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    write!(
        out,
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} \
         producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} \
         deleteHorizonMs: {}",
        header.base_offset,
        header.last_offset(),
        header.records_count,
        header.base_sequence,
        header.last_sequence(),
        header.producer_id,
        header.producer_epoch,
        header.leader_epoch,
        header.is_transactional(),
        header.is_control(),
        optional(header.delete_horizon_ms())
    )?;
    writeln!(
        out,
        " position: {position} {}: {} size: {} magic: 2 compresscodec: {} crc: {} isvalid: {}",
        time_type(header),
        header.max_timestamp,
        header.size,
        codec_name(header),
        header.crc,
        header.crc_is_valid(batch)
    )
}

fn write_record(
    args: &DumpArgs,
    header: &BatchHeader,
    record: &Record<'_>,
    out: &mut impl Write,
) -> Result<(), String> {
    let mut line = String::from("| ");
    let size = |part: Option<&[u8]>| part.map_or(-1, |part| part.len() as i64);
    if !args.skip_record_metadata {
        let keys: Vec<_> = record
            .headers()
            .map(|header| String::from_utf8_lossy(header.key).into_owned())
            .collect();
        line.push_str(&format!(
            "offset: {} {}: {} keySize: {} valueSize: {} sequence: {} headerKeys: [{}]",
            record.offset,
            time_type(header),
            record.timestamp,
            size(record.key),
            size(record.value),
            header.sequence_at(record.offset),
            keys.join(",")
        ));
        if header.is_control() {
            line.push_str(&control(record));
        }
    } else if header.is_control() || !args.prints_data() {
        line.clear();
    }
    if args.prints_data() && !header.is_control() {
        let decoded = Decoder::of(args).decode(record)?;
        let bare = args.skip_record_metadata;
        match decoded.key {
            Some(key) if bare => line.push_str(&format!("key: {key}")),
            Some(key) => line.push_str(&format!(" key: {key}")),
            // Kafka's prefix goes with the key.
            None if bare => line.clear(),
            None => {}
        }
        if let Some(payload) = decoded.payload {
            line.push_str(&format!(" payload: {payload}"));
        }
    }
    writeln!(out, "{line}").map_err(|error| error.to_string())
}
