//! Consumers: at the end of what producers send (`tail`), or from the beginning of what was stored
//! before (`catch_up`). Every consumer reads every partition, so several of them are a fan-out.
//!
//! A consumer has one connection to each leader, with one fetch under way on it, as Kafka's client
//! has. It checks the CRC of every batch; catching up it counts records by the batches' headers, at
//! the tail it reads each record for the time that its value begins with. Both ends of a record are
//! in this process: no clocks of two machines are compared.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use ringlog_engine::batch::{BatchHeader, records, unpack};
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;
use ringlog_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use ringlog_wire::messages::{FetchRequest, FetchResponse};

use super::edges::{Meter, Window, tick};
use super::produce::{Producers, START_DELAY_MS};
use super::{LoadRun, Watch};
use crate::client::{Cluster, Connection, Endpoint, UNPACKED_BYTES_MAX, error_name, fetch_version};
use crate::figures::{Live, Outcome};
use crate::load::{STAMP_BYTES, Values};
use crate::producer::{Batch, Losses, Observer, Producer, Stamp};
use crate::profile::ConsumerConfig;
use crate::target::ProcessWatch;

/// How long a fetch may take beyond what it was told to wait.
const ANSWER_MS: u64 = 30_000;
/// How long consumers may take to get what was acknowledged; what they have not then is lost.
const ARRIVE_MS: u64 = 10_000;
const FILL_MS: u64 = 60_000;
/// Records between two looks at whether the run goes on, while storing what is to be read.
const RECORDS_PER_LOOK: u64 = 4_096;

/// Counts what producers got acknowledged; latency is the consumers' to see.
struct Acknowledged {
    meter: Meter,
    records: Rc<Cell<u64>>,
}

impl Observer for Acknowledged {
    fn delivered(&mut self, _: Mono, batch: &Batch) {
        self.records.set(self.records.get() + u64::from(batch.records()));
    }

    fn lost(&mut self, _: Mono, records: u64, why: &str) {
        self.meter.borrow_mut().lose(records, why);
    }
}

/// What all fetch loops of a run share.
struct Consumers {
    meter: Meter,
    config: ConsumerConfig,
    topic: String,
    at_tail: bool,
    stop: Cell<bool>,
    running: Cell<usize>,
    failed: RefCell<Option<anyhow::Error>>,
    records: Cell<u64>,
    counts: RefCell<Counts>,
}

/// What is shown of the window as the client's metrics.
#[derive(Clone, Copy, Default)]
struct Counts {
    fetches: u64,
    fetch_ns: u64,
    bytes: u64,
    records: u64,
}

/// Consumers at the end of what producers send.
pub async fn tail(
    shard: &Shard,
    bootstrap: &Endpoint,
    process: Option<ProcessWatch>,
    run: &LoadRun,
    cluster: Cluster,
    watch: Rc<RefCell<dyn Watch>>,
) -> Result<Outcome> {
    let window = Window::new(run.times);
    let acknowledged = Rc::new(Cell::new(0));
    let observer = || Acknowledged { meter: window.meter(), records: Rc::clone(&acknowledged) };
    let producers = Producers::start(shard, bootstrap, run, &cluster, &*watch, observer).await?;
    let producers = Rc::new(producers);
    if let Some(process) = &process {
        process.reset_peak();
    }
    let start = shard.clock().plus_ms(START_DELAY_MS);
    let (meter, edges) = window.starting_at(start, run.pace);
    let consumers = Consumers::start(shard, run, &cluster, &meter)?;
    shard.spawn({
        let (shard, meter, edges) = (shard.clone(), Rc::clone(&meter), Rc::clone(&edges));
        let (producers, consumers) = (Rc::clone(&producers), Rc::clone(&consumers));
        async move {
            let open = || {
                producers.reset(&shard);
                consumers.counts.take();
            };
            edges.watch(&shard, &meter, process, open, || producers.close_metrics(&shard)).await;
        }
    });
    let done = Rc::new(Cell::new(false));
    let give_up = {
        let producers = Rc::clone(&producers);
        move |why: String| producers.give_up(&why)
    };
    let (live, looking) = (Rc::clone(&meter), Rc::clone(&done));
    shard.spawn(tick(shard.clone(), live, start, watch, looking, give_up));
    shard.sleep_until(start).await;
    let generated = producers.generate(shard, run, start, &edges).await;
    let drained = producers.drain(shard, generated.is_ok()).await;
    let expected = acknowledged.get() * run.consumer.consumers as u64;
    if generated.is_ok() && drained.is_ok() {
        consumers.wait_for(shard, expected).await;
    }
    done.set(true);
    let stopped = consumers.stop(shard).await;
    let lateness = generated?;
    drained?;
    stopped?;
    edges.over(shard).await;
    let missing = expected.saturating_sub(consumers.records.get());
    if missing > 0 {
        meter.borrow_mut().lose(missing, "acknowledged, and not there for a consumer");
    }
    let recording = meter.borrow_mut().take().finish(shard.clock());
    let mut client_metrics = producers.metrics(&lateness);
    client_metrics.extend(consumers.metrics(recording.seconds));
    Ok(Outcome { client_metrics, lateness, ..edges.outcome(recording)? })
}

