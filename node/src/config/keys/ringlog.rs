//! Ringlog's own keys: what Kafka has no word for. They are set in the file like any other.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("ringlog.durability", String, Text("sync"), High, ReadOnly)
        .valid(Valid::OneOf(&["sync", "replicated"]))
        .acts()
        .doc(
            "What an acknowledgement promises: `sync`, that the records are on disk on every \
            in-sync replica; `replicated`, Kafka's promise, that they are in its memory.",
        ),
    key("ringlog.shards", Int, Text("0"), High, ReadOnly).between(0, 1024).acts().doc(
        "Number of shards, each a thread of its own with its connections and partitions. 0 \
        means one per CPU in ringlog.cpu.affinity.",
    ),
    key("ringlog.cpu.affinity", String, Text(""), Medium, ReadOnly)
        .valid(Valid::CpuList)
        .acts()
        .doc(
            "CPUs that shards are pinned to, such as `0-3,8`. Empty means all the process may \
        use.",
        ),
    key("ringlog.cpu.pinning", String, Text("auto"), Medium, ReadOnly)
        .valid(Valid::OneOf(&["auto", "on", "off"]))
        .acts()
        .doc(
            "Whether each shard stays on one CPU. `auto` does so if ringlog.cpu.affinity is set or \
            there are at least four CPUs; on fewer, which the broker shares with everything \
            else, the kernel may move it.",
        ),
    key("ringlog.memory.limit.bytes", Long, Text("0"), Medium, ReadOnly).at_least(0).acts().doc(
        "Memory for what comes and goes with the load: a quarter each for requests \
            (queued.max.request.bytes, if that is less), for records on their way to consumers, \
            for tails of logs that are not read from the page cache, and for buffers kept for \
            reuse. 0 means half of what the machine or the process's control group has. If it is \
            set, requests and answers are also kept to what fits their part of one shard. Each \
            connection costs up to 48 KiB besides.",
    ),
    key("ringlog.dirty.bytes.max", Long, Text("268435456"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc(
            "Bytes that may be written but not yet flushed, in equal parts for each shard and log \
            directory. Beyond it a part is flushed, and meanwhile its writes do not go through \
            the shard's own thread, where a full page cache would block it.",
        ),
    key("ringlog.unread.cache.bytes", Long, Text("67108864"), Medium, ReadOnly)
        .at_least(-1)
        .acts()
        .doc(
            "Bytes at the end of each partition that stay in the page cache although nobody has \
        fetched from it for ten minutes; what lies before is let go of once it is durable, so \
        that it costs neither memory nor its reclaim. -1 leaves that to the kernel, as Kafka \
        does.",
        ),
    key("ringlog.log.dir.reserve.bytes", Long, Text("268435456"), Medium, ReadOnly)
        .at_least(0)
        .acts()
        .doc(
            "Free space of a log directory's file system below which producers are refused with \
            KAFKA_STORAGE_ERROR, until twice as much is free; never more than a sixteenth of the \
            file system. What the node itself has to write down needs it. 0 uses all there is.",
        ),
    key("ringlog.scrub.bytes.per.second", Long, Text("1048576"), Low, ReadOnly)
        .at_least(0)
        .acts()
        .doc(
            "Rate at which stored segments are read and their checksums compared, one after the \
            other and then again, so that damage is found before somebody needs the records. 0 \
            switches it off.",
        ),
    key("ringlog.http.listener", String, Text(""), Medium, ReadOnly)
        .valid(Valid::HostPort)
        .acts()
        .doc(
            "Where /metrics, /healthz and /readyz are served, as `host:port`. Empty switches \
        them off.",
        ),
    key("ringlog.watchdog.ms", Long, Text("60000"), Low, ReadOnly).at_least(0).acts().doc(
        "How long a shard may be stuck, or an operation on a file under way, before the process \
        ends itself and is to be started again. 0 lets it hang.",
    ),
    key("ringlog.io.driver", String, Text("auto"), Medium, ReadOnly)
        .valid(Valid::OneOf(&["auto", "io_uring", "epoll"]))
        .acts()
        .doc(
            "What carries out I/O. `auto` takes io_uring where the kernel has it, else epoll \
            and a pool of threads for files.",
        ),
    key("ringlog.io.mode", String, Text("buffered"), Medium, ReadOnly)
        .valid(Valid::OneOf(&["buffered", "direct"]))
        .acts()
        .doc(
            "Whether logs are written through the page cache or with O_DIRECT past it. While a log \
            is written to directly its file ends in zeros, which kafka-dump-log takes for damage; \
            they are gone a second later.",
        ),
    key("ringlog.io.write.path", String, Text("auto"), Low, ReadOnly)
        .valid(Valid::OneOf(&["auto", "pwrite", "ring"]))
        .acts()
        .doc(
            "How buffered writes are made: by a system call of the shard, or through the ring. \
            `auto` measures both at the start, for a few milliseconds in the first log directory, \
            takes what costs less processor time, and logs it.",
        ),
    key("ringlog.io.dontcache", Boolean, Text("false"), Low, ReadOnly).acts().doc(
        "Whether what is written to logs leaves the page cache once it is on the disk \
        (RWF_DONTCACHE), so that it takes no memory and consumers at the end read it from the \
        device. The node does not start where kernel or file system cannot, or with \
        ringlog.io.mode=direct or ringlog.io.write.path=ring.",
    ),
    key("ringlog.io.ring.entries", Int, Text("1024"), Low, ReadOnly)
        .between(16, 32768)
        .acts()
        .doc("Size of each shard's submission queue, rounded up to a power of two."),
    key("ringlog.io.sqpoll", Boolean, Text("false"), Low, ReadOnly).acts().doc(
        "Whether a kernel thread polls the submission queue, which saves system calls and \
        costs a CPU.",
    ),
    key("ringlog.io.sqpoll.idle.ms", Int, Text("1000"), Low, ReadOnly)
        .at_least(1)
        .acts()
        .doc("How long the polling kernel thread spins without work before it sleeps."),
    key("ringlog.io.registered.files", Boolean, Text("true"), Low, ReadOnly).acts().doc(
        "Whether files and sockets are registered with the ring, which spares a lookup per \
        operation.",
    ),
    key("ringlog.fetch.path", String, Text("auto"), Low, ReadOnly)
        .valid(Valid::OneOf(&["auto", "sendfile", "splice", "copy"]))
        .acts()
        .doc(
            "How records reach a consumer's socket: out of the page cache by sendfile(2) or \
            splice(2), or by a copy. `auto` copies what is small and takes sendfile for the rest. \
            What is not in memory is read and checked first, always.",
        ),
];
