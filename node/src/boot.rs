//! Starting and stopping a node: the only place that names a concrete driver and puts the parts
//! together.

mod write_path;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ringlog_engine::dirs::{
    DirectoryName, LogDir, LogDirOptions, OffsetCheckpoint, parse_directory_name,
};
use ringlog_engine::io::uring::UringOptions;
use ringlog_engine::io::{
    DriverChoice, DriverPlan, StopSignals, Unpark, WritePath, available_cpus, host_name,
    memory_bytes, monotonic_ns, pin_to_cpu, raise_open_files_max, thread_id,
};
use ringlog_engine::log::IoMode;
use ringlog_engine::shard::mesh::{Mailboxes, mesh};
use ringlog_engine::shard::sync::{Budget, Event};
use ringlog_engine::shard::{Shard, ShardOptions, Source};
use ringlog_engine::types::ShardId;
use ringlog_wire::Uuid;

use crate::api;
use crate::broker::{
    Broker, Call, Control, DirInfo, FetchPath, Message, MetadataLog, PublishedImage, Reply,
    RequestLimits, Settings,
};
use crate::config::{Listener, RawConfig, SecurityProtocol, parse_cpu_list};
use crate::conn;
use crate::controller::NodeIdentity;
use crate::format::{self, FormatOptions};
use crate::loggers;
use crate::metadata::MetadataImage;
use crate::notify::{State, notify};
use crate::telemetry;
use crate::watchdog::{self, Watched};

pub use crate::cli::run_cli;

/// What a node without a file is started with.
pub const DEFAULT_PROPERTIES: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9093
listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
advertised.listeners=PLAINTEXT://localhost:9092
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=./ringlog-data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
";

/// How long a stop waits for requests that are being worked on.
const STOP_WAIT_MS: u64 = 5_000;
/// Share of the descriptors a process may have that connections must leave to files, and how many
/// of them are enough.
const FILES_SHARE: u64 = 4;
const FILES_MAX: u64 = 16_384;

/// Runs a job on a shard of its own, without a node.
pub fn offline<F>(job: impl FnOnce(Shard) -> F) -> Result<(), String>
where
    F: Future<Output = Result<(), String>> + 'static,
{
    let plan = DriverPlan::new(DriverChoice::Auto, 1, &UringOptions::default());
    let (plan, _) = plan.map_err(|error| error.to_string())?;
    let driver = plan.driver(0).map_err(|error| format!("no driver can be set up: {error}"))?;
    let shard = Shard::new(ShardId(0), driver, ShardOptions::default());
    let result = shard.run(job(shard.clone()));
    shard.abandon();
    result
}

