//! Generates the tables of docs/compatibility.md from the table that answers ApiVersions, and from
//! the files that pin the clients' versions.

#![allow(clippy::disallowed_methods, reason = "the test compares files of the repository")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use ringlog_node::wire::versions::{BROKER_APIS, CONTROLLER_APIS, PRODUCE_VERSION_MIN, Served};
use ringlog_wire::ApiKey;

/// The oldest version of Produce that Apache Kafka advertises and does not serve.
const PRODUCE_ADVERTISED_MIN: i16 = 0;

/// A client or system that scripts/conformance or the tests run: its name, the file that pins its
/// version, the text before the version in that file, the suites, and what they test.
const CLIENTS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "Apache Kafka's tools and broker",
        "scripts/kafka",
        "version=${KAFKA_VERSION:-",
        "`node/tests`: every comparison; `tools`, `java-gui`",
        "tools, except for transactions; data directories exchanged with Kafka; the calls of a \
         graphical interface",
    ),
    (
        "Apache Kafka's Java consumers",
        "scripts/kafka",
        "version=${KAFKA_VERSION:-",
        "`java-assignors`",
        "the assignors range, round robin, sticky and cooperative sticky; patterns; the consumer \
         protocol with `uniform`, `range` and regular expressions",
    ),
    (
        "older Java clients",
        "conformance/java/older-versions.txt",
        "",
        "`java-older`",
        "every codec, a group, administration",
    ),
    (
        "Confluent Parallel Consumer",
        "conformance/java/parallel-consumer-pom.xml",
        "<artifactId>parallel-consumer-core</artifactId><version>",
        "`parallel-consumer`",
        "keys processed in parallel, commits with gaps, a restart",
    ),
    (
        "Kafka Connect",
        "conformance/java/connect-pom.xml",
        "<artifactId>connect-runtime</artifactId><version>",
        "`connect-standalone`, `connect-distributed`",
        "FileStreamSource and FileStreamSink; REST; failover to a second worker",
    ),
    (
        "Apicurio Registry",
        "scripts/conformance",
        "io.apicurio:apicurio-registry-app:",
        "`schema-registry`",
        "schemas stored in a topic, and read again after a restart",
    ),
    (
        "confluent-kafka for Python (librdkafka)",
        "scripts/python-requirements.txt",
        "confluent-kafka==",
        "`seeds`, `confluent-kafka-python`, `node/tests`",
        "every assignor of librdkafka, the consumer protocol, administration",
    ),
    (
        "aiokafka",
        "conformance/python/requirements.txt",
        "aiokafka==",
        "`aiokafka`",
        "every codec, a group, administration",
    ),
    (
        "kafka-python",
        "conformance/python/requirements.txt",
        "kafka-python==",
        "`kafka-python`",
        "every codec, a group, administration",
    ),
    (
        "kafkajs",
        "conformance/node/package.json",
        "\"kafkajs\": \"",
        "`kafkajs`",
        "a group, administration; it uses no flexible version of any API",
    ),
    (
        "franz-go (kgo)",
        "conformance/go/go.mod",
        "github.com/twmb/franz-go v",
        "`franz-go`",
        "every codec, every balancer, the consumer protocol",
    ),
    (
        "franz-go (kadm)",
        "conformance/go/go.mod",
        "github.com/twmb/franz-go/pkg/kadm v",
        "`franz-go`",
        "administration",
    ),
    (
        "sarama",
        "conformance/go/go.mod",
        "github.com/IBM/sarama v",
        "`sarama`",
        "every codec, every strategy, administration",
    ),
    (
        "confluent-kafka-go (librdkafka)",
        "conformance/go/go.mod",
        "github.com/confluentinc/confluent-kafka-go/v2 v",
        "`confluent-kafka-go`",
        "every codec, both group protocols, administration",
    ),
    (
        "rdkafka for Rust (librdkafka)",
        "Cargo.lock",
        "name = \"rdkafka\"\nversion = \"",
        "`rust-rdkafka`",
        "every codec, every assignor, administration",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn range(apis: &[Served], key: ApiKey) -> Option<(i16, i16)> {
    let served = apis.iter().find(|served| served.key == key)?;
    Some((served.min, served.max))
}

fn shown(range: Option<(i16, i16)>) -> String {
    match range {
        None => "-".to_owned(),
        Some((min, max)) if min == max => min.to_string(),
        Some((min, max)) => format!("{min} to {max}"),
    }
}

/// What Apache Kafka 4.1 serves of an API; nothing where its only version is unstable.
fn stock(key: ApiKey) -> Option<(i16, i16)> {
    let versions = key.request_versions();
    (!versions.is_empty()).then_some((*versions.start(), *versions.end()))
}

/// Why an API is not served.
fn reason(key: ApiKey) -> &'static str {
    use ApiKey as K;
    match key {
        K::AddPartitionsToTxn
        | K::AddOffsetsToTxn
        | K::EndTxn
        | K::TxnOffsetCommit
        | K::DescribeTransactions
        | K::ListTransactions => "transactions are not implemented",
        K::ShareGroupHeartbeat
        | K::ShareGroupDescribe
        | K::ShareFetch
        | K::ShareAcknowledge
        | K::InitializeShareGroupState
        | K::ReadShareGroupState
        | K::WriteShareGroupState
        | K::DeleteShareGroupState
        | K::ReadShareGroupStateSummary
        | K::DescribeShareGroupOffsets
        | K::AlterShareGroupOffsets
        | K::DeleteShareGroupOffsets => {
            "share groups are not implemented; Kafka 4.1 disables them by default"
        }
        K::StreamsGroupHeartbeat | K::StreamsGroupDescribe => {
            "unstable in Kafka 4.1, and disabled there"
        }
        K::SaslAuthenticate
        | K::CreateDelegationToken
        | K::RenewDelegationToken
        | K::ExpireDelegationToken
        | K::DescribeDelegationToken
        | K::DescribeUserScramCredentials
        | K::AlterUserScramCredentials => "SASL is not implemented",
        K::DescribeClientQuotas | K::AlterClientQuotas => "quotas are not implemented",
        K::GetTelemetrySubscriptions | K::PushTelemetry => {
            "there is no receiver of client metrics; Kafka without one does not advertise it either"
        }
        K::AlterReplicaLogDirs | K::AssignReplicasToDirs => {
            "moving replicas between directories is not implemented"
        }
        _ => "clusters of several nodes are not implemented",
    }
}

