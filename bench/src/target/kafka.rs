//! [`KafkaKit`]: unmodified Apache Kafka, fetched from a Maven repository: a broker to measure, and
//! the tools that load one.
//!
//! The fetching is that of scripts/kafka, which is built into this program, so that a result does
//! not depend on where it was started.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

const SCRIPT: &str = include_str!("../../../scripts/kafka");
const FILES: [(&str, &str); 3] = [
    ("kafka", SCRIPT),
    ("kafka-pom.xml", include_str!("../../../scripts/kafka-pom.xml")),
    ("kafka-log4j2.yaml", include_str!("../../../scripts/kafka-log4j2.yaml")),
];
/// The release that scripts/kafka fetches unless it is told otherwise.
const VERSION: &str = "4.1.1";
/// Flags of a broker's JVM, from bin/kafka-server-start.sh and bin/kafka-run-class.sh of Kafka 4.1.
const SHIPPED_JVM: &str = "-Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
     -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent \
     -XX:MaxInlineLevel=15 -Djava.awt.headless=true";
/// Those that its documentation calls typical (docs/ops.html, "Java Version").
const TUNED_JVM: &str = "-Xmx6g -Xms6g -XX:MetaspaceSize=96m -XX:+UseG1GC \
     -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:G1HeapRegionSize=16M \
     -XX:MinMetaspaceFreeRatio=50 -XX:MaxMetaspaceFreeRatio=80 -XX:+ExplicitGCInvokesConcurrent";
const TOOL_JVM: &str = "-Xmx512m";
/// config/server.properties of Kafka 4.1, but for what names the machine.
const SHIPPED: [(&str, &str); 12] = [
    ("num.network.threads", "3"),
    ("num.io.threads", "8"),
    ("socket.send.buffer.bytes", "102400"),
    ("socket.receive.buffer.bytes", "102400"),
    ("socket.request.max.bytes", "104857600"),
    ("num.partitions", "1"),
    ("num.recovery.threads.per.data.dir", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("log.segment.bytes", "1073741824"),
    ("log.retention.check.interval.ms", "300000"),
];
/// What differs for a broker that is tuned: the kernel sizes the buffers of connections, as the
/// documentation advises for fast networks, and recovery has more threads, as the comments of
/// server.properties advise.
const TUNED: [(&str, &str); 3] = [
    ("socket.send.buffer.bytes", "-1"),
    ("socket.receive.buffer.bytes", "-1"),
    ("num.recovery.threads.per.data.dir", "8"),
];

/// Which Kafka.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaFlavour {
    /// Its release, if not that of scripts/kafka.
    pub version: Option<String>,
    /// Not as it is shipped, but as its documentation advises.
    pub tuned: bool,
}

impl KafkaFlavour {
    /// Flags of its JVM.
    pub fn jvm(&self) -> &'static str {
        if self.tuned { TUNED_JVM } else { SHIPPED_JVM }
    }

    /// What is measured, for env.json.
    pub fn describe(&self) -> String {
        let of_environment = std::env::var("KAFKA_VERSION").ok();
        let version = self.version.clone().or(of_environment);
        let version = version.unwrap_or_else(|| VERSION.to_owned());
        let java = Command::new("java").arg("-version").output().ok();
        let java = java.and_then(|output| String::from_utf8(output.stderr).ok());
        let java = java.as_deref().and_then(|text| text.lines().next()).unwrap_or("java unknown");
        let settings = match self.tuned {
            true => "flags and buffers as its documentation advises",
            false => "flags, listeners and buffers as shipped",
        };
        format!("Apache Kafka {version}, {settings}, JVM {}, {java}", self.jvm())
    }
}

/// The script, unpacked.
#[derive(Debug)]
pub struct KafkaKit {
    dir: TempDir,
    version: Option<String>,
}

impl KafkaKit {
    /// Unpacks it, and fetches that release of Kafka if it is not here yet.
    pub fn install(version: Option<&str>) -> Result<KafkaKit> {
        let dir = tempfile::tempdir().context("a folder for the script that fetches Kafka")?;
        for (name, text) in FILES {
            fs::write(dir.path().join(name), text)?;
        }
        fs::set_permissions(dir.path().join("kafka"), fs::Permissions::from_mode(0o755))?;
        let kit = KafkaKit { dir, version: version.map(str::to_owned) };
        kit.output(&["install"]).context("Apache Kafka cannot be had")?;
        Ok(kit)
    }

    /// One of its tools, or its broker.
    pub fn command(&self, args: &[&str], jvm: &str) -> Command {
        let mut command = Command::new(self.dir.path().join("kafka"));
        command.args(args).env("KAFKA_OPTS", jvm).stdin(Stdio::null());
        command.envs(self.version.iter().map(|version| ("KAFKA_VERSION", version)));
        command
    }

