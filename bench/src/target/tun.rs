//! [`Tun`]: a network interface whose packets this program reads and writes
//! (Documentation/networking/tuntap.rst). Crates that offer one bring twenty others for one call.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const DEVICE: &str = "/dev/net/tun";
/// `_IOW('T', 202, int)`, TUNSETIFF of linux/if_tun.h.
const TUNSETIFF: libc::Ioctl = 0x4004_54ca;

/// An interface; it is gone when this is dropped.
#[derive(Debug)]
pub struct Tun(File);

impl Tun {
    /// Makes an interface of IP packets, which has no address yet and is down.
    pub fn open(name: &str) -> Result<Tun> {
        let file = OpenOptions::new().read(true).write(true).open(DEVICE);
        let file = file.with_context(|| format!("{DEVICE} cannot be opened"))?;
        let mut request = libc::ifreq {
            ifr_name: [0; libc::IFNAMSIZ],
            ifr_ifru: libc::__c_anonymous_ifr_ifru {
                ifru_flags: (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short,
            },
        };
        // The last byte stays zero.
        for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        // SAFETY: the file is open for the call, and `request` is an ifreq that lives through it.
        let made = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) };
        match made {
            0 => Ok(Tun(file)),
            _ => Err(io::Error::last_os_error()).with_context(|| format!("interface {name}")),
        }
    }

    /// Waits up to `wait` for a packet that the kernel sends through the interface; returns its
    /// length.
    pub fn receive(&self, buf: &mut [u8], wait: Timespec) -> io::Result<Option<usize>> {
        let mut ready = [PollFd::new(&self.0, PollFlags::IN)];
        match poll(&mut ready, Some(&wait))? {
            0 => Ok(None),
            _ => (&self.0).read(buf).map(Some),
        }
    }

    /// Injects a packet: the kernel receives it from the interface.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        (&self.0).write_all(packet)
    }

    /// The same interface for another thread.
    pub fn try_clone(&self) -> io::Result<Tun> {
        self.0.try_clone().map(Tun)
    }
}
