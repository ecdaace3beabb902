//! What administrators ask and change: configs, epochs, producers, elections, ACLs, directories.

use ringlog_wire::messages as m;
use ringlog_wire::messages::{
    alter_configs_request, alter_partition_reassignments_request, create_acls_request,
    delete_acls_request, describe_configs_request, describe_log_dirs_request,
    describe_producers_request, elect_leaders_request, incremental_alter_configs_request,
    offset_for_leader_epoch_request,
};

use crate::pair::Pair;
use crate::support::batch;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub fn compare(pair: &mut Pair) {
    pair.create_topic("admin", 2, &[]);
    incremental(pair);
    whole(pair);
    resources(pair);
    epochs(pair);
    producers(pair);
    elections(pair);
    reassignments(pair);
    security(pair);
    directories(pair);
}

fn resource(
    kind: i8,
    name: &str,
    configs: &[(&str, i8, Option<&str>)],
) -> incremental_alter_configs_request::AlterConfigsResource {
    let config = |(name, op, value): &(&str, i8, Option<&str>)| {
        incremental_alter_configs_request::AlterableConfig {
            name: (*name).to_owned(),
            config_operation: *op,
            value: value.map(str::to_owned),
        }
    };
    incremental_alter_configs_request::AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs: configs.iter().map(config).collect(),
    }
}

/// Changes both, and shows what is set then.
fn alter(pair: &mut Pair, what: &str, kind: i8, name: &str, configs: &[(&str, i8, Option<&str>)]) {
    for (version, validate_only) in [(0, true), (1, false)] {
        pair.same(what, version, |_| m::IncrementalAlterConfigsRequest {
            resources: vec![resource(kind, name, configs)],
            validate_only,
        });
    }
    let own: Vec<String> = configs.iter().map(|(name, ..)| (*name).to_owned()).collect();
    describe(pair, what, kind, name, &own);
}

fn describe(pair: &mut Pair, what: &str, kind: i8, name: &str, keys: &[String]) {
    // A broker follows a moment after the controller has answered.
    std::thread::park_timeout(std::time::Duration::from_millis(50));
    pair.same_but(
        what,
        4,
        |_| m::DescribeConfigsRequest {
            resources: vec![describe_configs_request::DescribeConfigsResource {
                resource_type: kind,
                resource_name: name.to_owned(),
                configuration_keys: (!keys.is_empty()).then(|| keys.to_vec()),
            }],
            include_synonyms: true,
            include_documentation: false,
        },
        |response| {
            for result in &mut response.results {
                result.configs.sort_by(|a, b| a.name.cmp(&b.name));
            }
        },
    );
}

fn incremental(pair: &mut Pair) {
    let topic = |pair: &mut Pair, what: &str, configs: &[(&str, i8, Option<&str>)]| {
        alter(pair, what, 2, "admin", configs);
    };
    topic(pair, "set", &[("flush.ms", SET, Some("7000")), ("retention.ms", SET, Some("-1"))]);
    topic(pair, "append", &[("cleanup.policy", APPEND, Some("compact"))]);
    topic(pair, "append again", &[("cleanup.policy", APPEND, Some("compact"))]);
    topic(pair, "subtract", &[("cleanup.policy", SUBTRACT, Some("delete"))]);
    topic(pair, "delete", &[("flush.ms", DELETE, None)]);
    topic(pair, "delete what is not set", &[("flush.ms", DELETE, None)]);
    topic(pair, "append to no list", &[("flush.ms", APPEND, Some("1"))]);
    topic(pair, "unknown key", &[("odd.key", SET, Some("1"))]);
    topic(pair, "bad value", &[("flush.ms", SET, Some("soon"))]);
    topic(pair, "out of range", &[("min.insync.replicas", SET, Some("0"))]);
    topic(pair, "null", &[("flush.ms", SET, None)]);
    topic(pair, "twice", &[("flush.ms", SET, Some("1")), ("flush.ms", SET, Some("2"))]);
    alter(pair, "no such topic", 2, "nope", &[("flush.ms", SET, Some("1"))]);
    alter(pair, "bad topic", 2, "not/legal", &[("flush.ms", SET, Some("1"))]);
    alter(pair, "default topic", 2, "", &[("flush.ms", SET, Some("1"))]);
    alter(pair, "broker", 4, "1", &[("log.cleaner.threads", SET, Some("2"))]);
    alter(pair, "all brokers", 4, "", &[("log.flush.interval.ms", SET, Some("9000"))]);
    alter(pair, "all brokers, off", 4, "", &[("log.flush.interval.ms", DELETE, None)]);
    alter(pair, "broker, off", 4, "1", &[("log.cleaner.threads", DELETE, None)]);
    alter(pair, "read-only", 4, "1", &[("num.partitions", SET, Some("3"))]);
    alter(pair, "other broker", 4, "2", &[("log.cleaner.threads", SET, Some("2"))]);
    alter(pair, "odd broker", 4, "x", &[("log.cleaner.threads", SET, Some("2"))]);
    loggers(pair);
    alter(pair, "group", 32, "G", &[("consumer.session.timeout.ms", SET, Some("50000"))]);
    alter(pair, "group, too short", 32, "G", &[("consumer.session.timeout.ms", SET, Some("5"))]);
    alter(pair, "group, unknown", 32, "G", &[("odd", SET, Some("5"))]);
    alter(pair, "no group", 32, "", &[("consumer.session.timeout.ms", SET, Some("50000"))]);
    alter(pair, "metrics", 16, "M", &[("interval.ms", SET, Some("1000"))]);
    alter(pair, "metrics, unknown", 16, "M", &[("odd", SET, Some("1000"))]);
    pair.same("unknown kind", 1, |_| m::IncrementalAlterConfigsRequest {
        resources: vec![resource(64, "x", &[("a", SET, Some("1"))])],
        validate_only: false,
    });
    for (kind, name) in [(2, "admin"), (32, "G"), (16, "M"), (32, ""), (16, "")] {
        describe(pair, "all keys", kind, name, &[]);
    }
}

