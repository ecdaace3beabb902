//! Replication. How followers copy partitions, and when they are in sync.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("default.replication.factor", Int, Text("1"), Medium, ReadOnly)
        .acts()
        .doc("Replication factor of a new topic if the request does not specify it."),
    key("min.insync.replicas", Int, Text("1"), High, ClusterWide)
        .at_least(1)
        .acts()
        .doc("Minimum number of in-sync replicas. With fewer, writes with acks=all are rejected."),
    key("unclean.leader.election.enable", Boolean, Text("false"), High, ClusterWide).doc(
        "Whether a replica that was not in sync can become leader when no other replica is left. \
        This loses records.",
    ),
    key("replica.lag.time.max.ms", Long, Text("30000"), High, ReadOnly).doc(
        "A follower that has not caught up with the leader for this long is removed from the \
        in-sync replicas.",
    ),
    key("replica.socket.timeout.ms", Int, Text("30000"), High, ReadOnly).doc(
        "How long a follower waits for the response to a fetch. Must be at least \
        replica.fetch.wait.max.ms.",
    ),
    key("replica.socket.receive.buffer.bytes", Int, Text("65536"), High, ReadOnly)
        .doc("SO_RCVBUF of a follower's connection to a leader."),
    key("replica.fetch.max.bytes", Int, Text("1048576"), Medium, ReadOnly).at_least(0).doc(
        "Number of bytes that a follower requests per partition. A larger first batch is still \
        sent.",
    ),
    key("replica.fetch.wait.max.ms", Int, Text("500"), High, ReadOnly).doc(
        "Maximum time that a leader delays the response to a follower's fetch. Must be less than \
        replica.lag.time.max.ms.",
    ),
    key("replica.fetch.min.bytes", Int, Text("1"), High, ReadOnly).doc(
        "Number of bytes that a leader waits for before it responds to a follower. It waits for at \
        most replica.fetch.wait.max.ms.",
    ),
    key("replica.fetch.response.max.bytes", Int, Text("10485760"), Medium, ReadOnly)
        .at_least(0)
        .doc("Number of bytes that a follower requests in one fetch, over all its partitions."),
    key("replica.fetch.backoff.ms", Int, Text("1000"), Medium, ReadOnly)
        .at_least(0)
        .doc("How long a follower pauses after an error on a partition."),
    key("replica.high.watermark.checkpoint.interval.ms", Long, Text("5000"), High, ReadOnly)
        .acts()
        .doc("How often the broker writes the high watermarks to disk."),
    key("num.replica.fetchers", Int, Text("1"), High, ClusterWide)
        .stored(SHARDS)
        .doc("Number of connections over which a broker fetches from each other broker."),
    key("num.replica.alter.log.dirs.threads", Int, Null, High, ReadOnly).stored(SHARDS).doc(
        "In Kafka, the number of threads that move replicas between log directories. The default \
        is one per directory.",
    ),
    key("replica.selector.class", String, Null, Medium, ReadOnly).doc(
        "Class that selects the replica a consumer reads from. By default consumers read from the \
        leader. Kafka's RackAwareReplicaSelector selects a replica in the consumer's rack.",
    ),
    key("fetch.purgatory.purge.interval.requests", Int, Text("1000"), Medium, ReadOnly)
        .stored(PURGATORY)
        .doc("In Kafka, the number of completed fetches that accumulate before they are purged."),
    key("producer.purgatory.purge.interval.requests", Int, Text("1000"), Medium, ReadOnly)
        .stored(PURGATORY)
        .doc(
            "In Kafka, the number of completed produce requests that accumulate before they are \
            purged.",
        ),
    key("delete.records.purgatory.purge.interval.requests", Int, Text("1"), Medium, ReadOnly)
        .stored(PURGATORY)
        .doc(
            "In Kafka, the number of completed DeleteRecords requests that accumulate before they \
            are purged.",
        ),
];
