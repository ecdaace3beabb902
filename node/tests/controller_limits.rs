//! What requests may ask of the controller, and what others wait for meanwhile. Named by the ids of
//! docs/TESTING.md.

#![allow(clippy::disallowed_methods, reason = "tests start processes and open sockets")]

mod support;

use std::net::UdpSocket;

use ringlog_wire::messages::IncrementalAlterConfigsRequest;
use ringlog_wire::messages::{
    AlterConfigsRequest, CreatePartitionsRequest, CreateTopicsRequest, CreateTopicsResponse,
    alter_configs_request, create_partitions_request, create_topics_request,
    incremental_alter_configs_request,
};
use support::loop_disk::{FileSystem, LoopDisk};
use support::{Client, Node, batch};

const POLICY_VIOLATION: i16 = 44;
const EXCESSIVE: &str = "Unable to perform excessively large batch operation.";
/// Records of one decision at most, as in Kafka.
const RECORDS_MAX: usize = 10_000;

fn topics(names: &[String], partitions: i32) -> CreateTopicsRequest {
    let topic = |name: &String| create_topics_request::CreatableTopic {
        name: name.clone(),
        num_partitions: partitions,
        replication_factor: 1,
        ..Default::default()
    };
    CreateTopicsRequest {
        topics: names.iter().map(topic).collect(),
        timeout_ms: 30_000,
        ..Default::default()
    }
}

fn assert_well(node: &mut Node) {
    assert!(node.is_alive(), "{}", node.log());
    let name = format!("well-{}", std::process::id());
    let mut client = node.client();
    client.create_topic(&name, 1, &[]);
    assert_eq!(client.produce(&name, 0, -1, batch(&[b"v"], None)).error, 0);
    client.delete_topic(&name);
}

#[test]
fn rn07_a_decision_has_no_more_records_than_kafkas() {
    let mut node = Node::start(&[]);
    let mut client = node.client();
    let names = ["t", "u"].map(str::to_owned);
    names.iter().for_each(|name| client.create_topic(name, 1, &[]));
    let more = |name: &String| create_partitions_request::CreatePartitionsTopic {
        name: name.clone(),
        count: RECORDS_MAX as i32 / 2 + 2,
        assignments: None,
    };
    let topics = names.iter().map(more).collect();
    let request = CreatePartitionsRequest { topics, timeout_ms: 30_000, ..Default::default() };
    let response = client.request(&request, 1);
    for result in &response.results {
        assert_eq!(result.error_code, POLICY_VIOLATION, "{response:?}");
        assert_eq!(result.error_message.as_deref(), Some(EXCESSIVE));
    }
    // So many keys of so many resources.
    let names: Vec<String> = (0..RECORDS_MAX / 2 + 1).map(|i| format!("g{i}")).collect();
    let config = |name: &str| alter_configs_request::AlterableConfig {
        name: name.to_owned(),
        value: Some("50000".to_owned()),
    };
    let of_group = |name: &String| alter_configs_request::AlterConfigsResource {
        resource_type: 32,
        resource_name: name.clone(),
        configs: vec![config("consumer.session.timeout.ms"), config("share.session.timeout.ms")],
    };
    let request = AlterConfigsRequest {
        resources: names.iter().map(of_group).collect(),
        validate_only: false,
    };
    let response = client.request(&request, 1);
    let codes = response.responses.iter().map(|r| r.error_code);
    assert!(codes.clone().all(|code| code == POLICY_VIOLATION), "{:?}", response.responses[0]);
    assert_eq!(codes.count(), names.len());
    let config = |name: &str| incremental_alter_configs_request::AlterableConfig {
        name: name.to_owned(),
        value: Some("50000".to_owned()),
        ..Default::default()
    };
    let of_group = |name: &String| incremental_alter_configs_request::AlterConfigsResource {
        resource_type: 32,
        resource_name: name.clone(),
        configs: vec![config("consumer.session.timeout.ms"), config("share.session.timeout.ms")],
    };
    let request = IncrementalAlterConfigsRequest {
        resources: names.iter().map(of_group).collect(),
        validate_only: false,
    };
    let response = client.request(&request, 1);
    let codes = response.responses.iter().map(|r| r.error_code);
    assert!(codes.clone().all(|code| code == POLICY_VIOLATION), "{:?}", response.responses[0]);
    assert_well(&mut node);
}

