//! Group configs. Keys of one consumer, share or streams group.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("consumer.heartbeat.interval.ms", Int, Text("5000"), Medium, Group)
        .at_least(1)
        .doc("Heartbeat interval that members of this consumer group are told."),
    key("consumer.session.timeout.ms", Int, Text("45000"), Medium, Group)
        .at_least(1)
        .doc("How long a member of this consumer group may be silent before it is removed."),
    key("share.auto.offset.reset", String, Text("latest"), Medium, Group)
        .valid(Valid::ShareOffsetReset)
        .doc(
            "Where this share group starts on a new partition: `earliest`, `latest`, or \
            `by_duration:` and a time span such as PT1H back from now.",
        ),
    key("share.heartbeat.interval.ms", Int, Text("5000"), Medium, Group)
        .at_least(1)
        .doc("Heartbeat interval that members of this share group are told."),
    key("share.isolation.level", String, Text("read_uncommitted"), Medium, Group)
        .valid(Valid::OneOf(&["read_committed", "read_uncommitted"]))
        .doc(
            "Whether this share group is given only committed records of transactions or all \
            of them.",
        ),
    key("share.record.lock.duration.ms", Int, Text("30000"), Medium, Group).at_least(1000).doc(
        "How long a member of this share group may hold a record before it is given to \
        another.",
    ),
    key("share.session.timeout.ms", Int, Text("45000"), Medium, Group)
        .at_least(1)
        .doc("How long a member of this share group may be silent before it is removed."),
    key("streams.heartbeat.interval.ms", Int, Text("5000"), Medium, Group)
        .at_least(1)
        .doc("Heartbeat interval that members of this streams group are told."),
    key("streams.num.standby.replicas", Int, Text("0"), Medium, Group)
        .at_least(0)
        .doc("Standby copies of each stateful task of this streams group."),
    key("streams.session.timeout.ms", Int, Text("45000"), Medium, Group)
        .at_least(1)
        .doc("How long a member of this streams group may be silent before it is removed."),
];
