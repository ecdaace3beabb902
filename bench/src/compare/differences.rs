//! In what two machines, or two loads, differ.

use serde_json::Value;

/// Differences that are listed at most.
const SHOWN_MAX: usize = 8;

/// In what two machines differ. What one of them does not say is no difference: results of before
/// said less, and a broker of one's own does not say where its data is.
pub fn host_differences(a: &Value, b: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differences("", a, b, true, &mut found);
    shown(found)
}

/// In what two loads differ.
pub fn load_differences(a: &Value, b: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differences("", a, b, false, &mut found);
    shown(found)
}

fn shown(mut found: Vec<String>) -> Vec<String> {
    let more = found.len().saturating_sub(SHOWN_MAX);
    found.truncate(SHOWN_MAX);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}

/// Documents are as deep as the types that they were written from, a handful of levels: serde_json
/// refuses what is deeper than 128.
fn differences(path: &str, a: &Value, b: &Value, unknown_is_equal: bool, found: &mut Vec<String>) {
    let inner = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) if unknown_is_equal => {}
        (Value::Object(one), Value::Object(other)) => {
            for (key, value) in one {
                let theirs = other.get(key).unwrap_or(&Value::Null);
                differences(&inner(key), value, theirs, unknown_is_equal, found);
            }
            for (key, value) in other.iter().filter(|(key, _)| !one.contains_key(*key)) {
                differences(&inner(key), &Value::Null, value, unknown_is_equal, found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                differences(&inner(&(index + 1).to_string()), one, other, unknown_is_equal, found);
            }
        }
        // 10 and 10.0 are the same number.
        (one, other) if one.as_f64().is_some() && one.as_f64() == other.as_f64() => {}
        (one, other) if one == other => {}
        (one, other) => found.push(format!("{path} is {one} and {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_named_by_their_path() {
        let a = json!({"kernel": "6.1", "limits": {"nofile": 1, "memlock": 10}, "data": null});
        let b =
            json!({"kernel": "6.2", "limits": {"nofile": 1.0, "new": 2}, "data": {"kind": "xfs"}});
        assert_eq!(host_differences(&a, &b), ["kernel is \"6.1\" and \"6.2\""]);
        let found = load_differences(&a, &b);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found.contains(&"limits.memlock is 10 and null".to_owned()), "{found:?}");
        let loads = [json!({"load": [{"rate": 1}]}), json!({"load": [{"rate": 2}]})];
        assert_eq!(load_differences(&loads[0], &loads[1]), ["load.1.rate is 1 and 2"]);
        assert!(load_differences(&a, &a).is_empty());
    }
}