/// Only the root has the same name in both.
fn loggers(pair: &mut Pair) {
    alter(pair, "logger", 8, "1", &[("root", SET, Some("ERROR"))]);
    alter(pair, "no such level", 8, "1", &[("root", SET, Some("LOUD"))]);
    alter(pair, "level in small letters", 8, "1", &[("root", SET, Some("warn"))]);
    alter(pair, "no such logger", 8, "1", &[("nobody", SET, Some("INFO"))]);
    alter(pair, "no logger", 8, "1", &[("", SET, Some("INFO"))]);
    alter(pair, "unset", 8, "1", &[("root", DELETE, None)]);
    alter(pair, "unset, unknown", 8, "1", &[("nobody", DELETE, None)]);
    alter(pair, "append", 8, "1", &[("root", APPEND, Some("INFO"))]);
    alter(pair, "subtract", 8, "1", &[("nobody", SUBTRACT, Some("INFO"))]);
    alter(pair, "odd operation", 8, "1", &[("root", 9, Some("INFO"))]);
    alter(pair, "null", 8, "1", &[("root", SET, None)]);
    alter(pair, "twice", 8, "1", &[("root", SET, Some("INFO")), ("root", SET, Some("WARN"))]);
    let one_is_bad = [("root", SET, Some("FATAL")), ("nobody", SET, Some("INFO"))];
    alter(pair, "all or none", 8, "1", &one_is_bad);
    alter(pair, "other node", 8, "2", &[("root", SET, Some("INFO"))]);
    alter(pair, "odd node", 8, "x", &[("root", SET, Some("INFO"))]);
    alter(pair, "no node", 8, "", &[("root", SET, Some("INFO"))]);
    alter(pair, "logger", 8, "1", &[("root", SET, Some("WARN"))]);
}

fn whole(pair: &mut Pair) {
    let request = |kind: i8, name: &str, configs: &[(&str, Option<&str>)]| m::AlterConfigsRequest {
        resources: vec![alter_configs_request::AlterConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configs: configs
                .iter()
                .map(|(name, value)| alter_configs_request::AlterableConfig {
                    name: (*name).to_owned(),
                    value: value.map(str::to_owned),
                })
                .collect(),
        }],
        validate_only: false,
    };
    for version in 0..=2 {
        let value = format!("{}", 6000 + version);
        pair.same("whole", version, |_| request(2, "admin", &[("flush.ms", Some(&value))]));
        describe(pair, "whole", 2, "admin", &[]);
        pair.same("null", version, |_| request(2, "admin", &[("flush.ms", None)]));
        pair.same("bad", version, |_| request(2, "admin", &[("flush.ms", Some("x"))]));
        pair.same("no such topic", version, |_| request(2, "nope", &[]));
        pair.same("unknown kind", version, |_| request(8, "1", &[]));
    }
}

fn resources(pair: &mut Pair) {
    for (version, resource_types) in
        [(0, vec![]), (1, vec![]), (1, vec![2]), (1, vec![4, 8]), (1, vec![32, 16]), (1, vec![99])]
    {
        pair.same_but(
            "resources",
            version,
            |_| m::ListConfigResourcesRequest { resource_types: resource_types.clone() },
            |response| {
                let key = |r: &m::list_config_resources_response::ConfigResource| {
                    (r.resource_type, r.resource_name.clone())
                };
                response.config_resources.sort_by_key(key);
            },
        );
    }
}

