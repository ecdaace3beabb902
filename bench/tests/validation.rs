//! The harness against itself: brokers whose delays are known, and what is said of them.

#![allow(clippy::disallowed_methods, reason = "tests start processes")]

mod support;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Result;
use ringlog_bench::client::{Endpoint, TopicSpec};
use ringlog_bench::experiment::{self, LoadRun, ToolOrNative, Watch};
use ringlog_bench::figures::{Live, Outcome, Times};
use ringlog_bench::load::{Pace, ValuesSpec};
use ringlog_bench::null_broker::{NullBroker, ProduceSeen, Reaction, serve};
use ringlog_bench::producer::ProducerSettings;
use ringlog_bench::profile::{ConsumerSettings, GroupsSettings, Kind};
use ringlog_engine::io::ListenOptions;
use ringlog_engine::shard::Shard;
use support::on_shard;

const MS: u64 = 1_000_000;
/// Noise of the machine only ever adds to a latency; a machine that is busy may need another try.
const TRIES: usize = 5;

struct Blind;

impl Watch for Blind {
    fn tick(&mut self, _: Live) -> Result<()> {
        Ok(())
    }
}

/// What is measured of a null broker that does as the script says.
async fn measured(
    shard: &Shard,
    script: impl FnMut(&ProduceSeen) -> Reaction + 'static,
    producers: usize,
    rate: f64,
    seconds: f64,
) -> Outcome {
    let options =
        ListenOptions { backlog: 128, receive_buffer_bytes: None, send_buffer_bytes: None };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (listener, port) = shard.listen(any, options).await.expect("a port");
    let broker = Rc::new(RefCell::new(NullBroker::new(1, script)));
    let (serving, inner) = (Rc::clone(&broker), shard.clone());
    shard.spawn(async move {
        // It serves until the shard ends.
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let _ = serve(&inner, listener, address, serving).await;
    });
    let settings: ProducerSettings =
        toml::from_str("acks = \"all\"\n\"linger.ms\" = 0").expect("settings");
    let plan = LoadRun {
        topic: TopicSpec {
            name: "t".to_owned(),
            partitions: 1,
            replication_factor: -1,
            configs: Vec::new(),
        },
        producer: settings.resolve(0, 100).expect("a configuration"),
        producers,
        values: ValuesSpec { value_bytes: 100, keys: 0, stamped: false },
        pace: Pace::Open(rate),
        times: Times { warmup: 0.25, warmup_max: 0.25, measured: seconds },
        kind: Kind::Produce,
        driver: ToolOrNative::Native,
        consumer: ConsumerSettings::default().resolve().expect("a configuration"),
        groups: GroupsSettings::default().resolve().expect("defaults"),
        settings: Vec::new(),
        records: 1,
        write_back: None,
        part: None,
    };
    let bootstrap = Endpoint { host: "127.0.0.1".to_owned(), port };
    let watch = Rc::new(RefCell::new(Blind));
    experiment::run(shard, &bootstrap, None, &plan, watch).await.expect("an outcome")
}

#[test]
fn ten_milliseconds_on_every_twentieth_request_are_found() {
    on_shard(async |shard: Shard| {
        let mut said = Vec::new();
        for _ in 0..TRIES {
            // Each producer sends every 20 ms, so that no request waits for one that is late.
            let late = |seen: &ProduceSeen| match seen.number % 20 {
                0 => Reaction::TakeLate(10 * MS),
                _ => Reaction::Take,
            };
            let outcome = measured(&shard, late, 16, 800.0, 2.0).await;
            let latency = &outcome.recording.latency;
            assert_eq!((outcome.recording.lost, latency.len()), (0, 1600));
            let above = latency.len() - latency.count_between(0, 9 * MS);
            let share = above as f64 / latency.len() as f64;
            let p99_ms = latency.value_at_quantile(0.99) as f64 / 1e6;
            said.push((share, p99_ms));
            if (share / 0.05 - 1.0).abs() <= 0.05 && (p99_ms / 10.0 - 1.0).abs() <= 0.05 {
                return;
            }
        }
        panic!("share and p99 of {said:?}");
    });
}

#[test]
fn a_broker_that_stalls_cannot_hide_in_an_open_loop() {
    on_shard(async |shard: Shard| {
        // 500 ms of 2 s: a quarter of the records were meant to be sent while it stalled. A loop
        // that waits for answers would see five of them: those in flight.
        let mut said = Vec::new();
        for _ in 0..TRIES {
            let mut stalled = false;
            let stall = move |seen: &ProduceSeen| match seen.number > 800 && !stalled {
                true => {
                    stalled = true;
                    Reaction::TakeLate(500 * MS)
                }
                false => Reaction::Take,
            };
            let outcome = measured(&shard, stall, 1, 1000.0, 2.0).await;
            let latency = &outcome.recording.latency;
            assert_eq!((outcome.recording.lost, latency.len()), (0, 2000));
            let ms = |quantile| latency.value_at_quantile(quantile) / MS;
            assert!(ms(0.90) >= 250, "p90 {} ms", ms(0.90));
            assert!(ms(0.99) >= 450, "p99 {} ms", ms(0.99));
            // The generator itself was on time: it is the broker that is said to be slow.
            let late = outcome.lateness.value_at_quantile(0.99) / MS;
            said.push((ms(1.0), late));
            if (490..1500).contains(&ms(1.0)) && late < 100 {
                return;
            }
        }
        panic!("max and lateness in ms: {said:?}");
    });
}
