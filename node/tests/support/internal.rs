//! Files with records of internal topics: of every type and version there is.

use std::path::{Path, PathBuf};

use ringlog_engine::batch::{BatchBuilder, RecordFields};
use ringlog_wire::Message;
use ringlog_wire::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ringlog_wire::records::group::{self, group_metadata_value::MemberMetadata};
use ringlog_wire::records::metadata::{self, MetadataRecord};
use ringlog_wire::records::remote::{
    self, RemoteRecord, remote_log_segment_metadata_record,
    remote_log_segment_metadata_snapshot_record,
};
use ringlog_wire::records::share;
use ringlog_wire::records::transaction::{self, transaction_log_value::PartitionsSchema};

/// A segment in the making.
#[derive(Default)]
struct Segment {
    builder: BatchBuilder,
}

impl Segment {
    fn add(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.builder.append(1_700_000_000_000, &RecordFields { key, value, headers: &[] });
    }

    fn write(self, dir: &Path, name: &str) -> PathBuf {
        let folder = dir.join(name);
        std::fs::create_dir_all(&folder).expect("made");
        let file = folder.join("00000000000000000000.log");
        std::fs::write(&file, self.builder.build().expect("packs")).expect("written");
        file
    }
}

/// Each type as its default, in every version, and deleted.
macro_rules! of_every_version {
    ($segment:ident, $log:ident: $(($key:ident, $value:ident)),+ $(,)?) => {$({
        let mut key = Vec::new();
        $log::Key::from($log::$key::default()).encode(&mut key).expect("encodes");
        for version in $log::$value::MIN_VERSION..=$log::$value::MAX_VERSION {
            let mut value = Vec::new();
            let default = $log::Value::from($log::$value::default());
            default.encode(version, &mut value).expect("encodes");
            $segment.add(Some(&key), Some(&value));
        }
        $segment.add(Some(&key), None);
    })+};
}

fn encoded<M: Message>(message: &M, version: i16) -> Vec<u8> {
    let mut out = version.to_be_bytes().to_vec();
    out.extend(message.to_vec(version).expect("encodes"));
    out
}

pub fn group_records(dir: &Path) -> PathBuf {
    let mut all = Segment::default();
    of_every_version!(all, group:
        (LegacyOffsetCommitKey, LegacyOffsetCommitValue), (OffsetCommitKey, OffsetCommitValue),
        (GroupMetadataKey, GroupMetadataValue),
        (ConsumerGroupMetadataKey, ConsumerGroupMetadataValue),
        (ConsumerGroupPartitionMetadataKey, ConsumerGroupPartitionMetadataValue),
        (ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue),
        (ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue),
        (ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMemberValue),
        (ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue),
        (ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue),
        (ShareGroupMemberMetadataKey, ShareGroupMemberMetadataValue),
        (ShareGroupMetadataKey, ShareGroupMetadataValue),
        (ShareGroupTargetAssignmentMetadataKey, ShareGroupTargetAssignmentMetadataValue),
        (ShareGroupTargetAssignmentMemberKey, ShareGroupTargetAssignmentMemberValue),
        (ShareGroupCurrentMemberAssignmentKey, ShareGroupCurrentMemberAssignmentValue),
        (ShareGroupStatePartitionMetadataKey, ShareGroupStatePartitionMetadataValue),
        (StreamsGroupMetadataKey, StreamsGroupMetadataValue),
        (StreamsGroupMemberMetadataKey, StreamsGroupMemberMetadataValue),
        (StreamsGroupTargetAssignmentMetadataKey, StreamsGroupTargetAssignmentMetadataValue),
        (StreamsGroupTargetAssignmentMemberKey, StreamsGroupTargetAssignmentMemberValue),
        (StreamsGroupCurrentMemberAssignmentKey, StreamsGroupCurrentMemberAssignmentValue),
        (StreamsGroupTopologyKey, StreamsGroupTopologyValue),
    );
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["a".to_owned(), "b\u{e9}\"".to_owned()],
        user_data: Some(vec![1, 2, 3, 4]),
        rack_id: Some("r".to_owned()),
        ..Default::default()
    };
    let member = MemberMetadata {
        member_id: "m-1".to_owned(),
        group_instance_id: Some("static".to_owned()),
        subscription: encoded(&subscription, 3),
        assignment: encoded(&ConsumerProtocolAssignment::default(), 3),
        ..Default::default()
    };
    let unread = MemberMetadata { subscription: vec![0, 3, 0xff], ..member.clone() };
    let mut key = Vec::new();
    let group = group::GroupMetadataKey { group: "g".to_owned() };
    group::Key::from(group).encode(&mut key).expect("encodes");
    for protocol in ["consumer", "connect"] {
        let value = group::GroupMetadataValue {
            protocol_type: protocol.to_owned(),
            leader: Some("m-1".to_owned()),
            generation: 7,
            members: vec![member.clone(), unread.clone()],
            ..Default::default()
        };
        all.add(Some(&key), Some(&encoded(&value, 3)));
    }
    // Of a type that there is not: the next one is read all the same.
    all.add(Some(&[0, 99]), Some(&[0, 0]));
    all.add(Some(&key), None);
    all.write(dir, "__consumer_offsets-0")
}

