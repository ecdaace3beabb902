//! What is logged: a level for each part of the program, changed while it runs (KIP-412).
//!
//! Levels are of the process and are gone with it, as in Kafka. A logger without a level of its own
//! has that of the next one above it; `root` is above all.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

/// The name of the logger above all others.
pub const ROOT: &str = "root";
/// All others, by the names their events carry.
const LOGGERS: &[&str] = &[
    "ringlog_engine",
    "ringlog_engine::dirs",
    "ringlog_engine::log",
    "ringlog_node",
    "ringlog_node::api",
    "ringlog_node::boot",
    "ringlog_node::broker",
    "ringlog_node::conn",
    "ringlog_node::coordinator",
    "ringlog_node::loggers",
    "ringlog_node::notify",
    "ringlog_node::telemetry",
    "ringlog_node::watchdog",
];
/// What the levels are at the start, by the grammar `level,logger=level,...`.
const ENVIRONMENT: &str = "RINGLOG_LOG";

/// Which events are logged: those of this level and all above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Kafka's and say what they mean")]
pub enum LogLevel {
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    const ALL: [(LogLevel, &str); 6] = [
        (LogLevel::Fatal, "FATAL"),
        (LogLevel::Error, "ERROR"),
        (LogLevel::Warn, "WARN"),
        (LogLevel::Info, "INFO"),
        (LogLevel::Debug, "DEBUG"),
        (LogLevel::Trace, "TRACE"),
    ];

    /// The level of this name.
    pub fn parse(name: &str) -> Option<LogLevel> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(level, _)| *level)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    fn filter(self) -> LevelFilter {
        match self {
            // Nothing is logged above an error: who dies says so on standard error.
            LogLevel::Fatal => LevelFilter::OFF,
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        }
    }

    fn of(filter: LevelFilter) -> LogLevel {
        let found = Self::ALL.iter().find(|(level, _)| level.filter() == filter);
        found.map_or(LogLevel::Fatal, |(level, _)| *level)
    }
}

/// The levels that are set, `root` always among them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Levels(BTreeMap<String, LogLevel>);

impl Levels {
    fn parse(text: &str) -> Option<Levels> {
        let targets: Targets = text.parse().ok()?;
        let mut levels = Levels(BTreeMap::new());
        for (target, filter) in &targets {
            levels.0.insert(target.to_owned(), LogLevel::of(filter));
        }
        let root = targets.default_level().map_or(LogLevel::Error, LogLevel::of);
        levels.0.insert(ROOT.to_owned(), root);
        Some(levels)
    }

    fn filter(&self) -> Targets {
        let (root, others): (Vec<_>, Vec<_>) = self
            .0
            .iter()
            .map(|(name, level)| (name, level.filter()))
            .partition(|(n, _)| *n == ROOT);
        let root = root.first().map_or(LevelFilter::ERROR, |(_, level)| *level);
        Targets::new().with_targets(others).with_default(root)
    }

    fn of(&self, logger: &str) -> LogLevel {
        let mut name = logger;
        loop {
            if let Some(level) = self.0.get(name) {
                return *level;
            }
            name = name.rsplit_once("::").map_or(ROOT, |(above, _)| above);
        }
    }
}

struct Loggers {
    levels: Mutex<Levels>,
    /// Where the filter in use is replaced; none where something else has set up logging.
    filter: Option<reload::Handle<Targets, Registry>>,
}

static PROCESS: OnceLock<Loggers> = OnceLock::new();

fn process() -> &'static Loggers {
    PROCESS.get_or_init(|| {
        let default = Levels(BTreeMap::from([(ROOT.to_owned(), LogLevel::Info)]));
        let asked = std::env::var(ENVIRONMENT).ok();
        let levels = asked.and_then(|text| Levels::parse(&text)).unwrap_or(default);
        let (filter, handle) = reload::Layer::new(levels.filter());
        let events = tracing_subscriber::fmt::layer().with_ansi(false);
        let set = tracing_subscriber::registry().with(filter).with(events).try_init();
        Loggers { levels: Mutex::new(levels), filter: set.is_ok().then_some(handle) }
    })
}

/// Sets up logging for the process, once.
pub fn init() {
    process();
}

/// All loggers, each with the level that counts for it.
pub fn all() -> BTreeMap<String, LogLevel> {
    let levels = process().levels.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = levels.0.clone();
    all.extend(LOGGERS.iter().map(|name| ((*name).to_owned(), levels.of(name))));
    all
}

/// Gives loggers levels of their own, or takes them away.
pub fn set(changes: &[(String, Option<LogLevel>)]) {
    let process = process();
    let mut levels = process.levels.lock().unwrap_or_else(PoisonError::into_inner);
    for (logger, level) in changes {
        match level {
            Some(level) => levels.0.insert(logger.clone(), *level),
            None => levels.0.remove(logger),
        };
    }
    if let Some(filter) = &process.filter
        && let Err(error) = filter.reload(levels.filter())
    {
        tracing::error!(%error, "log_levels_not_changed");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn levels(text: &str) -> Levels {
        Levels::parse(text).expect("levels")
    }

    #[test]
    fn a_logger_has_the_level_of_the_next_one_above() {
        let mut levels = levels("warn,ringlog_node=debug");
        assert_eq!(levels.of("ringlog_node::api"), LogLevel::Debug);
        assert_eq!(levels.of("ringlog_engine::log"), LogLevel::Warn);
        levels.0.insert("ringlog_node::api".to_owned(), LogLevel::Fatal);
        let filter = levels.filter();
        assert!(!filter.would_enable("ringlog_node::api::fetch", &tracing::Level::ERROR));
        assert!(filter.would_enable("ringlog_node::conn", &tracing::Level::DEBUG));
        assert!(!filter.would_enable("ringlog_engine::log", &tracing::Level::INFO));
        levels.0.remove("ringlog_node::api");
        assert_eq!(levels.of("ringlog_node::api"), LogLevel::Debug);
    }

    #[test]
    fn levels_have_names() {
        for (level, name) in LogLevel::ALL {
            assert_eq!((LogLevel::parse(name), level.name()), (Some(level), name));
            assert_eq!(LogLevel::of(level.filter()), level);
        }
        assert_eq!(LogLevel::parse("OFF"), None);
    }

    /// Every file that logs belongs to a logger.
    #[test]
    fn every_part_that_logs_is_a_logger() {
        for (crate_name, folder) in [("ringlog_engine", "../engine/src"), ("ringlog_node", "src")] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            for part in std::fs::read_dir(root).expect("a folder") {
                let part = part.expect("an entry").path();
                let name = part.file_stem().and_then(|name| name.to_str()).expect("a name");
                let logger = format!("{crate_name}::{name}");
                assert!(
                    !logs(&part) || LOGGERS.contains(&logger.as_str()),
                    "{logger} is in no list"
                );
            }
        }
    }

    fn logs(path: &Path) -> bool {
        if path.is_dir() {
            let mut inside = std::fs::read_dir(path).expect("a folder");
            return inside.any(|entry| logs(&entry.expect("an entry").path()));
        }
        #[allow(clippy::disallowed_methods, reason = "a test reads the sources")]
        let text = std::fs::read_to_string(path).expect("text");
        ["error", "warn", "info", "debug", "trace"]
            .iter()
            .any(|level| text.contains(&format!("tracing::{level}!(")))
    }
}
