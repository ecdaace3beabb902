//! `ringlog top` beside a running node.

#![allow(clippy::disallowed_methods, reason = "tests start processes and open sockets")]

mod support;

use std::process::Output;

use support::{Node, batch, free_ports, ringlog, text};

/// One look at what listens on this port.
fn top(port: u16) -> Output {
    let address = format!("127.0.0.1:{port}");
    let arguments = ["top", "--once", "--interval", "0.1", "--http", &address];
    ringlog().args(arguments).output().expect("it runs")
}

#[test]
fn top_shows_a_running_node() {
    let [http] = free_ports();
    let listener = format!("ringlog.http.listener=127.0.0.1:{http}");
    let node = Node::start(&[&listener, "ringlog.shards=2"]);
    let mut client = node.client();
    client.create_topic("watched", 4, &[]);
    for partition in 0..4 {
        for _ in 0..=partition {
            let batch = batch(&[b"one", b"two"], None);
            assert_eq!(client.produce("watched", partition, -1, batch).error, 0);
        }
    }
    let output = top(http);
    let shown = text(&output);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(shown.contains(": shards 2, partitions 4; over 0."), "{shown}");
    assert!(!shown.contains('\u{1b}'), "plain text where there is no terminal: {shown}");
    let cells = |is: fn(&str) -> bool| {
        let line = shown.lines().find(|line| is(line)).unwrap_or_else(|| panic!("{shown}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(cells(|line| line.trim_start().starts_with("all"))[..2], ["all", "4"], "{shown}");
    assert_eq!(cells(|line| line.ends_with("watched-3"))[1], "8", "{shown}");
    assert_eq!(cells(|line| line.ends_with("Produce"))[0], "0.0", "{shown}");
}

#[test]
fn top_says_what_is_in_its_way() {
    let node = Node::start(&[]);
    let refused = |port: u16| {
        let output = top(port);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let [nobody] = free_ports();
    let said = refused(nobody);
    assert!(said.contains("ringlog.http.listener"), "{said}");
    // Kafka's listener speaks no HTTP.
    let said = refused(node.port);
    assert!(said.contains("no answer of HTTP"), "{said}");
    let output = ringlog().args(["top", "--interval", "0"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("--interval 0: "), "{said}");
}
