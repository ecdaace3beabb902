//! Compares the configuration module to Apache Kafka's own classes, which answer the same questions
//! in a JVM (tests/java/ConfigDump.java, through scripts/kafka): the table row by row, what every
//! key makes of tricky values, how files are parsed, what whole configurations are refused for, and
//! what DescribeConfigs shows.
//!
//! Without Java or Maven the tests say so and pass; with RINGLOG_REQUIRE_INTEROP=1 they fail.
#![allow(clippy::disallowed_methods, reason = "a test of the outside world")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

#[path = "config_oracle/cases.rs"]
mod cases;

use cases::*;
use ringlog_node::config::{
    self, BrokerConfig, ConfigError, ConfigKey, DefaultValue, Described, Kind, Level, Listener,
    Overrides, RawConfig, Resource, Scope, Valid,
};

/// Ringlog takes small segments, Kafka does not: the one difference in values that is meant.
const SMALL_SEGMENTS: [&str; 2] = ["log.segment.bytes", "segment.bytes"];

/// Questions for the JVM, each with our own answer.
#[derive(Default)]
struct Oracle {
    requests: String,
    expected: Vec<(String, Vec<String>)>,
}

impl Oracle {
    fn ask(&mut self, command: &str, arguments: &[&[u8]], ours: Vec<String>) {
        let mut label = command.to_string();
        self.requests.push_str(command);
        for argument in arguments {
            self.requests.push('\t');
            argument.iter().for_each(|byte| write!(self.requests, "{byte:02x}").unwrap());
            write!(label, " {:?}", String::from_utf8_lossy(argument)).unwrap();
        }
        self.requests.push('\n');
        self.expected.push((label, ours));
    }

    /// Kafka's answers, or nothing if it cannot be asked here.
    fn answers(&self, test: &str) -> Option<Vec<Vec<String>>> {
        let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let kafka = crate_dir.join("../scripts/kafka");
        // Once, not by every test at the same time.
        static INSTALLED: OnceLock<()> = OnceLock::new();
        INSTALLED.get_or_init(|| {
            Command::new(&kafka).arg("install").output().expect("scripts/kafka runs");
        });
        let file = scratch(test);
        std::fs::write(&file, &self.requests).unwrap();
        let output = Command::new(&kafka)
            .arg("class")
            .arg(crate_dir.join("tests/java/ConfigDump.java"))
            .arg(&file)
            .output()
            .expect("scripts/kafka runs");
        std::fs::remove_file(&file).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(3) {
            let required = std::env::var("RINGLOG_REQUIRE_INTEROP").is_ok_and(|set| set == "1");
            assert!(!required, "{test}: Kafka cannot be asked: {errors}");
            // Written past the test harness, which would swallow the text of a test that passes.
            let skipped = format!("SKIPPED {test}: Kafka cannot be asked: {errors}\n");
            std::io::stderr().write_all(skipped.as_bytes()).unwrap();
            return None;
        }
        assert!(output.status.success(), "{test}: {errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        let mut answers = vec![Vec::new()];
        for line in text.lines() {
            match line {
                "." => answers.push(Vec::new()),
                line => answers.last_mut().unwrap().push(line.to_string()),
            }
        }
        assert_eq!(answers.pop(), Some(Vec::new()), "{test}: the last answer is cut off");
        assert_eq!(answers.len(), self.expected.len(), "{test}: {errors}");
        Some(answers)
    }

    /// Fails unless Kafka's answers are ours, those that `meant` explains left out.
    fn compare(&self, test: &str, meant: impl Fn(&str, &[String], &[String]) -> bool) {
        let Some(answers) = self.answers(test) else { return };
        let mut report = String::new();
        let mut differences = 0;
        for ((label, ours), kafkas) in self.expected.iter().zip(&answers) {
            if ours == kafkas || meant(label, ours, kafkas) {
                continue;
            }
            differences += 1;
            if differences <= 20 {
                writeln!(report, "{label}").unwrap();
                let missing = kafkas.iter().filter(|line| !ours.contains(line));
                missing.take(5).for_each(|line| writeln!(report, "  kafka: {line}").unwrap());
                let added = ours.iter().filter(|line| !kafkas.contains(line));
                added.take(5).for_each(|line| writeln!(report, "  ours:  {line}").unwrap());
            }
        }
        assert!(differences == 0, "{test}: {differences} differences\n{report}");
    }
}

fn scratch(test: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ringlog-config-{test}-{}", std::process::id()))
}

/// ConfigDump's lines: words separated by tabs, escaped unless printable ASCII.
fn line(words: &[&str]) -> String {
    let escape = |word: &&str| {
        let mut text = String::new();
        for unit in word.encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte @ b' '..=b'~') if byte != b'\\' => text.push(char::from(byte)),
                _ => write!(text, "\\u{unit:04x}").unwrap(),
            }
        }
        text
    };
    words.iter().map(escape).collect::<Vec<_>>().join("\t")
}

