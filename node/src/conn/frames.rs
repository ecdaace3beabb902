//! Cutting a connection's bytes into request frames.
//!
//! Small requests come by multishot receive and are used where they lie. Once a frame is known to
//! be large, its memory is taken from the shard's budget and the rest is received straight into
//! one buffer. A connection that sends large frames goes on so: multishot receives would only have
//! to be copied together.

use std::rc::Rc;

use ringlog_engine::io::{Buf, Errno, Mono, Output, Payload};
use ringlog_engine::shard::{OpStream, Received, Socket};

use crate::broker::{Broker, LARGE_FRAME_BYTES};
use crate::wire::frame::RequestFrame;

/// From this size on a frame is received into a buffer of its own.
const OWN_BUFFER_BYTES: usize = 16 << 10;
/// What a connection in large mode receives to learn the next frame's length.
const PEEK_BYTES: usize = 4096;
/// After so many small frames a connection goes back to multishot receives.
const SMALL_FRAMES_TO_CALM: u32 = 16;
/// A frame is given up if less than [`STALL_BYTES_MIN`] of it come in this long (or in
/// connections.max.idle.ms, if that is shorter), so that its memory is not held by a peer that does
/// nothing, or next to nothing.
const STALL_MS: u64 = 30_000;
/// A slow line of 300 baud brings this much in that time; a peer that sends a byte now and then to
/// keep a frame's memory does not.
const STALL_BYTES_MIN: usize = 1 << 10;
const LENGTH_BYTES: usize = 4;

/// Why there are no more frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameEnd {
    /// The peer closed between frames.
    Closed,
    /// The peer closed inside a frame, or the connection broke.
    Broken,
    /// A length that no request has.
    BadLength(i32),
    /// Nothing came for too long.
    Idle,
}

/// Reads frames off a connection.
pub struct FrameReader {
    socket: Socket,
    broker: Rc<Broker>,
    frame_bytes_max: usize,
    idle_ms: u64,
    stall_ms: u64,
    stream: Option<OpStream>,
    pending: Buf,
    small_frames: u32,
}

/// What a frame of `size` bytes takes: a buffer of its own has a power of two.
fn memory_of(size: usize) -> usize {
    if size >= OWN_BUFFER_BYTES { size.next_power_of_two() } else { size }
}

impl FrameReader {
    /// A reader whose frames may have `frame_bytes_max` bytes.
    pub fn new(broker: &Rc<Broker>, socket: Socket, frame_bytes_max: usize, idle_ms: u64) -> Self {
        let stream = Some(socket.receive_stream());
        Self {
            broker: Rc::clone(broker),
            socket,
            frame_bytes_max,
            idle_ms,
            stall_ms: STALL_MS.min(idle_ms),
            stream,
            pending: Buf::with_capacity(0),
            small_frames: 0,
        }
    }

    /// The next frame.
    pub async fn next(&mut self) -> Result<RequestFrame, FrameEnd> {
        while self.pending.len() < LENGTH_BYTES {
            let wait_ms = if self.pending.is_empty() { self.idle_ms } else { self.stall_ms };
            let more = self.receive(self.broker.shard.now().plus_ms(wait_ms)).await?;
            if more.is_empty() {
                let clean = self.pending.is_empty();
                return Err(if clean { FrameEnd::Closed } else { FrameEnd::Broken });
            }
            self.append_pending(more);
        }
        let prefix = self.pending[..LENGTH_BYTES].try_into().expect("four bytes");
        let length = i32::from_be_bytes(prefix);
        let size = usize::try_from(length).map_err(|_| FrameEnd::BadLength(length))?;
        if size > self.frame_bytes_max {
            return Err(FrameEnd::BadLength(length));
        }
        let budget = match size > LARGE_FRAME_BYTES {
            true => &self.broker.large_frame_budget,
            false => &self.broker.frame_budget,
        };
        let share = budget.take(memory_of(size)).await;
        self.pending.advance(LENGTH_BYTES);
        self.note_size(size);
        if self.pending.len() >= size {
            let bytes = self.pending.split_to(size);
            return Ok(RequestFrame::new(bytes, share));
        }
        let bytes = self.receive_rest(size).await?;
        Ok(RequestFrame::new(bytes, share))
    }

