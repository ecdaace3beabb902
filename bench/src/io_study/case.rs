//! [`Case`]: one path of the study, with everything that may be chosen about it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::{Serialize, Serializer};

use super::IoRow;

/// What carries out I/O on files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// This project's way: a ring, with its flags.
    IoUring,
    /// The tokio-uring crate.
    TokioUring,
    /// The glommio crate.
    Glommio,
    /// A blocking system call of the thread itself.
    Pwrite,
    /// An epoll loop with a pool of blocking threads, as runtimes without io_uring do it.
    Epoll,
}

impl EngineKind {
    /// Whether this program was built with it.
    pub fn is_built_in(self) -> bool {
        let missing = [
            (EngineKind::TokioUring, !cfg!(feature = "tokio-uring")),
            (EngineKind::Glommio, !cfg!(feature = "glommio")),
        ];
        !missing.contains(&(self, true))
    }

    /// As the command line says it.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::IoUring => "io_uring",
            EngineKind::TokioUring => "tokio-uring",
            EngineKind::Glommio => "glommio",
            EngineKind::Pwrite => "pwrite",
            EngineKind::Epoll => "epoll",
        }
    }
}

impl ValueEnum for EngineKind {
    fn value_variants<'a>() -> &'a [EngineKind] {
        use EngineKind::{Epoll, Glommio, IoUring, Pwrite, TokioUring};
        &[IoUring, TokioUring, Glommio, Pwrite, Epoll]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            EngineKind::IoUring => "a ring of our own, set up as --ring says",
            EngineKind::TokioUring if !self.is_built_in() => {
                "the tokio-uring crate; not in this build: --features tokio-uring"
            }
            EngineKind::TokioUring => "the tokio-uring crate",
            EngineKind::Glommio if !self.is_built_in() => {
                "the glommio crate; not in this build: --features glommio"
            }
            EngineKind::Glommio => "the glommio crate",
            EngineKind::Pwrite => "blocking pwritev2 and preadv2",
            EngineKind::Epoll => "an epoll loop and a pool of blocking threads",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IoPath {
    /// Blocks at the end of a file, one after the other.
    Append,
    /// Blocks from the beginning of a file, one after the other.
    Read,
    /// Blocks of a file in the page cache, or of memory, to a socket.
    Send,
}

/// What the file is like when its blocks are written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileState {
    /// Empty: each block extends it.
    New,
    /// Its space was set aside (fallocate), nothing was written.
    Fallocated,
    /// Written with zeros, which are on the device and not in memory.
    Zeroed,
    /// Written before, with its old bytes in the page cache.
    Recycled,
}

/// How a block goes to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IoMode {
    /// Into the page cache.
    Buffered,
    /// Into the page cache, and from there as soon as possible (RWF_DONTCACHE).
    Dontcache,
    /// Into the page cache and to the device (RWF_DSYNC).
    Dsync,
    /// Into the page cache, then fdatasync.
    Fdatasync,
    /// Past the page cache (O_DIRECT).
    Direct,
    /// Past the page cache, on the device when it returns.
    DirectDsync,
    /// Past the page cache, then fdatasync.
    DirectFdatasync,
}

impl IoMode {
    /// O_DIRECT.
    pub fn is_direct(self) -> bool {
        matches!(self, IoMode::Direct | IoMode::DirectDsync | IoMode::DirectFdatasync)
    }

    /// Flags of the write (RWF_*).
    pub fn rwf(self) -> u32 {
        match self {
            IoMode::Dsync | IoMode::DirectDsync => RWF_DSYNC,
            IoMode::Dontcache => RWF_DONTCACHE,
            _ => 0,
        }
    }

    /// Whether each block is followed by fdatasync.
    pub fn syncs(self) -> bool {
        matches!(self, IoMode::Fdatasync | IoMode::DirectFdatasync)
    }

    /// Whether a block is durable when its write has ended.
    pub fn is_durable(self) -> bool {
        self.syncs() || self.rwf() == RWF_DSYNC
    }
}

const RWF_DSYNC: u32 = 0x2;
const RWF_DONTCACHE: u32 = 0x80;

/// How a ring is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RingSetup {
    /// SINGLE_ISSUER, DEFER_TASKRUN and a registered file: the node's own.
    Defer,
    /// SINGLE_ISSUER and COOP_TASKRUN.
    Coop,
    /// No flag, and no registered file.
    Plain,
    /// A kernel thread that polls the queue.
    Sqpoll,
    /// The device is polled for its completions; O_DIRECT only.
    Iopoll,
    /// As `defer`, and buffers registered with the ring.
    FixedBuffers,
}

/// How bytes reach a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SendPath {
    /// send, from memory.
    Send,
    /// pread and send.
    ReadSend,
    /// sendfile, from the page cache.
    Sendfile,
    /// splice through a pipe, from the page cache.
    Splice,
    /// A ring's SEND, from memory.
    RingSend,
    /// A ring's SEND_ZC, from memory.
    RingSendZc,
    /// A ring's SEND_ZC, from registered memory.
    RingSendZcFixed,
}

