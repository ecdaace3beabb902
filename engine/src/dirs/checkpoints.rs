//! The checkpoint files of a log directory: an offset per partition.

use std::collections::BTreeMap;

use crate::log::{CheckpointError, parse_entries, render_entries};
use crate::types::Offset;

/// A partition by its topic's name, as checkpoint files name it.
pub type TopicPartition = (String, i32);

/// The four checkpoint files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetCheckpoint {
    /// Up to where each log is durable.
    RecoveryPoint,
    /// Where each log starts, if that is not the start of its first segment.
    LogStart,
    /// Each high watermark.
    HighWatermark,
    /// Up to where each log is compacted.
    Cleaner,
}

impl OffsetCheckpoint {
    /// The file's name.
    pub fn file_name(self) -> &'static str {
        match self {
            OffsetCheckpoint::RecoveryPoint => "recovery-point-offset-checkpoint",
            OffsetCheckpoint::LogStart => "log-start-offset-checkpoint",
            OffsetCheckpoint::HighWatermark => "replication-offset-checkpoint",
            OffsetCheckpoint::Cleaner => "cleaner-offset-checkpoint",
        }
    }

    /// Reads such a file.
    pub fn parse(bytes: &[u8]) -> Result<BTreeMap<TopicPartition, Offset>, CheckpointError> {
        let mut offsets = BTreeMap::new();
        for (i, entry) in parse_entries(bytes, 3)?.into_iter().enumerate() {
            let (Ok(partition), Ok(offset)) = (entry[1].parse(), entry[2].parse()) else {
                let what = "a partition or offset is not a number";
                return Err(CheckpointError { line: i + 3, what });
            };
            offsets.insert((entry[0].to_owned(), partition), Offset(offset));
        }
        Ok(offsets)
    }

    /// The text of such a file.
    pub fn render(offsets: &BTreeMap<TopicPartition, Offset>) -> String {
        render_entries(
            offsets
                .iter()
                .map(|((topic, partition), offset)| format!("{topic} {partition} {offset}")),
        )
    }
}
