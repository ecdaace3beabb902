//! Load by librdkafka (cargo feature `librdkafka`): a client that nobody here wrote, so that a
//! claim does not rest on the native producer alone.
//!
//! It produces a number of records as fast as the client takes them, to a topic that exists, and
//! reports records a second and, if the broker's process is named, its CPU time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use serde::Serialize;

use crate::figures::BYTES_PER_GIB;
use crate::target::ProcessWatch;

/// What the client holds at most before it refuses records.
const QUEUED_RECORDS_MAX: &str = "1000000";
/// Pause while its queue is full: the client has no call that waits for room in it.
const FULL_PAUSE: Duration = Duration::from_micros(200);
/// How long the last acknowledgements may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);

/// What to produce.
#[derive(Clone, Debug)]
pub struct LibrdkafkaOptions {
    /// The broker.
    pub bootstrap: String,
    /// A topic that exists.
    pub topic: String,
    /// How many records.
    pub records: u64,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// The client's settings, over acks=all.
    pub settings: Vec<(String, String)>,
    /// The broker's process, if it is to be watched.
    pub pid: Option<u32>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct LibrdkafkaReport {
    /// The client's version.
    pub librdkafka: String,
    /// The client's settings.
    pub settings: BTreeMap<String, String>,
    /// Acknowledged.
    pub records: u64,
    /// Not acknowledged.
    pub errors: u64,
    /// From the first record to the last acknowledgement.
    pub seconds: f64,
    /// Acknowledged, a second.
    pub records_per_second: f64,
    /// Of the broker, per 2^30 bytes of values.
    pub broker_cpu_seconds_per_gib: Option<f64>,
}

/// Counts acknowledgements.
#[derive(Clone, Default)]
struct Counts(Arc<AtomicU64>);

impl ClientContext for Counts {}

impl ProducerContext for Counts {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Runs the load.
pub fn run(options: &LibrdkafkaOptions) -> Result<LibrdkafkaReport> {
    let mut settings = BTreeMap::from([
        ("acks".to_owned(), "all".to_owned()),
        ("broker.address.family".to_owned(), "v4".to_owned()),
        ("queue.buffering.max.messages".to_owned(), QUEUED_RECORDS_MAX.to_owned()),
    ]);
    settings.extend(options.settings.iter().cloned());
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.bootstrap);
    for (key, value) in &settings {
        config.set(key, value);
    }
    let counts = Counts::default();
    let producer: ThreadedProducer<Counts> =
        config.create_with_context(counts.clone()).context("librdkafka")?;
    let watch = options.pid.map(ProcessWatch::new).transpose()?;
    let cpu = || watch.as_ref().map(|watch| watch.sample().map(|sample| sample.cpu_seconds));
    let before = cpu().transpose()?;
    let started = Instant::now();
    produce(&producer, options)?;
    producer.flush(FLUSH_TIMEOUT).context("librdkafka")?;
    let seconds = started.elapsed().as_secs_f64();
    let after = cpu().transpose()?;
    let records = counts.0.load(Ordering::Relaxed);
    let gib = records as f64 * options.value_bytes as f64 / BYTES_PER_GIB;
    let used = before.zip(after).map(|(before, after)| after - before);
    Ok(LibrdkafkaReport {
        librdkafka: rdkafka::util::get_rdkafka_version().1,
        settings,
        records,
        errors: options.records - records,
        seconds,
        records_per_second: records as f64 / seconds,
        broker_cpu_seconds_per_gib: used.filter(|_| gib > 0.0).map(|used| used / gib),
    })
}

fn produce(producer: &ThreadedProducer<Counts>, options: &LibrdkafkaOptions) -> Result<()> {
    let value = vec![b'x'; options.value_bytes];
    for _ in 0..options.records {
        let mut record = BaseRecord::<(), [u8]>::to(&options.topic).payload(&value);
        let waiting = Instant::now();
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    ensure!(waiting.elapsed() < FLUSH_TIMEOUT, "the broker takes no more records");
                    record = refused;
                    std::thread::sleep(FULL_PAUSE);
                }
                Err((error, _)) => bail!("librdkafka: {error}"),
            }
        }
    }
    Ok(())
}
