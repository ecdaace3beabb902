//! Features of the cluster that this node supports (KIP-584).

/// Features whose APIs work here, with the highest level that does. Levels that the log has
/// finalized beyond are kept, and not shown (docs/decisions).
pub const FEATURES: &[(&str, i16, i16)] = &[
    ("metadata.version", METADATA_VERSION_MIN, METADATA_VERSION_MAX),
    ("kraft.version", 0, 1),
    (GROUP_VERSION, 0, 1),
];
/// The consumer protocol (KIP-848) is served from level 1 on.
pub const GROUP_VERSION: &str = "group.version";
/// 3.3-IV3, the oldest that KRaft supports.
pub const METADATA_VERSION_MIN: i16 = 7;
/// 4.1-IV1.
pub const METADATA_VERSION_MAX: i16 = 27;
