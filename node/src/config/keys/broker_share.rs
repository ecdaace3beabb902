//! Share groups. The share coordinator and the limits of share groups.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("group.share.enable", Boolean, Text("false"), Medium, ReadOnly)
        .internal()
        .doc("Whether the broker serves share groups."),
    key(
        "group.share.persister.class.name",
        String,
        Text("org.apache.kafka.server.share.persister.DefaultStatePersister"),
        Medium,
        ReadOnly,
    )
    .internal()
    .stored(JAVA_CLASS)
    .doc("Java class that stores the state of share groups."),
    key("group.share.assignors", List, Text("simple"), Medium, ReadOnly)
        .doc("Assignor of all share groups. Only one can be set. `simple` is built in."),
    key("group.share.max.size", Int, Text("200"), Medium, ReadOnly)
        .between(1, 1000)
        .doc("Maximum number of members of a share group."),
    key("group.share.max.share.sessions", Int, Text("2000"), Medium, ReadOnly).at_least(1).doc(
        "Maximum number of share sessions of a broker. Must be at least group.share.max.size.",
    ),
    key("group.share.delivery.count.limit", Int, Text("5"), Medium, ReadOnly)
        .between(2, 10)
        .doc("Maximum number of times that a record is delivered to a share group."),
    key("group.share.partition.max.record.locks", Int, Text("2000"), Medium, ReadOnly)
        .between(100, 10000)
        .doc(
            "Maximum number of records of a partition that a share group can hold locks on at \
            once.",
        ),
    key("group.share.session.timeout.ms", Int, Text("45000"), Medium, ReadOnly)
        .at_least(1)
        .doc("How long a member of a share group can go without a heartbeat before it is removed."),
    key("group.share.min.session.timeout.ms", Int, Text("45000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Lower bound of share.session.timeout.ms of a share group."),
    key("group.share.max.session.timeout.ms", Int, Text("60000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Upper bound of share.session.timeout.ms of a share group."),
    key("group.share.heartbeat.interval.ms", Int, Text("5000"), Medium, ReadOnly).at_least(1).doc(
        "Heartbeat interval of the members of share groups. The coordinator sends it to them.",
    ),
    key("group.share.min.heartbeat.interval.ms", Int, Text("5000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Lower bound of share.heartbeat.interval.ms of a share group."),
    key("group.share.max.heartbeat.interval.ms", Int, Text("15000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Upper bound of share.heartbeat.interval.ms of a share group."),
    key("group.share.record.lock.duration.ms", Int, Text("30000"), Medium, ReadOnly)
        .between(1000, 3600000)
        .doc(
            "How long a member can hold the lock on a record before the record is given to another \
            member.",
        ),
    key("group.share.min.record.lock.duration.ms", Int, Text("15000"), Medium, ReadOnly)
        .between(1000, 30000)
        .doc("Lower bound of share.record.lock.duration.ms of a share group."),
    key("group.share.max.record.lock.duration.ms", Int, Text("60000"), Medium, ReadOnly)
        .between(30000, 3600000)
        .doc("Upper bound of share.record.lock.duration.ms of a share group."),
    key("share.coordinator.threads", Int, Text("1"), Medium, ReadOnly)
        .at_least(1)
        .stored(SHARDS)
        .doc(
            "In Kafka, the number of threads of the share coordinator. Here the state of a share \
            partition belongs to one shard.",
        ),
    key("share.coordinator.append.linger.ms", Int, Text("5"), Medium, ReadOnly)
        .at_least(0)
        .doc("How long the share coordinator collects records before it writes them as one batch."),
    key("share.coordinator.write.timeout.ms", Int, Text("5000"), High, ReadOnly)
        .at_least(1)
        .doc("How long a write to the share state topic waits for its replicas."),
    key("share.coordinator.load.buffer.size", Int, Text("5242880"), High, ReadOnly)
        .at_least(1)
        .doc("Bytes per read while share state is loaded. A larger record is still read."),
    key(
        "share.coordinator.snapshot.update.records.per.snapshot",
        Int,
        Text("500"),
        Medium,
        ReadOnly,
    )
    .at_least(0)
    .doc("Number of updates between two full snapshots of a share partition's state."),
    key(
        "share.coordinator.cold.partition.snapshot.interval.ms",
        Int,
        Text("300000"),
        Low,
        ReadOnly,
    )
    .at_least(1)
    .internal()
    .doc(
        "How often a snapshot is written of share partitions without updates, so that old records \
        can be deleted.",
    ),
    key("share.coordinator.state.topic.num.partitions", Int, Text("50"), High, ReadOnly)
        .at_least(1)
        .doc(
            "Number of partitions of the share state topic. Do not change it once the topic \
            exists.",
        ),
    key("share.coordinator.state.topic.replication.factor", Short, Text("3"), High, ReadOnly)
        .at_least(1)
        .doc("Replication factor of the share state topic."),
    key("share.coordinator.state.topic.min.isr", Short, Text("2"), High, ReadOnly)
        .at_least(1)
        .doc("Minimum number of in-sync replicas for a write to the share state topic."),
    key("share.coordinator.state.topic.segment.bytes", Int, Text("104857600"), High, ReadOnly)
        .at_least(1)
        .doc("Segment size of the share state topic."),
    key("share.coordinator.state.topic.compression.codec", Int, Text("0"), High, ReadOnly).doc(
        "Compression codec of the share state topic, by its number in the protocol. 0 means no \
        compression.",
    ),
    key("share.coordinator.state.topic.prune.interval.ms", Int, Text("300000"), Low, ReadOnly)
        .at_least(1)
        .internal()
        .doc("How often records that are no longer needed are deleted from the share state topic."),
    key("share.fetch.purgatory.purge.interval.requests", Int, Text("1000"), Medium, ReadOnly)
        .stored(PURGATORY)
        .doc(
            "In Kafka, the number of completed share fetches that accumulate before they are \
            purged.",
        ),
];
