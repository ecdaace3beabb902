//! [`ChildProcess`]: a target that the harness starts by executing itself again.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ringlog_engine::io::StopSignals;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::ended;
use super::iggy::IggyKit;
use super::kafka::{self, KafkaFlavour, KafkaKit, Ports};
use super::link::Link;

/// The hidden subcommand of ringlog-bench that becomes another program.
pub const EXEC: &str = "exec";
/// How long a target may take to stop after SIGTERM before it is killed.
const STOP_SECONDS: u64 = 30;
const LOG_NAME: &str = "target.log";
/// A node's only log directory, and how Kafka marks partitions that are on their way out.
const LOG_DIR: &str = "data";
const DELETED_SUFFIX: &[u8] = b"-delete";
/// What the names of experiments' topics begin with.
pub const TOPIC_PREFIX: &str = "ringlog-bench-";

/// Which of its hidden subcommands ringlog-bench runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildKind {
    /// `ringlog start`.
    Node,
    /// A broker that stores nothing.
    NullBroker,
}

/// Where a target is to be.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// ringlog-bench itself.
    pub program: &'a Path,
    /// Folders for what it stores are made here.
    pub data_dir: &'a Path,
    /// On the far side of this link, where there is one.
    pub link: Option<&'a Link>,
}

impl Place<'_> {
    /// The address it listens at.
    pub fn host(&self) -> &'static str {
        self.link.map_or("127.0.0.1", Link::address)
    }
}

/// A target in its own process, with its own folder; both are gone when it is dropped.
pub struct ChildProcess {
    what: &'static str,
    /// What it is started with, and started again.
    command: Command,
    child: Child,
    port: u16,
    /// Dropped after the process has ended.
    dir: TempDir,
    stopped: bool,
    /// How it exits when it is told to stop: a JVM says 128 + SIGTERM.
    exits_with: i32,
}

/// 128 + SIGTERM.
const JVM_TERMINATED: i32 = 143;

impl ChildProcess {
    /// An embedded node with these properties over its defaults.
    pub fn node(properties: &[(String, String)], place: Place<'_>) -> Result<ChildProcess> {
        let (dir, host) = (fresh_dir(place.data_dir)?, place.host());
        let (port, controller_port) = (free_port()?, free_port()?);
        let log_dirs = dir.path().join(LOG_DIR);
        let own = [
            (
                "listeners",
                format!("PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller_port}"),
            ),
            ("advertised.listeners", format!("PLAINTEXT://{host}:{port}")),
            ("controller.quorum.voters", format!("1@127.0.0.1:{controller_port}")),
            ("log.dirs", log_dirs.display().to_string()),
            // What one experiment wrote is not to be deleted while another is measured.
            ("log.segment.delete.delay.ms", "0".to_owned()),
        ];
        let own = own.into_iter().map(|(key, value)| (key.to_owned(), value));
        let mut args = vec!["start".to_owned()];
        // Later ones win: a profile may change anything.
        for (key, value) in own.chain(properties.iter().cloned()) {
            args.extend(["--override".to_owned(), format!("{key}={value}")]);
        }
        Self::spawn((ChildKind::Node, args), (dir, port), place)
    }

    /// Nodes of Apache Kafka with these properties over those it is shipped with, which make up a
    /// cluster.
    pub fn kafka(
        (kit, flavour): (&KafkaKit, &KafkaFlavour),
        nodes: usize,
        over: &[(String, String)],
        place: Place<'_>,
    ) -> Result<Vec<ChildProcess>> {
        let host = place.host();
        let ports = || Ok(Ports { host, broker: free_port()?, controller: free_port()? });
        let ports: Vec<Ports> = (0..nodes).map(|_| ports()).collect::<Result<_>>()?;
        let cluster_id = kit.cluster_id()?;
        let start = |index: usize| {
            let dir = fresh_dir(place.data_dir)?;
            let file = dir.path().join("server.properties");
            let log_dirs = dir.path().join(LOG_DIR);
            let text = kafka::properties((&ports, index), &log_dirs, flavour.tuned, over);
            fs::write(&file, text)?;
            kit.format(&cluster_id, &file)?;
            let file = file.to_string_lossy();
            let command = kit.command(&["broker", &file], flavour.jvm());
            let at = (dir, ports[index].broker);
            Self::spawn_command(&command, ("kafka", JVM_TERMINATED), at, place)
        };
        (0..nodes).map(start).collect()
    }

    /// Apache Iggy.
    pub fn iggy(kit: &IggyKit, place: Place<'_>) -> Result<ChildProcess> {
        kit.check()?;
        let (dir, port) = (fresh_dir(place.data_dir)?, free_port()?);
        let command = kit.server(&dir.path().join(LOG_DIR), &format!("{}:{port}", place.host()));
        Self::spawn_command(&command, ("iggy", 0), (dir, port), place)
    }

