//! [`KafkaKit`]: unmodified Apache Kafka, fetched from a Maven repository: a broker to measure, and
//! the tools that load one.
//!
//! The fetching is that of scripts/kafka, which is built into this program, so that a result does
//! not depend on where it was started.

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
/// Flags of the broker's JVM: a heap of 1 GiB, as Kafka's own scripts give it.
pub const BROKER_JVM: &str = "-Xms1g -Xmx1g -XX:+UseG1GC";
const TOOL_JVM: &str = "-Xmx512m";

/// The script, unpacked.
#[derive(Debug)]
pub struct KafkaKit {
    dir: TempDir,
}

impl KafkaKit {
    /// Unpacks it, and fetches Kafka if that is not here yet.
    pub fn install() -> Result<KafkaKit> {
        let dir = tempfile::tempdir().context("a folder for the script that fetches Kafka")?;
        for (name, text) in FILES {
            fs::write(dir.path().join(name), text)?;
        }
        fs::set_permissions(dir.path().join("kafka"), fs::Permissions::from_mode(0o755))?;
        let kit = KafkaKit { dir };
        kit.output(&["install"]).context("Apache Kafka cannot be had")?;
        Ok(kit)
    }

    /// One of its tools, or its broker.
    pub fn command(&self, args: &[&str], jvm: &str) -> Command {
        let mut command = Command::new(self.dir.path().join("kafka"));
        command.args(args).env("KAFKA_OPTS", jvm).stdin(Stdio::null());
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

    /// Formats a directory for a broker.
    pub fn format(&self, properties: &Path) -> Result<()> {
        let id = self.output(&["kafka-storage", "random-uuid"])?;
        let id = id.split_whitespace().last().context("kafka-storage prints no id")?;
        let file = properties.to_string_lossy();
        self.output(&["kafka-storage", "format", "-t", id, "-c", &file])?;
        Ok(())
    }

    /// What is measured, for env.json.
    pub fn describe() -> String {
        let version = std::env::var("KAFKA_VERSION").unwrap_or_else(|_| VERSION.to_owned());
        let java = Command::new("java").arg("-version").output().ok();
        let java = java.and_then(|output| String::from_utf8(output.stderr).ok());
        let java = java.as_deref().and_then(|text| text.lines().next()).unwrap_or("java unknown");
        format!("Apache Kafka {version}, JVM flags {BROKER_JVM}, {java}")
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

/// A broker's properties: a single combined node that keeps its data there. What one experiment
/// wrote is deleted before the next begins; with a delay of 0 Kafka would look for it every
/// millisecond, and by default it begins to look after half a minute.
pub fn properties(
    port: u16,
    controller_port: u16,
    data: &Path,
    over: &[(String, String)],
) -> String {
    let data = data.display();
    let mut text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={data}\n\
         log.segment.delete.delay.ms=1000\n\
         log.initial.task.delay.ms=500\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n"
    );
    // Kafka has no word for ours.
    for (key, value) in over.iter().filter(|(key, _)| !key.starts_with("ringlog.")) {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}