/// Starts a node and runs it until it is told to stop.
pub fn run(config: RawConfig, format_itself: bool) -> Result<(), String> {
    loggers::init();
    let started = std::time::Duration::from_nanos(monotonic_ns());
    abort_on_panic();
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    check_supported(&config)?;
    let stop_signals =
        StopSignals::block().map_err(|e| format!("signals cannot be blocked: {e}"))?;
    let mut options = uring_options(&config)?;
    let choice = driver_choice(&config);
    let cpus = cpus_of(&config)?;
    let (settings, dirs) = open_dirs(config, format_itself, cpus.len())?;
    let (settings, published) = (Arc::new(settings), Arc::new(PublishedImage::default()));
    let shards = settings.all_shards().count();
    options.provided_buffer_bytes = settings.requests.receive_buffer_bytes;
    let (drivers, lacking) =
        DriverPlan::new(choice, shards, &options).map_err(|error| error.to_string())?;
    if let Some(error) = lacking {
        tracing::warn!(%error, "io_uring_not_available");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (ready, when_ready) = mpsc::channel();
    let (watched, watch) = mpsc::channel();
    let watchdog_ms = settings.config.long("ringlog.watchdog.ms").max(0) as u64;
    if watchdog_ms > 0 {
        start_thread("watchdog".to_owned(), move || watchdog::watch_shards(&watch, watchdog_ms))?;
    }
    let mut dirs = Some(dirs);
    for (index, mailboxes) in mesh::<Message>(shards).into_iter().enumerate() {
        let thread = ShardThread {
            index,
            // The control shard has little to do, and goes where there is room.
            cpu: cpus.get(index).copied().flatten(),
            drivers: drivers.clone(),
            settings: Arc::clone(&settings),
            published: Arc::clone(&published),
            mailboxes,
            dirs: dirs.take_if(|_| index == settings.shards),
            stop: Arc::clone(&stop),
            ready: ready.clone(),
            watched: watched.clone(),
            watchdog_ms,
        };
        let name = match index == settings.shards {
            true => "control".to_owned(),
            false => format!("shard-{index}"),
        };
        start_thread(name, move || thread.run())?;
    }
    drop((ready, watched));
    let unpark = match when_ready.recv() {
        Ok(Ready::Serving(unpark)) => unpark,
        Ok(Ready::Failed(message)) => return Err(message),
        _ => return Err("the node ended before it served".to_owned()),
    };
    let took_ms = (std::time::Duration::from_nanos(monotonic_ns()) - started).as_millis() as u64;
    tracing::info!(took_ms, shards = settings.shards, "serving");
    wait_for_stop(&stop_signals);
    stop.store(true, Ordering::Release);
    unpark.unpark();
    // The control shard says how it went; the others have nothing left to do by then.
    match when_ready.recv_timeout(Duration::from_millis(STOP_WAIT_MS * 12)) {
        Ok(Ready::Stopped { clean: true }) => Ok(()),
        Ok(Ready::Stopped { clean: false }) => Err("not everything was closed properly".to_owned()),
        _ => Err("the node did not stop in time".to_owned()),
    }
}

/// The node serves until it is told to stop; a supervisor hears of both.
fn wait_for_stop(stop_signals: &StopSignals) {
    notify(State::Ready);
    stop_signals.wait();
    tracing::info!("stopping");
    notify(State::Stopping);
}

fn start_thread(name: String, run: impl FnOnce() + Send + 'static) -> Result<(), String> {
    std::thread::Builder::new().name(name).spawn(run).map(drop).map_err(|e| e.to_string())
}

/// Half a broker is worse than none: from here on a panic in any thread ends the process.
pub fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::abort();
    }));
}

/// Refuses what this version cannot do, instead of starting and doing something else.
fn check_supported(config: &RawConfig) -> Result<(), String> {
    if !(config.is_broker() && config.is_controller()) {
        return Err("process.roles must be broker,controller: this version runs as a single \
                    combined node"
            .to_owned());
    }
    let voters = config.voters();
    if voters.len() > 1 || (!voters.is_empty() && !voters.contains_key(&config.node_id())) {
        let ids: Vec<i32> = voters.keys().copied().collect();
        return Err(format!(
            "controller.quorum.voters names {ids:?}: this version can only be the single voter of \
             its quorum"
        ));
    }
    let authorizer = config.string("authorizer.class.name").unwrap_or_default();
    if !authorizer.is_empty() {
        return Err(format!(
            "authorizer.class.name is {authorizer}: this version has no authorizer, and would let \
             everybody do everything"
        ));
    }
    for listener in config.listeners() {
        if listener.protocol != SecurityProtocol::Plaintext {
            return Err(format!(
                "listener {} uses {}: this version serves PLAINTEXT only",
                listener.name,
                listener.protocol.name()
            ));
        }
    }
    Ok(())
}

fn driver_choice(config: &RawConfig) -> DriverChoice {
    match config.string("ringlog.io.driver") {
        Some("epoll") => DriverChoice::Epoll,
        Some("io_uring") => DriverChoice::Uring,
        _ => DriverChoice::Auto,
    }
}

