//! Consumer groups and offsets. The group coordinator: classic, consumer and streams groups, and
//! committed offsets.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key(
        "group.coordinator.rebalance.protocols",
        List,
        Text("classic,consumer,streams"),
        Medium,
        ReadOnly,
    )
    .valid(Valid::ListOf(&["consumer", "classic", "share", "streams"]))
    .acts()
    .doc("Group protocols that the broker serves. `classic` must be one of them."),
    key("group.coordinator.threads", Int, Text("4"), High, ReadOnly)
        .at_least(1)
        .stored(SHARDS)
        .doc(
            "In Kafka, the number of threads of the group coordinator. Here each group belongs to \
            one shard.",
        ),
    key("group.coordinator.append.linger.ms", Int, Text("5"), Medium, ReadOnly)
        .at_least(0)
        .stored(TURNS)
        .doc(
            "How long the coordinator collects records before it writes them as one batch. A \
            longer time is more efficient but delays responses.",
        ),
    key("group.min.session.timeout.ms", Int, Text("6000"), Medium, ReadOnly)
        .acts()
        .doc("Minimum session timeout that a member of a classic group can request."),
    key("group.max.session.timeout.ms", Int, Text("1800000"), Medium, ReadOnly)
        .acts()
        .doc("Maximum session timeout that a member of a classic group can request."),
    key("group.initial.rebalance.delay.ms", Int, Text("3000"), Medium, ReadOnly)
        .acts()
        .doc("How long an empty classic group waits for more members before its first rebalance."),
    key("group.max.size", Int, Text("2147483647"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Maximum number of members of a classic group."),
    key("group.consumer.session.timeout.ms", Int, Text("45000"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc(
            "How long a member of a consumer group can go without a heartbeat before it is \
            removed.",
        ),
    key("group.consumer.min.session.timeout.ms", Int, Text("45000"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Lower bound of consumer.session.timeout.ms of a consumer group."),
    key("group.consumer.max.session.timeout.ms", Int, Text("60000"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Upper bound of consumer.session.timeout.ms of a consumer group."),
    key("group.consumer.heartbeat.interval.ms", Int, Text("5000"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc(
            "Heartbeat interval of the members of consumer groups. The coordinator sends it to \
            them.",
        ),
    key("group.consumer.min.heartbeat.interval.ms", Int, Text("5000"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Lower bound of consumer.heartbeat.interval.ms of a consumer group."),
    key("group.consumer.max.heartbeat.interval.ms", Int, Text("15000"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Upper bound of consumer.heartbeat.interval.ms of a consumer group."),
    key("group.consumer.max.size", Int, Text("2147483647"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Maximum number of members of a consumer group."),
    key("group.consumer.assignors", List, Text("uniform,range"), Medium, ReadOnly).acts().doc(
        "Server-side assignors. The first one is used for a member that names none. `uniform` and \
        `range` are built in.",
    ),
    key("group.consumer.migration.policy", String, Text("bidirectional"), Medium, ReadOnly)
        .valid(Valid::OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]))
        .acts()
        .doc(
            "Which groups with members can be converted online: classic groups (`upgrade`), \
            consumer groups (`downgrade`), both (`bidirectional`) or none (`disabled`).",
        ),
    key("group.consumer.regex.refresh.interval.ms", Int, Text("600000"), Medium, ReadOnly)
        .at_least(10000)
        .internal()
        .doc("How often the topics that match a group's regular expressions are looked up again."),
    key("group.streams.session.timeout.ms", Int, Text("45000"), Medium, ReadOnly).at_least(1).doc(
        "How long a member of a streams group can go without a heartbeat before it is removed.",
    ),
    key("group.streams.min.session.timeout.ms", Int, Text("45000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Lower bound of streams.session.timeout.ms of a streams group."),
    key("group.streams.max.session.timeout.ms", Int, Text("60000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Upper bound of streams.session.timeout.ms of a streams group."),
    key("group.streams.heartbeat.interval.ms", Int, Text("5000"), Medium, ReadOnly)
        .at_least(1)
        .doc(
            "Heartbeat interval of the members of streams groups. The coordinator sends it to \
            them.",
        ),
    key("group.streams.min.heartbeat.interval.ms", Int, Text("5000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Lower bound of streams.heartbeat.interval.ms of a streams group."),
    key("group.streams.max.heartbeat.interval.ms", Int, Text("15000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Upper bound of streams.heartbeat.interval.ms of a streams group."),
    key("group.streams.max.size", Int, Text("2147483647"), Medium, ReadOnly)
        .at_least(1)
        .doc("Maximum number of members of a streams group."),
    key("group.streams.num.standby.replicas", Int, Text("0"), Medium, ReadOnly)
        .at_least(0)
        .doc("Number of standby replicas of each stateful task of a streams group."),
    key("group.streams.max.standby.replicas", Int, Text("2"), Medium, ReadOnly)
        .at_least(0)
        .doc("Upper bound of streams.num.standby.replicas of a streams group."),
    key("offset.metadata.max.bytes", Int, Text("4096"), High, ReadOnly)
        .acts()
        .doc("Maximum size of the metadata that a client attaches to a committed offset."),
    key("offsets.load.buffer.size", Int, Text("5242880"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Bytes per read while a coordinator loads its groups. A larger record is still read."),
    key("offsets.retention.minutes", Int, Text("10080"), High, ReadOnly).at_least(1).acts().doc(
        "How long offsets are kept after the group became empty, or after the commit if the group \
        never had members.",
    ),
    key("offsets.retention.check.interval.ms", Long, Text("600000"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("How often the broker looks for expired offsets."),
    key("offsets.topic.num.partitions", Int, Text("50"), High, ReadOnly).at_least(1).acts().doc(
        "Number of partitions of `__consumer_offsets`. Do not change it once the topic exists.",
    ),
    key("offsets.topic.replication.factor", Short, Text("3"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc(
            "Replication factor of `__consumer_offsets`. The topic is not created until there are \
            that many brokers.",
        ),
    key("offsets.topic.segment.bytes", Int, Text("104857600"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc(
            "Segment size of `__consumer_offsets`. Small segments are loaded and compacted faster.",
        ),
    key("offsets.topic.compression.codec", Int, Text("0"), High, ReadOnly).acts().doc(
        "Compression codec of the records in `__consumer_offsets`, by its number in the protocol. \
        0 means no compression.",
    ),
    key("offsets.commit.timeout.ms", Int, Text("5000"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("How long an offset commit waits for its replicas before it fails."),
];
