//! Consumer groups and offsets. The group coordinator: classic, consumer and streams groups,
//! and committed offsets.

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
    .doc("Group protocols that are served. `classic` cannot be left out."),
    key("group.coordinator.threads", Int, Text("4"), High, ReadOnly)
        .at_least(1)
        .stored(SHARDS)
        .doc("In Kafka, threads of the group coordinator. Here each group lives on one shard."),
    key("group.coordinator.append.linger.ms", Int, Text("5"), Medium, ReadOnly)
        .at_least(0)
        .stored(TURNS)
        .doc(
            "How long the coordinator gathers records before it writes them in one go. More \
        is more efficient and slower to answer.",
        ),
    key("group.min.session.timeout.ms", Int, Text("6000"), Medium, ReadOnly)
        .acts()
        .doc("Shortest session timeout a member of a classic group may ask for."),
    key("group.max.session.timeout.ms", Int, Text("1800000"), Medium, ReadOnly)
        .acts()
        .doc("Longest session timeout a member of a classic group may ask for."),
    key("group.initial.rebalance.delay.ms", Int, Text("3000"), Medium, ReadOnly).acts().doc(
        "How long an empty classic group waits for more members before its first \
        rebalance.",
    ),
    key("group.max.size", Int, Text("2147483647"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Most members of a classic group."),
    key("group.consumer.session.timeout.ms", Int, Text("45000"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("How long a member of a consumer group may be silent before it is removed."),
    key("group.consumer.min.session.timeout.ms", Int, Text("45000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Lower bound of a consumer group's own session timeout."),
    key("group.consumer.max.session.timeout.ms", Int, Text("60000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Upper bound of a consumer group's own session timeout."),
    key("group.consumer.heartbeat.interval.ms", Int, Text("5000"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Heartbeat interval that members of a consumer group are told."),
    key("group.consumer.min.heartbeat.interval.ms", Int, Text("5000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Lower bound of a consumer group's own heartbeat interval."),
    key("group.consumer.max.heartbeat.interval.ms", Int, Text("15000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Upper bound of a consumer group's own heartbeat interval."),
    key("group.consumer.max.size", Int, Text("2147483647"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Most members of a consumer group."),
    key("group.consumer.assignors", List, Text("uniform,range"), Medium, ReadOnly).acts().doc(
        "Assignors of the server, in order; the first one is used if a member names none. \
        Built in are `uniform` and `range`.",
    ),
    key("group.consumer.migration.policy", String, Text("bidirectional"), Medium, ReadOnly)
        .valid(Valid::OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]))
        .acts()
        .doc(
            "Which way groups with members may be converted online: from classic to consumer \
            (`upgrade`), back (`downgrade`), both or neither.",
        ),
    key("group.consumer.regex.refresh.interval.ms", Int, Text("600000"), Medium, ReadOnly)
        .at_least(10000)
        .internal()
        .doc(
            "How often the topics that match a group's regular expressions are looked up \
            again.",
        ),
    key("group.streams.session.timeout.ms", Int, Text("45000"), Medium, ReadOnly)
        .at_least(1)
        .doc("How long a member of a streams group may be silent before it is removed."),
    key("group.streams.min.session.timeout.ms", Int, Text("45000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Lower bound of a streams group's own session timeout."),
    key("group.streams.max.session.timeout.ms", Int, Text("60000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Upper bound of a streams group's own session timeout."),
    key("group.streams.heartbeat.interval.ms", Int, Text("5000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Heartbeat interval that members of a streams group are told."),
    key("group.streams.min.heartbeat.interval.ms", Int, Text("5000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Lower bound of a streams group's own heartbeat interval."),
    key("group.streams.max.heartbeat.interval.ms", Int, Text("15000"), Medium, ReadOnly)
        .at_least(1)
        .doc("Upper bound of a streams group's own heartbeat interval."),
    key("group.streams.max.size", Int, Text("2147483647"), Medium, ReadOnly)
        .at_least(1)
        .doc("Most members of a streams group."),
    key("group.streams.num.standby.replicas", Int, Text("0"), Medium, ReadOnly)
        .at_least(0)
        .doc("Standby copies of each stateful task of a streams group."),
    key("group.streams.max.standby.replicas", Int, Text("2"), Medium, ReadOnly)
        .at_least(0)
        .doc("Upper bound of a streams group's own number of standby copies."),
    key("offset.metadata.max.bytes", Int, Text("4096"), High, ReadOnly)
        .acts()
        .doc("Largest note a client may attach to a committed offset."),
    key("offsets.load.buffer.size", Int, Text("5242880"), High, ReadOnly).at_least(1).acts().doc(
        "Bytes read at a time when a coordinator loads its groups. A larger record is \
        still read.",
    ),
    key("offsets.retention.minutes", Int, Text("10080"), High, ReadOnly).at_least(1).acts().doc(
        "How long offsets are kept after a group became empty, or after the commit if it \
        never had members.",
    ),
    key("offsets.retention.check.interval.ms", Long, Text("600000"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("How often committed offsets are checked for expiry."),
    key("offsets.topic.num.partitions", Int, Text("50"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Partitions of `__consumer_offsets`. Not to be changed once the topic exists."),
    key("offsets.topic.replication.factor", Short, Text("3"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc(
            "Replicas of `__consumer_offsets`. The topic is not created before there are that \
        many brokers.",
        ),
    key("offsets.topic.segment.bytes", Int, Text("104857600"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("Segment size of `__consumer_offsets`. Small segments load and compact faster."),
    key("offsets.topic.compression.codec", Int, Text("0"), High, ReadOnly).acts().doc(
        "Codec of the records in `__consumer_offsets`, by its number in the protocol; 0 \
        is none.",
    ),
    key("offsets.commit.timeout.ms", Int, Text("5000"), High, ReadOnly)
        .at_least(1)
        .acts()
        .doc("How long a commit waits for its replicas before it fails."),
];
