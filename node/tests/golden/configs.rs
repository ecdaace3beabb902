//! DescribeConfigs.

use ringlog_wire::messages::DescribeConfigsRequest;
use ringlog_wire::messages::describe_configs_request::DescribeConfigsResource;

use crate::pair::Pair;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn resource(kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResource {
    DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()),
    }
}

pub fn compare(pair: &mut Pair) {
    pair.create_topic("configured", 1, &[("retention.ms", "1234"), ("flush.messages", "7")]);
    for version in 1..=4 {
        let cases = [
            ("topic", resource(TOPIC, "configured", None)),
            ("some keys", resource(TOPIC, "configured", Some(&["flush.messages", "x"]))),
            ("no keys", resource(TOPIC, "configured", Some(&[]))),
            ("unknown topic", resource(TOPIC, "nope", None)),
            ("bad topic", resource(TOPIC, "no/pe", None)),
            ("empty topic", resource(TOPIC, "", None)),
            ("broker", resource(BROKER, "1", None)),
            ("all brokers", resource(BROKER, "", None)),
            ("other broker", resource(BROKER, "2", None)),
            ("no broker", resource(BROKER, "x", None)),
            ("unknown kind", resource(3, "x", None)),
        ];
        for (what, resource) in cases {
            for include_synonyms in [false, true] {
                pair.same_but(
                    what,
                    version,
                    |_| DescribeConfigsRequest {
                        resources: vec![resource.clone()],
                        include_synonyms,
                        include_documentation: include_synonyms && version >= 3,
                    },
                    |response| {
                        for result in &mut response.results {
                            result.configs.retain(|config| !config.name.starts_with("ringlog."));
                            result.configs.sort_by(|a, b| a.name.cmp(&b.name));
                            for config in &mut result.configs {
                                // Ours are in our words.
                                config.documentation =
                                    config.documentation.take().map(|_| "words".to_owned());
                            }
                        }
                    },
                );
            }
        }
    }
}
