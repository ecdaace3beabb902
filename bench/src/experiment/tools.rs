//! Loads by clients that nobody here wrote: Kafka's own tools, and librdkafka. Each runs in a
//! process of its own; what it prints is what is reported.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use ringlog_engine::shard::Shard;
use serde_json::Value;

use super::stretch::Stretch;
use super::{LoadRun, ToolOrNative, Watch, consume};
use crate::client::{Cluster, Endpoint};
use crate::figures::{LatencySummary, Live, Outcome};
use crate::load::{Pace, Recording};
use crate::profile::Kind;
use crate::target::{ProcessWatch, printed};

/// How often somebody may look while a tool runs.
const LOOK_MS: u64 = 20;
/// What kafka-producer-perf-test takes for "as fast as it can".
const NO_THROTTLE: &str = "-1";

pub async fn measure(
    shard: &Shard,
    bootstrap: &Endpoint,
    process: Option<ProcessWatch>,
    run: &LoadRun,
    cluster: Cluster,
    watch: Rc<RefCell<dyn Watch>>,
) -> Result<Outcome> {
    if run.kind == Kind::CatchUp {
        consume::fill(shard, bootstrap, run, &cluster, &watch).await?;
    }
    let (name, command) = command(bootstrap, run)?;
    let stretch = Stretch::begin(shard, process.as_ref())?;
    let text = execute(shard, command, name, &watch).await?;
    let said = parse(run, name, &text).with_context(|| format!("{name} printed:\n{text}"))?;
    let recording = Recording::of_tool(said.seconds, said.records, said.lost);
    // The generator's use is that of the tool's whole life: a JVM's start is among it, and so is
    // the tool's own warm-up.
    Ok(Outcome {
        printed: Some(said.latency),
        client_metrics: said.metrics,
        ..stretch.end(shard, recording)?
    })
}

/// Executes a tool, and kills it if the run is given up. Returns what it printed.
pub async fn execute(
    shard: &Shard,
    mut command: Command,
    name: &str,
    watch: &RefCell<dyn Watch>,
) -> Result<String> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("{name} cannot be started"))?;
    // Reading in threads of their own: a full pipe would stop the tool.
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let out = std::thread::spawn(move || read_all(out));
    let err = std::thread::spawn(move || read_all(err));
    let began = shard.clock();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let elapsed = shard.clock().ms_since(began) as f64 / 1e3;
        let looked =
            watch.borrow_mut().tick(Live { elapsed, records_per_second: 0.0, p99_ms: 0.0 });
        if let Err(error) = looked {
            // It may have ended by itself meanwhile.
            let _ = child.kill();
            child.wait()?;
            return Err(error);
        }
        shard.sleep_ms(LOOK_MS).await;
    };
    let joined = |thread: std::thread::JoinHandle<Vec<u8>>| {
        thread.join().map_err(|_| anyhow!("reading what {name} printed"))
    };
    let (stdout, stderr) = (joined(out)?, joined(err)?);
    printed(name, &std::process::Output { status, stdout, stderr })
}

