//! Tiered storage. Kafka's remote log storage. Its plugins are Java classes.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("remote.log.storage.system.enable", Boolean, Text("false"), Medium, ReadOnly).doc(
        "Whether the broker can copy segments to remote storage. If it is `false`, topics cannot \
        enable remote storage.",
    ),
    key("remote.log.storage.manager.class.name", String, Null, Medium, ReadOnly)
        .valid(Valid::NonEmpty)
        .stored(JAVA_CLASS)
        .doc("Java class that stores segments in remote storage."),
    key("remote.log.storage.manager.class.path", String, Null, Medium, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Class path of remote.log.storage.manager.class.name."),
    key("remote.log.storage.manager.impl.prefix", String, Text("rsm.config."), Medium, ReadOnly)
        .valid(Valid::NonEmpty)
        .doc("Prefix of the keys that are passed to the remote storage plugin."),
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
    .doc("Java class that keeps the metadata of remote segments."),
    key("remote.log.metadata.manager.class.path", String, Null, Medium, ReadOnly)
        .stored(JAVA_CLASS)
        .doc("Class path of remote.log.metadata.manager.class.name."),
    key("remote.log.metadata.manager.impl.prefix", String, Text("rlmm.config."), Medium, ReadOnly)
        .valid(Valid::NonEmpty)
        .doc("Prefix of the keys that are passed to the remote metadata plugin."),
    key("remote.log.metadata.manager.listener.name", String, Null, Medium, ReadOnly)
        .valid(Valid::NonEmpty)
        .doc("Listener through which the remote metadata plugin connects to the brokers."),
    key("remote.log.metadata.custom.metadata.max.bytes", Int, Text("128"), Low, ReadOnly)
        .at_least(0)
        .doc(
            "Maximum size of the custom metadata that the storage plugin can attach to a segment.",
        ),
    key("remote.log.index.file.cache.total.size.bytes", Long, Text("1073741824"), Low, ClusterWide)
        .at_least(1)
        .doc("Disk space for the local cache of indexes of remote segments."),
    key("remote.log.manager.thread.pool.size", Int, Text("2"), Medium, ReadOnly).at_least(1).doc(
        "Number of threads that check partitions for segments to copy to remote storage or to \
        delete there.",
    ),
    key("remote.log.manager.copier.thread.pool.size", Int, Text("10"), Medium, ClusterWide)
        .at_least(1)
        .doc("Number of threads that copy segments to remote storage."),
    key("remote.log.manager.expiration.thread.pool.size", Int, Text("10"), Medium, ClusterWide)
        .at_least(1)
        .doc("Number of threads that delete expired segments from remote storage."),
    key("remote.log.manager.task.interval.ms", Long, Text("30000"), Low, ReadOnly).at_least(1).doc(
        "How often partitions are checked for segments to copy to remote storage or to delete \
        there.",
    ),
    key("remote.log.manager.task.retry.backoff.ms", Long, Text("500"), Low, ReadOnly)
        .at_least(1)
        .internal()
        .doc("First pause before a failed request to remote storage is retried."),
    key("remote.log.manager.task.retry.backoff.max.ms", Long, Text("30000"), Low, ReadOnly)
        .at_least(1)
        .internal()
        .doc("Upper bound of the pause before a failed request to remote storage is retried."),
    key("remote.log.manager.task.retry.jitter", Double, Text("0.2"), Low, ReadOnly)
        .valid(Valid::Range { min: Some(Bound::Int(0)), max: Some(Bound::Real(0.5)) })
        .internal()
        .doc("Random fraction by which the pause before a retry varies."),
    key("remote.log.reader.threads", Int, Text("10"), Medium, ClusterWide)
        .at_least(1)
        .doc("Number of threads that read from remote storage."),
    key("remote.log.reader.max.pending.tasks", Int, Text("100"), Medium, ReadOnly).at_least(1).doc(
        "Maximum number of reads from remote storage that can wait. Further reads are rejected.",
    ),
    key(
        "remote.log.manager.copy.max.bytes.per.second",
        Long,
        Text("9223372036854775807"),
        Medium,
        ClusterWide,
    )
    .at_least(1)
    .doc("Maximum rate of copying to remote storage."),
    key("remote.log.manager.copy.quota.window.num", Int, Text("11"), Medium, ReadOnly)
        .at_least(1)
        .doc("Number of samples from which the rate of copying to remote storage is measured."),
    key("remote.log.manager.copy.quota.window.size.seconds", Int, Text("1"), Medium, ReadOnly)
        .at_least(1)
        .doc("Length of one sample of the rate of copying to remote storage."),
    key(
        "remote.log.manager.fetch.max.bytes.per.second",
        Long,
        Text("9223372036854775807"),
        Medium,
        ClusterWide,
    )
    .at_least(1)
    .doc("Maximum rate of reading from remote storage."),
    key("remote.log.manager.fetch.quota.window.num", Int, Text("11"), Medium, ReadOnly)
        .at_least(1)
        .doc("Number of samples from which the rate of reading from remote storage is measured."),
    key("remote.log.manager.fetch.quota.window.size.seconds", Int, Text("1"), Medium, ReadOnly)
        .at_least(1)
        .doc("Length of one sample of the rate of reading from remote storage."),
    key("remote.fetch.max.wait.ms", Int, Text("500"), Medium, ClusterWide)
        .at_least(1)
        .doc("How long a Fetch waits for data from remote storage."),
    key("remote.list.offsets.request.timeout.ms", Long, Text("30000"), Medium, ClusterWide)
        .at_least(1)
        .doc("How long ListOffsets waits for a response from remote storage."),
    key("log.local.retention.ms", Long, Text("-2"), Medium, ClusterWide).at_least(-2).doc(
        "Age at which the local copy of a segment in remote storage is deleted. -2 means the full \
        retention time.",
    ),
    key("log.local.retention.bytes", Long, Text("-2"), Medium, ClusterWide).at_least(-2).doc(
        "Local size of a partition above which segments that are in remote storage are deleted \
        locally. -2 means the full retention size.",
    ),
];