fn uring_options(config: &RawConfig) -> Result<UringOptions, String> {
    let options = UringOptions {
        entries: config.int("ringlog.io.ring.entries").max(1) as u32,
        sqpoll: config.boolean("ringlog.io.sqpoll"),
        sqpoll_idle_ms: config.int("ringlog.io.sqpoll.idle.ms").max(0) as u32,
        registered_files: match config.boolean("ringlog.io.registered.files") {
            true => UringOptions::default().registered_files,
            false => 0,
        },
        ..UringOptions::default()
    };
    options.check().map_err(|error| error.to_string())?;
    Ok(options)
}

/// What each shard's part of each directory may have.
fn dirty_bytes_max(config: &RawConfig, shards: usize) -> u64 {
    let parts = shards * config.log_dirs().len().max(1);
    config.long("ringlog.dirty.bytes.max") as u64 / parts as u64
}

/// From this many CPUs on, a host is taken to be the broker's own.
const OWN_HOST_CPUS_MIN: usize = 4;

/// The CPU of each shard; `None` leaves it to the kernel's scheduler.
fn cpus_of(config: &RawConfig) -> Result<Vec<Option<usize>>, String> {
    let list = config.string("ringlog.cpu.affinity").unwrap_or_default();
    let cpus = match list.is_empty() {
        true => available_cpus().map_err(|error| error.to_string())?,
        false => parse_cpu_list(list)
            .ok_or_else(|| format!("ringlog.cpu.affinity: {list} is no list of CPUs"))?,
    };
    let pinned = match config.string("ringlog.cpu.pinning") {
        Some("on") => true,
        Some("off") => false,
        // Where everything else on the host has to run on the same few CPUs, a pinned shard waits
        // for its own while another is idle.
        _ => !list.is_empty() || cpus.len() >= OWN_HOST_CPUS_MIN,
    };
    let shards = match config.int("ringlog.shards") {
        0 => cpus.len(),
        shards => shards as usize,
    };
    Ok((0..shards).map(|shard| pinned.then(|| cpus[shard % cpus.len()])).collect())
}

/// Opens and locks the log directories, and works out the settings that do not change.
fn open_dirs(
    config: RawConfig,
    format_itself: bool,
    shards: usize,
) -> Result<(Settings, Vec<LogDir>), String> {
    let slot = Rc::new(std::cell::RefCell::new(None));
    let found = Rc::clone(&slot);
    offline(move |shard| async move {
        if format_itself {
            let cluster_id = format::random_uuid(&shard).to_string();
            let options =
                FormatOptions { cluster_id, ignore_formatted: true, ..FormatOptions::default() };
            format::format(&shard, &config, &options).await.map_err(|e| e.to_string())?;
        }
        let mut paths: Vec<PathBuf> = config.log_dirs().iter().map(PathBuf::from).collect();
        let metadata_dir = PathBuf::from(config.metadata_log_dir());
        if !paths.contains(&metadata_dir) {
            paths.push(metadata_dir);
        }
        let mut dirs = Vec::new();
        for path in &paths {
            let dir = LogDir::open(&shard, path, LogDirOptions { start: true }).await;
            dirs.push(dir.map_err(|error| error.to_string())?);
        }
        let write_path = write_path::choose(&shard, &config, &paths).await?;
        let settings = settings_of(config, &dirs, shards, write_path)?;
        *found.borrow_mut() = Some((settings, dirs));
        Ok(())
    })?;
    slot.take().ok_or_else(|| "the directories were not opened".to_owned())
}

