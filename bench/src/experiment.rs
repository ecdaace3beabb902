//! One run of one producer experiment against one target: topic, warm-up, measured window, drain.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context, Result};
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;

use crate::client::{
    Cluster, Connection, Endpoint, TopicSpec, create_topic, delete_topic, wait_for_leaders,
};
use crate::load::{Latency, LoadPlan, Pace, Recorder, Recording, Values, ValuesSpec, generate};
use crate::producer::{Producer, ProducerConfig};
use crate::target::{ProcessSample, ProcessWatch};

/// How long a topic may take to be made and to get its leaders, or to be deleted.
const TOPIC_MS: u64 = 30_000;
/// How long acknowledgements may take after the last record. What is unanswered then counts as
/// lost.
const DRAIN_MS: u64 = 30_000;
/// Between preparing the run and its first record: time for the connections to be made.
const START_DELAY_MS: u64 = 50;
/// How often somebody may look.
const TICK_MS: u64 = 200;
/// The shortest interval of the time series, and how many there are at most.
const INTERVAL_NS_MIN: u64 = 250_000_000;
const INTERVALS_MAX: u64 = 200;

/// What to run.
#[derive(Clone, Debug)]
pub struct ProduceRun {
    /// A topic of its own.
    pub topic: TopicSpec,
    /// The producer.
    pub producer: ProducerConfig,
    /// The records.
    pub values: ValuesSpec,
    /// How fast.
    pub pace: Pace,
    /// Not measured.
    pub warmup_seconds: f64,
    /// Measured.
    pub seconds: f64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct ProduceOutcome {
    /// When the measured window began.
    pub window_start_unix_ms: i64,
    /// Throughput and latency.
    pub recording: Recording,
    /// The client's metrics over the measured window.
    pub client_metrics: BTreeMap<String, f64>,
    /// The broker's use of the machine within the window, if it is ours to watch.
    pub broker: Option<BrokerUse>,
    /// Open loop: how late the generator itself was.
    pub lateness: Latency,
}

/// What a broker took of its machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BrokerUse {
    /// CPU time.
    pub cpu_seconds: f64,
    /// The most resident memory since the run began.
    pub peak_rss_bytes: u64,
}

/// How a run is getting on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Live {
    /// Since its first record, in seconds.
    pub elapsed: f64,
    /// Acknowledged lately.
    pub records_per_second: f64,
    /// Their latency.
    pub p99_ms: f64,
}

/// Looks at a run now and then; its error ends the run.
pub trait Watch {
    /// Called five times a second.
    fn tick(&mut self, live: Live) -> Result<()>;
}

/// What happens at the two edges of the measured window.
#[derive(Default)]
struct Edges {
    started_unix_ms: i64,
    before: Option<ProcessSample>,
    after: Option<ProcessSample>,
    metrics: BTreeMap<String, f64>,
    failed: Option<anyhow::Error>,
}

/// Runs it.
pub async fn run(
    shard: &Shard,
    bootstrap: &Endpoint,
    process: Option<ProcessWatch>,
    run: &ProduceRun,
    watch: Rc<RefCell<dyn Watch>>,
) -> Result<ProduceOutcome> {
    let cluster = prepare(shard, bootstrap, run).await?;
    let outcome = measure(shard, bootstrap, process, run, cluster, watch).await;
    let cleaned = clean_up(shard, bootstrap, run).await;
    // The first failure is the cause of the second.
    let outcome = outcome?;
    cleaned?;
    Ok(outcome)
}

async fn connect(shard: &Shard, bootstrap: &Endpoint, run: &ProduceRun) -> Result<Connection> {
    let deadline = shard.clock().plus_ms(TOPIC_MS);
    Connection::open(shard, bootstrap, &run.producer.client_id, deadline).await
}

async fn prepare(shard: &Shard, bootstrap: &Endpoint, run: &ProduceRun) -> Result<Cluster> {
    let mut connection = connect(shard, bootstrap, run).await?;
    create_topic(&mut connection, &run.topic).await?;
    let deadline = shard.clock().plus_ms(TOPIC_MS);
    wait_for_leaders(shard, &mut connection, &run.topic, deadline).await
}

async fn clean_up(shard: &Shard, bootstrap: &Endpoint, run: &ProduceRun) -> Result<()> {
    let mut connection = connect(shard, bootstrap, run).await?;
    delete_topic(&mut connection, &run.topic.name).await
}

