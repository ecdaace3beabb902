//! [`Link`]: a network with a round-trip time between the load and a target on one machine.
//!
//! The target runs in a network namespace of its own. Two interfaces, one on each side, hand their
//! packets to this program, which passes each on to the other side when its time has come. The
//! delay is below TCP, so windows and buffers of sockets act as they do over a real network; a
//! proxy of connections would hide them. Neither loss nor a limit of bandwidth is simulated.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::event::Timespec;

use super::child::{dying_with_us, within};
use super::tun::Tun;

/// Addresses of both sides (RFC 2544 keeps the net for benchmarks).
const NEAR: &str = "198.18.77.1";
const FAR: &str = "198.18.77.2";
const MTU_BYTES: usize = 1500;
/// Packets on their way in one direction at most; others are dropped, as by a router.
const QUEUE_PACKETS_MAX: usize = 1 << 18;
/// Packets that the kernel keeps for a reader of an interface. Its own 500 would lose bursts.
const INTERFACE_PACKETS: &str = "100000";
/// What keeps the namespace while no target is in it.
const HOLDER: [&str; 5] = ["--net", "--kill-child", "--fork", "sleep", "infinity"];

/// How often it is looked whether the link goes on.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A packet and when it arrives.
type OnItsWay = (Instant, Vec<u8>);

/// A link; the interfaces and the namespace are gone when it is dropped.
#[derive(Debug)]
pub struct Link {
    holder: Child,
    rtt_ms: u32,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Link {
    /// Makes one. It needs root, iproute2 and util-linux. `program` is ringlog-bench, which sees to
    /// it that nothing is left if this process is killed.
    pub fn new(rtt_ms: u32, program: &Path) -> Result<Link> {
        let make = || -> Result<Link> {
            let (near, far) = (interface("n"), interface("f"));
            let tuns = (Tun::open(&near)?, Tun::open(&far)?);
            let mut unshare = Command::new("unshare");
            unshare.args(HOLDER);
            let holder = dying_with_us(program, &unshare)
                .stdin(Stdio::null())
                .process_group(0)
                .spawn()
                .context("unshare (util-linux)")?;
            let mut link = Link { holder, rtt_ms, stop: Arc::default(), threads: Vec::new() };
            link.wait_for_namespace()?;
            let holder = link.holder.id().to_string();
            run("ip", &["link", "set", &far, "netns", &holder])?;
            let mtu = MTU_BYTES.to_string();
            run("ip", &["addr", "add", NEAR, "peer", FAR, "dev", &near])?;
            let up = ["txqueuelen", INTERFACE_PACKETS, "mtu", &mtu, "up"];
            run("ip", &[["link", "set", &near].as_slice(), &up].concat())?;
            link.run_inside(&["ip", "addr", "add", FAR, "peer", NEAR, "dev", &far])?;
            link.run_inside(&[["ip", "link", "set", &far].as_slice(), &up].concat())?;
            link.run_inside(&["ip", "link", "set", "lo", "up"])?;
            let delay = Duration::from_micros(u64::from(rtt_ms) * 500);
            let there = (tuns.0.try_clone()?, tuns.1.try_clone()?);
            link.threads.extend(pass_on(there, delay, &link.stop)?);
            link.threads.extend(pass_on((tuns.1, tuns.0), delay, &link.stop)?);
            Ok(link)
        };
        make().with_context(|| format!("a link with a round-trip time of {rtt_ms} ms"))
    }

    /// Where a target in it is reached.
    pub fn address(&self) -> &'static str {
        FAR
    }

    /// Its round-trip time.
    pub fn rtt_ms(&self) -> u32 {
        self.rtt_ms
    }

    /// The same command, on the far side.
    pub fn command(&self, command: &Command) -> Command {
        within(self.inside(), command)
    }

    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id())).arg("--");
        command
    }

    fn run_inside(&self, words: &[&str]) -> Result<()> {
        let mut command = self.inside();
        command.args(words);
        check(command)
    }

    /// unshare has a namespace of its own a moment after it was started.
    fn wait_for_namespace(&self) -> Result<()> {
        let own = std::fs::read_link("/proc/self/ns/net")?;
        let theirs = format!("/proc/{}/ns/net", self.holder.id());
        let deadline = Instant::now() + Duration::from_secs(5);
        while std::fs::read_link(&theirs)? == own {
            ensure!(Instant::now() < deadline, "unshare makes no network namespace");
            // Nothing tells when it has: looked at again, up to the deadline.
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Neither of them panics.
            let _ = thread.join();
        }
        // Errors mean that it is gone already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A name that no other run on this machine has.
fn interface(side: &str) -> String {
    format!("rl{}{side}", std::process::id())
}

fn run(program: &str, words: &[impl AsRef<OsStr>]) -> Result<()> {
    let mut command = Command::new(program);
    command.args(words);
    check(command)
}

fn check(mut command: Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", said.trim());
    Ok(())
}

/// Passes on what one side sends to the other, in its order, until `stop`.
fn pass_on(
    (from, to): (Tun, Tun),
    delay: Duration,
    stop: &Arc<AtomicBool>,
) -> Result<[JoinHandle<()>; 2]> {
    let (sender, receiver) = sync_channel(QUEUE_PACKETS_MAX);
    let stop = Arc::clone(stop);
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    let taking = named("link-in").spawn(move || take_in(&from, delay, &sender, &stop))?;
    let letting = named("link-out").spawn(move || let_out(&to, &receiver))?;
    Ok([taking, letting])
}

fn take_in(from: &Tun, delay: Duration, queue: &SyncSender<OnItsWay>, stop: &AtomicBool) {
    let mut buf = [0; MTU_BYTES];
    while !stop.load(Ordering::Relaxed) {
        match from.receive(&mut buf, LOOK) {
            // A full queue drops the packet, and TCP sends it again.
            Ok(Some(length)) => {
                let _ = queue.try_send((Instant::now() + delay, buf[..length].to_vec()));
            }
            Ok(None) => {}
            // The interface is gone, and with it the target: its connections say so.
            Err(_) => return,
        }
    }
}

fn let_out(to: &Tun, queue: &Receiver<OnItsWay>) {
    for (due, packet) in queue {
        // This is the delay of the link.
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // An interface without room, or one that is down, loses the packet.
        let _ = to.send(&packet);
    }
}