/// The directories are this node's, of one cluster, and none is a copy of another.
fn check_identities(dirs: &[LogDir], node_id: i32, cluster_id: &str) -> Result<(), String> {
    for dir in dirs {
        let path = dir.path().display();
        if dir.meta.node_id != node_id {
            return Err(format!(
                "Stored node id {} doesn't match previous node id {node_id} in {path}. If you \
                 moved your data, make sure your configured node id matches. If you intend to \
                 create a new node, you should remove all data in your data directories.",
                dir.meta.node_id
            ));
        }
        if dir.meta.cluster_id != cluster_id {
            return Err(format!(
                "Invalid cluster.id in: {path}/meta.properties. Expected {cluster_id}, but read {}",
                dir.meta.cluster_id
            ));
        }
        let Some(id) = dir.meta.directory_id else {
            return Err(format!("Property directory.id is missing in {path}/meta.properties"));
        };
        let other = dirs.iter().take_while(|other| other.path() != dir.path());
        if let Some(other) = other.into_iter().find(|o| o.meta.directory_id == Some(id)) {
            return Err(format!(
                "Duplicate directory ID {} found. It was the ID of {}, but also of {path}",
                Uuid(id.0),
                other.path().display()
            ));
        }
    }
    Ok(())
}

fn settings_of(
    config: RawConfig,
    dirs: &[LogDir],
    shards: usize,
    write_path: WritePath,
) -> Result<Settings, String> {
    let node_id = config.node_id();
    let cluster_id = dirs[0].meta.cluster_id.clone();
    check_identities(dirs, node_id, &cluster_id)?;
    let infos = dirs.iter().map(|dir| DirInfo {
        path: dir.path().to_owned(),
        id: Uuid(dir.meta.directory_id.map_or([0; 16], |id| id.0)),
        clean: dir.clean,
        recovery_points: dir.recovery_points().clone(),
        log_starts: dir.log_starts().clone(),
        first_dirty_offsets: dir.first_dirty_offsets().clone(),
    });
    let open_files_max = raise_open_files_max();
    let advertised = config
        .advertised_broker_listeners()
        .into_iter()
        .map(|l| (l.name, (l.host.unwrap_or_else(host_name), l.port)))
        .collect();
    Ok(Settings {
        cluster_id,
        node_id,
        shards,
        broker_listeners: config.broker_listeners().len(),
        listeners: [config.broker_listeners(), config.controller_listeners()].concat(),
        advertised,
        sync_always: config.string("ringlog.durability") != Some("replicated"),
        io_mode: match config.string("ringlog.io.mode") {
            Some("direct") => IoMode::Direct,
            _ => IoMode::Buffered,
        },
        write_path,
        dirty_bytes_max: dirty_bytes_max(&config, shards),
        fetch_path: FetchPath::of(&config),
        unread_cache_bytes: u64::try_from(config.long("ringlog.unread.cache.bytes")).ok(),
        dirs: infos.collect(),
        data_dirs: config.log_dirs().len(),
        requests: RequestLimits::of(&config, shards, memory_bytes()),
        open_files_max,
        connection_fd_end: open_files_max - (open_files_max / FILES_SHARE).min(FILES_MAX),
        config,
    })
}

/// What the control shard tells the thread that waits.
enum Ready {
    Serving(Arc<dyn Unpark>),
    Failed(String),
    Stopped { clean: bool },
}

/// One shard on its way into its thread.
struct ShardThread {
    index: usize,
    cpu: Option<usize>,
    drivers: DriverPlan,
    settings: Arc<Settings>,
    published: Arc<PublishedImage>,
    mailboxes: Mailboxes<Message>,
    /// The control shard gets the directories.
    dirs: Option<Vec<LogDir>>,
    stop: Arc<AtomicBool>,
    ready: mpsc::Sender<Ready>,
    /// Shards that the watchdog watches.
    watched: mpsc::Sender<Watched>,
    watchdog_ms: u64,
}

/// Wakes the stop task when the flag is set.
struct StopSource {
    flag: Arc<AtomicBool>,
    event: Rc<Event>,
    told: bool,
}

impl Source for StopSource {
    fn drain(&mut self) -> bool {
        let news = self.flag.load(Ordering::Acquire) && !self.told;
        if news {
            self.told = true;
            self.event.notify();
        }
        news
    }

