//! Offset and time indexes, checked against their segments.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ringlog_engine::batch::records;

use super::segment::{Batches, Next, unpacked};
use super::{DumpArgs, Faults, read};

const OFFSET_ENTRY_BYTES: usize = 8;
const TIME_ENTRY_BYTES: usize = 12;

/// Two numbers that do not fit.
type Pairs = Vec<(i64, i64)>;

/// What is wrong with a time index.
#[derive(Default)]
pub(super) struct TimeFaults {
    mismatched: Pairs,
    out_of_order: Pairs,
    not_found: Pairs,
}

impl TimeFaults {
    /// Adds what there is to what is known of the file.
    fn add_to(self, faults: &mut BTreeMap<PathBuf, TimeFaults>, file: &Path) {
        let TimeFaults { mismatched, out_of_order, not_found } = self;
        if mismatched.is_empty() && out_of_order.is_empty() && not_found.is_empty() {
            return;
        }
        let known = faults.entry(file.to_owned()).or_default();
        known.mismatched.extend(mismatched);
        known.out_of_order.extend(out_of_order);
        known.not_found.extend(not_found);
    }
}

fn base_of(file: &Path) -> i64 {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    stem.and_then(|stem| stem.parse().ok()).unwrap_or(-1)
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a whole entry")
}

/// Offset and position.
fn offset_entries(bytes: &[u8], base: i64) -> Vec<(i64, u64)> {
    let entry = |entry: &[u8]| {
        let (offset, position) = (number(entry, 0), number(entry, 4));
        (base + i64::from(i32::from_be_bytes(offset)), u64::from(u32::from_be_bytes(position)))
    };
    bytes.chunks_exact(OFFSET_ENTRY_BYTES).map(entry).collect()
}

/// Timestamp and offset.
fn time_entries(bytes: &[u8], base: i64) -> Vec<(i64, i64)> {
    let entry = |entry: &[u8]| {
        let (timestamp, offset) = (number(entry, 0), number(entry, 8));
        (i64::from_be_bytes(timestamp), base + i64::from(i32::from_be_bytes(offset)))
    };
    bytes.chunks_exact(TIME_ENTRY_BYTES).map(entry).collect()
}

pub(super) fn dump_offsets(
    args: &DumpArgs,
    file: &Path,
    out: &mut impl Write,
    faults: &mut Faults,
) -> Result<(), String> {
    let failed = |error: io::Error| format!("{}: {error}", file.display());
    let (bytes, base) = (read(file).map_err(failed)?, base_of(file));
    let entries = offset_entries(&bytes, base);
    if entries.is_empty() {
        return writeln!(out, "{} is empty.", file.display()).map_err(failed);
    }
    if args.index_sanity_check {
        let last = entries.last().expect("not empty").0;
        if last < base || !bytes.len().is_multiple_of(OFFSET_ENTRY_BYTES) {
            return Err(format!("{}: it is corrupt", file.display()));
        }
        return writeln!(out, "{} passed sanity check.", file.display()).map_err(failed);
    }
    let log = file.with_extension("log");
    for (i, (offset, position)) in entries.into_iter().enumerate() {
        // What preallocation leaves behind the entries.
        if offset == base && i > 0 {
            break;
        }
        let bytes_max = position.saturating_add(args.max_message_size);
        let mut batches = Batches::open(&log, position, bytes_max).map_err(failed)?;
        let found = match batches.next().map_err(failed)? {
            Next::Batch(header, _) => header.last_offset().0,
            Next::End | Next::Corrupt(_) => -1,
        };
        if found != offset {
            faults.entry(file.to_owned()).or_default().push((offset, found));
        }
        if !args.verify_index_only {
            writeln!(out, "offset: {offset} position: {position}").map_err(failed)?;
        }
    }
    Ok(())
}

pub(super) fn dump_times(
    args: &DumpArgs,
    file: &Path,
    out: &mut impl Write,
    faults: &mut BTreeMap<PathBuf, TimeFaults>,
) -> Result<(), String> {
    let failed = |error: io::Error| format!("{}: {error}", file.display());
    let (bytes, base) = (read(file).map_err(failed)?, base_of(file));
    let entries = time_entries(&bytes, base);
    if args.index_sanity_check {
        let sorted = entries
            .first()
            .zip(entries.last())
            .is_none_or(|(first, last)| last.0 >= first.0 && last.1 >= base);
        if !sorted || !bytes.len().is_multiple_of(TIME_ENTRY_BYTES) {
            return Err(format!("{}: it is corrupt", file.display()));
        }
        return writeln!(out, "{} passed sanity check.", file.display()).map_err(failed);
    }
    let index = read(&file.with_extension("index")).map_err(failed)?;
    let index = offset_entries(&index, base);
    let log = file.with_extension("log");
    let mut before = -1;
    for (i, (timestamp, offset)) in entries.into_iter().enumerate() {
        if offset == base && i > 0 {
            break;
        }
        let below = index.iter().take_while(|(indexed, _)| *indexed <= offset).last();
        let mut batches = Batches::open(&log, below.map_or(0, |(_, position)| *position), u64::MAX)
            .map_err(failed)?;
        let (found, latest) =
            time_of(&mut batches, offset).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut wrong = TimeFaults::default();
        if found != offset {
            wrong.not_found.push((offset, found));
        } else {
            wrong.mismatched.extend((latest != timestamp).then_some((timestamp, latest)));
            wrong.out_of_order.extend((before >= timestamp).then_some((timestamp, before)));
        }
        wrong.add_to(faults, file);
        if !args.verify_index_only {
            writeln!(out, "timestamp: {timestamp} offset: {offset}").map_err(failed)?;
        }
        before = timestamp;
    }
    Ok(())
}

/// The last offset and the greatest timestamp of the first batch that reaches `offset`; -1 if there
/// is none.
fn time_of(batches: &mut Batches, offset: i64) -> Result<(i64, i64), String> {
    loop {
        match batches.next().map_err(|error| error.to_string())? {
            Next::Batch(header, batch) if header.last_offset().0 >= offset => {
                let unpacked = unpacked(&header, &batch)?;
                let mut latest = -1;
                for record in records(&header, &unpacked) {
                    latest = latest.max(record.map_err(|error| error.to_string())?.timestamp);
                }
                return Ok((header.last_offset().0, latest));
            }
            Next::Batch(..) => {}
            Next::End | Next::Corrupt(_) => return Ok((-1, -1)),
        }
    }
}

pub(super) fn report_times(files: &BTreeMap<PathBuf, TimeFaults>) {
    for (file, faults) in files.iter().filter(|(_, faults)| !faults.mismatched.is_empty()) {
        eprintln!("Found timestamp mismatch in :{}", file.display());
        for (index, log) in &faults.mismatched {
            eprintln!("  Index timestamp: {index}, log timestamp: {log}");
        }
    }
    for (file, faults) in files.iter().filter(|(_, faults)| !faults.out_of_order.is_empty()) {
        eprintln!("Found out of order timestamp in :{}", file.display());
        for (index, before) in &faults.out_of_order {
            eprintln!("  Index timestamp: {index}, Previously indexed timestamp: {before}");
        }
    }
    for faults in files.values().filter(|faults| !faults.not_found.is_empty()) {
        eprintln!("The following indexed offsets are not found in the log.");
        for (indexed, found) in &faults.not_found {
            eprintln!("Indexed offset: {indexed}, found log offset: {found}");
        }
    }
}
