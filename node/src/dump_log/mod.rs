//! `ringlog dump-log`: what is in a log's files, with the options and in the words of
//! kafka-dump-log (Kafka's `DumpLogSegments`), and without a JVM.
//!
//! Beyond Kafka's tool, a segment that ends in zeros, as a preallocated one does, is read up to
//! there and its end is named. Decoder classes of one's own, which a JVM would load, are refused.

mod decode;
mod indexes;
mod remote;
mod segment;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use ringlog_engine::log::{AbortedTxn, Producers};

use decode::Decoder;
use indexes::TimeFaults;

/// What kafka-dump-log takes.
#[derive(Args, Debug, Clone)]
pub struct DumpArgs {
    /// The files, separated by commas.
    #[arg(long, value_name = "FILE,...", value_delimiter = ',', required = true)]
    files: Vec<PathBuf>,
    /// Print keys and values. Set by any decoder.
    #[arg(long)]
    print_data_log: bool,
    /// Look at every record, not at batches alone. Set by --print-data-log.
    #[arg(long)]
    deep_iteration: bool,
    /// Leave out what is about a record and not in it.
    #[arg(long)]
    skip_record_metadata: bool,
    /// Check indexes against their segments without printing them.
    #[arg(long)]
    verify_index_only: bool,
    /// Check of indexes only what a start checks.
    #[arg(long)]
    index_sanity_check: bool,
    /// Read so many bytes of a segment at most.
    #[arg(long, default_value_t = i32::MAX as u64, value_name = "BYTES")]
    max_bytes: u64,
    /// The largest batch that an index may point to.
    #[arg(long, default_value_t = 5 << 20, value_name = "BYTES")]
    max_message_size: u64,
    /// Read records as those of __consumer_offsets.
    #[arg(long)]
    offsets_decoder: bool,
    /// Read records as those of __transaction_state.
    #[arg(long)]
    transaction_log_decoder: bool,
    /// Read records as those of the metadata log.
    #[arg(long)]
    cluster_metadata_decoder: bool,
    /// Read records as those of __remote_log_metadata.
    #[arg(long)]
    remote_log_metadata_decoder: bool,
    /// Read records as those of __share_group_state.
    #[arg(long)]
    share_group_state_decoder: bool,
    /// Read keys with a class. There is none but Kafka's own for text.
    #[arg(long, value_name = "CLASS", num_args = 0..=1, default_missing_value = TEXT_DECODER)]
    key_decoder_class: Option<String>,
    /// Read values with a class. There is none but Kafka's own for text.
    #[arg(long, value_name = "CLASS", num_args = 0..=1, default_missing_value = TEXT_DECODER)]
    value_decoder_class: Option<String>,
}

/// The one decoder class that needs no JVM.
const TEXT_DECODER: &str = "org.apache.kafka.tools.api.StringDecoder";

impl DumpArgs {
    fn prints_data(&self) -> bool {
        self.print_data_log
            || Decoder::of(self) != Decoder::Text
            || self.key_decoder_class.is_some()
            || self.value_decoder_class.is_some()
    }

    fn refuse_classes(&self) -> Result<(), String> {
        let options = [
            ("--key-decoder-class", &self.key_decoder_class),
            ("--value-decoder-class", &self.value_decoder_class),
        ];
        for (option, class) in options {
            if let Some(class) = class.as_ref().filter(|class| *class != TEXT_DECODER) {
                return Err(format!(
                    "{option}: {class} is a Java class, and there is no JVM here. Kafka's own \
                     kafka-dump-log reads these files, too"
                ));
            }
        }
        Ok(())
    }
}

/// Pairs of numbers that do not fit, by the file they are in.
type Faults = BTreeMap<PathBuf, Vec<(i64, i64)>>;

/// What is told at the end, on standard error.
#[derive(Default)]
struct Findings {
    index: Faults,
    times: BTreeMap<PathBuf, TimeFaults>,
    gaps: Faults,
}

/// Runs the command.
///
/// # Errors
/// If a file cannot be read, or holds what stops Kafka's tool too.
pub fn run(args: &DumpArgs) -> Result<(), String> {
    args.refuse_classes()?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut findings = Findings::default();
    let dumped = args.files.iter().try_for_each(|file| dump(args, file, &mut out, &mut findings));
    let flushed = out.flush().map_err(|error| error.to_string());
    findings.report();
    dumped.and(flushed)
}

fn dump(
    args: &DumpArgs,
    file: &Path,
    out: &mut impl Write,
    findings: &mut Findings,
) -> Result<(), String> {
    let failed = |error: io::Error| format!("{}: {error}", file.display());
    writeln!(out, "Dumping {}", file.display()).map_err(failed)?;
    let suffix = file.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
    match suffix {
        "log" | "checkpoint" => segment::dump(args, file, out, &mut findings.gaps),
        "index" => indexes::dump_offsets(args, file, out, &mut findings.index),
        "timeindex" => indexes::dump_times(args, file, out, &mut findings.times),
        "snapshot" => dump_producers(file, out).map_err(failed),
        "txnindex" => dump_aborted(file, out).map_err(failed),
        _ => {
            eprintln!("Ignoring unknown file {}", file.display());
            Ok(())
        }
    }
}

/// The whole of a small file.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    #[allow(clippy::disallowed_methods, reason = "a command, there is no driver")]
    std::fs::read(file)
}

/// Java's way of printing a number that may be missing.
fn optional(number: Option<i64>) -> String {
    number.map_or("OptionalLong.empty".to_owned(), |number| format!("OptionalLong[{number}]"))
}

fn dump_producers(file: &Path, out: &mut impl Write) -> io::Result<()> {
    let Some(producers) = Producers::decode_snapshot(&read(file)?) else {
        eprintln!("Snapshot {} is corrupt", file.display());
        return Ok(());
    };
    for (id, producer) in producers.iter() {
        let first = producer.txn_first_offset.map(|offset| offset.0);
        write!(
            out,
            "producerId: {id} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {} \
             lastTimestamp: {} ",
            producer.epoch,
            producer.coordinator_epoch,
            optional(first),
            producer.last_timestamp
        )?;
        if let Some(batch) = producer.batches.back() {
            write!(
                out,
                "firstSequence: {} lastSequence: {} lastOffset: {} offsetDelta: {} timestamp: {}",
                batch.first_sequence(),
                batch.last_sequence,
                batch.last_offset,
                batch.offset_delta,
                batch.timestamp
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn dump_aborted(file: &Path, out: &mut impl Write) -> io::Result<()> {
    let Some(txns) = AbortedTxn::parse_all(&read(file)?) else {
        return Err(io::Error::other("it is no transaction index"));
    };
    for txn in txns {
        writeln!(
            out,
            "version: 0 producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
            txn.producer_id, txn.first_offset, txn.last_offset, txn.last_stable_offset
        )?;
    }
    Ok(())
}

impl Findings {
    fn report(&self) {
        for (file, faults) in &self.index {
            eprintln!("Mismatches in :{}", file.display());
            for (index, log) in faults {
                eprintln!("  Index offset: {index}, log offset: {log}");
            }
        }
        indexes::report_times(&self.times);
        for (file, faults) in &self.gaps {
            eprintln!("Non-consecutive offsets in {}", file.display());
            for (first, second) in faults {
                eprintln!("  {first} is followed by {second}");
            }
        }
    }
}
