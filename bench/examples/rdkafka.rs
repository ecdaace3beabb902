//! rdkafka, on librdkafka: producing with every codec, groups under every assignor, and its
//! administration, against the broker that the argument names. A suite of scripts/conformance.

#![allow(clippy::disallowed_methods, reason = "a client of its own, with its own clock")]

use std::collections::BTreeSet;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

const PARTITIONS: i32 = 4;
const RECORDS: i32 = 400;
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const PATIENCE: Duration = Duration::from_secs(60);

fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

/// Waits for a future of the client, whose own threads complete it.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn produce(bootstrap: &str, topic: &str) -> Result<i64> {
    for codec in CODECS {
        let mut config = config(bootstrap);
        config.set("compression.type", codec).set("linger.ms", "5");
        config.set("enable.idempotence", if codec == "none" { "true" } else { "false" });
        let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
        for i in 0..RECORDS {
            let (key, value) = (i.to_string(), format!("{codec}-{i}"));
            let header = Header { key: "h", value: Some("1") };
            let record = BaseRecord::to(topic)
                .partition(i % PARTITIONS)
                .key(&key)
                .payload(&value)
                .headers(OwnedHeaders::new().insert(header));
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.flush(PATIENCE)?;
    }
    Ok(i64::from(RECORDS) * CODECS.len() as i64)
}

/// Two members read everything between them, and commit.
fn group(config: &ClientConfig, topic: &str, total: i64) -> Result<()> {
    let members: Vec<BaseConsumer> = vec![config.create()?, config.create()?];
    for member in &members {
        member.subscribe(&[topic])?;
    }
    let (mut seen, deadline) = (BTreeSet::new(), Instant::now() + PATIENCE);
    let parts = |member: &BaseConsumer| member.assignment().map(|a| a.count()).unwrap_or(0);
    while (seen.len() as i64) < total
        || members.iter().any(|m| parts(m) != PARTITIONS as usize / members.len())
    {
        ensure!(Instant::now() < deadline, "{} of {total}", seen.len());
        for member in &members {
            if let Some(message) = member.poll(Duration::from_millis(20)) {
                let message = message?;
                let headers = message.headers().context("it has a header")?;
                ensure!(headers.get(0).value == Some(b"1"), "its header");
                seen.insert((message.partition(), message.offset()));
            }
        }
    }
    for member in &members {
        let mut ends = member.assignment()?;
        ends.set_all_offsets(Offset::Offset(total / i64::from(PARTITIONS)))?;
        member.commit(&ends, CommitMode::Sync)?;
    }
    drop(members);
    let reader: BaseConsumer = config.create()?;
    let mut all = TopicPartitionList::new();
    all.add_partition_range(topic, 0, PARTITIONS - 1);
    let committed = reader.committed_offsets(all, PATIENCE)?;
    let end = Offset::Offset(total / i64::from(PARTITIONS));
    ensure!(committed.elements().iter().all(|p| p.offset() == end), "{committed:?}");
    Ok(())
}

fn main() -> Result<()> {
    let bootstrap = std::env::args().nth(1).context("BOOTSTRAP")?;
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let topic = format!("rdkafka-{run}");
    let admin: AdminClient<_> = config(&bootstrap).create()?;
    let options = AdminOptions::new();
    let new = NewTopic::new(&topic, PARTITIONS, TopicReplication::Fixed(1));
    for created in wait(admin.create_topics([&new], &options))? {
        created.map_err(|(name, error)| anyhow::anyhow!("{name}: {error}"))?;
    }
    let total = produce(&bootstrap, &topic)?;
    let mut groups = Vec::new();
    for (name, key, value) in [
        ("range", "partition.assignment.strategy", "range"),
        ("round-robin", "partition.assignment.strategy", "roundrobin"),
        ("cooperative", "partition.assignment.strategy", "cooperative-sticky"),
        ("consumer", "group.protocol", "consumer"),
    ] {
        groups.push(format!("{name}-{run}"));
        let mut config = config(&bootstrap);
        config.set("group.id", groups.last().context("a group")?);
        config.set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
        config.set(key, value);
        group(&config, &topic, total).with_context(|| format!("group {name}"))?;
        println!("group {name}: {total} records");
    }
    let listed = admin.inner().fetch_group_list(None, PATIENCE)?;
    for group in &groups {
        ensure!(listed.groups().iter().any(|g| g.name() == group), "{group} is not listed");
    }
    let grown = NewPartitions::new(&topic, PARTITIONS as usize + 1);
    wait(admin.create_partitions([&grown], &options))?;
    let names: Vec<&str> = groups.iter().map(String::as_str).collect();
    for deleted in wait(admin.delete_groups(&names, &options))? {
        deleted.map_err(|(name, error)| anyhow::anyhow!("{name}: {error}"))?;
    }
    for deleted in wait(admin.delete_topics(&[&topic], &options))? {
        deleted.map_err(|(name, error)| anyhow::anyhow!("{name}: {error}"))?;
    }
    println!("done");
    Ok(())
}
