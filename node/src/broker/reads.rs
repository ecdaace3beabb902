//! Reading for a fetch: on the shard that owns the partition, for the shard that owns the
//! connection.

use std::rc::Rc;
use std::sync::Arc;

use ringlog_engine::io::{BUF_ALIGN, Buf, Fd, SendPath};
use ringlog_engine::log::{
    AbortedTxn, COLD_BYTES_MAX, FileRange, IoMode, LogError, ReadError, ReadLimits,
};
use ringlog_engine::shard::File;
use ringlog_engine::types::LeaderEpoch;

use super::calls::{ReadOutcome, ReadSpec};
use super::partition::Partition;
use super::settings::FetchPath;
use super::shard_broker::Broker;
use crate::error_code::ErrorCode;

/// Fewer leases than this are not worth a sweep.
const LEASES_SWEPT_MIN: usize = 64;

/// Record bytes of a response.
pub enum Piece {
    /// In memory.
    Memory(Buf),
    /// In the page cache, to be sent from there.
    File(LentRange),
}

impl Piece {
    /// How many bytes.
    pub fn size(&self) -> usize {
        match self {
            Piece::Memory(buf) => buf.len(),
            Piece::File(range) => range.len,
        }
    }
}

impl ReadOutcome {
    /// How much memory its records take.
    pub fn memory_bytes(&self) -> usize {
        let of_piece = |piece: &Piece| match piece {
            Piece::Memory(buf) => buf.capacity(),
            Piece::File(_) => 0,
        };
        self.pieces.iter().map(of_piece).sum()
    }
}

/// A part of a segment that is in the page cache, lent to whoever sends it, on whichever shard.
/// The owner keeps the file open until this is dropped. Only operations that complete at submission
/// may use the descriptor on another shard than the owner's.
pub struct LentRange {
    /// The segment.
    pub fd: Fd,
    /// Where the part starts.
    pub position: u64,
    /// How long it is.
    pub len: usize,
    /// How it is sent.
    pub path: SendPath,
    _lease: Arc<()>,
}

/// Files that are lent out, each with the owner's half of its lease.
#[derive(Default)]
pub(super) struct Leases {
    files: Vec<(File, Arc<()>)>,
    sweep_at: usize,
}

impl Leases {
    fn lend(&mut self, file: File) -> Arc<()> {
        if self.files.len() >= self.sweep_at.max(LEASES_SWEPT_MIN) {
            self.sweep();
            self.sweep_at = self.files.len() * 2;
        }
        let lease = Arc::new(());
        self.files.push((file, Arc::clone(&lease)));
        lease
    }

    /// Lets go of the files that nobody uses any more.
    pub(super) fn sweep(&mut self) {
        self.files.retain(|(_, lease)| Arc::strong_count(lease) > 1);
    }
}

fn failure(error: ErrorCode) -> ReadOutcome {
    ReadOutcome {
        error,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        aborted: None,
        diverging: None,
        pieces: Vec::new(),
        len: 0,
    }
}