#[test]
fn rn07_a_decision_larger_than_a_segment_of_the_metadata_log_is_refused_and_forgotten() {
    let mut node = Node::start(&["internal.metadata.log.segment.bytes=40000"]);
    let mut client = node.client();
    let request = topics(&["large".to_owned()], 3000);
    let response: CreateTopicsResponse = client.request(&request, 5);
    assert_eq!(response.topics[0].error_code, POLICY_VIOLATION, "{response:?}");
    // It left nothing behind: the same name with fewer is new.
    client.create_topic("large", 10, &[]);
    assert_well(&mut node);
    node.kill();
    node.restart();
    assert_eq!(node.client().latest_offset("large", 9), 0);
    assert_well(&mut node);
}

/// The disk of the metadata log stands still, and with it everybody who waits for the controller.
#[test]
fn rn08_requests_that_wait_for_the_controller_do_not_keep_producers_waiting() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let metadata = folder.path().join("metadata");
    let Some(disk) = LoopDisk::make(FileSystem::Ext4, folder.path(), metadata.clone()) else {
        return;
    };
    let at = metadata.join("log");
    let mut node = Node::start(&[
        &format!("metadata.log.dir={}", at.display()),
        "queued.max.requests=8",
        "ringlog.shards=2",
        // The disk is to stand still for as long as it takes.
        "ringlog.watchdog.ms=0",
    ]);
    node.client().create_topic("t", 2, &[]);
    let frozen = disk.freeze();
    let mut waiting: Vec<(Client, i32)> = (0..60)
        .map(|i| {
            let mut client = node.client();
            let correlation = client.send(&topics(&[format!("waits-{i}")], 1), 5);
            (client, correlation)
        })
        .collect();
    for _ in 0..20 {
        for partition in 0..2 {
            let produced = node.client().produce("t", partition, -1, batch(&[b"v"], None));
            assert_eq!(produced.error, 0);
        }
    }
    drop(frozen);
    for (client, correlation) in &mut waiting {
        let response = client.receive::<CreateTopicsRequest>(5, *correlation).expect("an answer");
        assert_eq!(response.topics[0].error_code, 0, "{response:?}");
    }
    assert_well(&mut node);
    node.kill();
}

/// A name server that never answers, for a node in a mount namespace of its own.
#[test]
fn rn12_names_are_looked_up_without_keeping_a_shard() {
    let Ok(silent) = UdpSocket::bind(("127.0.0.1", 53)) else {
        eprintln!("SKIPPED: port 53 cannot be had (not root?)");
        return;
    };
    let mut node = Node::start(&["ringlog.watchdog.ms=1000"]);
    assert_eq!(node.stop(), 0);
    let resolv = node.dir.path().join("resolv.conf");
    std::fs::write(&resolv, "nameserver 127.0.0.1\noptions timeout:4 attempts:1\n").expect("made");
    node.limits = format!(
        "exec unshare -m sh -c 'mount --bind {} /etc/resolv.conf && exec \"$0\" start \"$1\"' \
         \"$0\" \"$1\";",
        resolv.display()
    );
    node.restart();
    let mut client = node.client();
    client.create_topic("t", 1, &[]);
    let overrides = incremental_alter_configs_request::AlterableConfig {
        name: "max.connections.per.ip.overrides".to_owned(),
        value: Some("broker.somewhere.example:5,127.0.0.9:0".to_owned()),
        ..Default::default()
    };
    let resource = incremental_alter_configs_request::AlterConfigsResource {
        resource_type: 4,
        resource_name: String::new(),
        configs: vec![overrides],
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let response = client.request(&request, 1);
    assert_eq!(response.responses[0].error_code, 0, "{response:?}");
    // It asks, and is left waiting.
    let mut question = [0; 512];
    silent.set_read_timeout(Some(support::PATIENCE)).expect("a timeout");
    silent.recv(&mut question).expect("the node asks the name server");
    for i in 0..10 {
        client.create_topic(&format!("meanwhile-{i}"), 1, &[]);
    }
    support::groups::until("the lookup has ended", || {
        node.log().contains("unknown host").then_some(())
    });
    assert_well(&mut node);
}
