//! The native producer against a real node: what it says was delivered is there, once, in order,
//! and in batches as its settings want them.

#![allow(clippy::disallowed_methods, reason = "tests start processes")]

mod support;

use std::collections::BTreeMap;

use ringlog_bench::client::{Cluster, Endpoint};
use ringlog_bench::producer::{
    Batch, Observer, Producer, ProducerConfig, ProducerSettings, Stamp, partition_of_key,
};
use ringlog_bench::target::Target;
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;
use rustix::process::{Pid, Signal, kill_process};
use support::proxy::Proxy;
use support::{PATIENCE_MS, ends, node, on_shard, topic, values};

/// Counts what becomes of records.
#[derive(Default)]
struct Counts {
    /// When each batch was created and acknowledged, and its records and bytes.
    batches: Vec<(Mono, Mono, u32, usize)>,
    lost: BTreeMap<String, u64>,
}

impl Counts {
    fn delivered_records(&self) -> u64 {
        self.batches.iter().map(|batch| u64::from(batch.2)).sum()
    }
}

impl Observer for Counts {
    fn delivered(&mut self, now: Mono, batch: &Batch) {
        self.batches.push((batch.created, now, batch.records(), batch.size()));
    }

    fn lost(&mut self, _: Mono, records: u64, why: &str) {
        *self.lost.entry(why.to_owned()).or_default() += records;
    }
}

fn config(text: &str) -> ProducerConfig {
    let settings: ProducerSettings = toml::from_str(text).expect("settings");
    settings.resolve(16, 1000).expect("a configuration")
}

fn producer(shard: &Shard, broker: &Endpoint, cluster: Cluster, text: &str) -> Producer<Counts> {
    Producer::start(shard, config(text), vec![broker.clone()], cluster, Counts::default())
}

fn stamp(shard: &Shard) -> Stamp {
    Stamp { at_ns: shard.clock().0, step_ns: 0, unix_ms: shard.unix_ms() }
}

/// Sends what is left and takes the counts.
async fn finish(shard: &Shard, producer: &Producer<Counts>) -> Counts {
    let flushed = producer.flush(shard.clock().plus_ms(PATIENCE_MS)).await.expect("a flush");
    assert!(flushed, "unanswered records");
    producer.close().await;
    producer.observer(std::mem::take)
}

#[test]
fn keyed_records_arrive_once_at_their_partitions_in_order() {
    const RECORDS: usize = 20_000;
    const KEYS: usize = 97;
    const PARTITIONS: i32 = 6;
    let dir = tempfile::tempdir().expect("a folder");
    on_shard(async move |shard: Shard| {
        let mut target = node(&shard, dir.path(), &[]).await;
        let broker = target.bootstrap.clone();
        let cluster = topic(&shard, &broker, "keyed", PARTITIONS).await;
        let producer = producer(&shard, &broker, cluster, "\"linger.ms\" = 0");
        let mut expected = vec![Vec::new(); PARTITIONS as usize];
        for index in 0..RECORDS {
            let key = format!("key-{}", index % KEYS).into_bytes();
            let value = format!("value-{index}").into_bytes();
            assert!(producer.send(&stamp(&shard), Some(&key), &value).await.expect("sent"));
            expected[partition_of_key(&key, PARTITIONS as usize)].push(value);
        }
        let counts = finish(&shard, &producer).await;
        assert_eq!((counts.delivered_records(), counts.lost.len()), (RECORDS as u64, 0));
        let ends = ends(&shard, &broker, "keyed", PARTITIONS).await;
        for (index, expected) in expected.iter().enumerate() {
            assert_eq!(ends[index], expected.len() as i64, "partition {index}");
            let found = values(&shard, &broker, "keyed", index as i32, ends[index]).await;
            assert!(found == *expected, "partition {index} holds other values");
        }
        target.stop().expect("a clean stop");
    });
}