    /// A tool.
    pub fn tool(&self, args: &[String]) -> Command {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.command(&args, TOOL_JVM)
    }

    /// What a tool prints.
    pub fn output(&self, args: &[&str]) -> Result<String> {
        let output = self.command(args, TOOL_JVM).output().context("scripts/kafka")?;
        printed(args.first().copied().unwrap_or_default(), &output)
    }

    /// An identity for a cluster.
    pub fn cluster_id(&self) -> Result<String> {
        let id = self.output(&["kafka-storage", "random-uuid"])?;
        let id = id.split_whitespace().last().context("kafka-storage prints no id")?;
        Ok(id.to_owned())
    }

    /// Formats a directory for a broker of that cluster.
    pub fn format(&self, cluster_id: &str, properties: &Path) -> Result<()> {
        let file = properties.to_string_lossy();
        self.output(&["kafka-storage", "format", "-t", cluster_id, "-c", &file])?;
        Ok(())
    }
}

/// Standard output of a tool that must have succeeded.
pub fn printed(tool: &str, output: &Output) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let tail: Vec<&str> = said.lines().chain(text.lines()).rev().take(5).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    ensure!(output.status.success(), "{tool}: {}: {}", output.status, tail.join("\n"));
    Ok(text)
}

/// A node of a cluster that is started here: where it listens. Controllers do on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The address for clients and brokers.
    pub host: &'static str,
    /// For clients and brokers.
    pub broker: u16,
    /// For the quorum.
    pub controller: u16,
}

/// Properties of the node with this index, of nodes that are brokers and controllers: as shipped,
/// tuned or not, then what `over` says. What one experiment wrote is deleted before the next
/// begins: with a delay of 0 Kafka would look for it every millisecond, and by default it begins to
/// look after half a minute.
pub fn properties(
    (nodes, index): (&[Ports], usize),
    data: &Path,
    tuned: bool,
    over: &[(String, String)],
) -> String {
    let Ports { host, broker, controller } = nodes[index];
    let voters: Vec<String> = (nodes.iter().enumerate())
        .map(|(index, ports)| format!("{}@127.0.0.1:{}", index + 1, ports.controller))
        .collect();
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |key: &str, value: String| all.insert(key.to_owned(), value);
    for (key, value) in SHIPPED.iter().chain(TUNED.iter().filter(|_| tuned)) {
        set(key, (*value).to_owned());
    }
    set("process.roles", "broker,controller".to_owned());
    set("node.id", (index + 1).to_string());
    set("controller.quorum.voters", voters.join(","));
    set("listeners", format!("PLAINTEXT://{host}:{broker},CONTROLLER://127.0.0.1:{controller}"));
    set("advertised.listeners", format!("PLAINTEXT://{host}:{broker}"));
    set("controller.listener.names", "CONTROLLER".to_owned());
    set("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned());
    set("log.dirs", data.display().to_string());
    set("log.segment.delete.delay.ms", "1000".to_owned());
    set("log.initial.task.delay.ms", "500".to_owned());
    if nodes.len() > 1 {
        let replicas = nodes.len().to_string();
        for key in ["default.replication.factor", "offsets.topic.replication.factor"] {
            set(key, replicas.clone());
        }
        set("min.insync.replicas", (nodes.len() / 2 + 1).to_string());
    }
    all.extend(over.iter().cloned());
    all.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_as_shipped_unless_told_otherwise() {
        let ports = |n: u16| Ports { host: "127.0.0.1", broker: n, controller: n + 1 };
        let data = Path::new("/d");
        let one = properties((&[ports(10)], 0), data, false, &[]);
        assert!(
            one.contains("num.io.threads=8\n") && one.contains("socket.send.buffer.bytes=102400")
        );
        assert!(one.contains("voters=1@127.0.0.1:11\n") && !one.contains("min.insync"), "{one}");
        let over = [("num.io.threads".to_owned(), "2".to_owned())];
        let third = properties((&[ports(10), ports(20), ports(30)], 2), data, true, &over);
        assert!(third.contains("num.io.threads=2\n") && third.contains("node.id=3\n"), "{third}");
        assert!(
            third.contains("socket.send.buffer.bytes=-1\n") && third.contains("insync.replicas=2")
        );
        assert!(third.contains("voters=1@127.0.0.1:11,2@127.0.0.1:21,3@127.0.0.1:31\n"), "{third}");
        assert!(KafkaFlavour::default().jvm().contains("-Xmx1G"));
    }
}