async fn measure(
    shard: &Shard,
    bootstrap: &Endpoint,
    process: Option<ProcessWatch>,
    run: &ProduceRun,
    cluster: Cluster,
    watch: Rc<RefCell<dyn Watch>>,
) -> Result<ProduceOutcome> {
    let mut values = Values::new(run.values, shard.random());
    let interval_ns = interval_ns(run.seconds);
    // The edges of the window fall between two intervals.
    let whole = |seconds: f64| ((seconds * 1e9) as u64).div_ceil(interval_ns) * interval_ns;
    let (warmup_ns, measured_ns) = (whole(run.warmup_seconds), whole(run.seconds));
    let recorder = Recorder::new(Mono(0), warmup_ns, measured_ns, interval_ns);
    if let Some(process) = &process {
        process.reset_peak();
    }
    let start = shard.clock().plus_ms(START_DELAY_MS);
    let recorder = recorder.starting_at(start);
    let (window_start, window_end) = recorder.window();
    let config = run.producer.clone();
    let producer = Producer::start(shard, config, vec![bootstrap.clone()], cluster, recorder);
    let edges = Rc::new(RefCell::new(Edges::default()));
    let done = Rc::new(Cell::new(false));
    let edge_tasks = Rc::new(Cell::new(1));
    shard.spawn({
        let (shard, producer) = (shard.clone(), producer.clone());
        let (edges, left) = (Rc::clone(&edges), Rc::clone(&edge_tasks));
        async move {
            shard.sleep_until(window_start).await;
            edges.borrow_mut().open(&shard, &producer, process.as_ref());
            shard.sleep_until(window_end).await;
            edges.borrow_mut().close(&producer, process.as_ref(), shard.clock());
            left.set(0);
        }
    });
    shard.spawn(tick(shard.clone(), producer.clone(), start, watch, Rc::clone(&done)));
    shard.sleep_until(start).await;
    let plan = LoadPlan { pace: run.pace, start, end: window_end };
    let generated = generate(shard, &producer, &mut values, plan).await;
    let drained = match generated.is_ok() {
        true => producer.flush(shard.clock().plus_ms(DRAIN_MS)).await.map(|_| ()),
        false => Ok(()),
    };
    done.set(true);
    producer.close().await;
    let lateness = generated?;
    drained?;
    while edge_tasks.get() > 0 {
        shard.sleep_ms(1).await;
    }
    let edges = edges.take();
    let now = shard.clock();
    let recording = producer.observer(|recorder| recorder.take().finish(now));
    edges.outcome(recording, lateness)
}

/// The length of an interval of the time series.
fn interval_ns(seconds: f64) -> u64 {
    let needed = (seconds * 1e9) as u64 / INTERVALS_MAX;
    needed.next_multiple_of(INTERVAL_NS_MIN).max(INTERVAL_NS_MIN)
}

async fn tick(
    shard: Shard,
    producer: Producer<Recorder>,
    start: Mono,
    watch: Rc<RefCell<dyn Watch>>,
    done: Rc<Cell<bool>>,
) {
    while !done.get() {
        let now = shard.clock();
        let (records_per_second, p99_ns) = producer.observer(|recorder| recorder.live(now));
        let elapsed = now.0.saturating_sub(start.0) as f64 / 1e9;
        let live = Live { elapsed, records_per_second, p99_ms: p99_ns as f64 / 1e6 };
        if let Err(error) = watch.borrow_mut().tick(live) {
            producer.give_up(format!("{error:#}"));
        }
        shard.sleep_ms(TICK_MS).await;
    }
}

impl Edges {
    fn open(
        &mut self,
        shard: &Shard,
        producer: &Producer<Recorder>,
        process: Option<&ProcessWatch>,
    ) {
        self.started_unix_ms = shard.unix_ms();
        producer.metrics(|metrics| metrics.reset(shard.clock()));
        self.before = self.sample(process);
    }

    fn close(&mut self, producer: &Producer<Recorder>, process: Option<&ProcessWatch>, now: Mono) {
        self.after = self.sample(process);
        self.metrics = producer.metrics(|metrics| metrics.by_name(now));
    }

    fn sample(&mut self, process: Option<&ProcessWatch>) -> Option<ProcessSample> {
        match process?.sample() {
            Ok(sample) => Some(sample),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    fn outcome(self, recording: Recording, lateness: Latency) -> Result<ProduceOutcome> {
        if let Some(error) = self.failed {
            return Err(error).context("the broker's process");
        }
        let broker = self.before.zip(self.after).map(|(before, after)| BrokerUse {
            cpu_seconds: after.cpu_seconds - before.cpu_seconds,
            peak_rss_bytes: after.peak_rss_bytes,
        });
        let mut client_metrics = self.metrics;
        if !lateness.is_empty() {
            let ms = |quantile| lateness.value_at_quantile(quantile) as f64 / 1e6;
            client_metrics.insert("schedule-lag-p99".to_owned(), ms(0.99));
            client_metrics.insert("schedule-lag-max".to_owned(), ms(1.0));
        }
        let window_start_unix_ms = self.started_unix_ms;
        Ok(ProduceOutcome { window_start_unix_ms, recording, client_metrics, broker, lateness })
    }
}