/// Consumers that read what was stored before, again and again while the window lasts.
pub async fn catch_up(
    shard: &Shard,
    bootstrap: &Endpoint,
    process: Option<ProcessWatch>,
    run: &LoadRun,
    cluster: Cluster,
    watch: Rc<RefCell<dyn Watch>>,
) -> Result<Outcome> {
    fill(shard, bootstrap, run, &cluster, &watch).await?;
    let window = Window::new(run.times);
    run.wait_to_begin(shard, &*watch).await?;
    if let Some(process) = &process {
        process.reset_peak();
    }
    let start = shard.clock().plus_ms(START_DELAY_MS);
    let (meter, edges) = window.starting_at(start, run.pace);
    shard.sleep_until(start).await;
    let consumers = Consumers::start(shard, run, &cluster, &meter)?;
    shard.spawn({
        let (shard, meter, edges) = (shard.clone(), Rc::clone(&meter), Rc::clone(&edges));
        let consumers = Rc::clone(&consumers);
        async move {
            let open = || {
                consumers.counts.take();
            };
            edges.watch(&shard, &meter, process, open, || consumers.stop.set(true)).await;
        }
    });
    let done = Rc::new(Cell::new(false));
    let give_up = {
        let consumers = Rc::clone(&consumers);
        move |why: String| consumers.fail(anyhow::anyhow!(why))
    };
    let (live, looking) = (Rc::clone(&meter), Rc::clone(&done));
    shard.spawn(tick(shard.clone(), live, start, watch, looking, give_up));
    while !consumers.stop.get() {
        shard.sleep_ms(1).await;
    }
    done.set(true);
    consumers.stop(shard).await?;
    edges.over(shard).await;
    let recording = meter.borrow_mut().take().finish(shard.clock());
    let client_metrics = consumers.metrics(recording.seconds);
    Ok(Outcome { client_metrics, ..edges.outcome(recording)? })
}

/// Stores what is to be read.
pub async fn fill(
    shard: &Shard,
    bootstrap: &Endpoint,
    run: &LoadRun,
    cluster: &Cluster,
    watch: &RefCell<dyn Watch>,
) -> Result<()> {
    let (config, bootstrap) = (run.producer.clone(), vec![bootstrap.clone()]);
    let producer = Producer::start(shard, config, bootstrap, cluster.clone(), Losses::default());
    let mut values = Values::new(run.values, shard.random());
    let filled = async {
        for number in 0..run.consumer.fill_records {
            let stamp = Stamp { at_ns: shard.clock().0, step_ns: 0, unix_ms: shard.unix_ms() };
            let (key, value) = values.next_record(stamp.at_ns);
            producer.send(&stamp, key, value).await?;
            if number.is_multiple_of(RECORDS_PER_LOOK) {
                watch.borrow_mut().tick(Live::NOTHING)?;
                shard.sleep_until(Mono(shard.now().0 + 1)).await;
            }
        }
        let whole = producer.flush(shard.clock().plus_ms(FILL_MS)).await?;
        ensure!(whole, "what is to be read was not acknowledged within {} s", FILL_MS / 1000);
        Ok(())
    };
    let filled = filled.await;
    producer.close().await;
    filled?;
    match producer.observer(|losses| losses.why.take()) {
        Some(why) => bail!("what is to be read could not be stored: {why}"),
        None => Ok(()),
    }
}

