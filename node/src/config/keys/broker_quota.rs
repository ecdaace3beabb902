//! Quotas, metrics and telemetry. Windows over which rates are measured, limits on replication
//! traffic, and metrics.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("quota.window.num", Int, Text("11"), Low, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Samples kept per client to measure its rate against a quota."),
    key("quota.window.size.seconds", Int, Text("1"), Low, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Length of one sample of a client's rate."),
    key("replication.quota.window.num", Int, Text("11"), Low, ReadOnly)
        .at_least(1)
        .doc("Samples kept to measure throttled replication."),
    key("replication.quota.window.size.seconds", Int, Text("1"), Low, ReadOnly)
        .at_least(1)
        .doc("Length of one sample of throttled replication."),
    key("alter.log.dirs.replication.quota.window.num", Int, Text("11"), Low, ReadOnly)
        .at_least(1)
        .doc("Samples kept to measure moves between log directories."),
    key("alter.log.dirs.replication.quota.window.size.seconds", Int, Text("1"), Low, ReadOnly)
        .at_least(1)
        .doc("Length of one sample of moves between log directories."),
    key("controller.quota.window.num", Int, Text("11"), Low, ReadOnly)
        .at_least(1)
        .doc("Samples kept to measure changes of topics and partitions."),
    key("controller.quota.window.size.seconds", Int, Text("1"), Low, ReadOnly)
        .at_least(1)
        .doc("Length of one sample of changes of topics and partitions."),
    key("client.quota.callback.class", Class, Null, Low, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java class that decides quotas instead of the configured ones."),
    key(
        "leader.replication.throttled.rate",
        Long,
        Text("9223372036854775807"),
        Medium,
        DynamicOnly,
    )
    .at_least(0)
    .doc(
        "Bytes per second that leaders send for the replicas in \
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
        "Bytes per second that followers fetch for the replicas in \
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
        "Bytes per second for moving replicas between log directories of this broker. \
        Cannot be set in the file.",
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
        "Java classes that carry metrics elsewhere. Ringlog serves its metrics on \
        ringlog.http.listener.",
    ),
    key("metrics.num.samples", Int, Text("2"), Low, ReadOnly)
        .at_least(1)
        .doc("Samples kept to compute a metric that is a rate or an average."),
    key("metrics.sample.window.ms", Long, Text("30000"), Low, ReadOnly)
        .at_least(1)
        .doc("Length of one sample of a metric."),
    key("metrics.recording.level", String, Text("INFO"), Low, ReadOnly)
        .doc("How detailed the recorded metrics are."),
    key("kafka.metrics.reporters", List, Text(""), Low, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Java classes that carry Yammer metrics elsewhere."),
    key("kafka.metrics.polling.interval.secs", Int, Text("10"), Low, ReadOnly)
        .at_least(1)
        .stored(JAVA_CLASS)
        .doc("Polling interval of the classes in kafka.metrics.reporters."),
    key("telemetry.max.bytes", Int, Text("1048576"), Low, ReadOnly)
        .at_least(1)
        .doc("Largest set of metrics a client may push."),
];
