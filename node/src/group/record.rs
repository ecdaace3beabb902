//! Records of `__consumer_offsets` as bytes, in the versions that Kafka 4.1 writes.

use ringlog_engine::batch::{BatchBuilder, RecordFields};
use ringlog_wire::records::group::{
    GroupMetadataKey, GroupMetadataValue, Key, OffsetCommitKey, OffsetCommitValue, Value,
};

use super::offsets::CommittedOffset;

const GROUP_METADATA_VERSION: i16 = 3;
const OFFSET_VERSION: i16 = 4;
/// The only one that can say when an offset expires.
const EXPIRING_OFFSET_VERSION: i16 = 1;

/// A record to append. Without a value it deletes what was said under its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// Whose state it is.
    pub key: Vec<u8>,
    /// The state.
    pub value: Option<Vec<u8>>,
}

/// A string is too long for the wire, which no name or note that came by it is.
const FITS: &str = "what came in a request fits a record";

impl GroupRecord {
    pub(super) fn new(key: impl Into<Key>, value: Option<(Value, i16)>) -> Self {
        let mut key_bytes = Vec::new();
        key.into().encode(&mut key_bytes).expect(FITS);
        let value = value.map(|(value, version)| {
            let mut bytes = Vec::new();
            value.encode(version, &mut bytes).expect(FITS);
            bytes
        });
        Self { key: key_bytes, value }
    }

    pub(super) fn offset(group: &str, topic: &str, partition: i32, at: &CommittedOffset) -> Self {
        let version = if at.expire_ms >= 0 { EXPIRING_OFFSET_VERSION } else { OFFSET_VERSION };
        let value = OffsetCommitValue {
            offset: at.offset,
            leader_epoch: at.leader_epoch,
            metadata: at.metadata.clone(),
            commit_timestamp: at.commit_ms,
            expire_timestamp: at.expire_ms,
            topic_id: at.topic_id,
        };
        Self::new(offset_key(group, topic, partition), Some((value.into(), version)))
    }

    pub(super) fn no_offset(group: &str, topic: &str, partition: i32) -> Self {
        Self::new(offset_key(group, topic, partition), None)
    }

    pub(super) fn classic_group(group: &str, value: GroupMetadataValue) -> Self {
        let key = GroupMetadataKey { group: group.to_owned() };
        Self::new(key, Some((value.into(), GROUP_METADATA_VERSION)))
    }

    pub(super) fn no_classic_group(group: &str) -> Self {
        Self::new(GroupMetadataKey { group: group.to_owned() }, None)
    }

    /// What it adds to a batch, at most.
    pub fn size_max(&self) -> usize {
        BatchBuilder::record_size_max(&self.fields())
    }

    /// For a batch.
    pub fn fields(&self) -> RecordFields<'_> {
        RecordFields { key: Some(&self.key), value: self.value.as_deref(), headers: &[] }
    }
}

fn offset_key(group: &str, topic: &str, partition: i32) -> OffsetCommitKey {
    OffsetCommitKey { group: group.to_owned(), topic: topic.to_owned(), partition }
}
