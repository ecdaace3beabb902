//! Topics: made, grown, listed, described, deleted.

use ringlog_wire::Uuid;
use ringlog_wire::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use ringlog_wire::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ringlog_wire::messages::delete_topics_request::DeleteTopicState;
use ringlog_wire::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use ringlog_wire::messages::metadata_request::MetadataRequestTopic;
use ringlog_wire::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeTopicPartitionsRequest, MetadataRequest,
};

use crate::pair::{Pair, Side, create, new_topic};
use crate::support::{kafka, run};

pub fn compare(pair: &mut Pair) {
    pair.create_topic("there", 2, &[("flush.ms", "1000")]);
    pair.create_topic("dotted.name", 1, &[]);
    create_topics(pair);
    metadata(pair);
    described(pair);
    create_partitions(pair);
    delete_topics(pair);
}

fn assigned(name: &str, partitions: &[(i32, &[i32])]) -> CreatableTopic {
    let assignments =
        partitions.iter().map(|(partition_index, broker_ids)| CreatableReplicaAssignment {
            partition_index: *partition_index,
            broker_ids: broker_ids.to_vec(),
        });
    CreatableTopic {
        num_partitions: -1,
        replication_factor: -1,
        assignments: assignments.collect(),
        ..new_topic(name)
    }
}

fn configured(name: &str, configs: &[(&str, Option<&str>)]) -> CreatableTopic {
    let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
        name: (*name).to_owned(),
        value: value.map(str::to_owned),
    });
    CreatableTopic { configs: configs.collect(), ..new_topic(name) }
}

fn sized(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic { num_partitions, replication_factor, ..new_topic(name) }
}

/// Topics that are asked for, one case each; `fresh` makes a name of its own per version.
fn topic_cases(fresh: impl Fn(&str) -> String) -> Vec<(&'static str, Vec<CreatableTopic>)> {
    let long = "x".repeat(250);
    let name = fresh("case");
    vec![
        ("plain", vec![new_topic(&fresh("plain"))]),
        ("configured", vec![configured(&fresh("configured"), &[("retention.ms", Some("5"))])]),
        ("assigned", vec![assigned(&fresh("assigned"), &[(0, &[1]), (1, &[1])])]),
        ("defaults", vec![sized(&fresh("defaults"), -1, -1)]),
        ("exists", vec![new_topic("there")]),
        ("collides", vec![new_topic("dotted_name")]),
        ("no name", vec![new_topic("")]),
        ("dot", vec![new_topic(".")]),
        ("dots", vec![new_topic("..")]),
        ("slash", vec![new_topic("a/b")]),
        ("long", vec![new_topic(&long)]),
        ("metadata", vec![new_topic("__cluster_metadata")]),
        ("no partitions", vec![sized(&name, 0, 1)]),
        ("fewer than none", vec![sized(&name, -2, 1)]),
        ("no replicas", vec![sized(&name, 1, 0)]),
        ("fewer replicas than none", vec![sized(&name, 1, -2)]),
        ("too many replicas", vec![sized(&name, 1, 2)]),
        ("too many partitions", vec![sized(&name, 10_001, 1)]),
        ("unknown broker", vec![assigned(&name, &[(0, &[7])])]),
        ("negative broker", vec![assigned(&name, &[(0, &[-1])])]),
        ("broker twice", vec![assigned(&name, &[(0, &[1, 1])])]),
        ("no brokers", vec![assigned(&name, &[(0, &[])])]),
        ("uneven", vec![assigned(&name, &[(0, &[1]), (1, &[1, 2])])]),
        ("starts at one", vec![assigned(&name, &[(1, &[1])])]),
        ("hole", vec![assigned(&name, &[(0, &[1]), (2, &[1])])]),
        ("negative partition", vec![assigned(&name, &[(-1, &[1])])]),
        ("partition twice", vec![assigned(&name, &[(0, &[1]), (0, &[1])])]),
        ("both", vec![CreatableTopic { num_partitions: 1, ..assigned(&name, &[(0, &[1])]) }]),
        (
            "both replicas",
            vec![CreatableTopic { replication_factor: 1, ..assigned(&name, &[(0, &[1])]) }],
        ),
        ("unknown key", vec![configured(&name, &[("no.such.key", Some("1"))])]),
        ("bad value", vec![configured(&name, &[("retention.ms", Some("long"))])]),
        ("out of range", vec![configured(&name, &[("max.message.bytes", Some("-3"))])]),
        ("null value", vec![configured(&name, &[("retention.ms", None)])]),
        ("twice", vec![new_topic(&name), new_topic(&name)]),
        ("one of two", vec![new_topic("there"), new_topic(&fresh("second"))]),
        ("none", vec![]),
    ]
}

