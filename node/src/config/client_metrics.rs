//! The configuration of a client metrics subscription (KIP-714).

use super::describe::{Described, Source, describe_own_key, shown_names};
use super::error::ConfigError;
use super::keys::{self, Resource};
use super::text;
use super::topic::Overrides;
use super::value::Value;

const INTERVAL: &str = "interval.ms";

/// What a client can be matched by.
const ATTRIBUTES: &[&str] = &[
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Checks what a subscription shall be set to, as a controller does before it stores it. Regular
/// expressions are not compiled here.
pub fn validate_client_metrics(name: &str, new: &Overrides) -> Result<(), ConfigError> {
    if name.is_empty() {
        return Err(ConfigError::request("Subscription name can't be empty"));
    }
    for key in new.keys() {
        if keys::find(Resource::ClientMetrics, key).is_none() {
            return Err(ConfigError::request(format!(
                "Unknown client metrics configuration: {key}"
            )));
        }
    }
    for key in keys::all(Resource::ClientMetrics) {
        let value = key.resolve(new.get(key.name).map(String::as_str))?;
        match value {
            Some(Value::Int(ms)) if key.name == INTERVAL && !(100..=3_600_000).contains(&ms) => {
                return Err(ConfigError::request(format!(
                    "Invalid value {ms} for {INTERVAL}, interval must be between 100 and 3600000 \
                     (1 hour)"
                )));
            }
            Some(Value::List(patterns)) if key.name == "match" => check_patterns(&patterns)?,
            _ => {}
        }
    }
    Ok(())
}

fn check_patterns(patterns: &[String]) -> Result<(), ConfigError> {
    for pattern in patterns {
        // Java's split drops empty strings at the end.
        let pair = pattern.trim_end_matches('=').split_once('=');
        let known = |name: &str| ATTRIBUTES.contains(&text::trim(name));
        if !pair.is_some_and(|(name, regex)| known(name) && !regex.contains('=')) {
            return Err(ConfigError::invalid(format!(
                "Illegal client matching pattern: {pattern}"
            )));
        }
    }
    Ok(())
}

/// All keys of a subscription, by name, as DescribeConfigs shows them.
pub fn describe_client_metrics(overrides: &Overrides) -> Result<Vec<Described>, ConfigError> {
    let mut described = Vec::new();
    for name in shown_names(Resource::ClientMetrics, overrides) {
        let raw = overrides.get(name).map(String::as_str);
        let value = match keys::find(Resource::ClientMetrics, name) {
            Some(key) => key.resolve(raw)?.map(|value| value.to_config_text()),
            None => raw.map(str::to_string),
        };
        let source = raw.map(|_| Source::ClientMetrics);
        described.push(describe_own_key(Resource::ClientMetrics, name, value, source));
    }
    Ok(described)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(name: &str, value: &str) -> Overrides {
        Overrides::from([(name.to_string(), value.to_string())])
    }

    #[test]
    fn subscriptions_are_checked() {
        let refused = |name, value| {
            validate_client_metrics("s", &overrides(name, value)).unwrap_err().message().to_string()
        };
        assert_eq!(refused("foo", "1"), "Unknown client metrics configuration: foo");
        assert!(refused("interval.ms", "99").contains("interval must be between"));
        assert_eq!(refused("match", "foo=a"), "Illegal client matching pattern: foo=a");
        assert!(validate_client_metrics("s", &overrides("match", "client_id=a.*")).is_ok());
        assert!(validate_client_metrics("", &Overrides::new()).is_err());
    }

    #[test]
    fn what_is_not_set_has_no_synonyms() {
        let described = describe_client_metrics(&overrides("interval.ms", "1000")).unwrap();
        assert_eq!(described.len(), 3);
        assert_eq!(described[0].source, Source::ClientMetrics);
        assert!(described[1].synonyms.is_empty() && described[1].is_default());
    }
}
