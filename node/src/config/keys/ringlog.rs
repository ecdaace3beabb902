//! Ringlog's own keys. Kafka does not have them. They are set in the file like any other key.

use super::row::*;

pub(super) static KEYS: &[ConfigKey] = &[
    key("ringlog.durability", String, Text("sync"), High, ReadOnly)
        .valid(Valid::OneOf(&["sync", "replicated"]))
        .acts()
        .doc(
            "When a write is acknowledged. `sync`: once the records are on disk on every in-sync \
            replica. `replicated`, Kafka's guarantee: once they are in memory on every in-sync \
            replica.",
        ),
    key("ringlog.shards", Int, Text("0"), High, ReadOnly).between(0, 1024).acts().doc(
        "Number of shards. Each shard is a thread with its own connections and partitions. 0 means \
        one shard per CPU in ringlog.cpu.affinity.",
    ),
    key("ringlog.cpu.affinity", String, Text(""), Medium, ReadOnly)
        .valid(Valid::CpuList)
        .acts()
        .doc(
            "CPUs to which shards are pinned, such as `0-3,8`. An empty value means all CPUs that \
            the process may use.",
        ),
    key("ringlog.cpu.pinning", String, Text("auto"), Medium, ReadOnly)
        .valid(Valid::OneOf(&["auto", "on", "off"]))
        .acts()
        .doc(
            "Whether each shard stays on one CPU. `auto` pins shards if ringlog.cpu.affinity is \
            set or there are at least four CPUs. With fewer CPUs, which the broker shares with \
            other processes, the kernel can move the shards.",
        ),
    key("ringlog.memory.limit.bytes", Long, Text("0"), Medium, ReadOnly).at_least(0).acts().doc(
        "Memory for data that depends on the load. A quarter each is for requests (or \
        queued.max.request.bytes, if that is less), for records on their way to consumers, for \
        ends of logs that are not read from the page cache, and for buffers kept for reuse. 0 \
        means half of the memory of the machine or of the process's control group. If a limit is \
        set, the size of a single request or response is also limited to its part of one shard. \
        Each connection takes up to 48 KiB in addition.",
    ),
    key("ringlog.dirty.bytes.max", Long, Text("268435456"), Medium, ReadOnly)
        .at_least(1)
        .acts()
        .doc(
            "Maximum number of bytes that are written but not flushed. Each shard has an equal \
            part of it for each log directory. A part that exceeds its limit is flushed. Until \
            then its writes do not run on the shard's thread, because a full page cache would \
            block the thread.",
        ),
    key("ringlog.unread.cache.bytes", Long, Text("67108864"), Medium, ReadOnly)
        .at_least(-1)
        .acts()
        .doc(
            "Number of bytes at the end of each partition that stay in the page cache if no client \
            has fetched from the partition for ten minutes. Earlier bytes are dropped from the \
            page cache once they are durable, which saves memory and the cost of reclaiming it. -1 \
            leaves the page cache to the kernel, as in Kafka.",
        ),
    key("ringlog.log.dir.reserve.bytes", Long, Text("268435456"), Medium, ReadOnly)
        .at_least(0)
        .acts()
        .doc(
            "Free space of a log directory's file system below which producers get \
            KAFKA_STORAGE_ERROR, until twice as much is free. The reserve is at most a sixteenth \
            of the file system. The node needs it for its own writes. 0 disables it.",
        ),
    key("ringlog.scrub.bytes.per.second", Long, Text("1048576"), Low, ReadOnly)
        .at_least(0)
        .acts()
        .doc(
            "Rate at which the node reads stored segments, one after the other, and checks their \
            checksums. After the last segment it starts again. This finds damage before a consumer \
            needs the records. 0 disables it.",
        ),
    key("ringlog.http.listener", String, Text(""), Medium, ReadOnly)
        .valid(Valid::HostPort)
        .acts()
        .doc(
            "Address of the HTTP server for /metrics, /healthz and /readyz, as `host:port`. An \
            empty value disables it.",
        ),
    key("ringlog.watchdog.ms", Long, Text("60000"), Low, ReadOnly).at_least(0).acts().doc(
        "How long a shard can be stuck, or a file operation can take, before the process aborts. \
        It must then be started again. 0 disables the watchdog.",
    ),
    key("ringlog.io.driver", String, Text("auto"), Medium, ReadOnly)
        .valid(Valid::OneOf(&["auto", "io_uring", "epoll"]))
        .acts()
        .doc(
            "I/O driver. `auto` uses io_uring if the kernel has it, otherwise epoll and a thread \
            pool for files.",
        ),
    key("ringlog.io.mode", String, Text("buffered"), Medium, ReadOnly)
        .valid(Valid::OneOf(&["buffered", "direct"]))
        .acts()
        .doc(
            "Whether logs are written through the page cache (`buffered`) or past it with O_DIRECT \
            (`direct`). While a log is written in direct mode, its file ends in zeros, which \
            kafka-dump-log reports as damage. They are removed a second later.",
        ),
    key("ringlog.io.write.path", String, Text("auto"), Low, ReadOnly)
        .valid(Valid::OneOf(&["auto", "pwrite", "ring"]))
        .acts()
        .doc(
            "How buffered writes are made: by a system call of the shard (`pwrite`) or through \
            io_uring (`ring`). At start, `auto` measures both for a few milliseconds in the first \
            log directory, uses the one that costs less CPU time, and logs its choice.",
        ),
    key("ringlog.io.dontcache", Boolean, Text("false"), Low, ReadOnly).acts().doc(
        "Whether written records leave the page cache once they are on disk (RWF_DONTCACHE). They \
        then take no memory, and consumers at the end of a log read from the device. The node \
        refuses to start if the kernel or the file system does not support it, or with \
        ringlog.io.mode=direct or ringlog.io.write.path=ring.",
    ),
    key("ringlog.io.ring.entries", Int, Text("1024"), Low, ReadOnly)
        .between(16, 32768)
        .acts()
        .doc("Size of each shard's submission queue, rounded up to a power of two."),
    key("ringlog.io.sqpoll", Boolean, Text("false"), Low, ReadOnly).acts().doc(
        "Whether a kernel thread polls the submission queue. This saves system calls and costs a \
        CPU.",
    ),
    key("ringlog.io.sqpoll.idle.ms", Int, Text("1000"), Low, ReadOnly)
        .at_least(1)
        .acts()
        .doc("How long the polling kernel thread spins without work before it sleeps."),
    key("ringlog.io.registered.files", Boolean, Text("true"), Low, ReadOnly).acts().doc(
        "Whether files and sockets are registered with io_uring, which saves a lookup per \
        operation.",
    ),
    key("ringlog.fetch.path", String, Text("auto"), Low, ReadOnly)
        .valid(Valid::OneOf(&["auto", "sendfile", "splice", "copy"]))
        .acts()
        .doc(
            "How records get from the page cache to a consumer's socket: with sendfile(2), with \
            splice(2), or as a copy. `auto` copies small amounts and uses sendfile for larger \
            ones. Records that are not in memory are always read and checked first.",
        ),
];
