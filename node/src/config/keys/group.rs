//! Group configs. Configuration of one consumer, share or streams group.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("consumer.heartbeat.interval.ms", Int, Text("5000"), Medium, Group).at_least(1).acts().doc(
        "Heartbeat interval of the members of this consumer group. The coordinator sends it to \
        them.",
    ),
    key("consumer.session.timeout.ms", Int, Text("45000"), Medium, Group).at_least(1).acts().doc(
        "How long a member of this consumer group can go without a heartbeat before it is removed.",
    ),
    key("share.auto.offset.reset", String, Text("latest"), Medium, Group)
        .valid(Valid::ShareOffsetReset)
        .doc(
            "Where this share group starts on a new partition: `earliest`, `latest`, or \
            `by_duration:` with a time span before now, such as PT1H.",
        ),
    key("share.heartbeat.interval.ms", Int, Text("5000"), Medium, Group).at_least(1).doc(
        "Heartbeat interval of the members of this share group. The coordinator sends it to them.",
    ),
    key("share.isolation.level", String, Text("read_uncommitted"), Medium, Group)
        .valid(Valid::OneOf(&["read_committed", "read_uncommitted"]))
        .doc(
            "Which records this share group receives: only committed ones (`read_committed`) or \
            all (`read_uncommitted`).",
        ),
    key("share.record.lock.duration.ms", Int, Text("30000"), Medium, Group).at_least(1000).doc(
        "How long a member of this share group can hold the lock on a record before the record is \
        given to another member.",
    ),
    key("share.session.timeout.ms", Int, Text("45000"), Medium, Group).at_least(1).doc(
        "How long a member of this share group can go without a heartbeat before it is removed.",
    ),
    key("streams.heartbeat.interval.ms", Int, Text("5000"), Medium, Group).at_least(1).doc(
        "Heartbeat interval of the members of this streams group. The coordinator sends it to \
        them.",
    ),
    key("streams.num.standby.replicas", Int, Text("0"), Medium, Group)
        .at_least(0)
        .doc("Number of standby replicas of each stateful task of this streams group."),
    key("streams.session.timeout.ms", Int, Text("45000"), Medium, Group).at_least(1).doc(
        "How long a member of this streams group can go without a heartbeat before it is removed.",
    ),
];
