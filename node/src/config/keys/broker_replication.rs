//! Replication. How followers copy partitions and when they count as in sync.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("default.replication.factor", Int, Text("1"), Medium, ReadOnly)
        .acts()
        .doc("Replicas of a topic that is created without a count of its own."),
    key("min.insync.replicas", Int, Text("1"), High, ClusterWide)
        .at_least(1)
        .acts()
        .doc("Replicas that must be in sync for a write with acks=all to be accepted."),
    key("unclean.leader.election.enable", Boolean, Text("false"), High, ClusterWide).doc(
        "Whether a replica that was not in sync may become leader when no other is left, \
        which loses records.",
    ),
    key("replica.lag.time.max.ms", Long, Text("30000"), High, ReadOnly).doc(
        "A follower that has not caught up with the leader for this long leaves the set \
        of in-sync replicas.",
    ),
    key("replica.socket.timeout.ms", Int, Text("30000"), High, ReadOnly).doc(
        "How long a follower waits for the answer to a fetch. At least \
        replica.fetch.wait.max.ms.",
    ),
    key("replica.socket.receive.buffer.bytes", Int, Text("65536"), High, ReadOnly)
        .doc("SO_RCVBUF of a follower's connection to a leader."),
    key("replica.fetch.max.bytes", Int, Text("1048576"), Medium, ReadOnly).at_least(0).doc(
        "Bytes a follower asks for per partition. A first batch that is larger is still \
        sent.",
    ),
    key("replica.fetch.wait.max.ms", Int, Text("500"), High, ReadOnly).doc(
        "How long a leader may hold back the answer to a follower's fetch. Less than \
        replica.lag.time.max.ms.",
    ),
    key("replica.fetch.min.bytes", Int, Text("1"), High, ReadOnly).doc(
        "Bytes a leader waits for, up to replica.fetch.wait.max.ms, before it answers a \
        follower.",
    ),
    key("replica.fetch.response.max.bytes", Int, Text("10485760"), Medium, ReadOnly)
        .at_least(0)
        .doc("Bytes a follower asks for in one fetch, over all its partitions."),
    key("replica.fetch.backoff.ms", Int, Text("1000"), Medium, ReadOnly)
        .at_least(0)
        .doc("Pause of a follower after an error on a partition."),
    key("replica.high.watermark.checkpoint.interval.ms", Long, Text("5000"), High, ReadOnly)
        .acts()
        .doc("How often the high watermarks are written to disk."),
    key("num.replica.fetchers", Int, Text("1"), High, ClusterWide)
        .stored(SHARDS)
        .doc("Connections a broker fetches over from each other broker."),
    key("num.replica.alter.log.dirs.threads", Int, Null, High, ReadOnly).stored(SHARDS).doc(
        "Number of threads that move replicas between log directories. By default one per \
        directory.",
    ),
    key("replica.selector.class", String, Null, Medium, ReadOnly).doc(
        "Class that picks the replica a consumer reads from. By default the leader; \
        Kafka's RackAwareReplicaSelector picks one in the consumer's rack.",
    ),
    key("fetch.purgatory.purge.interval.requests", Int, Text("1000"), Medium, ReadOnly)
        .stored(PURGATORY)
        .doc("In Kafka, how many finished fetches pile up before they are swept."),
    key("producer.purgatory.purge.interval.requests", Int, Text("1000"), Medium, ReadOnly)
        .stored(PURGATORY)
        .doc("In Kafka, how many finished produce requests pile up before they are swept."),
    key("delete.records.purgatory.purge.interval.requests", Int, Text("1"), Medium, ReadOnly)
        .stored(PURGATORY)
        .doc(
            "In Kafka, how many finished DeleteRecords requests pile up before they are \
            swept.",
        ),
];
