//! A stock broker as a peer.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Client, Node, PATIENCE, kafka, kafka_script, run};

/// A stock broker, killed at the end.
pub struct Stock(Child);

impl Stock {
    /// Formats the node's directories with kafka-storage.
    pub fn format(node: &Node, args: &[&str]) {
        run(kafka("kafka-storage")
            .args(["format", "-t", "Nk018hRAQFytWskYqtQduw", "-c"])
            .arg(&node.properties)
            .args(args));
    }

    /// Starts a broker on a node's directory and waits until `ready` says that it serves.
    pub fn start(node: &Node, ready: impl Fn(&mut Client) -> bool) -> Stock {
        let path = node.dir.path().join("kafka.log");
        let log = std::fs::File::create(&path).expect("a log");
        let child = Command::new(kafka_script())
            .arg("broker")
            .arg(&node.properties)
            .env("KAFKA_OPTS", "-Xmx512m -XX:TieredStopAtLevel=1")
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut stock = Stock(child);
        let deadline = Instant::now() + PATIENCE * 2;
        while !Client::try_connect(node.port).is_some_and(|mut client| ready(&mut client)) {
            let ended = stock.0.try_wait().expect("a child");
            assert!(ended.is_none() && Instant::now() < deadline, "{}", said(&path));
            std::thread::park_timeout(Duration::from_millis(50));
        }
        stock
    }

    /// SIGTERM.
    pub fn stop(mut self) {
        run(Command::new("kill").arg("-TERM").arg(self.0.id().to_string()));
        self.0.wait().expect("reaped");
    }
}

fn said(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

impl Drop for Stock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
