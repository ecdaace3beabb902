//! Logs. Directories, segments, retention and flushing; most keys are defaults that a topic
//! overrides.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("log.dirs", String, Null, High, ReadOnly)
        .acts()
        .doc("Directories of the logs, separated by commas. If it is not set, log.dir counts."),
    key("log.dir", String, Text("/tmp/kafka-logs"), High, ReadOnly)
        .acts()
        .doc("Directory of the logs, used if log.dirs is not set."),
    key("log.dir.failure.timeout.ms", Long, Text("30000"), Low, ReadOnly).at_least(1).doc(
        "A broker that cannot report a failed log directory to the controller for this \
        long stops.",
    ),
    key("num.recovery.threads.per.data.dir", Int, Text("2"), High, ClusterWide)
        .at_least(1)
        .stored(SHARDS)
        .doc("How many logs of a directory are recovered or closed at the same time."),
    key("num.partitions", Int, Text("1"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Partitions of a topic that is created without a count of its own."),
    key("auto.create.topics.enable", Boolean, Text("true"), High, ReadOnly).acts().doc(
        "Whether a topic is created when a client asks for its metadata and it does not \
        exist.",
    ),
    key("log.segment.bytes", Int, Text("1073741824"), High, ClusterWide)
        .at_least(SEGMENT_BYTES_MIN)
        .acts()
        .doc(
            "Size at which a log starts a new segment. Unlike Kafka, Ringlog accepts values \
            down to 14.",
        ),
    key("log.roll.ms", Long, Null, High, ClusterWide).acts().doc(
        "Age at which a log starts a new segment. If it is not set, log.roll.hours \
        counts.",
    ),
    key("log.roll.hours", Int, Text("168"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("As log.roll.ms, in hours; used if log.roll.ms is not set."),
    key("log.roll.jitter.ms", Long, Null, High, ClusterWide).acts().doc(
        "Random time of up to this much by which a segment is rolled earlier, so that not \
        all roll at once.",
    ),
    key("log.roll.jitter.hours", Int, Text("0"), High, ReadOnly)
        .at_least(0)
        .acts()
        .doc("As log.roll.jitter.ms, in hours; used if log.roll.jitter.ms is not set."),
    key("log.retention.ms", Long, Null, High, ClusterWide).acts().doc(
        "Age at which a segment is deleted; -1 keeps it for ever. If it is not set, \
        log.retention.minutes counts, then log.retention.hours.",
    ),
    key("log.retention.minutes", Int, Null, High, ReadOnly)
        .acts()
        .doc("As log.retention.ms, in minutes; used if log.retention.ms is not set."),
    key("log.retention.hours", Int, Text("168"), High, ReadOnly)
        .acts()
        .doc("As log.retention.ms, in hours; used if neither of the finer ones is set."),
    key("log.retention.bytes", Long, Text("-1"), High, ClusterWide).acts().doc(
        "Size of a partition above which its oldest segments are deleted; -1 means no \
        limit.",
    ),
    key("log.retention.check.interval.ms", Long, Text("300000"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("How often segments are checked for deletion."),
    key("log.cleanup.policy", List, Text("delete"), Medium, ClusterWide)
        .valid(Valid::ListOf(&["compact", "delete"]))
        .acts()
        .doc(
            "What happens to old segments: `delete`, `compact` (keep the last record per \
            key), or both.",
        ),
    key("log.index.size.max.bytes", Int, Text("10485760"), Medium, ClusterWide)
        .at_least(4)
        .acts()
        .doc("Largest size of an offset index. A full index makes the segment roll."),
    key("log.index.interval.bytes", Int, Text("4096"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc("Bytes of records between two entries of the offset index."),
    key("log.segment.delete.delay.ms", Long, Text("60000"), High, ClusterWide)
        .at_least(0)
        .acts()
        .doc("Pause between taking a segment out of the log and deleting its files."),
    key("log.preallocate", Boolean, Text("false"), Medium, ClusterWide)
        .acts()
        .doc("Whether a new segment's file gets its full size when it is created."),
    key("log.flush.interval.messages", Long, Text("9223372036854775807"), High, ClusterWide)
        .at_least(1)
        .acts()
        .doc("Records a partition may take before it is flushed to disk."),
    key("log.flush.interval.ms", Long, Null, High, ClusterWide).acts().doc(
        "Longest time a record waits before it is flushed to disk. If it is not set, \
        log.flush.scheduler.interval.ms counts.",
    ),
    key("log.flush.scheduler.interval.ms", Long, Text("9223372036854775807"), High, ReadOnly)
        .acts()
        .doc("How often logs are checked for a flush that is due by time."),
    key("log.flush.offset.checkpoint.interval.ms", Int, Text("60000"), High, ReadOnly)
        .at_least(0)
        .acts()
        .doc(
            "How often the recovery points are written, from which logs are checked after a \
            crash.",
        ),
    key("log.flush.start.offset.checkpoint.interval.ms", Int, Text("60000"), High, ReadOnly)
        .at_least(0)
        .acts()
        .doc("How often the log start offsets are written."),
    key("log.initial.task.delay.ms", Long, Text("30000"), Low, ReadOnly)
        .at_least(0)
        .internal()
        .acts()
        .doc("Pause before the periodic chores on logs begin after a start. Meant for tests."),
    key("log.message.timestamp.type", String, Text("CreateTime"), Medium, ClusterWide)
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .acts()
        .doc(
            "Whether a record keeps the time its producer gave it (`CreateTime`) or gets the \
            time of the append (`LogAppendTime`).",
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
        "How far a record's own time may lie in the past before it is refused. Not used \
        with LogAppendTime.",
    ),
    key("log.message.timestamp.after.max.ms", Long, Text("3600000"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc(
            "How far a record's own time may lie in the future before it is refused. Not used \
            with LogAppendTime.",
        ),
];