impl Consumers {
    fn start(
        shard: &Shard,
        run: &LoadRun,
        cluster: &Cluster,
        meter: &Meter,
    ) -> Result<Rc<Consumers>> {
        let consumers = Rc::new(Consumers {
            meter: Rc::clone(meter),
            config: run.consumer.clone(),
            topic: run.topic.name.clone(),
            at_tail: run.values.stamped,
            stop: Cell::new(false),
            running: Cell::new(0),
            failed: RefCell::default(),
            records: Cell::new(0),
            counts: RefCell::default(),
        });
        let mut led: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (partition, leader) in cluster.leaders.iter().enumerate() {
            let leader = leader.context("a partition without a leader")?;
            led.entry(leader).or_default().push(partition as i32);
        }
        for _ in 0..run.consumer.consumers {
            for (node, partitions) in &led {
                let broker = cluster.brokers.get(node).context("a leader without an address")?;
                let fetcher = Fetcher {
                    shard: shard.clone(),
                    broker: broker.clone(),
                    client_id: run.producer.client_id.clone(),
                    offsets: partitions.iter().map(|partition| (*partition, 0)).collect(),
                    consumers: Rc::clone(&consumers),
                };
                consumers.running.set(consumers.running.get() + 1);
                shard.spawn(fetcher.run());
            }
        }
        Ok(consumers)
    }

    fn fail(&self, error: anyhow::Error) {
        self.failed.borrow_mut().get_or_insert(error);
        self.stop.set(true);
    }

    /// Waits until so many records have arrived, or will not.
    async fn wait_for(&self, shard: &Shard, expected: u64) {
        let deadline = shard.clock().plus_ms(ARRIVE_MS);
        while self.records.get() < expected && !self.stop.get() && shard.clock() < deadline {
            shard.sleep_ms(1).await;
        }
    }

    /// Ends the loops; an error if one of them has failed.
    async fn stop(&self, shard: &Shard) -> Result<()> {
        self.stop.set(true);
        while self.running.get() > 0 {
            shard.sleep_ms(1).await;
        }
        self.failed.take().map_or(Ok(()), |error| Err(error).context("a consumer"))
    }