/// Whether what the reader has is not the beginning of this log (KIP-595): by its last batch's
/// epoch and where that ends here.
fn divergence(partition: &Partition, read: &ReadSpec) -> Result<Option<(i32, i64)>, ErrorCode> {
    if read.last_fetched_epoch < 0 {
        return Ok(None);
    }
    let ends = partition.log.ends();
    let epoch = LeaderEpoch(read.last_fetched_epoch);
    let end = partition.log.epochs().end_of(epoch, ends.log_end_offset);
    let end = end.ok_or(ErrorCode::OffsetOutOfRange)?;
    if read.offset < ends.log_start_offset {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    let same = end.epoch >= epoch && end.end_offset >= read.offset;
    Ok((!same).then_some((end.epoch.0, end.end_offset.0)))
}

impl Broker {
    /// Reads several partitions of this shard.
    pub(super) async fn read_all(self: &Rc<Self>, reads: Vec<ReadSpec>) -> Vec<ReadOutcome> {
        let mut outcomes = Vec::with_capacity(reads.len());
        for read in reads {
            let outcome = match self.partition(read.topic, read.partition) {
                Ok(partition) => self.read_one(&partition, read).await,
                Err(error) => failure(error),
            };
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn read_one(self: &Rc<Self>, partition: &Rc<Partition>, read: ReadSpec) -> ReadOutcome {
        if let Err(error) = partition.check_epoch(read.current_leader_epoch) {
            return failure(error);
        }
        let high_watermark = partition.high_watermark();
        let last_stable = partition.last_stable_offset();
        let log_start = partition.log.ends().log_start_offset;
        let upper = if read.read_committed { last_stable } else { high_watermark };
        let limits =
            ReadLimits { bytes_max: read.bytes_max, at_least_one_batch: read.at_least_one_batch };
        let outcome = |error, pieces: Vec<Piece>| ReadOutcome {
            error,
            high_watermark: high_watermark.0,
            last_stable_offset: last_stable.0,
            log_start_offset: log_start.0,
            aborted: read.read_committed.then(Vec::new),
            diverging: None,
            len: pieces.iter().map(Piece::size).sum(),
            pieces,
        };
        match divergence(partition, &read) {
            Ok(None) => {}
            Ok(diverging) => {
                return ReadOutcome { diverging, ..outcome(ErrorCode::None, Vec::new()) };
            }
            Err(error) => return failure(error),
        }
        let failed = |error: ReadError| {
            // Its topic was deleted meanwhile, or the node stops: nothing is wrong with it.
            if matches!(error, ReadError::Log(LogError::Closed)) {
                return failure(ErrorCode::NotLeaderOrFollower);
            }
            tracing::error!(topic = %partition.topic_name, partition = partition.index, %error,
                "read_failed");
            // What is damaged stays so: a consumer that tried again would try for ever.
            let damaged = matches!(error, ReadError::Corrupt(_));
            failure(match damaged {
                true => ErrorCode::CorruptMessage,
                false => ErrorCode::KafkaStorageError,
            })
        };
        let plan = match partition.log.plan_read(read.offset, upper, limits).await {
            Ok(plan) => plan,
            Err(ReadError::OutOfRange { .. }) => return failure(ErrorCode::OffsetOutOfRange),
            Err(error) => return failed(error),
        };
        let Some(range) = plan.range else { return outcome(ErrorCode::None, Vec::new()) };
        let aborted = match read.read_committed {
            true => partition.log.collect_aborted(read.offset, plan.end).await.map(Some),
            false => Ok(None),
        };
        let aborted = match aborted {
            Ok(aborted) => aborted,
            Err(error) => return failed(error),
        };
        let pairs = |txns: Vec<AbortedTxn>| {
            let pair = |txn: AbortedTxn| (txn.producer_id.0, txn.first_offset.0);
            txns.into_iter().map(pair).collect()
        };
        match self.lend(partition, range).await {
            Ok(piece) => {
                ReadOutcome { aborted: aborted.map(pairs), ..outcome(ErrorCode::None, vec![piece]) }
            }
            Err(error) => failed(error),
        }
    }

    /// How much of `bytes` of one partition may be held in memory to be sent.
    pub fn read_memory_max(&self, bytes: usize) -> usize {
        // As a buffer takes it.
        let copy_max = match self.settings.io_mode {
            IoMode::Buffered => self.settings.fetch_path.copy_bytes_max(),
            // The ends of logs are in memory.
            IoMode::Direct => usize::MAX,
        };
        let copied = bytes.min(copy_max).min(COLD_BYTES_MAX);
        copied.max(BUF_ALIGN).next_power_of_two()
    }

    /// Turns a range into bytes that can be sent without waiting for a device.
    async fn lend(&self, partition: &Partition, mut range: FileRange) -> Result<Piece, ReadError> {
        let log = &partition.log;
        let path = self.settings.fetch_path;
        if path == FetchPath::Copy {
            // An answer may be smaller than what was asked for.
            range.len = range.len.min(COLD_BYTES_MAX.max(range.first_batch_bytes));
        }
        // In direct mode: a sendfile would read from the disk what has just been written there.
        if let Some(buf) = log.read_tail(&range) {
            return Ok(Piece::Memory(buf));
        }
        if range.len <= path.copy_bytes_max() {
            if let Some(buf) = log.read_cached(&range).await? {
                return Ok(Piece::Memory(buf));
            }
            let _turn = self.cold_budget.take(range.len).await;
            return Ok(Piece::Memory(log.bring_in(range).await?.1));
        }
        let range = match log.is_cached(&range).await {
            true => range,
            false => {
                let _turn = self.cold_budget.take(range.len.min(COLD_BYTES_MAX)).await;
                log.bring_in(range).await?.0
            }
        };
        let FileRange { file, position, len, .. } = range;
        let fd = file.fd();
        let _lease = self.leases.borrow_mut().lend(file);
        let path = match path {
            FetchPath::Splice => SendPath::Splice,
            FetchPath::Auto | FetchPath::SendFile | FetchPath::Copy => SendPath::SendFile,
        };
        Ok(Piece::File(LentRange { fd, position, len, path, _lease }))
    }
}