fn error_line(error: &ConfigError) -> Vec<String> {
    // The first sentence is Kafka's, advice is ours.
    let message = error.message();
    let end = message.find("has no default value.").map(|at| at + "has no default value.".len());
    vec![line(&["error", &message[..end.unwrap_or(message.len())]])]
}

fn ok_or_error(result: Result<(), ConfigError>) -> Vec<String> {
    match result {
        Ok(()) => vec!["ok".to_string()],
        Err(error) => error_line(&error),
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("ringlog.")
}

fn resource_name(key: &ConfigKey) -> &'static str {
    match key.scope {
        Scope::ReadOnly | Scope::PerBroker | Scope::ClusterWide => "broker",
        Scope::DynamicOnly => "dynamic",
        Scope::Topic => "topic",
        Scope::Group => "group",
        Scope::ClientMetrics => "client-metrics",
    }
}

fn table_keys() -> impl Iterator<Item = &'static ConfigKey> {
    config::SECTIONS.iter().flat_map(|section| section.keys).filter(|key| !is_ours(key.name))
}

fn parse(text: &str) -> BTreeMap<String, String> {
    config::parse_properties(text.as_bytes()).unwrap()
}

#[test]
fn the_table_is_kafkas() {
    let mut rows: Vec<String> = table_keys()
        .map(|key| {
            let default = match key.default {
                DefaultValue::Required => "required".to_string(),
                DefaultValue::Null => "null".to_string(),
                DefaultValue::Text(text) => format!("={text}"),
            };
            let valid = match key.valid {
                _ if SMALL_SEGMENTS.contains(&key.name) => "[1048576,...]".to_string(),
                valid => valid.to_string(),
            };
            let mode = if resource_name(key) == "broker" { key.scope.name() } else { "" };
            line(&[
                "key",
                resource_name(key),
                key.name,
                key.kind.name(),
                &default,
                &valid,
                key.importance.name(),
                if key.internal { "internal" } else { "public" },
                mode,
            ])
        })
        .collect();
    for synonyms in config::TOPIC_SYNONYMS {
        let mut words = vec!["synonyms".to_string(), synonyms.topic_key.to_string()];
        let texts = synonyms.broker_keys.iter();
        words.extend(texts.map(|(name, unit)| format!("{name}*{}", unit.factor())));
        rows.push(line(&words.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    rows.sort();
    let mut oracle = Oracle::default();
    oracle.ask("table", &[], rows);
    let sorted = |lines: &[String]| {
        let mut lines = lines.to_vec();
        lines.sort();
        lines
    };
    oracle.compare("table", |_, ours, kafkas| ours == sorted(kafkas));
}

fn probes(key: &ConfigKey) -> Vec<String> {
    let mut values: Vec<String> = VALUES.iter().map(ToString::to_string).collect();
    if let Valid::Range { min, max } = key.valid {
        for bound in [min, max].into_iter().flatten() {
            values.push(bound.to_string());
            if let Ok(number) = bound.to_string().parse::<i64>() {
                values.push((number - 1).to_string());
                values.push((number + 1).to_string());
            }
        }
    }
    values
}

#[test]
fn every_key_takes_and_refuses_what_kafkas_does() {
    let mut oracle = Oracle::default();
    // Kafka would load the classes.
    for key in table_keys().filter(|key| key.kind != Kind::Class) {
        for raw in probes(key) {
            let ours = match key.parse(&raw) {
                Ok(_) if key.is_sensitive() => vec![line(&["ok", ""])],
                Ok(value) => vec![line(&["ok", &value.to_config_text()])],
                Err(error) => error_line(&error),
            };
            let arguments = [resource_name(key), key.name, &raw].map(str::as_bytes);
            oracle.ask("value", &arguments, ours);
        }
    }
    oracle.compare("values", |label, _, kafkas| {
        SMALL_SEGMENTS.iter().any(|name| label.contains(&format!("\"{name}\"")))
            && kafkas[0].ends_with("Value must be at least 1048576")
    });
}

#[test]
fn files_parse_as_java_parses_them() {
    let mut oracle = Oracle::default();
    for file in FILES {
        let ours = match config::parse_properties(file) {
            Ok(pairs) => pairs.iter().map(|(key, value)| line(&[key, value])).collect(),
            Err(error) => error_line(&error),
        };
        oracle.ask("load", &[file], ours);
    }
    // Java sorts keys by UTF-16 units as we do by bytes, which is the same for these.
    oracle.compare("files", |_, _, _| false);
}

fn listener_lines(word: &str, listeners: &[Listener]) -> Vec<String> {
    let shown = |l: &Listener| {
        let host = l.host.as_deref().unwrap_or_default();
        line(&[word, &l.name, host, &l.port.to_string(), l.protocol.name()])
    };
    listeners.iter().map(shown).collect()
}

/// What a configuration makes of a node, in ConfigDump's words.
fn node_lines(file: &str) -> Vec<String> {
    let config = match RawConfig::load(file.as_bytes(), &[]) {
        Ok(config) => config,
        Err(error) => return error_line(&error),
    };
    let number = |number: i64| number.to_string();
    let mut lines =
        vec![line(&["ids", &config.node_id().to_string(), &config.int("broker.id").to_string()])];
    lines.extend(config.log_dirs().iter().map(|dir| line(&["dir", dir])));
    lines.push(line(&["metadata", &config.metadata_log_dir()]));
    lines.push(line(&[
        "times",
        &number(config.log_roll_ms()),
        &number(config.log_roll_jitter_ms()),
        &number(config.log_retention_ms()),
        &number(config.log_flush_interval_ms()),
    ]));
    lines.extend(listener_lines("listener", &config.listeners()));
    lines.extend(listener_lines("broker", &config.broker_listeners()));
    lines.extend(listener_lines("controller", &config.controller_listeners()));
    lines.extend(listener_lines("advertised", &config.advertised_broker_listeners()));
    let controllers = config.advertised_controller_listeners();
    lines.extend(listener_lines("advertised-controller", &controllers));
    let (name, protocol) = config.inter_broker_listener();
    lines.push(line(&["inter", &name, protocol.name()]));
    for (id, at) in config.voters() {
        lines.push(line(&["voter", &id.to_string(), &at.host, &at.port.to_string()]));
    }
    for at in config.bootstrap_servers() {
        lines.push(line(&["server", &at.host, &at.port.to_string()]));
    }
    lines
}

#[test]
fn whole_configurations_are_taken_and_refused_as_kafka_does() {
    let mut oracle = Oracle::default();
    let changed = CHANGES.iter().map(|change| format!("{COMBINED}\n{change}"));
    for file in NODES.iter().map(ToString::to_string).chain(changed) {
        oracle.ask("node", &[file.as_bytes()], node_lines(&file));
    }
    oracle.compare("nodes", |label, ours, _| {
        // Kafka starts a node without roles, which does nothing.
        label.contains("process.roles=\"") && ours[0].contains("a node needs a role")
    });
}

fn described_lines(described: Vec<Described>) -> Vec<String> {
    let value = |value: &Option<String>| match value {
        Some(text) => format!("={text}"),
        None => "null".to_string(),
    };
    let mut lines = Vec::new();
    for entry in described.into_iter().filter(|entry| !is_ours(&entry.name)) {
        lines.push(line(&[
            "config",
            &entry.name,
            &value(&entry.value),
            &entry.source.wire_id().to_string(),
            &entry.read_only.to_string(),
            &entry.sensitive.to_string(),
            &entry.config_type().to_string(),
            if entry.documentation.is_some() { "doc" } else { "no doc" },
        ]));
        for synonym in &entry.synonyms {
            let source = synonym.source.wire_id().to_string();
            lines.push(line(&["synonym", &synonym.name, &value(&synonym.value), &source]));
        }
    }
    lines
}

fn broker([file, default, own]: &[&str; 3]) -> BrokerConfig {
    let file = RawConfig::load(format!("{COMBINED}\n{file}").as_bytes(), &[]).unwrap();
    let mut broker = BrokerConfig::new(file);
    broker.set_overrides(Level::ClusterDefault, &parse(default));
    broker.set_overrides(Level::Broker, &parse(own));
    broker
}

#[test]
fn every_resource_is_described_as_kafka_does() {
    let mut oracle = Oracle::default();
    for layers in LAYERS {
        let file = format!("{COMBINED}\n{}", layers[0]);
        let [_, default, own] = layers.map(str::as_bytes);
        let broker = broker(layers);
        let mut ask = |command: &str, last: &str, ours: Vec<String>| {
            oracle.ask(command, &[file.as_bytes(), default, own, last.as_bytes()], ours);
        };
        ask("describe", "1", described_lines(broker.describe()));
        ask("describe", "", described_lines(broker.describe_cluster_default()));
        for topic in TOPICS {
            let described = broker.describe_topic(&parse(topic)).unwrap();
            ask("describe-topic", topic, described_lines(described));
        }
        for group in GROUPS {
            let described = config::describe_group(broker.current(), &parse(group)).unwrap();
            ask("describe-group", group, described_lines(described));
        }
        for subscription in SUBSCRIPTIONS {
            let described = config::describe_client_metrics(&parse(subscription)).unwrap();
            ask("describe-client-metrics", subscription, described_lines(described));
        }
    }
    oracle.compare("describe", |_, _, _| false);
}

#[test]
fn changes_are_taken_and_refused_as_kafka_does() {
    let mut oracle = Oracle::default();
    let remote = format!("{COMBINED}\nremote.log.storage.system.enable=true");
    for file in [COMBINED, &remote] {
        let broker = RawConfig::load(file.as_bytes(), &[]).unwrap();
        for (existing, new) in TOPIC_CHANGES {
            let result = config::validate_topic_overrides(&broker, &parse(existing), &parse(new));
            let arguments = [file, *existing, *new].map(str::as_bytes);
            oracle.ask("check-topic", &arguments, ok_or_error(result));
        }
    }
    let started = RawConfig::load(COMBINED.as_bytes(), &[]).unwrap();
    for new in GROUP_CHANGES {
        let result = config::validate_group_overrides(&started, &parse(new));
        oracle.ask("check-group", &[COMBINED, "", *new].map(str::as_bytes), ok_or_error(result));
    }
    for new in SUBSCRIPTION_CHANGES {
        let result = config::validate_client_metrics("c", &parse(new));
        let arguments = [COMBINED, "", *new].map(str::as_bytes);
        oracle.ask("check-client-metrics", &arguments, ok_or_error(result));
    }
    let broker = BrokerConfig::new(started);
    for (level, new) in BROKER_CHANGES {
        let at = if *level == "1" { Level::Broker } else { Level::ClusterDefault };
        let result = broker.validate_overrides(at, &parse(new));
        let arguments = [COMBINED, "", "", *level, *new].map(str::as_bytes);
        oracle.ask("check-broker", &arguments, ok_or_error(result));
    }
    oracle.compare("changes", |label, ours, kafkas| {
        let small_segment = kafkas[0].ends_with("Value must be at least 1048576");
        let java_class = label.contains("principal.builder.class") && ours == ["ok"];
        small_segment || java_class
    });
}

#[test]
fn every_topic_resolves_from_its_layers() {
    let broker = broker(&LAYERS[2]);
    let topic = broker.topic_config(&Overrides::new()).unwrap();
    assert_eq!(topic.retention_ms, Some(1000));
    assert_eq!(topic.max_message_bytes, 6000);
    assert_eq!(topic.segment_ms, 7);
    assert_eq!(config::all_keys(Resource::Topic).count(), 34);
}
