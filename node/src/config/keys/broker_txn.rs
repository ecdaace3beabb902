//! Transactions and producer ids. The transaction coordinator and the state of idempotent
//! producers.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("transactional.id.expiration.ms", Int, Text("604800000"), High, ReadOnly).at_least(1).doc(
        "How long an inactive transactional id is kept. An id with an open transaction never \
        expires.",
    ),
    key("transaction.max.timeout.ms", Int, Text("900000"), High, ReadOnly)
        .at_least(1)
        .doc("Maximum transaction timeout that a producer can request."),
    key("transaction.partition.verification.enable", Boolean, Text("true"), Low, ClusterWide).doc(
        "Whether a partition asks the transaction coordinator if a transaction includes it, before \
        it accepts the transaction's first records.",
    ),
    key("transaction.two.phase.commit.enable", Boolean, Text("false"), Low, ReadOnly).doc(
        "Whether producers can prepare a transaction and leave the decision to an external \
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
    .doc("How often transactions that exceed their timeout are aborted."),
    key(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        Int,
        Text("3600000"),
        Low,
        ReadOnly,
    )
    .at_least(1)
    .doc("How often expired transactional ids are removed."),
    key("transaction.state.log.num.partitions", Int, Text("50"), High, ReadOnly).at_least(1).doc(
        "Number of partitions of `__transaction_state`. Do not change it once the topic exists.",
    ),
    key("transaction.state.log.replication.factor", Short, Text("3"), High, ReadOnly)
        .at_least(1)
        .doc(
            "Replication factor of `__transaction_state`. The topic is not created until there are \
            that many brokers.",
        ),
    key("transaction.state.log.min.isr", Int, Text("2"), High, ReadOnly)
        .at_least(1)
        .doc("Minimum number of in-sync replicas for a write to `__transaction_state`."),
    key("transaction.state.log.segment.bytes", Int, Text("104857600"), High, ReadOnly)
        .at_least(1)
        .doc(
            "Segment size of `__transaction_state`. Small segments are loaded and compacted \
            faster.",
        ),
    key("transaction.state.log.load.buffer.size", Int, Text("5242880"), High, ReadOnly)
        .at_least(1)
        .doc(
            "Bytes per read while a coordinator loads its transactions. A larger record is still \
            read.",
        ),
    key("add.partitions.to.txn.retry.backoff.ms", Int, Text("20"), High, ReadOnly)
        .at_least(1)
        .doc("Pause before a broker retries to add a partition to a transaction for a producer."),
    key("add.partitions.to.txn.retry.backoff.max.ms", Int, Text("100"), High, ReadOnly)
        .at_least(0)
        .doc(
            "How long a broker retries to add a partition to a transaction. Must not exceed \
            request.timeout.ms.",
        ),
    key("producer.id.expiration.ms", Int, Text("86400000"), Low, ClusterWide)
        .at_least(1)
        .acts()
        .doc("How long a partition keeps the sequence numbers of an inactive producer."),
    key("producer.id.expiration.check.interval.ms", Int, Text("600000"), Low, ReadOnly)
        .at_least(1)
        .internal()
        .acts()
        .doc("How often the broker looks for expired producer ids."),
];