fn epochs(pair: &mut Pair) {
    for side in [&mut pair.stock, &mut pair.ours] {
        for value in [b"a", b"b"] {
            assert_eq!(side.client.produce("admin", 0, -1, batch(&[value], None)).error, 0);
        }
    }
    for version in 2..=4 {
        for (current_leader_epoch, leader_epoch) in
            [(-1, 0), (0, 0), (-1, 1), (-1, 7), (-1, -1), (5, 0)]
        {
            let what = format!("{current_leader_epoch} {leader_epoch}");
            pair.same_but(
                &what,
                version,
                |_| m::OffsetForLeaderEpochRequest {
                    replica_id: -1,
                    topics: ["admin", "nope"]
                        .map(|topic| offset_for_leader_epoch_request::OffsetForLeaderTopic {
                            topic: topic.to_owned(),
                            partitions: [0, 1, 9]
                                .map(|partition| {
                                    offset_for_leader_epoch_request::OffsetForLeaderPartition {
                                        partition,
                                        current_leader_epoch,
                                        leader_epoch,
                                    }
                                })
                                .to_vec(),
                        })
                        .to_vec(),
                },
                |response| {
                    response.topics.sort_by(|a, b| a.topic.cmp(&b.topic));
                    response
                        .topics
                        .iter_mut()
                        .for_each(|t| t.partitions.sort_by_key(|p| p.partition));
                },
            );
        }
    }
}

fn producers(pair: &mut Pair) {
    for side in [&mut pair.stock, &mut pair.ours] {
        let records = batch(&[b"a", b"b"], Some((77, 3, 0)));
        assert_eq!(side.client.produce("admin", 1, -1, records).error, 0);
    }
    pair.same_but(
        "producers",
        0,
        |_| m::DescribeProducersRequest {
            topics: ["admin", "nope", "not/legal"]
                .map(|name| describe_producers_request::TopicRequest {
                    name: name.to_owned(),
                    partition_indexes: vec![0, 1, 9],
                })
                .to_vec(),
        },
        |response| {
            for partition in response.topics.iter_mut().flat_map(|t| &mut t.partitions) {
                let producers = partition.active_producers.iter_mut();
                producers.for_each(|producer| producer.last_timestamp = 0);
            }
        },
    );
}

fn elections(pair: &mut Pair) {
    for version in 0..=2 {
        for election_type in 0..=i8::from(version >= 1) {
            for topics in [Some(["admin", "nope"]), None] {
                pair.same_but(
                    "elect",
                    version,
                    |_| m::ElectLeadersRequest {
                        election_type,
                        topic_partitions: topics.map(|topics| {
                            let topics =
                                topics.map(|topic| elect_leaders_request::TopicPartitions {
                                    topic: topic.to_owned(),
                                    partitions: vec![0, 9],
                                });
                            topics.to_vec()
                        }),
                        timeout_ms: 1000,
                    },
                    |response| {
                        response.replica_election_results.sort_by(|a, b| a.topic.cmp(&b.topic));
                    },
                );
            }
        }
    }
}

fn reassignments(pair: &mut Pair) {
    for version in 0..=1 {
        for replicas in [None, Some(vec![1]), Some(vec![]), Some(vec![1, 1]), Some(vec![7])] {
            pair.same("reassign", version, |_| m::AlterPartitionReassignmentsRequest {
                timeout_ms: 1000,
                topics: ["admin", "nope"]
                    .map(|name| alter_partition_reassignments_request::ReassignableTopic {
                        name: name.to_owned(),
                        partitions: [0, 9]
                            .map(|partition_index| {
                                alter_partition_reassignments_request::ReassignablePartition {
                                    partition_index,
                                    replicas: replicas.clone(),
                                }
                            })
                            .to_vec(),
                    })
                    .to_vec(),
                ..Default::default()
            });
        }
    }
}

fn security(pair: &mut Pair) {
    for version in 1..=3 {
        pair.same("acls", version, |_| m::DescribeAclsRequest {
            resource_type_filter: 1,
            pattern_type_filter: 1,
            operation: 1,
            permission_type: 1,
            ..Default::default()
        });
        let creation = create_acls_request::AclCreation {
            resource_type: 2,
            resource_name: "t".to_owned(),
            resource_pattern_type: 3,
            principal: "User:a".to_owned(),
            host: "*".to_owned(),
            operation: 3,
            permission_type: 3,
        };
        pair.same("acls", version, |_| m::CreateAclsRequest {
            creations: vec![creation.clone(), creation.clone()],
        });
        let filter = delete_acls_request::DeleteAclsFilter {
            resource_type_filter: 1,
            pattern_type_filter: 1,
            operation: 1,
            permission_type: 1,
            ..Default::default()
        };
        pair.same("acls", version, |_| m::DeleteAclsRequest { filters: vec![filter.clone()] });
    }
    for version in 0..=1 {
        let mechanism = "PLAIN".to_owned();
        pair.same("sasl", version, |_| m::SaslHandshakeRequest { mechanism: mechanism.clone() });
    }
}

fn directories(pair: &mut Pair) {
    for version in 1..=4 {
        pair.same_but(
            "directories",
            version,
            |_| m::DescribeLogDirsRequest {
                topics: Some(vec![describe_log_dirs_request::DescribableLogDirTopic {
                    topic: "admin".to_owned(),
                    partitions: vec![0, 1, 9],
                }]),
            },
            |response| {
                for result in &mut response.results {
                    assert!(version < 4 || result.total_bytes > result.usable_bytes);
                    (result.total_bytes, result.usable_bytes) = (0, 0);
                    for topic in &mut result.topics {
                        topic.partitions.sort_by_key(|partition| partition.partition_index);
                    }
                }
            },
        );
    }
}
