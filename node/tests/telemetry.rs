//! What a node says of itself over HTTP, and what `ringlog cached` says of its files.

#![allow(clippy::disallowed_methods, reason = "tests open sockets and look at the clock")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use support::txn::batch_of;
use support::{Client, Node, PATIENCE, batch, evict, free_ports, read_values, ringlog, run, text};

/// Asks for a path: the status line and the text; none if the connection was closed.
fn ask(port: u16, request: &[u8]) -> Option<(String, String)> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.write_all(request).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
}

fn get(port: u16, path: &str) -> (String, String) {
    ask(port, format!("GET {path} HTTP/1.1\r\nHost: n\r\n\r\n").as_bytes()).expect("an answer")
}

/// A metric by its name.
fn metric(port: u16, name: &str) -> f64 {
    let (_, body) = get(port, "/metrics");
    let line = body.lines().find(|line| line.split(' ').next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("{name}: {body}"));
    line.split(' ').nth(1).expect("a value").parse().expect("a number")
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn started() -> (Node, u16) {
    let [port] = free_ports();
    let listener = format!("ringlog.http.listener=localhost:{port}");
    let node = Node::start(&[&listener, "log.cleaner.backoff.ms=20", "ringlog.shards=2"]);
    (node, port)
}

fn write_keys(client: &mut Client) {
    for i in 0..40i32 {
        let batch = batch_of(-1, -1, false, &[(b"key", Some(&[i as u8; 700]))]);
        assert_eq!(client.produce("keys", 0, -1, batch).error, 0);
    }
}

#[test]
fn what_was_counted_can_be_asked_for() {
    let (node, port) = started();
    let mut client = node.client();
    let before = metric(port, "kafka_server_partition_count");
    client.create_topic("t", 3, &[]);
    let compacted = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "4000"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    client.create_topic("keys", 1, &compacted);
    assert_eq!(metric(port, "kafka_server_partition_count"), before + 4.0);
    assert_eq!(metric(port, "kafka_log_offline_partitions"), 0.0);
    // Bytes in the files, and bytes for consumers out of memory.
    let value = vec![7; 100_000];
    assert_eq!(client.produce("t", 0, -1, batch(&[&value], None)).error, 0);
    assert!(metric(port, "kafka_log_size_bytes") >= 100_000.0);
    let hits = metric(port, "ringlog_page_cache_hit_bytes_total");
    let misses = metric(port, "ringlog_page_cache_miss_bytes_total");
    assert_eq!(read_values(&mut client, "t", 0).0.len(), 1);
    let read = |name: &str, before: f64| metric(port, name) - before;
    let all = read("ringlog_page_cache_hit_bytes_total", hits)
        + read("ringlog_page_cache_miss_bytes_total", misses);
    assert!(all >= 100_000.0, "{all} bytes read");
    // What is deleted has been read all the same.
    client.delete_topic("t");
    assert!(read("ringlog_page_cache_hit_bytes_total", hits) >= 0.0);
    // Compaction.
    assert_eq!(metric(port, "ringlog_compaction_rounds_total"), 0.0);
    write_keys(&mut client);
    until("compacted", || metric(port, "ringlog_compaction_rounds_total") >= 1.0);
    let bytes = |what: &str| metric(port, &format!("ringlog_compaction_{what}_bytes_total"));
    until("rewritten", || bytes("read") > bytes("written") && bytes("written") > 0.0);
    let recopied = metric(port, "kafka_log_cleaner_recopy_percent");
    assert!(recopied > 0.0 && recopied < 60.0, "{recopied} %");
    assert_eq!(metric(port, "kafka_log_cleaner_manager_uncleanable_partitions_count"), 0.0);
    assert!(metric(port, "kafka_log_cleaner_manager_max_dirty_percent") <= 100.0);
    assert!(metric(port, "kafka_log_cleaner_max_clean_time_secs") < 60.0);
    // Descriptors: every connection has one.
    let open = metric(port, "process_open_fds");
    let crowd: Vec<Client> = (0..50).map(|_| node.client()).collect();
    until("counted", || metric(port, "process_open_fds") >= open + 40.0);
    drop(crowd);
    until("closed", || metric(port, "process_open_fds") < open + 40.0);
    assert!(metric(port, "process_max_fds") > open);
    assert!(metric(port, "process_resident_memory_bytes") > 1e6);
}

#[test]
fn what_the_shards_did_can_be_asked_for() {
    let (node, port) = started();
    let mut client = node.client();
    client.create_topic("watched", 4, &[]);
    let (mut records, mut bytes, mut requests) = (0.0, 0.0, 0.0);
    for partition in 0..4 {
        for _ in 0..=partition {
            let batch = batch(&[b"one", b"two"], None);
            (records, bytes, requests) =
                (records + 2.0, bytes + batch.len() as f64, requests + 1.0);
            assert_eq!(client.produce("watched", partition, -1, batch).error, 0);
        }
    }
    let total = |name: &str| metric(port, &format!("kafka_server_brokertopicmetrics_{name}_total"));
    let by_shard = |name: &str, labels: &str| {
        let one = |shard| metric(port, &format!("ringlog_{name}{{shard=\"{shard}\"{labels}}}"));
        [one(0), one(1)]
    };
    let sum = |name| by_shard(name, "").iter().sum::<f64>();
    assert_eq!((total("messagesin"), total("bytesin")), (records, bytes));
    assert_eq!((sum("shard_records_in_total"), sum("shard_bytes_in_total")), (records, bytes));
    assert!(by_shard("shard_records_in_total", "").iter().all(|records| *records > 0.0));
    assert!(sum("shard_syncs_total") > 0.0);
    for partition in 0..4 {
        let of_log = |name: &str| {
            let labels = format!("topic=\"watched\",partition=\"{partition}\"");
            metric(port, &format!("kafka_log_log_{name}{{{labels}}}"))
        };
        let batches = f64::from(partition + 1);
        assert_eq!((of_log("logstartoffset"), of_log("logendoffset")), (0.0, 2.0 * batches));
        assert_eq!(of_log("size"), batches * bytes / requests);
    }
    // What a consumer got; the rest of its answer is not counted, nor what it had to wait for.
    assert_eq!(total("bytesout"), 0.0);
    let fetched = client.fetch("watched", 3, 0).1.len() as f64;
    assert_eq!(fetched, 4.0 * bytes / requests);
    assert_eq!((total("bytesout"), sum("shard_bytes_out_total")), (fetched, fetched));
    // One of the shards serves the client, and counts its requests.
    until("one connection", || sum("shard_connections") == 1.0);
    let (_, page) = get(port, "/metrics");
    let of_produce = |line: &str, what: &str| {
        let (_, rest) = line.split_once(&format!("ringlog_request_seconds_{what}{{shard=\""))?;
        let (labels, value) = rest.rsplit_once(' ')?;
        let wanted = labels.contains("request=\"Produce\"") && !labels.contains("le=\"0.");
        wanted.then(|| value.parse::<f64>().expect("a number"))
    };
    let all =
        |what: &str| page.lines().filter_map(|line| of_produce(line, what)).fold(0.0, f64::max);
    assert_eq!(all("count"), requests, "{page}");
    assert_eq!(all("bucket"), requests, "{page}");
    assert!(all("sum") > 0.0 && all("sum") < PATIENCE.as_secs_f64(), "{page}");
}

#[test]
fn only_what_there_is_is_answered() {
    let (mut node, port) = started();
    for path in ["/healthz", "/readyz", "/healthz?verbose"] {
        assert_eq!(get(port, path).0, "HTTP/1.1 200 OK", "{path}");
    }
    assert_eq!(get(port, "/").0, "HTTP/1.1 404 Not Found");
    let bad = |request: &[u8]| ask(port, request).map(|(status, _)| status);
    let refused = Some("HTTP/1.1 400 Bad Request".to_owned());
    assert_eq!(bad(b"POST /metrics HTTP/1.1\r\n\r\n"), refused);
    assert_eq!(bad(b"\xff\xfe\r\n\r\n"), refused);
    // Who says too much is cut off, with an answer or without.
    assert!([None, refused].contains(&bad(&[b'x'; 100_000])));
    // Those who ask nothing are in nobody's way for long.
    let idle: Vec<TcpStream> =
        (0..7).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("it listens")).collect();
    assert_eq!(get(port, "/healthz").0, "HTTP/1.1 200 OK");
    drop(idle);
    // A port that somebody has is an error with a name.
    let mut second = Node::prepare(&[&format!("ringlog.http.listener=localhost:{port}")]);
    second.format();
    assert!(second.try_restart().is_some_and(|status| !status.success()));
    assert!(second.log().contains("ringlog.http.listener localhost"), "{}", second.log());
    assert_eq!(node.stop(), 0);
}