    fn park(&mut self) -> bool {
        self.told || !self.flag.load(Ordering::Acquire)
    }

    fn unpark(&mut self) {}
}

impl ShardThread {
    fn run(self) {
        if let Some(cpu) = self.cpu
            && let Err(error) = pin_to_cpu(cpu)
        {
            tracing::warn!(shard = self.index, cpu, %error, "not_pinned");
        }
        let driver = match self.drivers.driver(self.index) {
            Ok(driver) => driver,
            Err(error) => {
                let message = format!("shard {} has no driver: {error}", self.index);
                // The receiver is gone only if the start has failed already.
                let _ = self.ready.send(Ready::Failed(message));
                return;
            }
        };
        let id = ShardId(self.index as u16);
        let limits = &self.settings.requests;
        let options = ShardOptions {
            // Half of it: as much again may come before all connections are paused.
            arrived_buffers_max: (limits.ahead_bytes / 2 / limits.receive_buffer_bytes).max(1),
            ..ShardOptions::default()
        };
        let shard = Shard::new(id, driver, options);
        if self.watchdog_ms > 0 {
            watchdog::watch_operations(&shard, self.watchdog_ms);
            // Kept to the end of the thread: the watchdog goes on as long as there is a shard.
            let (pulse, unpark) = (shard.pulse(), shard.unparker());
            let watched = Watched { shard: self.index, pulse, unpark, thread: thread_id() };
            // There is no watchdog only if the process is ending.
            let _ = self.watched.send(watched);
        }
        let broker = Broker::new(&shard, Arc::clone(&self.settings), self.published);
        let receiver = Rc::clone(&broker);
        let mailboxes = self.mailboxes;
        broker.connect(mailboxes.connect(&shard, move |from, m| receiver.on_message(from, m)));
        broker.start_upkeep();
        let Some(dirs) = self.dirs else {
            shard.spawn(conn::run_connections(Rc::clone(&broker)));
            // Runs until the process ends.
            return shard.run(std::future::pending::<()>());
        };
        api::serve_forwarded(&broker);
        tracing::info!(driver = shard.describe_driver(), "shard_started");
        let event = Rc::new(Event::default());
        let told = Rc::clone(&event);
        shard.add_source(Box::new(StopSource { flag: self.stop, event: told, told: false }));
        let (ready, dirs) = (self.ready, dirs.into_iter().map(Rc::new).collect());
        shard.run(async move { run_node(broker, dirs, event, ready).await });
    }
}

/// The control shard's main task: from opened directories to a serving node, and back.
async fn run_node(
    broker: Rc<Broker>,
    dirs: Vec<Rc<LogDir>>,
    stop: Rc<Event>,
    ready: mpsc::Sender<Ready>,
) {
    let stopping = stop.wait();
    broker.set_dirs(dirs.clone());
    let control = match start_node(&broker).await {
        Ok(control) => control,
        Err(message) => {
            let _ = ready.send(Ready::Failed(message));
            return;
        }
    };
    let checkpoint_turn = Budget::new(1);
    start_checkpoints(&broker, &checkpoint_turn);
    let _ = ready.send(Ready::Serving(broker.shard.unparker()));
    stopping.await;
    broker.stopping.set(true);
    let _turn = checkpoint_turn.take(1).await;
    let clean = stop_node(&broker, &control, &dirs).await;
    let _ = ready.send(Ready::Stopped { clean });
    // The waiting thread ends the process.
    std::future::pending::<()>().await;
}

