//! Rust names for Kafka's names.

/// `ReplicaId` becomes `replica_id`. KRaft counts as one word; a digit stays with the word before
/// it, so `Enable2Pc` becomes `enable2_pc` as in Kafka's own snake case.
pub fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.replace("KRaft", "Kraft").chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// A field's identifier: snake case, raw where Rust has the word for itself.
pub fn field_ident(name: &str) -> String {
    let snake = snake_case(name);
    match snake.as_str() {
        "type" | "match" | "ref" | "move" | "loop" | "where" | "use" | "mod" | "in" => {
            format!("r#{snake}")
        }
        _ => snake,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(snake_case("ReplicaId"), "replica_id");
        assert_eq!(snake_case("V3AndBelowTopics"), "v3_and_below_topics");
        assert_eq!(snake_case("KRaftVersionRecord"), "kraft_version_record");
        assert_eq!(snake_case("Enable2Pc"), "enable2_pc");
        assert_eq!(snake_case("timeoutMs"), "timeout_ms");
        assert_eq!(field_ident("Type"), "r#type");
    }
}