    fn note_size(&mut self, size: usize) {
        if size >= OWN_BUFFER_BYTES {
            self.small_frames = 0;
            return;
        }
        self.small_frames = self.small_frames.saturating_add(1);
        if self.stream.is_none() && self.small_frames >= SMALL_FRAMES_TO_CALM {
            self.stream = Some(self.socket.receive_stream());
        }
    }

    async fn receive_rest(&mut self, size: usize) -> Result<Buf, FrameEnd> {
        let mut frame = Buf::with_capacity(size);
        let have = std::mem::replace(&mut self.pending, Buf::with_capacity(0));
        frame.extend_from_slice(&have);
        if size >= OWN_BUFFER_BYTES {
            self.end_stream(&mut frame, size).await?;
        }
        while frame.len() < size {
            let wanted = STALL_BYTES_MIN.min(size - frame.len()) + frame.len();
            let deadline = self.broker.shard.now().plus_ms(self.stall_ms);
            frame = self.receive_window(frame, size, deadline).await?;
            if frame.len() < wanted {
                return Err(FrameEnd::Broken);
            }
        }
        Ok(frame)
    }

    /// Receives of a frame of `size` bytes what comes until `deadline`.
    async fn receive_window(
        &mut self,
        mut frame: Buf,
        size: usize,
        deadline: Mono,
    ) -> Result<Buf, FrameEnd> {
        while frame.len() < size {
            let left = size - frame.len();
            if self.stream.is_none() {
                let received = self.socket.receive_until(frame, left, Some(deadline)).await;
                return match received {
                    Ok((frame, Received::All | Received::Late)) => Ok(frame),
                    Ok((_, Received::Closed)) | Err(_) => Err(FrameEnd::Broken),
                };
            }
            match self.receive(deadline).await {
                Ok(more) if more.is_empty() => return Err(FrameEnd::Broken),
                Ok(more) => self.take_up(&mut frame, more, left),
                Err(FrameEnd::Idle) => break,
                Err(end) => return Err(end),
            }
        }
        Ok(frame)
    }

    /// Adds what belongs to the frame, and keeps what is already the next one's.
    fn take_up(&mut self, frame: &mut Buf, mut more: Buf, left: usize) {
        let part = left.min(more.len());
        frame.extend_from_slice(&more[..part]);
        more.advance(part);
        if !more.is_empty() {
            self.append_pending(more);
        }
    }

    /// Ends multishot receiving; what arrives meanwhile belongs to the frame and what follows.
    async fn end_stream(&mut self, frame: &mut Buf, size: usize) -> Result<(), FrameEnd> {
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        stream.cancel();
        while let Some(completion) = stream.next().await {
            match (completion.result, completion.payload) {
                (Ok(Output::Count(1..)), Payload::Buf(more)) => {
                    let left = size - frame.len();
                    self.take_up(frame, more, left);
                }
                (Err(Errno::ECANCELED), _) => {}
                _ => return Err(FrameEnd::Broken),
            }
        }
        Ok(())
    }

    /// What the peer sends next; empty if it closed.
    async fn receive(&mut self, deadline: Mono) -> Result<Buf, FrameEnd> {
        if let Some(stream) = &mut self.stream {
            let next = self.broker.shard.timeout_at(deadline, stream.next()).await;
            return match next.map_err(|_| FrameEnd::Idle)? {
                Some(completion) => match (completion.result, completion.payload) {
                    (Ok(_), Payload::Buf(buf)) => Ok(buf),
                    (Ok(_), _) => Ok(Buf::with_capacity(0)),
                    (Err(_), _) => Err(FrameEnd::Broken),
                },
                None => Ok(Buf::with_capacity(0)),
            };
        }
        let receive = self.socket.receive(Buf::with_capacity(PEEK_BYTES), PEEK_BYTES);
        match self.broker.shard.timeout_at(deadline, receive).await {
            Ok(Ok(buf)) => Ok(buf),
            Ok(Err(_)) => Err(FrameEnd::Broken),
            Err(_) => Err(FrameEnd::Idle),
        }
    }

    fn append_pending(&mut self, more: Buf) {
        if self.pending.is_empty() {
            self.pending = more;
            return;
        }
        if self.pending.spare_len() < more.len() {
            let mut joined = Buf::with_capacity(self.pending.len() + more.len());
            joined.extend_from_slice(&self.pending);
            self.pending = joined;
        }
        self.pending.extend_from_slice(&more);
    }
}
