//! `ringlog-bench produce` and `consume`: lines of text into a topic and out of it, for a first
//! look at a broker where no other client is at hand.

use std::io::{BufRead, Write};

use anyhow::{Context, Result, bail, ensure};
use ringlog_engine::batch::{BatchHeader, records, unpack};
use ringlog_engine::shard::Shard;
use ringlog_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use ringlog_wire::messages::{FetchRequest, FetchResponse};

use crate::client::{
    Cluster, Connection, Endpoint, TopicSpec, UNPACKED_BYTES_MAX, create_topic, error_name,
    fetch_cluster, fetch_version, wait_for_leaders,
};
use crate::producer::{Losses, Producer, ProducerSettings, Stamp};
use crate::uring_shard;

const CLIENT_ID: &str = "ringlog-bench";
/// How long a broker may take for anything but a fetch.
const ANSWER_MS: u64 = 30_000;
/// How long a broker that is only just starting is waited for, and the pause between two attempts.
const START_MS: u64 = 5_000;
const KNOCK_MS: u64 = 20;
/// How long a fetch waits for records.
const FETCH_WAIT_MS: u64 = 1_000;
const FETCH_BYTES_MAX: i32 = 8 << 20;
/// The longest line.
const LINE_BYTES_MAX: usize = 1_000_000;

/// Where lines go to, or come from.
#[derive(Clone, Debug)]
pub struct Topic {
    /// A broker.
    pub bootstrap: Endpoint,
    /// The topic.
    pub name: String,
}

/// Sends every line as a record, to a topic that is made if it is not there. Returns how many were
/// acknowledged: all of them.
pub fn produce(topic: Topic, partitions: i32, lines: impl BufRead + 'static) -> Result<u64> {
    let shard = uring_shard()?;
    shard.run(send(shard.clone(), topic, partitions, lines))
}

async fn send(shard: Shard, topic: Topic, partitions: i32, mut lines: impl BufRead) -> Result<u64> {
    let mut connection = connect(&shard, &topic.bootstrap).await?;
    let deadline = shard.clock().plus_ms(ANSWER_MS);
    let cluster = match fetch_cluster(&mut connection, &topic.name).await? {
        Some(cluster) if !cluster.leaders.is_empty() => cluster,
        _ => {
            let (name, configs) = (topic.name.clone(), Vec::new());
            let spec = TopicSpec { name, partitions, replication_factor: -1, configs };
            create_topic(&mut connection, &spec).await?;
            wait_for_leaders(&shard, &mut connection, &spec, deadline).await?
        }
    };
    let config = ProducerSettings::default().resolve(0, LINE_BYTES_MAX)?;
    let bootstrap = vec![topic.bootstrap.clone()];
    let producer = Producer::start(&shard, config, bootstrap, cluster, Losses::default());
    let (mut line, mut count) = (Vec::new(), 0);
    let sent = async {
        producer.ready().await?;
        while lines.read_until(b'\n', &mut line)? > 0 {
            let value = line.strip_suffix(b"\n").unwrap_or(&line);
            ensure!(
                value.len() <= LINE_BYTES_MAX,
                "line {}: over {LINE_BYTES_MAX} bytes",
                count + 1
            );
            let stamp = Stamp { at_ns: shard.clock().0, step_ns: 0, unix_ms: shard.unix_ms() };
            producer.send(&stamp, None, value).await?;
            (count, _) = (count + 1, line.clear());
        }
        ensure!(
            producer.flush(shard.clock().plus_ms(ANSWER_MS)).await?,
            "the last records were not acknowledged within {} s",
            ANSWER_MS / 1000
        );
        Ok(())
    };
    let sent = sent.await;
    producer.close().await;
    sent?;
    let (lost, why) = producer.observer(|lost| (lost.records, lost.why.take()));
    ensure!(lost == 0, "{lost} records were lost: {}", why.unwrap_or_default());
    Ok(count)
}

/// Connects, also to a broker that does not listen yet.
async fn connect(shard: &Shard, broker: &Endpoint) -> Result<Connection> {
    let patience = shard.clock().plus_ms(START_MS);
    loop {
        let deadline = shard.clock().plus_ms(ANSWER_MS);
        match Connection::open(shard, broker, CLIENT_ID, deadline).await {
            Err(_) if shard.clock() < patience => shard.sleep_ms(KNOCK_MS).await,
            connected => return connected,
        }
    }
}

