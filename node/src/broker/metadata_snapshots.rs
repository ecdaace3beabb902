//! Snapshots of the metadata (`.checkpoint`), and what they make superfluous: older snapshots, and
//! segments of the log that lie below (Kafka's `KafkaMetadataLog.maybeClean`).

use std::collections::BTreeMap;

use ringlog_engine::batch::{
    BATCH_HEADER_BYTES, BatchBuilder, BatchHeader, ControlType, RecordFields, records,
};
use ringlog_engine::io::{Buf, OpenOptions};
use ringlog_engine::shard::File;
use ringlog_engine::types::{LeaderEpoch, Offset};
use ringlog_wire::messages::{
    KRaftVersionRecord, SnapshotFooterRecord, SnapshotHeaderRecord, VotersRecord,
};
use ringlog_wire::records::metadata::MetadataRecord;
use ringlog_wire::{Message, Reader};

use super::metadata_log::{BATCH_BYTES_MAX, BootstrapError, MetadataLog};
use crate::config::RawConfig;
use crate::controller::record_version;
use crate::metadata::MetadataImage;
use crate::quorum::KraftVersion;

const SUFFIX: &str = ".checkpoint";
/// A snapshot on its way in, or on its way out: nothing that counts.
const LEFTOVERS: [&str; 3] = [".checkpoint.part", ".checkpoint.tmp", ".checkpoint.deleted"];
/// No snapshot is larger.
pub(super) const SNAPSHOT_BYTES_MAX: u64 = 2 << 30;
/// The first batch of a snapshot, which holds its header and the voters, is smaller.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Which state a snapshot is of: that of all records below an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SnapshotId {
    pub(super) end_offset: i64,
    pub(super) epoch: i32,
}

impl SnapshotId {
    pub(super) fn file_name(self) -> String {
        format!("{:020}-{:010}{SUFFIX}", self.end_offset, self.epoch)
    }

    fn parse(name: &str) -> Option<SnapshotId> {
        let (offset, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let digits = offset.len() == 20 && epoch.len() == 10;
        let id =
            || Some(SnapshotId { end_offset: offset.parse().ok()?, epoch: epoch.parse().ok()? });
        digits.then(id).flatten()
    }
}

/// How much metadata is kept. Negative is without limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    bytes: i64,
    ms: i64,
}

impl Retention {
    pub(super) fn of(config: &RawConfig) -> Self {
        Self {
            bytes: config.long("metadata.max.retention.bytes"),
            ms: config.long("metadata.max.retention.ms"),
        }
    }
}

impl MetadataLog {
    /// Bytes of batches since the last snapshot.
    pub fn since_snapshot_bytes(&self) -> u64 {
        self.since_snapshot_bytes.get()
    }