#[test]
fn cached_says_what_fincore_says() {
    let mut node = Node::start(&[]);
    let mut client = node.client();
    client.create_topic("t", 2, &[("segment.bytes", "300000")]);
    let value = vec![7; 90_000];
    for i in 0..14 {
        assert_eq!(client.produce("t", i % 2, -1, batch(&[&value], None)).error, 0);
    }
    assert_eq!(node.stop(), 0);
    let first = node.data().join("t-0/00000000000000000000.log");
    evict(&first);
    let input = format!("if={}", first.display());
    // Some of it comes back.
    run(Command::new("dd").args([&input, "of=/dev/null", "bs=4096", "count=3", "status=none"]));
    let said = run(ringlog().arg("cached").arg(node.data()));
    let count = said.lines().filter(|line| line.contains("/t-")).count();
    assert!(count >= 4, "{said}");
    for line in said.lines().filter(|line| line.contains("/t-")) {
        let (path, rest) = line.split_once(": ").expect("a path");
        let pages: u64 = rest.split('/').next().expect("pages").parse().expect("a number");
        let fincore = Command::new("fincore")
            .args(["--noheadings", "--raw", "--output", "PAGES", path])
            .output();
        let Ok(fincore) = fincore.map(|output| text(&output)) else {
            eprintln!("SKIPPED: fincore (util-linux) is not here");
            return;
        };
        let expected: u64 = fincore.trim().parse().expect("a number");
        // What is cached beyond the end of a file belongs to it.
        assert!(pages.abs_diff(expected) <= 1, "{line}: fincore says {expected}");
    }
    let missing = ringlog().arg("cached").arg(node.data().join("nowhere")).output();
    assert!(!missing.expect("it runs").status.success());
}
