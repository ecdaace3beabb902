//! Logs. Directories, segments, retention and flushing. Most keys are defaults that a topic can
//! override.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("log.dirs", String, Null, High, ReadOnly)
        .acts()
        .doc("Log directories, separated by commas. If it is not set, log.dir is used."),
    key("log.dir", String, Text("/tmp/kafka-logs"), High, ReadOnly)
        .acts()
        .doc("Log directory. It is used if log.dirs is not set."),
    key("log.dir.failure.timeout.ms", Long, Text("30000"), Low, ReadOnly).at_least(1).doc(
        "The broker stops if it cannot report a failed log directory to the controller for this \
        long.",
    ),
    key("num.recovery.threads.per.data.dir", Int, Text("2"), High, ClusterWide)
        .at_least(1)
        .stored(SHARDS)
        .doc("In Kafka, the number of threads per log directory that recover and close logs."),
    key("num.partitions", Int, Text("1"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Number of partitions of a new topic if the request does not specify it."),
    key("auto.create.topics.enable", Boolean, Text("true"), High, ReadOnly).acts().doc(
        "Whether the broker creates a topic that does not exist when a client requests its \
        metadata.",
    ),
    key("log.segment.bytes", Int, Text("1073741824"), High, ClusterWide)
        .at_least(SEGMENT_BYTES_MIN)
        .acts()
        .doc(
            "Size at which a log starts a new segment. Unlike Kafka, Ringlog accepts values down \
            to 14.",
        ),
    key("log.roll.ms", Long, Null, High, ClusterWide)
        .acts()
        .doc("Age at which a log starts a new segment. If it is not set, log.roll.hours is used."),
    key("log.roll.hours", Int, Text("168"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("The same as log.roll.ms, in hours. It is used if log.roll.ms is not set."),
    key("log.roll.jitter.ms", Long, Null, High, ClusterWide).acts().doc(
        "Upper bound of the random time by which a segment rolls earlier, so that not all segments \
        roll at once.",
    ),
    key("log.roll.jitter.hours", Int, Text("0"), High, ReadOnly).at_least(0).acts().doc(
        "The same as log.roll.jitter.ms, in hours. It is used if log.roll.jitter.ms is not set.",
    ),
    key("log.retention.ms", Long, Null, High, ClusterWide).acts().doc(
        "Age at which a segment is deleted. -1 means never. If it is not set, \
        log.retention.minutes is used, then log.retention.hours.",
    ),
    key("log.retention.minutes", Int, Null, High, ReadOnly).acts().doc(
        "The same as log.retention.ms, in minutes. It is used if log.retention.ms is not set.",
    ),
    key("log.retention.hours", Int, Text("168"), High, ReadOnly).acts().doc(
        "The same as log.retention.ms, in hours. It is used if neither log.retention.ms nor \
        log.retention.minutes is set.",
    ),
    key("log.retention.bytes", Long, Text("-1"), High, ClusterWide)
        .acts()
        .doc("Size of a partition above which its oldest segments are deleted. -1 means no limit."),
    key("log.retention.check.interval.ms", Long, Text("300000"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("How often the broker looks for segments to delete."),
    key("log.cleanup.policy", List, Text("delete"), Medium, ClusterWide)
        .valid(Valid::ListOf(&["compact", "delete"]))
        .acts()
        .doc(
            "What happens to old segments: `delete` deletes them, `compact` keeps the last record \
            of each key. Both can be set.",
        ),
    key("log.index.size.max.bytes", Int, Text("10485760"), Medium, ClusterWide)
        .at_least(4)
        .acts()
        .doc("Maximum size of an offset index. A full index makes the segment roll."),
    key("log.index.interval.bytes", Int, Text("4096"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc("Number of bytes of records between two entries of the offset index."),
    key("log.segment.delete.delay.ms", Long, Text("60000"), High, ClusterWide)
        .at_least(0)
        .acts()
        .doc(
            "How long the files of a segment stay on disk after the segment is removed from the \
            log.",
        ),
    key("log.preallocate", Boolean, Text("false"), Medium, ClusterWide)
        .acts()
        .doc("Whether the file of a new segment is created with its full size."),
    key("log.flush.interval.messages", Long, Text("9223372036854775807"), High, ClusterWide)
        .at_least(1)
        .acts()
        .doc("Number of unflushed records at which a partition is flushed to disk."),
    key("log.flush.interval.ms", Long, Null, High, ClusterWide).acts().doc(
        "Maximum time before a record is flushed to disk. If it is not set, \
        log.flush.scheduler.interval.ms is used.",
    ),
    key("log.flush.scheduler.interval.ms", Long, Text("9223372036854775807"), High, ReadOnly)
        .acts()
        .doc("How often the broker looks for logs whose flush is due by time."),
    key("log.flush.offset.checkpoint.interval.ms", Int, Text("60000"), High, ReadOnly)
        .at_least(0)
        .acts()
        .doc(
            "How often the broker writes the recovery points. After a crash, a log is checked from \
            its recovery point on.",
        ),
    key("log.flush.start.offset.checkpoint.interval.ms", Int, Text("60000"), High, ReadOnly)
        .at_least(0)
        .acts()
        .doc("How often the broker writes the log start offsets to disk."),
    key("log.initial.task.delay.ms", Long, Text("30000"), Low, ReadOnly)
        .at_least(0)
        .internal()
        .acts()
        .doc("Delay after start before the periodic tasks of logs begin. Meant for tests."),
    key("log.message.timestamp.type", String, Text("CreateTime"), Medium, ClusterWide)
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .acts()
        .doc(
            "Timestamp of a record: the one from its producer (`CreateTime`) or the time of the \
            append (`LogAppendTime`).",
        ),
    key(
        "log.message.timestamp.before.max.ms",
        Long,
        Text("9223372036854775807"),
        Medium,
        ClusterWide,
    )
    .at_least(0)
    .acts()
    .doc(
        "How far a record's own timestamp can lie in the past. Older records are rejected. Not \
        used with LogAppendTime.",
    ),
    key("log.message.timestamp.after.max.ms", Long, Text("3600000"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc(
            "How far a record's own timestamp can lie in the future. Records beyond it are \
            rejected. Not used with LogAppendTime.",
        ),
];
