//! Log cleaner. Compaction of logs whose cleanup policy says so.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("log.cleaner.enable", Boolean, Text("true"), Medium, ReadOnly).acts().doc(
        "Whether compacted logs are compacted at all. Deprecated: without it, internal \
        topics grow for ever.",
    ),
    key("log.cleaner.threads", Int, Text("1"), Medium, ClusterWide)
        .at_least(0)
        .stored(SHARDS)
        .doc("How many logs are compacted at the same time."),
    key(
        "log.cleaner.io.max.bytes.per.second",
        Double,
        Text("1.7976931348623157E308"),
        Medium,
        ClusterWide,
    )
    .acts()
    .doc("Average rate above which reading and writing for compaction is slowed down."),
    key("log.cleaner.dedupe.buffer.size", Long, Text("134217728"), Medium, ClusterWide)
        .acts()
        .doc("Memory for the maps of keys to offsets, over all compactions together."),
    key("log.cleaner.io.buffer.size", Int, Text("524288"), Medium, ClusterWide)
        .at_least(0)
        .doc("Memory for reading and writing while compacting, over all compactions together."),
    key("log.cleaner.io.buffer.load.factor", Double, Text("0.9"), Medium, ClusterWide).acts().doc(
        "How full a map of keys may get. More cleans more at once but costs more \
        collisions.",
    ),
    key("log.cleaner.backoff.ms", Long, Text("15000"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc("Pause before looking again when no log needed compaction."),
    key("log.cleaner.min.cleanable.ratio", Double, Text("0.5"), Medium, ClusterWide)
        .between(0, 1)
        .acts()
        .doc(
            "Share of a log's bytes that must not have been compacted yet before it is \
            compacted.",
        ),
    key("log.cleaner.delete.retention.ms", Long, Text("86400000"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc(
            "How long tombstones and transaction markers stay after compaction, which is how \
            long a consumer that started at the beginning has to see them.",
        ),
    key("log.cleaner.min.compaction.lag.ms", Long, Text("0"), Medium, ClusterWide)
        .at_least(0)
        .acts()
        .doc("Age a record must reach before it may be compacted."),
    key(
        "log.cleaner.max.compaction.lag.ms",
        Long,
        Text("9223372036854775807"),
        Medium,
        ClusterWide,
    )
    .at_least(1)
    .acts()
    .doc("Age at which a record makes its log due for compaction, whatever the ratio."),
];
