//! What Java does with strings, where others see what follows from it: which partition holds a
//! group's state, in which order a map is walked.

/// `String.hashCode`.
pub fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |h, c| h.wrapping_mul(31).wrapping_add(i32::from(c)))
}

/// In which order a `HashMap` that these keys were put into is walked. It is exact as long as no
/// bucket holds more than a few of them.
pub fn java_map_order<T>(items: &[T], key: impl Fn(&T) -> &str) -> Vec<&T> {
    const INITIAL_BUCKETS: usize = 16;
    // It doubles when more than three quarters of it are taken.
    let mut buckets = INITIAL_BUCKETS;
    while items.len() > buckets / 4 * 3 {
        buckets *= 2;
    }
    let bucket = |text: &str| {
        let hash = java_hash(text) as u32;
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    };
    let mut ordered: Vec<&T> = items.iter().collect();
    ordered.sort_by_key(|item| bucket(key(item)));
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Java 17 prints for the same.
    #[test]
    fn hashes_and_orders_are_those_of_java() {
        assert_eq!(java_hash("group.version"), 904_475_753);
        assert_eq!(java_hash("\u{e9}\u{1f980}"), 1_996_715);
        let names = ["a", "metadata.version", "kraft.version", "group.version", "q"];
        let ordered = java_map_order(&names, |name| name);
        assert_eq!(
            ordered.into_iter().copied().collect::<Vec<_>>(),
            ["group.version", "a", "q", "kraft.version", "metadata.version"]
        );
    }
}