    /// By the names of Kafka's consumer.
    fn metrics(&self, seconds: f64) -> BTreeMap<String, f64> {
        let counts = *self.counts.borrow();
        let fetches = counts.fetches.max(1) as f64;
        [
            ("fetch-latency-avg", counts.fetch_ns as f64 / 1e6 / fetches),
            ("fetch-rate", counts.fetches as f64 / seconds),
            ("fetch-size-avg", counts.bytes as f64 / fetches),
            ("bytes-consumed-rate", counts.bytes as f64 / seconds),
            ("records-per-request-avg", counts.records as f64 / fetches),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// One consumer's connection to one broker.
struct Fetcher {
    shard: Shard,
    broker: Endpoint,
    client_id: String,
    /// Partition and the offset that is read next.
    offsets: Vec<(i32, i64)>,
    consumers: Rc<Consumers>,
}

impl Fetcher {
    async fn run(mut self) {
        if let Err(error) = self.fetch().await {
            self.consumers.fail(error);
        }
        self.consumers.running.set(self.consumers.running.get() - 1);
    }

    async fn fetch(&mut self) -> Result<()> {
        let wait_ms = ANSWER_MS + self.consumers.config.fetch_max_wait_ms as u64;
        let deadline = self.shard.clock().plus_ms(wait_ms);
        let mut connection =
            Connection::open(&self.shard, &self.broker, &self.client_id, deadline).await?;
        let version = fetch_version(&connection)?;
        while !self.consumers.stop.get() {
            let began = self.shard.clock();
            connection.set_deadline(began.plus_ms(wait_ms));
            let response = connection.call_version(&self.request(), version).await?;
            self.take(began, response)?;
        }
        Ok(())
    }

    fn request(&self) -> FetchRequest {
        let config = &self.consumers.config;
        let partition = |(partition, offset): &(i32, i64)| FetchPartition {
            partition: *partition,
            fetch_offset: *offset,
            partition_max_bytes: config.max_partition_fetch_bytes,
            ..FetchPartition::default()
        };
        FetchRequest {
            max_wait_ms: config.fetch_max_wait_ms,
            min_bytes: config.fetch_min_bytes,
            max_bytes: config.fetch_max_bytes,
            topics: vec![FetchTopic {
                topic: self.consumers.topic.clone(),
                partitions: self.offsets.iter().map(partition).collect(),
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        }
    }

    fn take(&mut self, began: Mono, response: FetchResponse) -> Result<()> {
        let now = self.shard.clock();
        ensure!(response.error_code == 0, "Fetch: {}", error_name(response.error_code));
        let (mut found, mut bytes_seen) = (0, 0);
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            let index = partition.partition_index;
            let code = partition.error_code;
            ensure!(code == 0, "Fetch of partition {index}: {}", error_name(code));
            let at = self.offsets.iter_mut().find(|(known, _)| *known == index);
            let (_, offset) = at.context("a partition that was not asked for")?;
            let bytes = partition.records.as_deref().unwrap_or_default();
            bytes_seen += bytes.len() as u64;
            found += self.consumers.take_batches(now, offset, bytes)?;
            if !self.consumers.at_tail && *offset >= partition.high_watermark {
                *offset = 0;
            }
        }
        let consumers = &self.consumers;
        if !consumers.at_tail && found > 0 {
            consumers.meter.borrow_mut().arrived(now, began.0, found, 1);
        }
        consumers.records.set(consumers.records.get() + found);
        let mut counts = consumers.counts.borrow_mut();
        counts.fetches += 1;
        counts.fetch_ns += now.0 - began.0;
        counts.bytes += bytes_seen;
        counts.records += found;
        Ok(())
    }
}

impl Consumers {
    /// Takes whole batches; one that is cut off comes again with the next fetch.
    fn take_batches(&self, now: Mono, offset: &mut i64, mut bytes: &[u8]) -> Result<u64> {
        let mut found = 0;
        while let Ok((header, batch)) = BatchHeader::parse_whole(bytes) {
            ensure!(header.crc_is_valid(batch), "a batch at offset {offset} has a wrong CRC");
            found += match self.at_tail {
                true => self.take_records(now, *offset, &header, batch)?,
                false => header.records_count.max(0) as u64,
            };
            *offset = header.next_offset().0;
            bytes = &bytes[header.size..];
        }
        Ok(found)
    }

    fn take_records(
        &self,
        now: Mono,
        from: i64,
        header: &BatchHeader,
        batch: &[u8],
    ) -> Result<u64> {
        let unpacked = unpack(header, batch, UNPACKED_BYTES_MAX)?;
        let mut meter = self.meter.borrow_mut();
        let mut found = 0;
        for record in records(header, &unpacked) {
            let record = record.map_err(|error| anyhow::anyhow!("{error}"))?;
            if record.offset.0 < from {
                continue;
            }
            let stamp = record.value.and_then(<[u8]>::first_chunk::<STAMP_BYTES>);
            let stamp = stamp.context("a record without the time that it was sent at")?;
            meter.arrived(now, u64::from_be_bytes(*stamp), 1, 1);
            found += 1;
        }
        Ok(found)
    }
}
