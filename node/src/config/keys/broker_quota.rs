//! Quotas, metrics and telemetry. Samples from which rates are measured, limits on replication
//! traffic, and metrics.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("quota.window.num", Int, Text("11"), Low, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Number of samples from which a client's rate is measured against a quota."),
    key("quota.window.size.seconds", Int, Text("1"), Low, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Length of one sample of a client's rate."),
    key("replication.quota.window.num", Int, Text("11"), Low, ReadOnly)
        .at_least(1)
        .doc("Number of samples from which the rate of throttled replication is measured."),
    key("replication.quota.window.size.seconds", Int, Text("1"), Low, ReadOnly)
        .at_least(1)
        .doc("Length of one sample of the rate of throttled replication."),
    key("alter.log.dirs.replication.quota.window.num", Int, Text("11"), Low, ReadOnly)
        .at_least(1)
        .doc("Number of samples from which the rate of moves between log directories is measured."),
    key("alter.log.dirs.replication.quota.window.size.seconds", Int, Text("1"), Low, ReadOnly)
        .at_least(1)
        .doc("Length of one sample of the rate of moves between log directories."),
    key("controller.quota.window.num", Int, Text("11"), Low, ReadOnly).at_least(1).doc(
        "Number of samples from which the rate of changes to topics and partitions is measured.",
    ),
    key("controller.quota.window.size.seconds", Int, Text("1"), Low, ReadOnly)
        .at_least(1)
        .doc("Length of one sample of the rate of changes to topics and partitions."),
    key("client.quota.callback.class", Class, Null, Low, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that determines quotas in place of the configured ones."),
    key(
        "leader.replication.throttled.rate",
        Long,
        Text("9223372036854775807"),
        Medium,
        DynamicOnly,
    )
    .at_least(0)
    .doc(
        "Maximum number of bytes per second that a leader sends for the replicas in \
        leader.replication.throttled.replicas. Cannot be set in the file.",
    ),
    key(
        "follower.replication.throttled.rate",
        Long,
        Text("9223372036854775807"),
        Medium,
        DynamicOnly,
    )
    .at_least(0)
    .doc(
        "Maximum number of bytes per second that a follower fetches for the replicas in \
        follower.replication.throttled.replicas. Cannot be set in the file.",
    ),
    key(
        "replica.alter.log.dirs.io.max.bytes.per.second",
        Long,
        Text("9223372036854775807"),
        Medium,
        DynamicOnly,
    )
    .at_least(0)
    .doc(
        "Maximum number of bytes per second for moves of replicas between log directories of this \
        broker. Cannot be set in the file.",
    ),
    key(
        "metric.reporters",
        List,
        Text("org.apache.kafka.common.metrics.JmxReporter"),
        Low,
        ClusterWide,
    )
    .stored(JAVA_CLASS)
    .doc(
        "Java classes that export metrics. Ringlog serves its metrics on \
            ringlog.http.listener.",
    ),
    key("metrics.num.samples", Int, Text("2"), Low, ReadOnly)
        .at_least(1)
        .doc("Number of samples from which a metric's rate or average is computed."),
    key("metrics.sample.window.ms", Long, Text("30000"), Low, ReadOnly)
        .at_least(1)
        .doc("Length of one sample of a metric."),
    key("metrics.recording.level", String, Text("INFO"), Low, ReadOnly)
        .doc("Level of detail of the recorded metrics."),
    key("kafka.metrics.reporters", List, Text(""), Low, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java classes that export Yammer metrics."),
    key("kafka.metrics.polling.interval.secs", Int, Text("10"), Low, ReadOnly)
        .at_least(1)
        .stored(JAVA_CLASS)
        .doc("Polling interval of the classes in kafka.metrics.reporters."),
    key("telemetry.max.bytes", Int, Text("1048576"), Low, ReadOnly)
        .at_least(1)
        .doc("Maximum size of the metrics that a client can push at once."),
];