async fn start_node(broker: &Rc<Broker>) -> Result<Rc<Control>, String> {
    let settings = Arc::clone(&broker.settings);
    let bound = conn::bind_listeners(broker, &settings.listeners).await?;
    broker.limit_addresses(&settings.config).await;
    let metadata_dir = PathBuf::from(settings.config.metadata_log_dir());
    let info = settings.dirs.iter().find(|dir| dir.path == metadata_dir);
    let clean = info.is_some_and(|dir| dir.clean);
    let opened = MetadataLog::open(&broker.shard, &metadata_dir, &settings.config, clean)
        .await
        .map_err(|error| error.to_string())?;
    set_strays_aside(broker, &Rc::new(opened.image.clone())).await?;
    let ports: BTreeMap<&str, u16> =
        bound.iter().map(|b| (settings.listeners[b.index].name.as_str(), b.port)).collect();
    let identity = identity_of(broker, &ports);
    let control =
        Control::start(broker, opened, &identity).await.map_err(|error| error.to_string())?;
    broker.set_control(Rc::clone(&control));
    broker.drop_stale_checkpoints().await;
    control.run();
    telemetry::start(broker).await?;
    for bound in bound {
        let listener = &settings.listeners[bound.index];
        tracing::info!(name = listener.name, port = bound.port, "listening");
        broker.shard.spawn(conn::run_accept(Rc::clone(broker), bound));
    }
    Ok(control)
}

fn identity_of(broker: &Broker, ports: &BTreeMap<&str, u16>) -> NodeIdentity {
    let settings = &broker.settings;
    let endpoint = |listener: &Listener| {
        let (host, port) =
            settings.advertised.get(&listener.name).cloned().unwrap_or_else(|| {
                (listener.host.clone().unwrap_or_else(host_name), listener.port)
            });
        // Port 0 is whatever was free.
        let port = if port == 0 { ports.get(listener.name.as_str()).copied() } else { Some(port) };
        (listener.name.clone(), host, port.unwrap_or(0), listener.protocol.id())
    };
    let controllers = settings.config.advertised_controller_listeners();
    NodeIdentity {
        node_id: settings.node_id,
        incarnation_id: format::random_uuid(&broker.shard),
        endpoints: settings.listeners[..settings.broker_listeners].iter().map(endpoint).collect(),
        controller_endpoints: controllers
            .into_iter()
            .map(|l| {
                let host = l.host.unwrap_or_else(host_name);
                let port = match l.port {
                    0 => ports.get(l.name.as_str()).copied().unwrap_or(0),
                    port => port,
                };
                (l.name, host, port, l.protocol.id())
            })
            .collect(),
        rack: settings.config.string("broker.rack").map(str::to_owned),
        directories: settings.dirs[..settings.data_dirs].iter().map(|dir| dir.id).collect(),
        metadata_directory: settings
            .dirs
            .iter()
            .find(|dir| dir.path == Path::new(&settings.config.metadata_log_dir()))
            .map_or(Uuid::ZERO, |dir| dir.id),
    }
}

/// Renames partitions that the cluster does not know, and deletes what was on its way out.
async fn set_strays_aside(broker: &Rc<Broker>, image: &Rc<MetadataImage>) -> Result<(), String> {
    let shard = &broker.shard;
    for dir in &broker.settings.dirs[..broker.settings.data_dirs] {
        let names = shard.list_dir(&dir.path).await.map_err(|e| e.to_string())?;
        let failed = Rc::new(RefCell::new(None));
        let look = |name: String| {
            let (broker, image, failed) = (Rc::clone(broker), Rc::clone(image), Rc::clone(&failed));
            let dir = dir.path.clone();
            async move {
                if let Err(error) = look_for_stray(&broker, &image, &dir, &name).await {
                    failed.borrow_mut().get_or_insert(error);
                }
            }
        };
        shard.for_each(names, broker.settings.logs_at_once(), look).await;
        if let Some(error) = failed.take() {
            return Err(error);
        }
    }
    Ok(())
}

