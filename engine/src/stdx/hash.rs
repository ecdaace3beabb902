//! Hash maps with a fixed hasher: iteration order is a function of the insertions alone, so a
//! simulated run repeats. For keys that we choose (tokens, shards, topic ids); keys that a client
//! chooses go into a `BTreeMap`, because a fixed hasher can be flooded.

#![allow(clippy::disallowed_types, reason = "this is the place that fixes the hasher")]

use rustc_hash::FxBuildHasher;

/// A hash map with a fixed hasher.
pub type FxHashMap<K, V> = std::collections::HashMap<K, V, FxBuildHasher>;
/// A hash set with a fixed hasher.
pub type FxHashSet<K> = std::collections::HashSet<K, FxBuildHasher>;