    /// A null broker.
    pub fn null_broker(place: Place<'_>) -> Result<ChildProcess> {
        let dir = fresh_dir(place.data_dir)?;
        let port = free_port()?;
        let args = vec![format!("{}:{port}", place.host())];
        Self::spawn((ChildKind::NullBroker, args), (dir, port), place)
    }

    fn spawn(
        (kind, args): (ChildKind, Vec<String>),
        at: (TempDir, u16),
        place: Place<'_>,
    ) -> Result<ChildProcess> {
        let (what, subcommand) = match kind {
            ChildKind::Node => ("ringlog", "node"),
            ChildKind::NullBroker => ("null", "null-broker"),
        };
        let mut command = Command::new(place.program);
        command.arg(subcommand).arg("--").args(args);
        Self::spawn_command(&command, (what, 0), at, place)
    }

    fn spawn_command(
        command: &Command,
        (what, exits_with): (&'static str, i32),
        (dir, port): (TempDir, u16),
        place: Place<'_>,
    ) -> Result<ChildProcess> {
        let command = match place.link {
            Some(link) => &link.command(command),
            None => command,
        };
        let mut command = dying_with_us(place.program, command);
        let log = File::create(dir.path().join(LOG_NAME))?;
        command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C at the terminal is the harness's to handle: it stops its targets itself.
            .process_group(0);
        let child = spawn(&mut command)?;
        Ok(ChildProcess { what, command, child, port, dir, stopped: false, exits_with })
    }

    /// Starts it again in its folder, after it was stopped or killed.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = spawn(&mut self.command)?;
        self.stopped = false;
        Ok(())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder that holds its data.
    pub fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// Whether it still has files of experiments' topics, all of which were deleted: Kafka's broker
    /// follows its controller a moment later.
    pub fn is_deleting(&self) -> bool {
        let Ok(names) = fs::read_dir(self.dir.path().join(LOG_DIR)) else { return false };
        let mut names = names.flatten().map(|entry| entry.file_name());
        names.any(|name| {
            let name = name.as_encoded_bytes();
            name.ends_with(DELETED_SUFFIX) || name.starts_with(TOPIC_PREFIX.as_bytes())
        })
    }

    /// What it printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join(LOG_NAME)).unwrap_or_default()
    }

    /// An error if it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(ended(self.what, status, &self.log())),
            None => Ok(()),
        }
    }

    /// Tells it to stop, by SIGTERM.
    pub fn begin_stop(&mut self) -> Result<()> {
        if !self.stopped {
            self.stopped = true;
            self.check()?;
            rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        }
        Ok(())
    }

    /// Ends it at once, by SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.check()?;
        self.stopped = true;
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it, by SIGKILL if that takes too long.
    pub fn stop(&mut self) -> Result<()> {
        self.begin_stop()?;
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS);
        loop {
            if let Some(status) = self.child.try_wait()? {
                let well = status.success() || status.code() == Some(self.exits_with);
                ensure!(well, ended(self.what, status, &self.log()));
                return Ok(());
            }
            if Instant::now() > deadline {
                self.child.kill()?;
                self.child.wait()?;
                anyhow::bail!("the {} target did not stop within {STOP_SECONDS} s", self.what);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        if !self.stopped {
            // Nothing is to be saved: the run has failed. Errors mean that it is gone already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A command as the last words of another one, with its environment.
pub fn within(mut outer: Command, command: &Command) -> Command {
    outer.arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(key, value),
            None => outer.env_remove(key),
        };
    }
    outer
}

/// The same command, whose process ends when this one does, however that ends: ringlog-bench asks
/// the kernel for that and then becomes the command.
pub fn dying_with_us(program: &Path, command: &Command) -> Command {
    let mut outer = Command::new(program);
    outer.arg(EXEC).arg("--");
    within(outer, command)
}

fn spawn(command: &mut Command) -> Result<Child> {
    let spawned = command.spawn();
    spawned.with_context(|| format!("{} cannot be started", command.get_program().display()))
}

fn fresh_dir(parent: &Path) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("ringlog-bench-")
        .tempdir_in(parent)
        .with_context(|| format!("no folder can be made in {}", parent.display()))
}

/// A port that nobody listens on at the moment.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// This program's file, which is executed again as a target.
pub fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("this program cannot find itself")
}

/// Makes this process end when the thread that started it does, however that ends.
pub fn die_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    Ok(())
}

/// The hidden subcommand `exec`: becomes another program. Returns only if it cannot.
pub fn become_program(words: &[OsString]) -> Result<()> {
    die_with_parent()?;
    StopSignals::unblock().map_err(|errno| anyhow::anyhow!("signals: {errno}"))?;
    let (name, args) = words.split_first().context("a program's name is needed")?;
    let error = Command::new(name).args(args).exec();
    Err(error).with_context(|| format!("{} cannot be started", name.display()))
}

/// The hidden subcommand `node`: what `ringlog` does with these arguments.
pub fn run_node(args: Vec<String>) -> ExitCode {
    ringlog_node::boot::run_cli(args)
}

/// Where targets keep their data unless told otherwise.
pub fn default_data_dir() -> PathBuf {
    std::env::temp_dir()
}