/// What ends Kafka's tool.
pub fn keyless_record(dir: &Path) -> PathBuf {
    let mut all = Segment::default();
    all.add(None, Some(b"v"));
    all.write(dir, "keyless-0")
}

pub fn transaction_records(dir: &Path) -> PathBuf {
    let mut all = Segment::default();
    of_every_version!(all, transaction: (TransactionLogKey, TransactionLogValue));
    let key = transaction::TransactionLogKey { transactional_id: "tx\t\u{1}".to_owned() };
    let mut bytes = Vec::new();
    transaction::Key::from(key).encode(&mut bytes).expect("encodes");
    let partitions = PartitionsSchema { topic: "t".to_owned(), partition_ids: vec![0, 5] };
    let value = transaction::TransactionLogValue {
        producer_id: 1 << 40,
        producer_epoch: 3,
        transaction_partitions: Some(vec![partitions]),
        ..Default::default()
    };
    for version in [0, 1] {
        all.add(Some(&bytes), Some(&encoded(&value, version)));
    }
    all.write(dir, "__transaction_state-0")
}

pub fn share_records(dir: &Path) -> PathBuf {
    let mut all = Segment::default();
    of_every_version!(all, share:
        (ShareSnapshotKey, ShareSnapshotValue), (ShareUpdateKey, ShareUpdateValue),
    );
    all.write(dir, "__share_group_state-0")
}

pub fn remote_records(dir: &Path) -> PathBuf {
    use remote_log_segment_metadata_record::SegmentLeaderEpochEntry as Epoch;
    use remote_log_segment_metadata_snapshot_record::SegmentLeaderEpochEntry as SnapshotEpoch;
    let records: [RemoteRecord; 4] = [
        remote::RemoteLogSegmentMetadataRecord {
            end_offset: 9,
            segment_leader_epochs: vec![
                Epoch { leader_epoch: 0, offset: 0 },
                Epoch { leader_epoch: 4, offset: 7 },
            ],
            custom_metadata: Some(vec![1, 2]),
            segment_size_in_bytes: 1,
            txn_index_empty: true,
            ..Default::default()
        }
        .into(),
        remote::RemoteLogSegmentMetadataUpdateRecord {
            remote_log_segment_state: 2,
            ..Default::default()
        }
        .into(),
        remote::RemotePartitionDeleteMetadataRecord::default().into(),
        remote::RemoteLogSegmentMetadataSnapshotRecord {
            end_offset: 3,
            segment_leader_epochs: vec![SnapshotEpoch::default()],
            ..Default::default()
        }
        .into(),
    ];
    let mut all = Segment::default();
    for record in records {
        let mut value = Vec::new();
        record.encode_frame(0, &mut value).expect("encodes");
        all.add(None, Some(&value));
    }
    all.write(dir, "__remote_log_metadata-0")
}

/// Records of the metadata log that a node of one does not write.
pub fn metadata_records(dir: &Path) -> PathBuf {
    let records: [MetadataRecord; 6] = [
        metadata::ClientQuotaRecord { value: 1e7, key: "rate".to_owned(), ..Default::default() }
            .into(),
        metadata::AccessControlEntryRecord::default().into(),
        metadata::UserScramCredentialRecord { salt: vec![1; 4], ..Default::default() }.into(),
        metadata::DelegationTokenRecord::default().into(),
        metadata::ZkMigrationStateRecord::default().into(),
        metadata::NoOpRecord::default().into(),
    ];
    let mut all = Segment::default();
    for record in records {
        let mut value = Vec::new();
        record.encode_frame(0, &mut value).expect("encodes");
        all.add(None, Some(&value));
    }
    all.write(dir, "__cluster_metadata-1")
}
