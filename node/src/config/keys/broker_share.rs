//! Share groups. The share coordinator and the limits of share groups.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("group.share.enable", Boolean, Text("false"), Medium, ReadOnly)
        .internal()
        .doc("Whether share groups are served."),
    key(
        "group.share.persister.class.name",
        String,
        Text("org.apache.kafka.server.share.persister.DefaultStatePersister"),
        Medium,
        ReadOnly,
    )
    .internal()
    .stored(JAVA_CLASS)
    .doc("Java class that keeps the state of share groups."),
    key("group.share.assignors", List, Text("simple"), Medium, ReadOnly)
        .doc("The one assignor of all share groups. Built in is `simple`."),
    key("group.share.max.size", Int, Text("200"), Medium, ReadOnly)
        .between(1, 1000)
        .doc("Most members of a share group."),
    key("group.share.max.share.sessions", Int, Text("2000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Most share sessions a broker keeps. At least group.share.max.size."),
    key("group.share.delivery.count.limit", Int, Text("5"), Medium, ReadOnly)
        .between(2, 10)
        .doc("How often a record is delivered to a share group before it is given up."),
    key("group.share.partition.max.record.locks", Int, Text("2000"), Medium, ReadOnly)
        .between(100, 10000)
        .doc("Most records of a partition that a share group may have out at once."),
    key("group.share.session.timeout.ms", Int, Text("45000"), Medium, ReadOnly)
        .at_least(1)
        .doc("How long a member of a share group may be silent before it is removed."),
    key("group.share.min.session.timeout.ms", Int, Text("45000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Lower bound of a share group's own session timeout."),
    key("group.share.max.session.timeout.ms", Int, Text("60000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Upper bound of a share group's own session timeout."),
    key("group.share.heartbeat.interval.ms", Int, Text("5000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Heartbeat interval that members of a share group are told."),
    key("group.share.min.heartbeat.interval.ms", Int, Text("5000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Lower bound of a share group's own heartbeat interval."),
    key("group.share.max.heartbeat.interval.ms", Int, Text("15000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Upper bound of a share group's own heartbeat interval."),
    key("group.share.record.lock.duration.ms", Int, Text("30000"), Medium, ReadOnly)
        .between(1000, 3600000)
        .doc("How long a member may hold a record before it is given to another."),
    key("group.share.min.record.lock.duration.ms", Int, Text("15000"), Medium, ReadOnly)
        .between(1000, 30000)
        .doc("Lower bound of a share group's own record lock duration."),
    key("group.share.max.record.lock.duration.ms", Int, Text("60000"), Medium, ReadOnly)
        .between(30000, 3600000)
        .doc("Upper bound of a share group's own record lock duration."),
    key("share.coordinator.threads", Int, Text("1"), Medium, ReadOnly)
        .at_least(1)
        .stored(SHARDS)
        .doc(
            "In Kafka, threads of the share coordinator. Here each share partition's state \
            lives on one shard.",
        ),
    key("share.coordinator.append.linger.ms", Int, Text("5"), Medium, ReadOnly)
        .at_least(0)
        .doc("How long the share coordinator gathers records before it writes them in one go."),
    key("share.coordinator.write.timeout.ms", Int, Text("5000"), High, ReadOnly)
        .at_least(1)
        .doc("How long a write to the share state topic waits for its replicas."),
    key("share.coordinator.load.buffer.size", Int, Text("5242880"), High, ReadOnly)
        .at_least(1)
        .doc("Bytes read at a time when share state is loaded. A larger record is still read."),
    key(
        "share.coordinator.snapshot.update.records.per.snapshot",
        Int,
        Text("500"),
        Medium,
        ReadOnly,
    )
    .at_least(0)
    .doc(
        "Updates that are written between two full snapshots of a share partition's \
        state.",
    ),
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
        "How often share partitions without updates get a snapshot, so that old records \
        can go.",
    ),
    key("share.coordinator.state.topic.num.partitions", Int, Text("50"), High, ReadOnly)
        .at_least(1)
        .doc("Partitions of the share state topic. Not to be changed once the topic exists."),
    key("share.coordinator.state.topic.replication.factor", Short, Text("3"), High, ReadOnly)
        .at_least(1)
        .doc("Replicas of the share state topic."),
    key("share.coordinator.state.topic.min.isr", Short, Text("2"), High, ReadOnly)
        .at_least(1)
        .doc("Replicas of the share state topic that must be in sync for a write."),
    key("share.coordinator.state.topic.segment.bytes", Int, Text("104857600"), High, ReadOnly)
        .at_least(1)
        .doc("Segment size of the share state topic."),
    key("share.coordinator.state.topic.compression.codec", Int, Text("0"), High, ReadOnly)
        .doc("Codec of the share state topic, by its number in the protocol; 0 is none."),
    key("share.coordinator.state.topic.prune.interval.ms", Int, Text("300000"), Low, ReadOnly)
        .at_least(1)
        .internal()
        .doc(
            "How often records of the share state topic that are no longer needed are \
            deleted.",
        ),
    key("share.fetch.purgatory.purge.interval.requests", Int, Text("1000"), Medium, ReadOnly)
        .stored(PURGATORY)
        .doc("In Kafka, how many finished share fetches pile up before they are swept."),
];
