//! Features of the cluster that this node supports (KIP-584).

/// Features whose APIs work here, with the highest level that does. Levels that the log has
/// finalized beyond are kept, and not shown (docs/decisions).
pub const FEATURES: &[(&str, i16, i16)] = &[
    (METADATA_VERSION, METADATA_VERSION_MIN, METADATA_VERSION_MAX),
    (KRAFT_VERSION, 0, 1),
    (GROUP_VERSION, 0, 1),
];
/// All that Kafka 4.1 knows besides metadata.version.
pub const KNOWN_FEATURES: &[&str] = &[
    KRAFT_VERSION,
    "transaction.version",
    GROUP_VERSION,
    "eligible.leader.replicas.version",
    "share.version",
    "streams.version",
];
/// The records that the metadata consists of.
pub const METADATA_VERSION: &str = "metadata.version";
/// Whether the voters of the quorum are in the log (KIP-853).
pub const KRAFT_VERSION: &str = "kraft.version";
/// The consumer protocol (KIP-848) is served from level 1 on.
pub const GROUP_VERSION: &str = "group.version";
/// 3.3-IV3, the oldest that KRaft supports.
pub const METADATA_VERSION_MIN: i16 = 7;
/// Levels of metadata.version whose records those before cannot read.
pub const METADATA_VERSION_CHANGES: &[i16] = &[7, 8, 11, 13, 14, 15, 17, 23];
/// 4.1-IV1.
pub const METADATA_VERSION_MAX: i16 = 27;
