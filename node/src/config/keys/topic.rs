//! Topic configs. Configuration of a topic. A key that is not set takes the value of its broker
//! key, if it has one.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("cleanup.policy", List, Text("delete"), Medium, Topic)
        .valid(Valid::ListOf(&["compact", "delete"]))
        .acts()
        .doc(
            "What happens to old segments: `delete` deletes them, `compact` keeps the last record \
            of each key. Both can be set.",
        ),
    key("compression.type", String, Text("producer"), Medium, Topic)
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .acts()
        .doc(
            "How batches are stored: `producer` keeps them as the producer sent them, \
            `uncompressed` stores them without compression, and the name of a codec recompresses \
            them with it.",
        ),
    key("compression.gzip.level", Int, Text("-1"), Medium, Topic)
        .valid(Valid::GzipLevel)
        .acts()
        .doc(
            "Level of gzip when the broker compresses: 1 (fast) to 9 (small), or -1 for the \
            library's default.",
        ),
    key("compression.lz4.level", Int, Text("9"), Medium, Topic)
        .between(1, 17)
        .acts()
        .doc("Level of lz4 when the broker compresses: 1 (fast) to 17 (small)."),
    key("compression.zstd.level", Int, Text("3"), Medium, Topic).between(-131072, 22).acts().doc(
        "Level of zstd when the broker compresses. Negative levels are faster and compress less.",
    ),
    key("delete.retention.ms", Long, Text("86400000"), Medium, Topic).at_least(0).acts().doc(
        "How long tombstones and transaction markers are kept after compaction. A consumer that \
        starts at the beginning of the log has this long to read them.",
    ),
    key("file.delete.delay.ms", Long, Text("60000"), Medium, Topic).at_least(0).acts().doc(
        "How long the files of a segment stay on disk after the segment is removed from the log.",
    ),
    key("flush.messages", Long, Text("9223372036854775807"), Medium, Topic)
        .at_least(1)
        .acts()
        .doc("Number of unflushed records at which a partition is flushed to disk."),
    key("flush.ms", Long, Text("9223372036854775807"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc("Maximum time before a record is flushed to disk."),
    key("follower.replication.throttled.replicas", List, Text(""), Medium, Topic)
        .valid(Valid::ThrottledReplicas)
        .doc(
            "Replicas whose fetches are throttled, as `partition:broker` separated by commas, or \
            `*` for all.",
        ),
    key("index.interval.bytes", Int, Text("4096"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc("Number of bytes of records between two entries of the offset index."),
    key("internal.segment.bytes", Int, Null, Medium, Topic).internal().acts().doc(
        "Segment size without Kafka's lower bound. Ringlog stores a segment.bytes below 1 MiB \
        under this name and shows it as segment.bytes.",
    ),
    key("leader.replication.throttled.replicas", List, Text(""), Medium, Topic)
        .valid(Valid::ThrottledReplicas)
        .doc(
            "Replicas to which their leaders throttle sending, as `partition:broker` separated by \
            commas, or `*` for all.",
        ),
    key("local.retention.bytes", Long, Text("-2"), Medium, Topic).at_least(-2).doc(
        "Local size of the partition above which segments that are in remote storage are deleted \
        locally. -2 means retention.bytes.",
    ),
    key("local.retention.ms", Long, Text("-2"), Medium, Topic).at_least(-2).doc(
        "Age at which the local copy of a segment in remote storage is deleted. -2 means \
        retention.ms.",
    ),
    key("max.compaction.lag.ms", Long, Text("9223372036854775807"), Medium, Topic)
        .at_least(1)
        .acts()
        .doc(
            "Maximum age of an uncompacted record. An older record makes its log due for \
            compaction, whatever the ratio.",
        ),
    key("max.message.bytes", Int, Text("1048588"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc("Maximum size of a producer's record batch, after compression."),
    key("message.timestamp.after.max.ms", Long, Text("3600000"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc(
            "How far a record's own timestamp can lie in the future. Records beyond it are \
            rejected. Not used with LogAppendTime.",
        ),
    key("message.timestamp.before.max.ms", Long, Text("9223372036854775807"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc(
            "How far a record's own timestamp can lie in the past. Older records are rejected. Not \
            used with LogAppendTime.",
        ),
    key("message.timestamp.type", String, Text("CreateTime"), Medium, Topic)
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .acts()
        .doc(
            "Timestamp of a record: the one from its producer (`CreateTime`) or the time of the \
            append (`LogAppendTime`).",
        ),
    key("min.cleanable.dirty.ratio", Double, Text("0.5"), Medium, Topic)
        .between(0, 1)
        .acts()
        .doc("A log is compacted when the uncompacted share of its bytes exceeds this ratio."),
    key("min.compaction.lag.ms", Long, Text("0"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc("Minimum age of a record before it can be compacted."),
    key("min.insync.replicas", Int, Text("1"), Medium, Topic)
        .at_least(1)
        .acts()
        .doc("Minimum number of in-sync replicas. With fewer, writes with acks=all are rejected."),
    key("preallocate", Boolean, Text("false"), Medium, Topic)
        .acts()
        .doc("Whether the file of a new segment is created with its full size."),
    key("remote.log.copy.disable", Boolean, Text("false"), Medium, Topic).doc(
        "Whether copying to remote storage is stopped. Segments that are already there can still \
        be read.",
    ),
    key("remote.log.delete.on.disable", Boolean, Text("false"), Medium, Topic)
        .doc("Whether disabling remote storage for the topic deletes its segments there."),
    key("remote.storage.enable", Boolean, Text("false"), Medium, Topic)
        .doc("Whether segments are copied to remote storage."),
    key("retention.bytes", Long, Text("-1"), Medium, Topic)
        .acts()
        .doc("Size of a partition above which its oldest segments are deleted. -1 means no limit."),
    key("retention.ms", Long, Text("604800000"), Medium, Topic)
        .at_least(-1)
        .acts()
        .doc("Age at which a segment is deleted. -1 means never."),
    key("segment.bytes", Int, Text("1073741824"), Medium, Topic)
        .at_least(SEGMENT_BYTES_MIN)
        .acts()
        .doc(
            "Size at which a log starts a new segment. Unlike Kafka, Ringlog accepts values down \
            to 14.",
        ),
    key("segment.index.bytes", Int, Text("10485760"), Medium, Topic)
        .at_least(4)
        .acts()
        .doc("Maximum size of an offset index. A full index makes the segment roll."),
    key("segment.jitter.ms", Long, Text("0"), Medium, Topic).at_least(0).acts().doc(
        "Upper bound of the random time by which a segment rolls earlier, so that not all segments \
        roll at once.",
    ),
    key("segment.ms", Long, Text("604800000"), Medium, Topic)
        .at_least(1)
        .acts()
        .doc("Age at which a log starts a new segment, even if it is not full."),
    key("unclean.leader.election.enable", Boolean, Text("false"), Medium, Topic).doc(
        "Whether a replica that was not in sync can become leader when no other replica is left. \
        This loses records.",
    ),
];