/// Bytes of a block: `16k`, `1m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Block(pub u64);

/// Blocks are whole pages, as direct I/O asks for.
const PAGE_BYTES: u64 = 4096;
const BLOCK_BYTES_MAX: u64 = 64 << 20;

impl FromStr for Block {
    type Err = String;

    fn from_str(text: &str) -> Result<Block, String> {
        let lower = text.to_ascii_lowercase();
        let (digits, shift) = match lower.strip_suffix(['k', 'm']) {
            Some(digits) if lower.ends_with('k') => (digits, 10),
            Some(digits) => (digits, 20),
            None => (lower.as_str(), 0),
        };
        let bytes = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift));
        let valid = |n: &u64| n.is_multiple_of(PAGE_BYTES) && (1..=BLOCK_BYTES_MAX).contains(n);
        bytes.filter(valid).map(Block).ok_or_else(|| {
            format!("{text:?} is no size of a block: multiples of 4k up to 64m, such as 16k")
        })
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n.is_multiple_of(1 << 20) => write!(f, "{}m", n >> 20),
            n => write!(f, "{}k", n >> 10),
        }
    }
}

/// One path, with everything that may be chosen about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    /// What is done.
    #[serde(serialize_with = "by_name")]
    pub path: IoPath,
    /// What carries it out; of sends, see `send`.
    #[serde(serialize_with = "by_name")]
    pub engine: EngineKind,
    /// How a ring is set up.
    #[serde(serialize_with = "by_name_if_any")]
    pub ring: Option<RingSetup>,
    /// How a block goes to the file.
    #[serde(serialize_with = "by_name")]
    pub mode: IoMode,
    /// What the file is like.
    #[serde(serialize_with = "by_name")]
    pub file: FileState,
    /// How bytes reach a socket.
    #[serde(serialize_with = "by_name_if_any")]
    pub send: Option<SendPath>,
    /// Size of a block.
    pub block: Block,
    /// Blocks under way at a time.
    pub depth: u32,
    /// Where the file lies.
    pub dir: PathBuf,
}

fn name_of(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn by_name<T: ValueEnum, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&name_of(value))
}

fn by_name_if_any<T: ValueEnum, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(name_of).serialize(serializer)
}

impl Case {
    /// What stands above the lines of the table.
    pub fn head() -> String {
        format!(
            "{:<6} {:<27} {:<16} {:<10} {:>5} {:>5} {:>8} {:>8} {:>9} {:>8} {:>8} {:>8}  dir",
            "path",
            "engine",
            "mode",
            "file",
            "block",
            "depth",
            "MiB/s",
            "cpu/GiB",
            "+kernel",
            "p50 ms",
            "p99 ms",
            "max ms"
        )
    }

    /// Engine, ring and send path in a word or two.
    pub fn engine_name(&self) -> String {
        match (&self.send, &self.ring) {
            (Some(send), _) => name_of(send),
            (None, Some(ring)) => format!("{} {}", self.engine.name(), name_of(ring)),
            (None, None) => self.engine.name().to_owned(),
        }
    }
}

impl fmt::Display for IoRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let case = &self.case;
        let (mode, file) = match case.path {
            IoPath::Send => ("-".to_owned(), "-".to_owned()),
            _ => (name_of(&case.mode), name_of(&case.file)),
        };
        write!(
            f,
            "{:<6} {:<27} {mode:<16} {file:<10} {:>5} {:>5} ",
            name_of(&case.path),
            case.engine_name(),
            case.block.to_string(),
            case.depth,
        )?;
        match &self.outcome {
            Ok(figures) => {
                let latency = figures.latency_ms;
                write!(
                    f,
                    "{:>8.0} {:>8.3} {:>9.3} {:>8.3} {:>8.3} {:>8.3}",
                    figures.mib_per_second,
                    figures.cpu_seconds_per_gib,
                    figures.kernel_cpu_seconds_per_gib,
                    latency.p50,
                    latency.p99,
                    latency.max
                )?;
            }
            Err(why) => write!(f, "{why}")?,
        }
        write!(f, "  {}", case.dir.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_and_written() {
        for (text, bytes) in [("4k", 4096), ("1M", 1 << 20), ("16384", 16384), ("100k", 102_400)] {
            assert_eq!(text.parse::<Block>(), Ok(Block(bytes)));
        }
        for text in ["", "1", "5000", "0", "k", "65m", "9999999999999999999k", "-4k"] {
            let error = text.parse::<Block>().expect_err(text);
            assert!(error.contains("multiples of 4k"), "{error}");
        }
        assert_eq!([Block(16 << 10), Block(1 << 20)].map(|b| b.to_string()), ["16k", "1m"]);
    }
}
