//! Sends over the loopback interface, to a thread that throws away what it gets. Its processor time
//! is not counted: what is measured is the broker's side.

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::fs::sendfile;
use rustix::net::{RecvFlags, recv};
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};
use rustix::time::ClockId;

use super::case::{Case, SendPath};
use super::cpu::{Meter, cpu};
use super::engines::{SendRing, send_ring};
use super::{Budget, IoFigures, Tally, Used, figures, files};
use crate::load::new_histogram;

/// Bytes of the file or memory that is sent again and again.
const SOURCE_BYTES: u64 = 64 << 20;
/// Registered memory counts against the memlock limit, which is 8 MiB on many systems.
const MEMORY_BYTES: u64 = 4 << 20;
const SINK_BYTES: usize = 1 << 20;

/// Runs a case of sending.
pub fn run(case: &Case, bytes: u64, budget: impl Fn(Instant) -> Budget) -> Result<IoFigures> {
    let Some(path) = case.send else { bail!("no path is named") };
    ensure!(case.block.0 <= MEMORY_BYTES, "blocks of at most 4m are sent");
    let blocks = (SOURCE_BYTES.min(bytes) / case.block.0).max(1);
    let source = files::prepare(case, blocks * case.block.0)?;
    let listener = TcpListener::bind("127.0.0.1:0").context("a socket on 127.0.0.1")?;
    let socket = TcpStream::connect(listener.local_addr()?).context("127.0.0.1")?;
    socket.set_nodelay(true)?;
    let (peer, _) = listener.accept()?;
    let sink = std::thread::spawn(move || discard(&peer));
    let mut sender = Sender::new(case, path, socket)?;
    let meter = Meter::start();
    let mut tally = Tally { blocks: 0, latency: new_histogram() };
    let budget = budget(Instant::now());
    while tally.blocks < budget.blocks && Instant::now() < budget.deadline {
        let began = Instant::now();
        sender.send(&source.file, tally.blocks % blocks)?;
        tally.blocks += 1;
        tally.latency.saturating_record(began.elapsed().as_nanos() as u64);
    }
    let wall = meter.elapsed();
    // The sink sees the end of the stream, and is done with all of it. The meter runs until then:
    // it must have counted what is taken off.
    drop(sender);
    let sink = sink_seconds(sink)?;
    let used = meter.stop();
    let used = Used { wall, process: used.process - sink, ..used };
    Ok(figures(case, &tally, &used))
}

fn sink_seconds(sink: JoinHandle<Result<f64>>) -> Result<f64> {
    sink.join().map_err(|_| anyhow!("the receiving thread has panicked"))?
}

/// Receives without copying, as far as the kernel can; returns the processor time that it took.
fn discard(socket: &TcpStream) -> Result<f64> {
    let mut buf = vec![0; SINK_BYTES];
    let before = cpu(ClockId::ThreadCPUTime);
    while recv(socket, &mut buf[..], RecvFlags::TRUNC).map(|(_, length)| length)? > 0 {}
    Ok(cpu(ClockId::ThreadCPUTime) - before)
}

struct Sender {
    path: SendPath,
    socket: TcpStream,
    block: u64,
    memory: &'static [u8],
    buf: Vec<u8>,
    pipe: Option<(rustix::fd::OwnedFd, rustix::fd::OwnedFd)>,
    ring: Option<SendRing>,
}

impl Sender {
    fn new(case: &Case, path: SendPath, socket: TcpStream) -> Result<Sender> {
        // Sent memory must outlive the sender: the kernel may hold it. One block is enough, since
        // all of it is the same.
        let memory: &'static [u8] =
            Box::leak(files::block(case.block.0).to_vec().into_boxed_slice());
        let ring = match path {
            SendPath::RingSend => Some(send_ring(&socket, false, None)?),
            SendPath::RingSendZc => Some(send_ring(&socket, true, None)?),
            SendPath::RingSendZcFixed => Some(send_ring(&socket, true, Some(memory))?),
            _ => None,
        };
        let pipe = match path {
            SendPath::Splice => {
                let (read, write) = pipe()?;
                fcntl_setpipe_size(&write, case.block.0 as usize)?;
                Some((read, write))
            }
            _ => None,
        };
        let buf = vec![0; case.block.0 as usize];
        Ok(Sender { path, socket, block: case.block.0, memory, buf, pipe, ring })
    }

    fn send(&mut self, file: &File, number: u64) -> Result<()> {
        let (at, length) = (number * self.block, self.block as usize);
        match (self.path, &mut self.ring) {
            (_, Some(ring)) => ring.send(self.memory)?,
            (SendPath::ReadSend, _) => {
                file.read_exact_at(&mut self.buf, at)?;
                self.socket.write_all(&self.buf)?;
            }
            (SendPath::Sendfile, _) => {
                let (mut from, end) = (at, at + self.block);
                while from < end {
                    let left = (end - from) as usize;
                    let sent = sendfile(&self.socket, file, Some(&mut from), left)?;
                    ensure!(sent > 0, "sendfile came to the file's end");
                }
            }
            (SendPath::Splice, _) => self.splice(file, at, length)?,
            _ => self.socket.write_all(self.memory)?,
        }
        Ok(())
    }

    fn splice(&self, file: &File, at: u64, length: usize) -> Result<()> {
        let Some((read, write)) = &self.pipe else { bail!("no pipe") };
        let (mut from, end) = (at, at + length as u64);
        let flags = SpliceFlags::MOVE;
        while from < end {
            let left = (end - from) as usize;
            let in_pipe = splice(file, Some(&mut from), write, None, left, flags)?;
            ensure!(in_pipe > 0, "splice came to the file's end");
            let mut left = in_pipe;
            while left > 0 {
                left -= splice(read, None, &self.socket, None, left, flags)?;
            }
        }
        Ok(())
    }
}
