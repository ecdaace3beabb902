//! The ring's settings, which of them exclude each other, and what the kernel at hand offers.

use io_uring::{IoUring, opcode};
use thiserror::Error;

use crate::io::Errno;

/// How a shard's ring is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UringOptions {
    /// Submission queue entries, rounded up to a power of two by the kernel.
    pub entries: u32,
    /// A kernel thread polls the submission queue.
    pub sqpoll: bool,
    /// Milliseconds after which that thread sleeps.
    pub sqpoll_idle_ms: u32,
    /// The CPU of that thread.
    pub sqpoll_cpu: Option<u32>,
    /// IORING_SETUP_SINGLE_ISSUER; `None`: if the kernel has it and nothing excludes it.
    pub single_issuer: Option<bool>,
    /// IORING_SETUP_DEFER_TASKRUN; `None` as above.
    pub defer_taskrun: Option<bool>,
    /// IORING_SETUP_COOP_TASKRUN; `None` as above.
    pub coop_taskrun: Option<bool>,
    /// Slots of the ring's file table; 0 uses plain descriptors.
    pub registered_files: u32,
    /// Buffers provided for multishot receives; a power of two.
    pub provided_buffers: u16,
    /// Size of each.
    pub provided_buffer_bytes: usize,
}

impl Default for UringOptions {
    fn default() -> Self {
        Self {
            entries: 1024,
            sqpoll: false,
            sqpoll_idle_ms: 1000,
            sqpoll_cpu: None,
            single_issuer: None,
            defer_taskrun: None,
            coop_taskrun: None,
            registered_files: 4096,
            provided_buffers: 64,
            provided_buffer_bytes: 16 << 10,
        }
    }
}

/// A combination that io_uring_setup(2) would answer with EINVAL.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("io_uring: {0}")]
pub struct RefusedOptions(pub &'static str);

impl UringOptions {
    /// Refuses what the kernel would refuse, and says why.
    pub fn check(&self) -> Result<(), RefusedOptions> {
        let wants = |flag: Option<bool>| flag == Some(true);
        let refuse = |reason| Err(RefusedOptions(reason));
        if self.sqpoll && (wants(self.defer_taskrun) || wants(self.coop_taskrun)) {
            return refuse(
                "SQPOLL excludes DEFER_TASKRUN and COOP_TASKRUN: with a polling kernel thread \
                 there is no submitting task whose entry into the kernel could run the work",
            );
        }
        if wants(self.defer_taskrun) && self.single_issuer == Some(false) {
            return refuse("DEFER_TASKRUN needs SINGLE_ISSUER");
        }
        if self.sqpoll_cpu.is_some() && !self.sqpoll {
            return refuse("a CPU for the polling thread needs SQPOLL");
        }
        if !(1..=32_768).contains(&self.entries) {
            return refuse("the submission queue takes 1 to 32768 entries");
        }
        if !self.provided_buffers.is_power_of_two() || self.provided_buffers > 32_768 {
            return refuse("the number of provided buffers is a power of two up to 32768");
        }
        if self.provided_buffer_bytes == 0 {
            return refuse("a provided buffer has at least a byte");
        }
        Ok(())
    }
}

/// What the running kernel offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// SINGLE_ISSUER is accepted (6.0).
    pub single_issuer: bool,
    /// DEFER_TASKRUN is accepted (6.1).
    pub defer_taskrun: bool,
    /// COOP_TASKRUN is accepted (5.19).
    pub coop_taskrun: bool,
    /// MSG_RING (5.18).
    pub msg_ring: bool,
    /// Multishot receive with provided buffer rings (6.0).
    pub recv_multishot: bool,
    /// A table of registered files that starts empty (5.19).
    pub registered_files: bool,
}

impl Probe {
    /// What is missing, by the names under which a kernel's notes list it.
    pub fn missing(&self) -> Vec<&'static str> {
        [
            (self.single_issuer, "SINGLE_ISSUER"),
            (self.defer_taskrun, "DEFER_TASKRUN"),
            (self.coop_taskrun, "COOP_TASKRUN"),
            (self.msg_ring, "MSG_RING"),
            (self.recv_multishot, "multishot receive"),
            (self.registered_files, "registered files"),
        ]
        .into_iter()
        .filter_map(|(has, name)| (!has).then_some(name))
        .collect()
    }
}

/// Asks the kernel. An error means that there is no usable io_uring at all: not compiled in,
/// switched off by sysctl, refused by a container's seccomp profile, or older than 5.19.
pub fn probe() -> Result<Probe, Errno> {
    let errno = |e: std::io::Error| Errno(e.raw_os_error().unwrap_or(libc::EIO));
    let plain = IoUring::new(4).map_err(errno)?;
    if !plain.params().is_feature_ext_arg() || !plain.params().is_feature_nodrop() {
        return Err(Errno::ENOSYS);
    }
    let mut ops = io_uring::Probe::new();
    plain.submitter().register_probe(&mut ops).map_err(errno)?;
    let accepts = |set: fn(&mut io_uring::Builder)| {
        let mut builder = IoUring::builder();
        set(&mut builder);
        builder.build(4).is_ok()
    };
    let single_issuer = accepts(|b| {
        b.setup_single_issuer();
    });
    Ok(Probe {
        single_issuer,
        defer_taskrun: accepts(|b| {
            b.setup_single_issuer().setup_defer_taskrun();
        }),
        coop_taskrun: accepts(|b| {
            b.setup_coop_taskrun();
        }),
        msg_ring: ops.is_supported(opcode::MsgRingData::CODE),
        // Multishot receive came with the release that brought SINGLE_ISSUER; it has no probe.
        recv_multishot: single_issuer,
        registered_files: plain.submitter().register_files_sparse(4).is_ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_combinations_are_named() {
        assert_eq!(UringOptions::default().check(), Ok(()));
        let refused = |options: UringOptions, word: &str| {
            let error = options.check().expect_err("the kernel would refuse this");
            assert!(error.to_string().contains(word), "{error}");
        };
        let base = UringOptions::default;
        refused(
            UringOptions { sqpoll: true, defer_taskrun: Some(true), ..base() },
            "SQPOLL excludes",
        );
        refused(
            UringOptions { single_issuer: Some(false), defer_taskrun: Some(true), ..base() },
            "SINGLE_ISSUER",
        );
        refused(UringOptions { sqpoll_cpu: Some(0), ..base() }, "needs SQPOLL");
        refused(UringOptions { entries: 0, ..base() }, "entries");
        refused(UringOptions { provided_buffers: 3, ..base() }, "power of two");
    }

    #[test]
    fn the_kernel_refuses_what_check_refuses() {
        if probe().is_err() {
            eprintln!("skipped: no io_uring here");
            return;
        }
        let mut sqpoll = IoUring::<io_uring::squeue::Entry>::builder();
        sqpoll.setup_sqpoll(10).setup_single_issuer().setup_defer_taskrun();
        assert_eq!(sqpoll.build(4).err().and_then(|e| e.raw_os_error()), Some(libc::EINVAL));
    }
}