fn create_topics(pair: &mut Pair) {
    for version in 2..=7 {
        for validate_only in [true, false] {
            for (what, topics) in topic_cases(|name| format!("{name}-{version}")) {
                pair.same_but(
                    &format!("{what} validate_only={validate_only}"),
                    version,
                    |_| CreateTopicsRequest { validate_only, ..create(topics.clone()) },
                    |response| {
                        response.topics.sort_by(|a, b| a.name.cmp(&b.name));
                        for topic in &mut response.topics {
                            // Random; whether there is one is compared.
                            if !topic.topic_id.is_zero() {
                                topic.topic_id = Uuid::ONE;
                            }
                            if let Some(configs) = &mut topic.configs {
                                configs.sort_by(|a, b| a.name.cmp(&b.name));
                            }
                        }
                    },
                );
            }
        }
    }
    let made = [2, 3, 4, 5, 6, 7].map(|version| format!("second-{version}"));
    pair.learn(&made.each_ref().map(String::as_str), true);
}

fn ask_for(name: Option<&str>, topic_id: Uuid) -> MetadataRequestTopic {
    MetadataRequestTopic { topic_id, name: name.map(str::to_owned) }
}

fn metadata(pair: &mut Pair) {
    for version in 0..=13 {
        let from = |least: i16| version >= least;
        let mut ask = |what: &str, topics: &dyn Fn(&Side) -> Option<Vec<MetadataRequestTopic>>| {
            for operations in [false, true] {
                pair.same_but(
                    what,
                    version,
                    |side| MetadataRequest {
                        topics: topics(side),
                        allow_auto_topic_creation: !from(4),
                        include_cluster_authorized_operations: operations
                            && (8..=10).contains(&version),
                        include_topic_authorized_operations: operations && from(8),
                    },
                    |response| {
                        response.topics.sort_by(|a, b| a.name.cmp(&b.name));
                        for topic in &mut response.topics {
                            topic.partitions.sort_by_key(|partition| partition.partition_index);
                        }
                    },
                );
            }
        };
        ask("all", &|_| if from(1) { None } else { Some(Vec::new()) });
        if from(1) {
            ask("none", &|_| Some(Vec::new()));
        }
        ask("one", &|_| Some(vec![ask_for(Some("there"), Uuid::ZERO)]));
        ask("a bad name", &|_| Some(vec![ask_for(Some("a/b"), Uuid::ZERO)]));
        ask("an empty name", &|_| Some(vec![ask_for(Some(""), Uuid::ZERO)]));
        ask("one twice", &|_| {
            Some(vec![ask_for(Some("there"), Uuid::ZERO), ask_for(Some("there"), Uuid::ZERO)])
        });
        if from(4) {
            ask("an unknown one", &|_| Some(vec![ask_for(Some("nope"), Uuid::ZERO)]));
        }
        if from(10) {
            ask("by id", &|side| Some(vec![ask_for(None, side.id("there"))]));
            ask("by id and name", &|side| Some(vec![ask_for(Some("there"), side.id("there"))]));
            ask("by an unknown id", &|_| Some(vec![ask_for(None, Uuid::from_u64s(5, 5))]));
        }
    }
    for version in [0, 4, 13] {
        let name = format!("auto-{version}");
        // Kafka answers before it is done.
        let request = || MetadataRequest {
            topics: Some(vec![ask_for(Some(&name), Uuid::ZERO)]),
            ..Default::default()
        };
        for side in [&mut pair.stock, &mut pair.ours] {
            side.client.request(&request(), version);
        }
        pair.learn(&[&name], true);
        pair.same_but(
            "made on the way",
            version,
            |_| request(),
            |response| {
                let topics = response.topics.iter_mut();
                topics.for_each(|topic| topic.partitions.sort_by_key(|p| p.partition_index));
            },
        );
    }
}

fn described(pair: &mut Pair) {
    let mut ask = |what: &str, names: &[&str], limit: i32, cursor: Option<(&str, i32)>| {
        pair.same(what, 0, |_| DescribeTopicPartitionsRequest {
            topics: names.iter().map(|name| TopicRequest { name: (*name).to_owned() }).collect(),
            response_partition_limit: limit,
            cursor: cursor.map(|(topic_name, partition_index)| Cursor {
                topic_name: topic_name.to_owned(),
                partition_index,
            }),
        });
    };
    ask("all", &[], 2000, None);
    for limit in [-1, 0, 1, 2, 3] {
        ask("pages of all", &[], limit, None);
        ask("pages", &["there", "nope", "auto-4", "auto-0"], limit, None);
    }
    ask("from a topic on", &[], 3, Some(("auto-4", 0)));
    ask("from a partition on", &[], 3, Some(("auto-4", 1)));
    ask("past its last partition", &[], 3, Some(("auto-4", 2)));
    ask("past the last topic", &[], 3, Some(("zzz", 0)));
    ask("a negative partition", &[], 3, Some(("auto-4", -1)));
    ask("named, from a topic on", &["auto-4", "there"], 3, Some(("auto-4", 1)));
    ask("named, from another on", &["auto-4", "there"], 3, Some(("b", 1)));
    ask("named twice", &["there", "there"], 2000, None);
    ask("a bad name", &["a/b", "there"], 2000, None);
}

