//! Log cleaner. Compaction of logs whose cleanup policy includes `compact`.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("log.cleaner.enable", Boolean, Text("true"), Medium, ReadOnly).acts().doc(
        "Whether compacted topics are compacted. Deprecated: with `false`, the internal topics \
        grow without limit.",
    ),
    key("log.cleaner.threads", Int, Text("1"), Medium, ClusterWide).at_least(0).stored(SHARDS).doc(
        "In Kafka, the number of threads that compact logs. Here each shard compacts its own logs.",
    ),
    key(
        "log.cleaner.io.max.bytes.per.second",
        Double,
        Text("1.7976931348623157E308"),
        Medium,
        ClusterWide,
    )
    .acts()
    .doc("Average rate of reads and writes above which compaction is throttled."),
    key("log.cleaner.dedupe.buffer.size", Long, Text("134217728"), Medium, ClusterWide)
        .acts()
        .doc("Memory for the offset maps (from key to offset) of all compactions together."),
    key("log.cleaner.io.buffer.size", Int, Text("524288"), Medium, ClusterWide)
        .at_least(0)
        .doc("Memory for the read and write buffers of all compactions together."),
    key("log.cleaner.io.buffer.load.factor", Double, Text("0.9"), Medium, ClusterWide).acts().doc(
        "How full an offset map may get. A higher value compacts more of a log per round but \
        causes more hash collisions.",
    ),
    key("log.cleaner.backoff.ms", Long, Text("15000"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc("Pause before the next check if no log needs compaction."),
    key("log.cleaner.min.cleanable.ratio", Double, Text("0.5"), Medium, ClusterWide)
        .between(0, 1)
        .acts()
        .doc("A log is compacted when the uncompacted share of its bytes exceeds this ratio."),
    key("log.cleaner.delete.retention.ms", Long, Text("86400000"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc(
            "How long tombstones and transaction markers are kept after compaction. A consumer \
            that starts at the beginning of the log has this long to read them.",
        ),
    key("log.cleaner.min.compaction.lag.ms", Long, Text("0"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc("Minimum age of a record before it can be compacted."),
    key(
        "log.cleaner.max.compaction.lag.ms",
        Long,
        Text("9223372036854775807"),
        Medium,
        ClusterWide,
    )
    .at_least(1)
    .acts()
    .doc(
        "Maximum age of an uncompacted record. An older record makes its log due for compaction, \
        whatever the ratio.",
    ),
];
