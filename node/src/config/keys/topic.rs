//! Topic configs. Keys of a topic. Each falls back to the broker key that is named as its
//! default.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("cleanup.policy", List, Text("delete"), Medium, Topic)
        .valid(Valid::ListOf(&["compact", "delete"]))
        .acts()
        .doc(
            "What happens to old segments: `delete`, `compact` (keep the last record per \
            key), or both.",
        ),
    key("compression.type", String, Text("producer"), Medium, Topic)
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .doc(
            "How batches are stored: as the producer sent them (`producer`), uncompressed, or \
            recompressed with one codec.",
        ),
    key("compression.gzip.level", Int, Text("-1"), Medium, Topic).valid(Valid::GzipLevel).doc(
        "Level used when the broker compresses with gzip: 1 (fast) to 9 (small), or -1 \
        for the library's default.",
    ),
    key("compression.lz4.level", Int, Text("9"), Medium, Topic)
        .between(1, 17)
        .doc("Level used when the broker compresses with lz4: 1 (fast) to 17 (small)."),
    key("compression.zstd.level", Int, Text("3"), Medium, Topic).between(-131072, 22).doc(
        "Level used when the broker compresses with zstd. Negative levels trade size for \
        speed.",
    ),
    key("delete.retention.ms", Long, Text("86400000"), Medium, Topic).at_least(0).acts().doc(
        "How long tombstones and transaction markers stay after compaction, which is how \
        long a consumer that started at the beginning has to see them.",
    ),
    key("file.delete.delay.ms", Long, Text("60000"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc("Pause between taking a segment out of the log and deleting its files."),
    key("flush.messages", Long, Text("9223372036854775807"), Medium, Topic)
        .at_least(1)
        .acts()
        .doc("Records a partition may take before it is flushed to disk."),
    key("flush.ms", Long, Text("9223372036854775807"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc("Longest time a record waits before it is flushed to disk."),
    key("follower.replication.throttled.replicas", List, Text(""), Medium, Topic)
        .valid(Valid::ThrottledReplicas)
        .doc(
            "Replicas whose fetching is throttled, as `partition:broker` separated by commas, \
            or `*` for all.",
        ),
    key("index.interval.bytes", Int, Text("4096"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc("Bytes of records between two entries of the offset index."),
    key("internal.segment.bytes", Int, Null, Medium, Topic).internal().acts().doc(
        "Segment size without Kafka's lower bound. Ringlog keeps a segment.bytes below 1 \
        MiB under this name, and shows it as segment.bytes.",
    ),
    key("leader.replication.throttled.replicas", List, Text(""), Medium, Topic)
        .valid(Valid::ThrottledReplicas)
        .doc(
            "Replicas whose leaders throttle sending, as `partition:broker` separated by \
            commas, or `*` for all.",
        ),
    key("local.retention.bytes", Long, Text("-2"), Medium, Topic).at_least(-2).doc(
        "Local size above which segments that were copied to remote storage are deleted; \
        -2 means retention.bytes.",
    ),
    key("local.retention.ms", Long, Text("-2"), Medium, Topic).at_least(-2).doc(
        "Age at which segments that were copied to remote storage are deleted locally; -2 \
        means retention.ms.",
    ),
    key("max.compaction.lag.ms", Long, Text("9223372036854775807"), Medium, Topic)
        .at_least(1)
        .acts()
        .doc("Age at which a record makes its log due for compaction, whatever the ratio."),
    key("max.message.bytes", Int, Text("1048588"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc("Largest record batch accepted from a producer, after compression."),
    key("message.timestamp.after.max.ms", Long, Text("3600000"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc(
            "How far a record's own time may lie in the future before it is refused. Not used \
        with LogAppendTime.",
        ),
    key("message.timestamp.before.max.ms", Long, Text("9223372036854775807"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc(
            "How far a record's own time may lie in the past before it is refused. Not used \
            with LogAppendTime.",
        ),
    key("message.timestamp.type", String, Text("CreateTime"), Medium, Topic)
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .acts()
        .doc(
            "Whether a record keeps the time its producer gave it (`CreateTime`) or gets the \
            time of the append (`LogAppendTime`).",
        ),
    key("min.cleanable.dirty.ratio", Double, Text("0.5"), Medium, Topic).between(0, 1).acts().doc(
        "Share of a log's bytes that must not have been compacted yet before it is \
        compacted.",
    ),
    key("min.compaction.lag.ms", Long, Text("0"), Medium, Topic)
        .at_least(0)
        .acts()
        .doc("Age a record must reach before it may be compacted."),
    key("min.insync.replicas", Int, Text("1"), Medium, Topic)
        .at_least(1)
        .acts()
        .doc("Replicas that must be in sync for a write with acks=all to be accepted."),
    key("preallocate", Boolean, Text("false"), Medium, Topic)
        .acts()
        .doc("Whether a new segment's file gets its full size when it is created."),
    key("remote.log.copy.disable", Boolean, Text("false"), Medium, Topic)
        .doc("Whether copying to remote storage is stopped; what is there can still be read."),
    key("remote.log.delete.on.disable", Boolean, Text("false"), Medium, Topic)
        .doc("Whether switching remote storage off for the topic deletes what is stored there."),
    key("remote.storage.enable", Boolean, Text("false"), Medium, Topic)
        .doc("Whether segments are copied to remote storage."),
    key("retention.bytes", Long, Text("-1"), Medium, Topic).acts().doc(
        "Size of a partition above which its oldest segments are deleted; -1 means no \
        limit.",
    ),
    key("retention.ms", Long, Text("604800000"), Medium, Topic)
        .at_least(-1)
        .acts()
        .doc("Age at which a segment is deleted; -1 keeps it for ever."),
    key("segment.bytes", Int, Text("1073741824"), Medium, Topic)
        .at_least(SEGMENT_BYTES_MIN)
        .acts()
        .doc(
            "Size at which a log starts a new segment. Unlike Kafka, Ringlog accepts values \
        down to 14.",
        ),
    key("segment.index.bytes", Int, Text("10485760"), Medium, Topic)
        .at_least(4)
        .acts()
        .doc("Largest size of an offset index. A full index makes the segment roll."),
    key("segment.jitter.ms", Long, Text("0"), Medium, Topic).at_least(0).acts().doc(
        "Random time of up to this much by which a segment is rolled earlier, so that not \
        all roll at once.",
    ),
    key("segment.ms", Long, Text("604800000"), Medium, Topic)
        .at_least(1)
        .acts()
        .doc("Age at which a log starts a new segment, even if it is not full."),
    key("unclean.leader.election.enable", Boolean, Text("false"), Medium, Topic).doc(
        "Whether a replica that was not in sync may become leader when no other is left, \
        which loses records.",
    ),
];