fn grown(name: &str, count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    CreatePartitionsTopic {
        name: name.to_owned(),
        count,
        assignments: assignments.map(|assignments| {
            let of = |ids: &&[i32]| CreatePartitionsAssignment { broker_ids: ids.to_vec() };
            assignments.iter().map(of).collect()
        }),
    }
}

fn create_partitions(pair: &mut Pair) {
    pair.create_topic("growing", 1, &[]);
    for version in 0..=3 {
        let now = 1 + i32::from(version);
        let cases: Vec<(&str, Vec<CreatePartitionsTopic>)> = vec![
            ("fewer", vec![grown("growing", now - 1, None)]),
            ("as many", vec![grown("growing", now, None)]),
            ("none", vec![grown("growing", 0, None)]),
            ("negative", vec![grown("growing", -1, None)]),
            ("unknown", vec![grown("nope", 5, None)]),
            ("bad name", vec![grown("a/b", 5, None)]),
            ("twice", vec![grown("growing", 50, None), grown("growing", 51, None)]),
            ("assignments too few", vec![grown("growing", now + 2, Some(&[&[1]]))]),
            ("assignments too many", vec![grown("growing", now + 1, Some(&[&[1], &[1]]))]),
            ("no assignments", vec![grown("growing", now + 1, Some(&[]))]),
            ("unknown broker", vec![grown("growing", now + 1, Some(&[&[4]]))]),
            ("broker twice", vec![grown("growing", now + 1, Some(&[&[1, 1]]))]),
            ("no broker", vec![grown("growing", now + 1, Some(&[&[]]))]),
            ("uneven", vec![grown("growing", now + 2, Some(&[&[1], &[1, 2]]))]),
            ("assigned", vec![grown("growing", now + 1, Some(&[&[1]]))]),
        ];
        for validate_only in [true, false] {
            for (what, topics) in &cases {
                pair.same_but(
                    &format!("{what} validate_only={validate_only}"),
                    version,
                    |_| CreatePartitionsRequest {
                        topics: topics.clone(),
                        timeout_ms: 10_000,
                        validate_only,
                    },
                    |response| response.results.sort_by(|a, b| a.name.cmp(&b.name)),
                );
            }
        }
    }
}

/// How a request names a topic.
type NameOrId = (Option<String>, Uuid);

fn delete_topics(pair: &mut Pair) {
    for version in 1..=6 {
        let (one, other) = (format!("gone-{version}"), format!("also-{version}"));
        pair.create_topic(&one, 1, &[]);
        pair.create_topic(&other, 1, &[]);
        let mut ask = |what: &str, topics: &dyn Fn(&Side) -> Vec<NameOrId>| {
            pair.same_but(
                what,
                version,
                |side| {
                    let topics = topics(side).into_iter();
                    let (mut states, mut names) = (Vec::new(), Vec::new());
                    for (name, topic_id) in topics {
                        match version >= 6 {
                            true => states.push(DeleteTopicState { name, topic_id }),
                            false => names.extend(name),
                        }
                    }
                    DeleteTopicsRequest { topics: states, topic_names: names, timeout_ms: 10_000 }
                },
                |response| {
                    response.responses.sort_by_key(|a| (a.name.clone(), a.topic_id));
                },
            );
        };
        let named = |name: &str| (Some(name.to_owned()), Uuid::ZERO);
        ask("unknown", &|_| vec![named("nope")]);
        ask("bad names", &|_| vec![named("a/b"), named("")]);
        ask("none", &|_| vec![]);
        ask("twice", &|_| vec![named(&other), named(&other)]);
        ask("one of two", &|_| vec![named(&one), named("nope")]);
        ask("again", &|_| vec![named(&one)]);
        if version >= 6 {
            ask("unknown id", &|_| vec![(None, Uuid::from_u64s(5, 5))]);
            ask("neither", &|_| vec![(None, Uuid::ZERO)]);
            ask("both", &|side| vec![(Some(other.clone()), side.id(&other))]);
            ask("an id and its name", &|side| vec![(None, side.id(&other)), named(&other)]);
            ask("id twice", &|side| vec![(None, side.id(&other)), (None, side.id(&other))]);
            ask("by id", &|side| vec![(None, side.id(&other))]);
        }
    }
}

/// What the tools print of both.
pub fn compare_tools(pair: &mut Pair) {
    for args in [&["--describe"][..], &["--list"], &["--describe", "--topic", "there"]] {
        let print = |side: &Side| {
            let mut tool = kafka("kafka-topics");
            tool.args(["--bootstrap-server", &side.node.bootstrap()]).args(args);
            let mut lines: Vec<String> = run(&mut tool).lines().map(str::to_owned).collect();
            for line in &mut lines {
                if let Some((before, rest)) = line.split_once("TopicId: ") {
                    let after = rest.split_once('\t').map_or("", |(_, after)| after);
                    *line = format!("{before}TopicId: ID\t{after}");
                }
            }
            lines.sort();
            lines.join("\n")
        };
        let (stock, ours) = (print(&pair.stock), print(&pair.ours));
        pair.compare_masked(&format!("kafka-topics {args:?}"), stock, ours);
    }
}