/// Writes the values of a topic's records, a line each, from its beginning on: so many, or without
/// `most` until the topic's end as it was found.
pub fn consume(topic: Topic, most: Option<u64>, out: impl Write + 'static) -> Result<u64> {
    let shard = uring_shard()?;
    shard.run(receive(shard.clone(), topic, most, out))
}

async fn receive(
    shard: Shard,
    topic: Topic,
    most: Option<u64>,
    mut out: impl Write,
) -> Result<u64> {
    let mut connection = connect(&shard, &topic.bootstrap).await?;
    let cluster = fetch_cluster(&mut connection, &topic.name).await?;
    let cluster = cluster.filter(|cluster| !cluster.leaders.is_empty());
    let cluster = cluster.with_context(|| format!("there is no topic {}", topic.name))?;
    let mut readers = Vec::new();
    for partition in 0..cluster.leaders.len() {
        readers.push(Reader::connect(&shard, &cluster, &topic, partition).await?);
    }
    let mut count = 0;
    // A partition after the other: order is a partition's.
    while most.is_none_or(|most| count < most) {
        let mut moved = false;
        for reader in &mut readers {
            let before = reader.offset;
            let left = most.map_or(u64::MAX, |most| most - count);
            let found = reader.read(&shard, left, &mut out).await?;
            moved |= reader.offset > before;
            count += found;
        }
        if most.is_none() && !moved {
            break;
        }
    }
    out.flush()?;
    Ok(count)
}

/// One partition, from its beginning on.
struct Reader {
    connection: Connection,
    topic: String,
    partition: i32,
    offset: i64,
}

impl Reader {
    async fn connect(
        shard: &Shard,
        cluster: &Cluster,
        topic: &Topic,
        index: usize,
    ) -> Result<Reader> {
        let leader = cluster.leaders[index].context("a partition without a leader")?;
        let broker = cluster.brokers.get(&leader).context("a leader without an address")?;
        let deadline = shard.clock().plus_ms(ANSWER_MS);
        let connection = Connection::open(shard, broker, CLIENT_ID, deadline).await?;
        let (topic, partition) = (topic.name.clone(), index as i32);
        Ok(Reader { connection, topic, partition, offset: 0 })
    }

    /// Writes what one fetch brings, `most` records of it. Returns how many.
    async fn read(&mut self, shard: &Shard, most: u64, out: &mut impl Write) -> Result<u64> {
        let version = fetch_version(&self.connection)?;
        self.connection.set_deadline(shard.clock().plus_ms(ANSWER_MS + FETCH_WAIT_MS));
        let request = FetchRequest {
            max_wait_ms: FETCH_WAIT_MS as i32,
            min_bytes: 1,
            max_bytes: FETCH_BYTES_MAX,
            topics: vec![FetchTopic {
                topic: self.topic.clone(),
                partitions: vec![FetchPartition {
                    partition: self.partition,
                    fetch_offset: self.offset,
                    partition_max_bytes: FETCH_BYTES_MAX,
                    ..FetchPartition::default()
                }],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        let response = self.connection.call_version(&request, version).await?;
        self.take(&response, most, out)
    }

    fn take(&mut self, response: &FetchResponse, most: u64, out: &mut impl Write) -> Result<u64> {
        let code = response.error_code;
        ensure!(code == 0, "Fetch: {}", error_name(code));
        let mut count = 0;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            match partition.error_code {
                0 => {}
                code => bail!("Fetch of partition {}: {}", self.partition, error_name(code)),
            }
            let mut bytes = partition.records.as_deref().unwrap_or_default();
            while count < most
                && let Ok((header, batch)) = BatchHeader::parse_whole(bytes)
            {
                count += self.take_batch(&header, batch, most - count, out)?;
                bytes = &bytes[header.size..];
            }
        }
        Ok(count)
    }

    fn take_batch(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        most: u64,
        out: &mut impl Write,
    ) -> Result<u64> {
        ensure!(header.crc_is_valid(batch), "a batch at offset {} has a wrong CRC", self.offset);
        let unpacked = unpack(header, batch, UNPACKED_BYTES_MAX)?;
        let mut count = 0;
        if !header.is_control() {
            for record in records(header, &unpacked) {
                let record = record.map_err(|error| anyhow::anyhow!("{error}"))?;
                if record.offset.0 < self.offset {
                    continue;
                }
                if count == most {
                    return Ok(count);
                }
                out.write_all(record.value.unwrap_or_default())?;
                out.write_all(b"\n")?;
                (count, self.offset) = (count + 1, record.offset.0 + 1);
            }
        }
        self.offset = header.next_offset().0;
        Ok(count)
    }
}