fn render_apis() -> String {
    let mut table = String::from(
        "| key | API | Apache Kafka 4.1 | brokers' listeners | controllers' listeners \
         | reason if not served |\n\
         |---|---|---|---|---|---|\n",
    );
    for &key in ApiKey::ALL {
        let (broker, controller) = (range(BROKER_APIS, key), range(CONTROLLER_APIS, key));
        let why = match broker.or(controller) {
            None => reason(key),
            Some(_) => "",
        };
        let stock = match key {
            ApiKey::Produce => stock(key).map(|(_, max)| (PRODUCE_ADVERTISED_MIN, max)),
            _ => stock(key),
        };
        let (number, name) = (key as i16, key.name());
        let [stock, broker, controller] = [stock, broker, controller].map(shown);
        writeln!(table, "| {number} | {name} | {stock} | {broker} | {controller} | {why} |")
            .expect("a String takes everything");
    }
    table
}

/// The version that a file pins.
fn pinned(file: &str, before: &str) -> String {
    let text = std::fs::read_to_string(root().join(file)).expect("a file of the repository");
    if before.is_empty() {
        return text.split_whitespace().collect::<Vec<_>>().join(", ");
    }
    let at = text.find(before).unwrap_or_else(|| panic!("no {before:?} in {file}"));
    // A version may begin within what was looked for.
    let start = at + before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let version = text[start..].split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
    version.into_iter().next().expect("a version").to_owned()
}

fn render_clients() -> String {
    let mut table =
        String::from("| client | version | suites | what is tested |\n|---|---|---|---|\n");
    for (name, file, before, place, what) in CLIENTS {
        let version = pinned(file, before);
        assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{name}: {version}");
        writeln!(table, "| {name} | {version} | {place} | {what} |")
            .expect("a String takes everything");
    }
    table
}

/// The page with the text between two marks replaced.
fn replace(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let from = page.find(&begin).expect("the mark of the table's start") + begin.len();
    let to = page.find(&end).expect("the mark of the table's end");
    format!("{}{table}{}", &page[..from], &page[to..])
}

#[test]
fn the_tables_in_docs_are_up_to_date() {
    let path = root().join("docs/compatibility.md");
    let page = std::fs::read_to_string(&path).expect("readable");
    let made = replace(&replace(&page, "apis", &render_apis()), "clients", &render_clients());
    if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        std::fs::write(&path, &made).expect("writable");
        return;
    }
    assert!(
        made == page,
        "docs/compatibility.md is out of date: UPDATE=1 cargo test --test compatibility"
    );
}

#[test]
fn no_version_is_served_that_apache_kafka_does_not_serve() {
    for served in BROKER_APIS.iter().chain(CONTROLLER_APIS) {
        let (min, max) = stock(served.key).expect("it has stable versions");
        let least = if served.key == ApiKey::Produce { PRODUCE_ADVERTISED_MIN } else { min };
        assert!(least <= served.min && served.max <= max, "{served:?}");
    }
    assert_eq!(stock(ApiKey::Produce).map(|(min, _)| min), Some(PRODUCE_VERSION_MIN));
}

#[test]
fn every_suite_is_in_the_page() {
    let script = std::fs::read_to_string(root().join("scripts/conformance")).expect("readable");
    let page = std::fs::read_to_string(root().join("docs/compatibility.md")).expect("readable");
    let suites = script.split_once("SUITES = {").expect("the table of suites").1;
    let names = suites.lines().map_while(|line| (line != "}").then_some(line.trim()));
    for name in names.filter_map(|line| line.split('"').nth(1)) {
        assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/compatibility.md");
    }
}
