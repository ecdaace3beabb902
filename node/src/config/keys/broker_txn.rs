//! Transactions and producer ids. The transaction coordinator and the memory of idempotent
//! producers.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("transactional.id.expiration.ms", Int, Text("604800000"), High, ReadOnly).at_least(1).doc(
        "How long a transactional id without activity is remembered. One with an open \
        transaction never expires.",
    ),
    key("transaction.max.timeout.ms", Int, Text("900000"), High, ReadOnly)
        .at_least(1)
        .doc("Longest transaction timeout a producer may ask for."),
    key("transaction.partition.verification.enable", Boolean, Text("true"), Low, ClusterWide).doc(
        "Whether a partition asks the coordinator if a transaction really includes it \
        before it takes its first records.",
    ),
    key("transaction.two.phase.commit.enable", Boolean, Text("false"), Low, ReadOnly).doc(
        "Whether producers may prepare a transaction and leave the decision to an outside \
        coordinator.",
    ),
    key(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        Int,
        Text("10000"),
        Low,
        ReadOnly,
    )
    .at_least(1)
    .doc("How often transactions past their timeout are aborted."),
    key(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        Int,
        Text("3600000"),
        Low,
        ReadOnly,
    )
    .at_least(1)
    .doc("How often expired transactional ids are removed."),
    key("transaction.state.log.num.partitions", Int, Text("50"), High, ReadOnly)
        .at_least(1)
        .doc("Partitions of `__transaction_state`. Not to be changed once the topic exists."),
    key("transaction.state.log.replication.factor", Short, Text("3"), High, ReadOnly)
        .at_least(1)
        .doc(
            "Replicas of `__transaction_state`. The topic is not created before there are \
            that many brokers.",
        ),
    key("transaction.state.log.min.isr", Int, Text("2"), High, ReadOnly)
        .at_least(1)
        .doc("Replicas of `__transaction_state` that must be in sync for a write."),
    key("transaction.state.log.segment.bytes", Int, Text("104857600"), High, ReadOnly)
        .at_least(1)
        .doc("Segment size of `__transaction_state`. Small segments load and compact faster."),
    key("transaction.state.log.load.buffer.size", Int, Text("5242880"), High, ReadOnly)
        .at_least(1)
        .doc(
            "Bytes read at a time when a coordinator loads its transactions. A larger record \
            is still read.",
        ),
    key("add.partitions.to.txn.retry.backoff.ms", Int, Text("20"), High, ReadOnly).at_least(1).doc(
        "Pause before a broker repeats adding a partition to a transaction on behalf of a \
        producer.",
    ),
    key("add.partitions.to.txn.retry.backoff.max.ms", Int, Text("100"), High, ReadOnly)
        .at_least(0)
        .doc(
            "How long a broker keeps repeating to add a partition to a transaction. Not above \
            request.timeout.ms.",
        ),
    key("producer.id.expiration.ms", Int, Text("86400000"), Low, ClusterWide)
        .at_least(1)
        .acts()
        .doc(
            "How long a partition remembers the sequence numbers of a producer that no longer \
        writes.",
        ),
    key("producer.id.expiration.check.interval.ms", Int, Text("600000"), Low, ReadOnly)
        .at_least(1)
        .internal()
        .acts()
        .doc("How often producer ids are checked for expiry."),
];