fn read_all(pipe: Option<impl std::io::Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read before an error is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

fn command(bootstrap: &Endpoint, run: &LoadRun) -> Result<(&'static str, Command)> {
    let (topic, server) = (run.topic.name.clone(), bootstrap.to_string());
    let bytes = run.values.value_bytes.to_string();
    let mut words: Vec<String> = Vec::new();
    let kit = match &run.driver {
        ToolOrNative::Java(kit) => kit,
        ToolOrNative::Librdkafka(program) => {
            let mut command = Command::new(program);
            command.args(["librdkafka", "--bootstrap", &server, "--topic", &topic]);
            command.args(["--records", &run.records.to_string(), "--value-bytes", &bytes]);
            for (key, value) in &run.settings {
                command.args(["--set", &format!("{key}={value}")]);
            }
            return Ok(("librdkafka", command));
        }
        ToolOrNative::Native | ToolOrNative::Iggy(..) => bail!("there is no such tool"),
    };
    let name = match run.kind {
        Kind::Produce => "kafka-producer-perf-test",
        Kind::CatchUp => "kafka-consumer-perf-test",
        Kind::Tail => "kafka-e2e-latency",
        kind => bail!("kind = {:?} has no tool", kind.name()),
    };
    let add = |words: &mut Vec<String>, more: &[&str]| {
        words.extend(more.iter().map(|word| (*word).to_owned()));
    };
    add(&mut words, &[name]);
    match run.kind {
        Kind::Produce => {
            let rate = match run.pace {
                Pace::Closed => NO_THROTTLE.to_owned(),
                Pace::Open(rate) => format!("{rate:.0}"),
            };
            let records = records(run).to_string();
            add(&mut words, &["--topic", &topic, "--num-records", &records]);
            add(&mut words, &["--record-size", &bytes, "--throughput", &rate, "--print-metrics"]);
            add(&mut words, &["--producer-props", &format!("bootstrap.servers={server}")]);
            words.extend(run.settings.iter().map(|(key, value)| format!("{key}={value}")));
        }
        Kind::CatchUp => {
            let records = run.consumer.fill_records.to_string();
            add(&mut words, &["--bootstrap-server", &server, "--topic", &topic]);
            add(&mut words, &["--messages", &records, "--hide-header", "--timeout", "60000"]);
        }
        _ => {
            let acks = run.settings.iter().find(|(key, _)| key == "acks");
            let acks = acks.map_or("all", |(_, value)| value.as_str());
            // It sends one record, waits for it to arrive, and sends the next.
            let records = records(run).to_string();
            add(&mut words, &[&server, &topic, &records, acks, &bytes]);
        }
    }
    Ok((name, kit.tool(&words)))
}

/// At a rate: what it makes in the time. As fast as it can: what the profile says.
pub fn records(run: &LoadRun) -> u64 {
    match run.pace {
        Pace::Closed => run.records,
        Pace::Open(rate) => (rate * (run.times.warmup + run.times.measured)).ceil() as u64,
    }
}

/// What a tool says of its run.
#[derive(Debug)]
struct Said {
    seconds: f64,
    records: u64,
    lost: u64,
    latency: LatencySummary,
    metrics: BTreeMap<String, f64>,
}

const UNKNOWN: LatencySummary = LatencySummary {
    mean: f64::NAN,
    p50: f64::NAN,
    p95: f64::NAN,
    p99: f64::NAN,
    p999: f64::NAN,
    max: f64::NAN,
};

fn parse(run: &LoadRun, name: &str, text: &str) -> Result<Said> {
    let found = match (name, run.kind) {
        ("librdkafka", _) => parse_librdkafka(text),
        (_, Kind::Produce) => parse_producer(text),
        (_, Kind::CatchUp) => parse_consumer(text),
        _ => parse_end_to_end(text, records(run)),
    };
    let said = found.ok_or_else(|| anyhow!("no figures in what it printed"))?;
    ensure!(said.seconds > 0.0 && said.records > 0, "no record went through");
    Ok(said)
}

/// The number before a word: `7.2 ms avg latency` with ` ms avg`.
fn before(text: &str, word: &str) -> Option<f64> {
    let (head, _) = text.split_once(word)?;
    head.rsplit([' ', ',']).next()?.parse().ok()
}

/// `N records sent, R records/sec (..), A ms avg latency, M ms max latency, P ms 50th, ..`; the
/// last such line is that of the whole run.
fn parse_producer(text: &str) -> Option<Said> {
    let line = text.lines().rfind(|line| line.contains("ms 99.9th"))?;
    let records = before(line, " records sent")?;
    let rate = before(line, " records/sec")?;
    let latency = LatencySummary {
        mean: before(line, " ms avg")?,
        p50: before(line, " ms 50th")?,
        p95: before(line, " ms 95th")?,
        p99: before(line, " ms 99th")?,
        p999: before(line, " ms 99.9th")?,
        max: before(line, " ms max")?,
    };
    // `producer-metrics:batch-size-avg:{client-id=..} : 552760.819`
    let metric = |line: &str| {
        let rest = line.strip_prefix("producer-metrics:")?;
        let (name, _) = rest.split_once(':')?;
        let value: f64 = rest.rsplit(": ").next()?.trim().parse().ok()?;
        value.is_finite().then(|| (name.to_owned(), value))
    };
    let metrics = text.lines().filter_map(metric).collect();
    Some(Said { seconds: records / rate, records: records as u64, lost: 0, latency, metrics })
}

/// `start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s`.
fn parse_consumer(text: &str) -> Option<Said> {
    let line = text.lines().rfind(|line| line.matches(", ").count() == 9)?;
    let fields: Vec<&str> = line.split(", ").collect();
    let number = |index: usize| fields.get(index)?.trim().parse::<f64>().ok();
    let (records, fetch_ms) = (number(4)?, number(7)?);
    let metrics = [("rebalance-time-ms", number(6)?), ("fetch-time-ms", fetch_ms)];
    // Joining the group is not reading.
    Some(Said {
        seconds: fetch_ms / 1e3,
        records: records as u64,
        lost: 0,
        latency: UNKNOWN,
        metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
    })
}

/// `Avg latency: A ms` and `Percentiles: 50th = P, 99th = P, 99.9th = P`.
fn parse_end_to_end(text: &str, records: u64) -> Option<Said> {
    let after = |word: &str| {
        let (_, rest) = text.split_once(word)?;
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        rest[..end].parse::<f64>().ok()
    };
    let mean = after("Avg latency: ")?;
    let latency = LatencySummary {
        mean,
        p50: after("50th = ")?,
        p99: after("99th = ")?,
        p999: after("99.9th = ")?,
        ..UNKNOWN
    };
    // One record at a time: their latencies are the time it took.
    let seconds = mean / 1e3 * records as f64;
    Some(Said { seconds, records, lost: 0, latency, metrics: BTreeMap::new() })
}

fn parse_librdkafka(text: &str) -> Option<Said> {
    let report: Value = serde_json::from_str(text).ok()?;
    let number = |key: &str| report.get(key).and_then(Value::as_f64);
    Some(Said {
        seconds: number("seconds")?,
        records: number("records")? as u64,
        lost: number("errors")? as u64,
        latency: UNKNOWN,
        metrics: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_print_is_understood() {
        let text = "\
4999 records sent, 999.8 records/sec (0.10 MB/sec), 1.5 ms avg latency, 150.0 ms max latency.
1000000 records sent, 596302.921884 records/sec (56.87 MB/sec), 16.07 ms avg latency, 453.00 ms \
max latency, 13 ms 50th, 40 ms 95th, 50 ms 99th, 60 ms 99.9th.

Metric Name                                                            Value
producer-metrics:batch-size-avg:{client-id=perf-producer-client}     : 552760.819
producer-metrics:version:{client-id=perf-producer-client}            : 4.1.1
";
        let said = parse_producer(text).expect("figures");
        assert_eq!((said.records, said.latency.p999, said.latency.max), (1_000_000, 60.0, 453.0));
        assert!((said.seconds - 1.677).abs() < 0.001 && said.latency.mean == 16.07);
        assert_eq!(said.metrics, BTreeMap::from([("batch-size-avg".to_owned(), 552_760.819)]));

        let text = "2026-11-21 17:20:00:000, 2026-11-21 17:20:04:000, 95.3674, 23.8419, 1000000, \
                    250000.0, 3500, 500, 190.7349, 2000000.0";
        let said = parse_consumer(text).expect("figures");
        assert_eq!((said.records, said.seconds), (1_000_000, 0.5));

        let text =
            "0\t12.3\nAvg latency: 0.5432 ms\n\nPercentiles: 50th = 0, 99th = 2, 99.9th = 11\n";
        let said = parse_end_to_end(text, 1000).expect("figures");
        assert_eq!((said.latency.p99, said.latency.p999), (2.0, 11.0));
        assert!((said.seconds - 0.5432).abs() < 1e-9 && said.latency.max.is_nan());

        let said = parse_librdkafka("{\"seconds\": 2.0, \"records\": 10, \"errors\": 1}");
        assert_eq!(said.map(|said| (said.seconds, said.records, said.lost)), Some((2.0, 10, 1)));
        for text in ["", "Exception in thread main", "1, 2, 3"] {
            assert!(parse_producer(text).is_none() && parse_consumer(text).is_none());
            assert!(parse_end_to_end(text, 1).is_none() && parse_librdkafka(text).is_none());
        }
    }
}