/// Produces through a proxy that swallows answers; records sent, and records found.
async fn produce_through_cuts(shard: &Shard, target: &Target, proxy: &Proxy, text: &str) -> i64 {
    let broker = &target.bootstrap;
    let name = format!("cut-{}", text.len());
    let cluster = topic(shard, broker, &name, 2).await;
    assert!(cluster.brokers.values().all(|endpoint| endpoint.port == proxy.port()));
    let producer = producer(shard, broker, cluster, text);
    for index in 0..RECORDS_THROUGH_CUTS {
        let value = format!("value-{index}").into_bytes();
        assert!(producer.send(&stamp(shard), None, &value).await.expect("sent"));
        if index % 10 == 0 {
            // So that there are many requests, whose answers can be lost.
            shard.sleep_ms(1).await;
        }
    }
    let counts = finish(shard, &producer).await;
    assert_eq!(counts.delivered_records() as i64, RECORDS_THROUGH_CUTS);
    ends(shard, broker, &name, 2).await.iter().sum()
}

const RECORDS_THROUGH_CUTS: i64 = 1000;

#[test]
fn lost_answers_make_no_duplicates_unless_idempotence_is_off() {
    const CUTS: usize = 3;
    const SETTINGS: &str = "\"linger.ms\" = 0\n\"batch.size\" = 1000\n\"retry.backoff.ms\" = 1
        \"reconnect.backoff.ms\" = 1\n\"enable.idempotence\" = ";
    let dir = tempfile::tempdir().expect("a folder");
    on_shard(async move |shard: Shard| {
        let proxies = [Proxy::bind(), Proxy::bind()];
        for (proxy, idempotent) in proxies.iter().zip([true, false]) {
            let advertised = format!("PLAINTEXT://127.0.0.1:{}", proxy.port());
            let properties = [("advertised.listeners", advertised.as_str())];
            let mut target = node(&shard, dir.path(), &properties).await;
            proxy.serve(target.bootstrap.port, CUTS, 4);
            let text = format!("{SETTINGS}{idempotent}");
            let found = produce_through_cuts(&shard, &target, proxy, &text).await;
            assert_eq!(proxy.cuts(), CUTS);
            if idempotent {
                assert_eq!(found, RECORDS_THROUGH_CUTS);
            } else {
                assert!(found > RECORDS_THROUGH_CUTS, "the proxy swallowed nothing: {found}");
            }
            target.stop().expect("a clean stop");
        }
    });
}

#[test]
fn batches_wait_for_linger_and_end_at_batch_size() {
    const LINGER_MS: u64 = 200;
    let dir = tempfile::tempdir().expect("a folder");
    on_shard(async move |shard: Shard| {
        let target = node(&shard, dir.path(), &[]).await;
        let broker = target.bootstrap.clone();
        let cluster = topic(&shard, &broker, "linger", 1).await;
        let text = format!("\"linger.ms\" = {LINGER_MS}\n\"batch.size\" = 100000");
        let lingering = producer(&shard, &broker, cluster.clone(), &text);
        for _ in 0..10 {
            lingering.send(&stamp(&shard), None, &[b'x'; 100]).await.expect("sent");
        }
        while lingering.observer(|counts| counts.batches.is_empty()) {
            shard.sleep_ms(1).await;
        }
        let counts = finish(&shard, &lingering).await;
        let [(created, acknowledged, 10, _)] = counts.batches[..] else {
            panic!("one batch of ten records: {:?}", counts.batches);
        };
        let took = acknowledged.ms_since(created);
        assert!((LINGER_MS..LINGER_MS + PATIENCE_MS).contains(&took), "{took} ms");

        // Full batches do not wait: 8 records of 100 bytes fit into 1000, and the last stay.
        let full =
            producer(&shard, &broker, cluster, "\"linger.ms\" = 60000\n\"batch.size\" = 1000");
        for _ in 0..83 {
            full.send(&stamp(&shard), None, &[b'x'; 100]).await.expect("sent");
        }
        while full.observer(|counts| counts.delivered_records() < 80) {
            shard.sleep_ms(1).await;
        }
        let counts = finish(&shard, &full).await;
        assert!(counts.batches.iter().all(|batch| batch.3 <= 1000), "{:?}", counts.batches);
        let records: Vec<u32> = counts.batches.iter().map(|batch| batch.2).collect();
        assert_eq!(records, [8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 3]);
        let metrics = full.metrics(|metrics| metrics.by_name(shard.clock()));
        let bytes: usize = counts.batches.iter().map(|batch| batch.3).sum();
        assert_eq!(metrics["batch-size-avg"], bytes as f64 / 11.0);
        assert!(metrics["record-queue-time-avg"] > 0.0 && metrics["request-latency-avg"] > 0.0);
        assert!(metrics["outgoing-byte-rate"] > 0.0 && metrics["bufferpool-wait-ratio"] == 0.0);
    });
}

