//! Tiered storage. Keys of Kafka's remote log storage, whose plugins are Java classes.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("remote.log.storage.system.enable", Boolean, Text("false"), Medium, ReadOnly).doc(
        "Whether segments may be copied to remote storage. Without it, topics cannot ask \
        for it.",
    ),
    key("remote.log.storage.manager.class.name", String, Null, Medium, ReadOnly)
        .valid(Valid::NonEmpty)
        .stored(JAVA_CLASS)
        .doc("Java class that stores segments remotely."),
    key("remote.log.storage.manager.class.path", String, Null, Medium, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Where remote.log.storage.manager.class.name is loaded from."),
    key("remote.log.storage.manager.impl.prefix", String, Text("rsm.config."), Medium, ReadOnly)
        .valid(Valid::NonEmpty)
        .doc("Prefix of the keys that are handed to the remote storage plugin."),
    key(
        "remote.log.metadata.manager.class.name",
        String,
        Text(concat!(
            "org.apache.kafka.server.log.remote.metadata.storage.",
            "TopicBasedRemoteLogMetadataManager"
        )),
        Medium,
        ReadOnly,
    )
    .valid(Valid::NonEmpty)
    .stored(JAVA_CLASS)
    .doc("Java class that keeps track of remote segments."),
    key("remote.log.metadata.manager.class.path", String, Null, Medium, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Where remote.log.metadata.manager.class.name is loaded from."),
    key("remote.log.metadata.manager.impl.prefix", String, Text("rlmm.config."), Medium, ReadOnly)
        .valid(Valid::NonEmpty)
        .doc("Prefix of the keys that are handed to the remote metadata plugin."),
    key("remote.log.metadata.manager.listener.name", String, Null, Medium, ReadOnly)
        .valid(Valid::NonEmpty)
        .doc("Listener over which the remote metadata plugin connects to the brokers."),
    key("remote.log.metadata.custom.metadata.max.bytes", Int, Text("128"), Low, ReadOnly)
        .at_least(0)
        .doc("Largest note the storage plugin may attach to a segment."),
    key("remote.log.index.file.cache.total.size.bytes", Long, Text("1073741824"), Low, ClusterWide)
        .at_least(1)
        .doc("Disk space for indexes of remote segments that are kept locally."),
    key("remote.log.manager.thread.pool.size", Int, Text("2"), Medium, ReadOnly)
        .at_least(1)
        .doc("Threads that follow partitions to see what must be copied or deleted remotely."),
    key("remote.log.manager.copier.thread.pool.size", Int, Text("10"), Medium, ClusterWide)
        .at_least(1)
        .doc("Threads that copy segments to remote storage."),
    key("remote.log.manager.expiration.thread.pool.size", Int, Text("10"), Medium, ClusterWide)
        .at_least(1)
        .doc("Threads that delete expired segments from remote storage."),
    key("remote.log.manager.task.interval.ms", Long, Text("30000"), Low, ReadOnly)
        .at_least(1)
        .doc("How often it is checked what must be copied or deleted remotely."),
    key("remote.log.manager.task.retry.backoff.ms", Long, Text("500"), Low, ReadOnly)
        .at_least(1)
        .internal()
        .doc("First pause before a failed remote request is repeated."),
    key("remote.log.manager.task.retry.backoff.max.ms", Long, Text("30000"), Low, ReadOnly)
        .at_least(1)
        .internal()
        .doc("Upper bound of the pause before a failed remote request is repeated."),
    key("remote.log.manager.task.retry.jitter", Double, Text("0.2"), Low, ReadOnly)
        .valid(Valid::Range { min: Some(Bound::Int(0)), max: Some(Bound::Real(0.5)) })
        .internal()
        .doc("Random share by which the pause before a repeated remote request varies."),
    key("remote.log.reader.threads", Int, Text("10"), Medium, ClusterWide)
        .at_least(1)
        .doc("Threads that read from remote storage."),
    key("remote.log.reader.max.pending.tasks", Int, Text("100"), Medium, ReadOnly)
        .at_least(1)
        .doc("Reads from remote storage that may wait. Further ones are refused."),
    key(
        "remote.log.manager.copy.max.bytes.per.second",
        Long,
        Text("9223372036854775807"),
        Medium,
        ClusterWide,
    )
    .at_least(1)
    .doc("Rate limit of copying to remote storage."),
    key("remote.log.manager.copy.quota.window.num", Int, Text("11"), Medium, ReadOnly)
        .at_least(1)
        .doc("Samples kept to measure copying to remote storage."),
    key("remote.log.manager.copy.quota.window.size.seconds", Int, Text("1"), Medium, ReadOnly)
        .at_least(1)
        .doc("Length of one sample of copying to remote storage."),
    key(
        "remote.log.manager.fetch.max.bytes.per.second",
        Long,
        Text("9223372036854775807"),
        Medium,
        ClusterWide,
    )
    .at_least(1)
    .doc("Rate limit of reading from remote storage."),
    key("remote.log.manager.fetch.quota.window.num", Int, Text("11"), Medium, ReadOnly)
        .at_least(1)
        .doc("Samples kept to measure reading from remote storage."),
    key("remote.log.manager.fetch.quota.window.size.seconds", Int, Text("1"), Medium, ReadOnly)
        .at_least(1)
        .doc("Length of one sample of reading from remote storage."),
    key("remote.fetch.max.wait.ms", Int, Text("500"), Medium, ClusterWide)
        .at_least(1)
        .doc("How long a Fetch waits for data from remote storage."),
    key("remote.list.offsets.request.timeout.ms", Long, Text("30000"), Medium, ClusterWide)
        .at_least(1)
        .doc("How long ListOffsets waits for an answer from remote storage."),
    key("log.local.retention.ms", Long, Text("-2"), Medium, ClusterWide).at_least(-2).doc(
        "Age at which a copied segment is deleted locally; -2 means the full retention \
        time.",
    ),
    key("log.local.retention.bytes", Long, Text("-2"), Medium, ClusterWide).at_least(-2).doc(
        "Local size above which copied segments are deleted; -2 means the full retention \
        size.",
    ),
];