    /// All snapshots, oldest first.
    pub(super) async fn snapshots(&self) -> Result<Vec<SnapshotId>, BootstrapError> {
        let names = self.shard.list_dir(&self.dir).await?;
        let mut found: Vec<SnapshotId> =
            names.iter().filter_map(|name| SnapshotId::parse(name)).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Removes what a crash has left of snapshots that were being written or removed.
    pub(super) async fn remove_leftovers(&self) -> Result<(), BootstrapError> {
        for name in self.shard.list_dir(&self.dir).await? {
            if LEFTOVERS.iter().any(|suffix| name.ends_with(suffix)) {
                self.shard.unlink(&self.dir.join(&name)).await?;
            }
        }
        Ok(())
    }

    /// Writes a snapshot of `image`, which must be that of the log's end.
    pub async fn write_snapshot(&self, image: &MetadataImage) -> Result<(), BootstrapError> {
        let id = SnapshotId { end_offset: image.end_offset, epoch: image.epoch };
        let name = id.file_name();
        let elr = image.features.contains_key("eligible.leader.replicas.version");
        let voters = self.voters.borrow().clone();
        let bytes = snapshot_bytes(
            &image.to_records(),
            image.last_timestamp,
            image.epoch,
            voters.as_ref().filter(|_| self.kraft.get() == KraftVersion::Dynamic),
            elr,
            self.shard.unix_ms(),
        )
        .map_err(|what| self.corrupt(&name, what))?;
        self.shard.replace_file(&self.dir.join(name), bytes).await?;
        self.since_snapshot_bytes.set(0);
        Ok(())
    }

    /// Deletes the oldest snapshots, and the segments below the next one, as long as there is too
    /// much of both or they are too old. The newest snapshot stays.
    pub async fn clean(&self) -> Result<(), BootstrapError> {
        let snapshots = self.snapshots().await?;
        let mut sizes = BTreeMap::new();
        for id in &snapshots {
            let stat = self.shard.stat(&self.dir.join(id.file_name())).await?;
            sizes.insert(*id, stat.map_or(0, |stat| stat.len));
        }
        for pair in snapshots.windows(2) {
            let total = self.log.size_bytes() + sizes.values().sum::<u64>();
            let limit = u64::try_from(self.retention.bytes).unwrap_or(u64::MAX);
            if total <= limit && !self.is_too_old(pair[0]).await? {
                break;
            }
            // ORDER: the next snapshot is durable, so nothing below it is needed any more.
            let segments = self.log.delete_before(Offset(pair[1].end_offset)).await?;
            self.shard.unlink(&self.dir.join(pair[0].file_name())).await?;
            sizes.remove(&pair[0]);
            tracing::info!(
                snapshot = pair[0].end_offset,
                segments,
                log_start_offset = pair[1].end_offset,
                "metadata_cleaned"
            );
        }
        Ok(())
    }

    async fn is_too_old(&self, id: SnapshotId) -> Result<bool, BootstrapError> {
        if self.retention.ms < 0 {
            return Ok(false);
        }
        let path = self.dir.join(id.file_name());
        let file = File::open(&self.shard, &path, OpenOptions::default()).await?;
        let head = file.read_at(Buf::with_capacity(HEAD_BYTES_MAX), 0, HEAD_BYTES_MAX).await?;
        // A snapshot without a readable header has no age.
        let Some(timestamp) = last_contained_timestamp(&head) else { return Ok(false) };
        Ok(self.shard.unix_ms().saturating_sub(timestamp) > self.retention.ms)
    }
}

/// When the newest record of a snapshot was appended, by its header.
fn last_contained_timestamp(head: &[u8]) -> Option<i64> {
    let (header, batch) = BatchHeader::parse_whole(head).ok()?;
    let record = records(&header, &batch[BATCH_HEADER_BYTES..]).next()?.ok()?;
    let kind = record.key.and_then(ControlType::from_key)?;
    let value = record.value.filter(|_| kind == ControlType::SnapshotHeader)?;
    let mut r = Reader::new(value, value.len() * 64 + 1024);
    Some(SnapshotHeaderRecord::decode(&mut r, 0).ok()?.last_contained_log_timestamp)
}

/// The bytes of a snapshot file: header, records, footer, in batches.
///
/// # Errors
/// If a record cannot be written in its version.
pub fn snapshot_bytes(
    image_records: &[MetadataRecord],
    last_timestamp: i64,
    epoch: i32,
    voters: Option<&VotersRecord>,
    elr: bool,
    now_ms: i64,
) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut next = Offset::ZERO;
    let mut finish = |mut batch: BatchBuilder, out: &mut Vec<u8>| {
        if batch.is_empty() {
            return;
        }
        batch.base_offset = next;
        batch.leader_epoch = LeaderEpoch(epoch);
        next = next.plus(batch.len() as i64);
        out.extend_from_slice(&batch.build().expect("uncompressed"));
    };
    let control = |batch: &mut BatchBuilder, kind: ControlType, value: Vec<u8>| {
        batch.control = true;
        let key = kind.key();
        let fields = RecordFields { key: Some(&key), value: Some(&value), headers: &[] };
        batch.append(now_ms, &fields);
    };
    let text = |e: ringlog_wire::EncodeError| e.to_string();
    let mut head = BatchBuilder::default();
    let header = SnapshotHeaderRecord { version: 0, last_contained_log_timestamp: last_timestamp };
    control(&mut head, ControlType::SnapshotHeader, header.to_vec(0).map_err(text)?);
    if let Some(voters) = voters {
        let version = KRaftVersionRecord { version: 0, kraft_version: 1 };
        control(&mut head, ControlType::KraftVersion, version.to_vec(0).map_err(text)?);
        control(&mut head, ControlType::KraftVoters, voters.to_vec(0).map_err(text)?);
    }
    finish(head, &mut out);
    let mut batch = BatchBuilder::default();
    let mut value = Vec::new();
    for record in image_records {
        value.clear();
        record.encode_frame(record_version(record, elr), &mut value).map_err(text)?;
        let fields = RecordFields { value: Some(&value), ..RecordFields::default() };
        if batch.size() + BatchBuilder::record_size_max(&fields) > BATCH_BYTES_MAX {
            finish(std::mem::take(&mut batch), &mut out);
        }
        batch.append(now_ms, &fields);
    }
    finish(batch, &mut out);
    let mut foot = BatchBuilder::default();
    let footer = SnapshotFooterRecord { version: 0 };
    control(&mut foot, ControlType::SnapshotFooter, footer.to_vec(0).map_err(text)?);
    finish(foot, &mut out);
    Ok(out)
}