#[test]
fn a_stalled_node_fills_buffer_memory_and_no_more() {
    const MEMORY: usize = 1 << 20;
    let dir = tempfile::tempdir().expect("a folder");
    on_shard(async move |shard: Shard| {
        let mut target = node(&shard, dir.path(), &[]).await;
        let broker = target.bootstrap.clone();
        let cluster = topic(&shard, &broker, "stalled", 3).await;
        let text =
            format!("\"linger.ms\" = 0\n\"buffer.memory\" = {MEMORY}\n\"max.block.ms\" = 50");
        let producer = producer(&shard, &broker, cluster, &text);
        assert!(producer.send(&stamp(&shard), None, &[b'x'; 1000]).await.expect("sent"));
        while producer.observer(|counts| counts.batches.is_empty()) {
            shard.sleep_ms(1).await;
        }
        let pid = target.children[0].pid() as i32;
        let pid = Pid::from_raw(pid).expect("a process");
        kill_process(pid, Signal::STOP).expect("stopped");
        let mut taken = 1;
        while producer.send(&stamp(&shard), None, &[b'x'; 1000]).await.expect("no error") {
            taken += 1;
            assert!(taken * 1000 < MEMORY, "buffer.memory has no effect");
        }
        assert!(taken * 1000 > MEMORY / 2, "only {taken} records were taken");
        kill_process(pid, Signal::CONT).expect("goes on");
        let counts = finish(&shard, &producer).await;
        assert_eq!(counts.delivered_records(), taken as u64);
        let lost: Vec<_> = counts.lost.iter().collect();
        assert!(matches!(lost[..], [(why, 1)] if why.contains("max.block.ms")), "{lost:?}");
        let ends = ends(&shard, &broker, "stalled", 3).await;
        assert_eq!(ends.iter().sum::<i64>(), taken as i64);
        let metrics = producer.metrics(|metrics| metrics.by_name(shard.clock()));
        assert!(metrics["bufferpool-wait-ratio"] > 0.0);
        target.stop().expect("a clean stop");
    });
}

#[test]
fn records_for_a_dead_node_are_lost_for_a_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    on_shard(async move |shard: Shard| {
        let target = node(&shard, dir.path(), &[]).await;
        let broker = target.bootstrap.clone();
        let cluster = topic(&shard, &broker, "dead", 1).await;
        let text = "\"linger.ms\" = 0\n\"request.timeout.ms\" = 300\n\"delivery.timeout.ms\" = 600";
        let producer = producer(&shard, &broker, cluster, text);
        assert!(producer.send(&stamp(&shard), None, b"alive").await.expect("sent"));
        while producer.observer(|counts| counts.batches.is_empty()) {
            shard.sleep_ms(1).await;
        }
        drop(target);
        for _ in 0..10 {
            assert!(producer.send(&stamp(&shard), None, b"dead").await.expect("taken"));
        }
        let counts = finish(&shard, &producer).await;
        assert_eq!(counts.delivered_records(), 1);
        assert_eq!(counts.lost.values().sum::<u64>(), 10, "{:?}", counts.lost);
        assert!(counts.lost.keys().all(|why| why.contains("delivery.timeout.ms")));
    });
}