async fn look_for_stray(
    broker: &Rc<Broker>,
    image: &MetadataImage,
    dir: &Path,
    name: &str,
) -> Result<(), String> {
    let shard = &broker.shard;
    let path = dir.join(name);
    let stat = shard.stat(&path).await.map_err(|e| e.to_string())?;
    if !stat.is_some_and(|stat| stat.is_dir) {
        return Ok(());
    }
    match parse_directory_name(name) {
        Some(DirectoryName::Deleted) => broker.remove_tree(&path).await.map_err(|e| e.to_string()),
        Some(DirectoryName::Partition(topic, _)) if topic == "__cluster_metadata" => Ok(()),
        Some(DirectoryName::Partition(topic, index)) => {
            let id = ringlog_engine::dirs::partition_metadata(shard, &path);
            let id = id.await.map_err(|e| e.to_string())?;
            // One that does not say whose it is stays: its shard will report it.
            let known = image.topic_by_name(&topic).is_some_and(|t| {
                t.partitions.contains_key(&index) && id.is_none_or(|id| id.0 == t.id.0)
            });
            if known {
                return Ok(());
            }
            let to = dir.join(format!("{name}.{}-stray", hex(format::random_uuid(shard))));
            tracing::warn!(from = %path.display(), to = %to.display(), "stray");
            shard.rename(&path, &to).await.map_err(|e| e.to_string())?;
            shard.sync_dir(dir).await.map_err(|e| e.to_string())
        }
        Some(_) => Ok(()),
        None if name == "lost+found" => Ok(()),
        None => Err(format!(
            "Found directory {}, '{name}' is not in the form of topic-partition or \
             topic-partition.uniqueId-delete (if marked for deletion). Kafka's log directories \
             (and children) should only contain Kafka topic data.",
            dir.display()
        )),
    }
}

fn hex(id: Uuid) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes each checkpoint file at its interval.
fn start_checkpoints(broker: &Rc<Broker>, turn: &Rc<Budget>) {
    use OffsetCheckpoint::{HighWatermark, LogStart, RecoveryPoint};
    let config = broker.config();
    let config = config.current();
    let of_int = |name| u64::try_from(config.int(name)).unwrap_or(0);
    let high_watermark = config.long("replica.high.watermark.checkpoint.interval.ms");
    let every = [
        (HighWatermark, u64::try_from(high_watermark).unwrap_or(0)),
        (RecoveryPoint, of_int("log.flush.offset.checkpoint.interval.ms")),
        (LogStart, of_int("log.flush.start.offset.checkpoint.interval.ms")),
    ];
    for (checkpoint, interval_ms) in every {
        let (broker, turn) = (Rc::clone(broker), Rc::clone(turn));
        broker.shard.clone().spawn(async move {
            while !broker.stopping.get() {
                broker.shard.sleep_ms(interval_ms.max(1)).await;
                // ORDER: nothing older is written over what the stop writes.
                let _turn = turn.take(1).await;
                if broker.stopping.get() {
                    return;
                }
                broker.write_checkpoints(&[checkpoint]).await;
            }
        });
    }
}

/// Everything to disk, the marker last.
async fn stop_node(broker: &Rc<Broker>, control: &Rc<Control>, dirs: &[Rc<LogDir>]) -> bool {
    use OffsetCheckpoint::{Cleaner, HighWatermark, LogStart, RecoveryPoint};
    let (mut clean, mut any_offline) = (true, false);
    let mut answers = Vec::new();
    for shard in broker.settings.data_shards() {
        answers.push(broker.call(shard, Call::CloseLogs).await);
    }
    for answer in answers {
        let Reply::LogsClosed { all, offline } = answer.await else {
            unreachable!("closing logs has its own reply")
        };
        clean &= all;
        any_offline |= offline;
    }
    let all = [HighWatermark, RecoveryPoint, LogStart, Cleaner];
    clean &= broker.write_checkpoints(&all).await;
    clean &= control.close().await;
    for dir in dirs {
        // What could not be opened was not closed properly either.
        if clean && !any_offline {
            // ORDER: the marker promises all of the above.
            let marked = dir.write_clean_marker(&broker.shard, broker.broker_epoch()).await;
            clean &= marked.is_ok();
        }
        dir.unlock(&broker.shard).await;
    }
    clean
}
