//! Producers at full speed, or by a schedule.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::Result;
use ringlog_engine::io::Mono;
use ringlog_engine::shard::Shard;

use super::edges::{Edges, Meter, Window, tick};
use super::{LoadRun, Watch};
use crate::client::{Cluster, Endpoint};
use crate::figures::{Live, Outcome};
use crate::load::{Latency, LoadPlan, Pace, Values, generate, new_histogram};
use crate::producer::{Observer, Producer};
use crate::target::ProcessWatch;

/// How long acknowledgements may take after the last record. What is unanswered then counts as
/// lost.
pub const DRAIN_MS: u64 = 30_000;
/// Between preparing the run and its first record: time for consumers to connect.
pub const START_DELAY_MS: u64 = 50;
/// Producers that connect at a time. Thousands at once would overrun the broker's listen queue, and
/// this thread, which has each wait for its answer.
const CONNECTING_MAX: usize = 64;
/// How often somebody may look while producers connect.
const LOOK_MS: u64 = 100;

/// Producers of one run, all alike.
pub struct Producers<O: Observer + 'static> {
    all: Vec<Producer<O>>,
    values: Values,
    metrics: Rc<RefCell<Vec<BTreeMap<String, f64>>>>,
}

pub async fn measure(
    shard: &Shard,
    bootstrap: &Endpoint,
    process: Option<ProcessWatch>,
    run: &LoadRun,
    cluster: Cluster,
    watch: Rc<RefCell<dyn Watch>>,
) -> Result<Outcome> {
    // Made before the load starts: it takes a while.
    let window = Window::new(run.times);
    let meter = || window.meter();
    let producers = Producers::start(shard, bootstrap, run, &cluster, &*watch, meter).await?;
    let producers = Rc::new(producers);
    if let Some(process) = &process {
        process.reset_peak();
    }
    let start = shard.clock().plus_ms(START_DELAY_MS);
    let (meter, edges) = window.starting_at(start, run.pace);
    shard.spawn({
        let (shard, meter, edges) = (shard.clone(), Rc::clone(&meter), Rc::clone(&edges));
        let producers = Rc::clone(&producers);
        async move {
            let (open, close) = (|| producers.reset(&shard), || producers.close_metrics(&shard));
            edges.watch(&shard, &meter, process, open, close).await;
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
    done.set(true);
    let lateness = generated?;
    drained?;
    edges.over(shard).await;
    let recording = meter.borrow_mut().take().finish(shard.clock());
    let client_metrics = producers.metrics(&lateness);
    Ok(Outcome { client_metrics, lateness, ..edges.outcome(recording)? })
}

impl<O: Observer + 'static> Producers<O> {
    /// Starts them, each with an observer of its own, and waits until all are connected and the
    /// run may begin.
    pub async fn start(
        shard: &Shard,
        bootstrap: &Endpoint,
        run: &LoadRun,
        cluster: &Cluster,
        watch: &RefCell<dyn Watch>,
        observer: impl Fn() -> O,
    ) -> Result<Producers<O>> {
        let values = Values::new(run.values, shard.random());
        let mut producers = Producers { all: Vec::new(), values, metrics: Rc::default() };
        let begun = async {
            for number in 0..run.producers {
                let (config, bootstrap) = (run.producer.clone(), vec![bootstrap.clone()]);
                let one = Producer::start(shard, config, bootstrap, cluster.clone(), observer());
                producers.all.push(one);
                if let Some(earlier) = number.checked_sub(CONNECTING_MAX) {
                    wait_for(shard, &producers.all[earlier], watch).await?;
                }
            }
            for producer in &producers.all {
                wait_for(shard, producer, watch).await?;
            }
            run.wait_to_begin(shard, watch).await
        };
        match begun.await {
            Ok(()) => Ok(producers),
            Err(error) => {
                producers.drain(shard, false).await?;
                Err(error)
            }
        }
    }

    /// Sends records from `start` to the end of the window. Returns how late it was with them.
    pub async fn generate(
        &self,
        shard: &Shard,
        run: &LoadRun,
        start: Mono,
        edges: &Edges,
    ) -> Result<Latency> {
        let pace = match run.pace {
            Pace::Closed => Pace::Closed,
            Pace::Open(rate) => Pace::Open(rate / self.all.len() as f64),
        };
        let lateness = Rc::new(RefCell::new(new_histogram()));
        let finished: Rc<RefCell<Vec<Result<()>>>> = Rc::default();
        for (index, producer) in self.all.iter().enumerate() {
            // Producers of one rate take turns.
            let offset_ns = match pace {
                Pace::Closed => 0,
                Pace::Open(rate) => (1e9 / rate * index as f64 / self.all.len() as f64) as u64,
            };
            let plan =
                LoadPlan { pace, start: Mono(start.0 + offset_ns), end: Rc::clone(&edges.end) };
            let mut values = self.values.share(shard.random());
            let (shard, producer) = (shard.clone(), producer.clone());
            let (finished, lateness) = (Rc::clone(&finished), Rc::clone(&lateness));
            let spawner = shard.clone();
            spawner.spawn(async move {
                let generated = generate(&shard, &producer, &mut values, plan, &lateness).await;
                finished.borrow_mut().push(generated);
            });
        }
        while finished.borrow().len() < self.all.len() {
            shard.sleep_ms(1).await;
        }
        finished.take().into_iter().collect::<Result<()>>()?;
        Ok(lateness.replace(new_histogram()))
    }

    /// Waits for the last answers, if all went well, and ends the producers.
    pub async fn drain(&self, shard: &Shard, well: bool) -> Result<()> {
        let deadline = shard.clock().plus_ms(DRAIN_MS);
        let mut drained = Ok(());
        for producer in self.all.iter().filter(|_| well) {
            drained = drained.and(producer.flush(deadline).await.map(|_| ()));
        }
        self.all.iter().for_each(Producer::begin_close);
        for producer in &self.all {
            producer.close().await;
        }
        drained
    }

    /// Ends the run: everybody who waits gets this error.
    pub fn give_up(&self, why: &str) {
        for producer in &self.all {
            producer.give_up(why.to_owned());
        }
    }

    /// The window begins.
    pub fn reset(&self, shard: &Shard) {
        for producer in &self.all {
            producer.metrics(|metrics| metrics.reset(shard.clock()));
        }
    }

    /// The window ends.
    pub fn close_metrics(&self, shard: &Shard) {
        let now = shard.clock();
        let all = self.all.iter().map(|p| p.metrics(|metrics| metrics.by_name(now)));
        *self.metrics.borrow_mut() = all.collect();
    }

    /// Their metrics over the window.
    pub fn metrics(&self, lateness: &Latency) -> BTreeMap<String, f64> {
        merged_metrics(&self.metrics.take(), lateness)
    }
}

/// Waits until a producer is connected, unless somebody ends the run.
async fn wait_for<O: Observer + 'static>(
    shard: &Shard,
    producer: &Producer<O>,
    watch: &RefCell<dyn Watch>,
) -> Result<()> {
    loop {
        let look = shard.clock().plus_ms(LOOK_MS);
        match shard.timeout_at(look, producer.ready()).await {
            Ok(ready) => return ready,
            Err(_) => watch.borrow_mut().tick(Live::NOTHING)?,
        }
    }
}

/// Metrics of several clients as one: rates summed, averages averaged, the highest of maxima. How
/// late all of them were is in `lateness`.
pub fn merged_metrics(all: &[BTreeMap<String, f64>], lateness: &Latency) -> BTreeMap<String, f64> {
    let mut merged: BTreeMap<String, f64> = BTreeMap::new();
    for (name, value) in all.iter().flatten() {
        let entry = merged.entry(name.clone()).or_default();
        match name {
            name if name.ends_with("-rate") => *entry += value,
            name if name.ends_with("-max") => *entry = entry.max(*value),
            _ => *entry += value / all.len() as f64,
        }
    }
    if !lateness.is_empty() {
        let ms = |quantile| lateness.value_at_quantile(quantile) as f64 / 1e6;
        merged.insert("schedule-lag-p99".to_owned(), ms(0.99));
        merged.insert("schedule-lag-max".to_owned(), ms(1.0));
    }
    merged
}

impl Observer for Meter {
    fn delivered(&mut self, now: Mono, batch: &crate::producer::Batch) {
        self.borrow_mut().delivered(now, batch);
    }

    fn lost(&mut self, now: Mono, records: u64, why: &str) {
        self.borrow_mut().lost(now, records, why);
    }
}
