//! [`Link`]: a connection on which both sides have proved that they know the secret, and every
//! frame proves it again.
//!
//! Hello: the one that commands sends [`MAGIC`] and a nonce, the agent answers with a nonce of its
//! own; then each sends the tag of both nonces with its role, the one that commands first. What
//! follows are frames: length, tag, JSON. The tag is by a key of this connection, and is of the
//! direction, of the frame's number and of its bytes, so that nobody on the way can add, change,
//! repeat or turn round a frame. What is said is not hidden. An empty frame says that the sender
//! is alive.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use ringlog_engine::io::Buf;
use ringlog_engine::shard::{Shard, Socket};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::secret::{Secret, TAG_BYTES};

/// Says what this is, and in which version.
const MAGIC: &[u8; 8] = b"RLBENCH1";
const NONCE_BYTES: usize = 32;
/// How long the other side may take to prove what it knows.
const HELLO_MS: u64 = 5_000;
/// How often a side says that it is alive, and how long it may say nothing.
const ALIVE_MS: u64 = 1_000;
const SILENCE_MS: u64 = 15_000;
/// A frame to an agent at most: an order holds a profile.
pub const ORDER_BYTES_MAX: usize = 1 << 20;
/// A frame from an agent at most: a part of a result holds a histogram for each interval.
pub const WORD_BYTES_MAX: usize = 64 << 20;
/// Frames that wait to be sent, or to be looked at, at most.
const QUEUED_MAX: usize = 64;

/// What an agent answers to a side that has proved itself, or not.
const WELCOME: u8 = 0;
const REFUSED: u8 = 1;
const BUSY: u8 = 2;

/// Which side one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Commander,
    Agent,
}

impl Role {
    fn name(self) -> &'static [u8] {
        match self {
            Role::Commander => b"commander",
            Role::Agent => b"agent",
        }
    }
}

/// A side's end of a connection. It ends when the last clone is dropped.
pub struct Link<Out, In>(Rc<Inner>, PhantomData<(Out, In)>);

impl<Out, In> Clone for Link<Out, In> {
    fn clone(&self) -> Self {
        Link(Rc::clone(&self.0), PhantomData)
    }
}

struct Inner {
    shared: Rc<Shared>,
}

/// What the two tasks of a connection and its owner share.
struct Shared {
    shard: Shard,
    socket: Socket,
    key: Secret,
    role: Role,
    frame_bytes_max: usize,
    outbox: RefCell<VecDeque<Vec<u8>>>,
    inbox: RefCell<VecDeque<Buf>>,
    /// Why it is over.
    ended: RefCell<Option<String>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.end("this side has closed the connection");
        let socket = self.shared.socket.clone();
        self.shared.shard.spawn(async move { socket.shutdown().await });
    }
}

/// Proves itself to an agent at the other end, and has it prove itself.
pub async fn command<Out, In>(
    shard: &Shard,
    socket: Socket,
    secret: &Secret,
) -> Result<Link<Out, In>> {
    let mine = nonce(shard);
    let deadline = shard.clock().plus_ms(HELLO_MS);
    let hello = async {
        send(&socket, &[MAGIC, &mine]).await?;
        let theirs = receive(&socket, NONCE_BYTES).await?;
        send(&socket, &[&secret.tag(&[Role::Commander.name(), &mine, &theirs])]).await?;
        match receive(&socket, 1).await?[..] {
            [WELCOME] => {}
            [REFUSED] => bail!("it has another secret"),
            [BUSY] => bail!("it works for somebody else"),
            _ => bail!("it is no agent"),
        }
        let tag = receive(&socket, TAG_BYTES).await?;
        let known = secret.verifies(&[Role::Agent.name(), &mine, &theirs], &tag);
        ensure!(known, "it does not know the secret");
        Ok(theirs)
    };
    let theirs = shard.timeout_at(deadline, hello).await;
    let theirs = theirs.map_err(|_| anyhow!("it does not answer as an agent does"))??;
    let key = secret.derive(&[b"frames", &mine, &theirs]);
    Ok(Link::start(shard, socket, key, Role::Commander, WORD_BYTES_MAX))
}

/// Has the other end prove itself. `free` takes the agent if nobody has it.
pub async fn welcome<Out, In>(
    shard: &Shard,
    socket: Socket,
    secret: &Secret,
    free: impl FnOnce() -> bool,
) -> Result<Link<Out, In>> {
    let mine = nonce(shard);
    let deadline = shard.clock().plus_ms(HELLO_MS);
    let hello = async {
        let hello = receive(&socket, MAGIC.len() + NONCE_BYTES).await?;
        let theirs = hello.strip_prefix(MAGIC).context("it is no ringlog-bench")?.to_vec();
        send(&socket, &[&mine]).await?;
        let tag = receive(&socket, TAG_BYTES).await?;
        if !secret.verifies(&[Role::Commander.name(), &theirs, &mine], &tag) {
            send(&socket, &[&[REFUSED]]).await?;
            bail!("it has another secret");
        }
        Ok(theirs)
    };
    let theirs = shard.timeout_at(deadline, hello).await;
    let theirs = theirs.map_err(|_| anyhow!("it has not proved itself in time"))??;
    if !free() {
        send(&socket, &[&[BUSY]]).await?;
        bail!("this agent works for somebody else");
    }
    let tag = secret.tag(&[Role::Agent.name(), &theirs, &mine]);
    let key = secret.derive(&[b"frames", &theirs, &mine]);
    // From here on the link's end is the agent's release, so it is made before anything can fail.
    let link = Link::start(shard, socket.clone(), key, Role::Agent, ORDER_BYTES_MAX);
    link.0.shared.push_raw([&[WELCOME], &tag[..]].concat());
    Ok(link)
}

fn nonce(shard: &Shard) -> Vec<u8> {
    (0..NONCE_BYTES / 8).flat_map(|_| shard.random().to_be_bytes()).collect()
}

async fn send(socket: &Socket, parts: &[&[u8]]) -> Result<()> {
    let chunks = parts.iter().map(|part| Buf::copy_of(part).into()).collect();
    socket.send(chunks, false).await.map_err(|errno| anyhow!("{errno}"))
}

async fn receive(socket: &Socket, length: usize) -> Result<Buf> {
    let received = socket.receive_exact(Buf::with_capacity(length), length).await;
    let received = received.map_err(|errno| anyhow!("{errno}"))?;
    ensure!(received.len() == length, "the connection was closed");
    Ok(received)
}

impl<Out, In> Link<Out, In> {
    fn start(
        shard: &Shard,
        socket: Socket,
        key: Secret,
        role: Role,
        frame_bytes_max: usize,
    ) -> Link<Out, In> {
        let shared = Rc::new(Shared {
            shard: shard.clone(),
            socket,
            key,
            role,
            frame_bytes_max,
            outbox: RefCell::default(),
            inbox: RefCell::default(),
            ended: RefCell::default(),
        });
        for task in [Task::Send, Task::Receive] {
            let shared = Rc::clone(&shared);
            shard.spawn(async move {
                let ran = match task {
                    Task::Send => shared.send_all().await,
                    Task::Receive => shared.receive_all().await,
                };
                if let Err(error) = ran {
                    shared.end(&format!("{error:#}"));
                }
            });
        }
        Link(Rc::new(Inner { shared }), PhantomData)
    }

    /// An error if the connection is over.
    pub fn check(&self) -> Result<()> {
        match &*self.0.shared.ended.borrow() {
            Some(why) => bail!("{why}"),
            None => Ok(()),
        }
    }
}

impl<Out: Serialize, In: DeserializeOwned> Link<Out, In> {
    /// Sends this, after what was said before.
    pub fn say(&self, word: &Out) -> Result<()> {
        let bytes = serde_json::to_vec(word)?;
        ensure!(self.0.shared.outbox.borrow().len() < QUEUED_MAX, "it does not read");
        self.0.shared.push(&bytes);
        Ok(())
    }

    /// What the other side has said, if it has; an error once it will say nothing more.
    pub fn heard(&self) -> Result<Option<In>> {
        let Some(frame) = self.0.shared.inbox.borrow_mut().pop_front() else {
            return self.check().map(|()| None);
        };
        Ok(Some(serde_json::from_slice(&frame).context("it says what is not understood")?))
    }
}

#[derive(Clone, Copy)]
enum Task {
    Send,
    Receive,
}

impl Shared {
    fn end(&self, why: &str) {
        self.ended.borrow_mut().get_or_insert_with(|| why.to_owned());
    }

    fn push_raw(&self, bytes: Vec<u8>) {
        self.outbox.borrow_mut().push_back(bytes);
    }

    /// Frames get their tags when they are sent: their numbers follow each other.
    fn push(&self, bytes: &[u8]) {
        let mut frame = (bytes.len() as u32).to_be_bytes().to_vec();
        frame.extend([0; TAG_BYTES]);
        frame.extend_from_slice(bytes);
        self.push_raw(frame);
    }

    async fn send_all(&self) -> Result<()> {
        // An agent's first bytes are no frame: they end the hello.
        let mut raw = self.role == Role::Agent;
        let (mut number, mut spoke) = (0u64, self.shard.clock());
        while self.ended.borrow().is_none() {
            let next = self.outbox.borrow_mut().pop_front();
            let Some(mut frame) = next else {
                if self.shard.clock() >= spoke.plus_ms(ALIVE_MS) {
                    self.push(&[]);
                } else {
                    self.shard.sleep_ms(1).await;
                }
                continue;
            };
            if !std::mem::take(&mut raw) {
                let tag = self.tag(self.role, number, &frame[4 + TAG_BYTES..]);
                frame[4..4 + TAG_BYTES].copy_from_slice(&tag);
                number += 1;
            }
            send(&self.socket, &[&frame]).await?;
            spoke = self.shard.clock();
        }
        Ok(())
    }

    async fn receive_all(&self) -> Result<()> {
        let from = match self.role {
            Role::Commander => Role::Agent,
            Role::Agent => Role::Commander,
        };
        let mut number = 0u64;
        while self.ended.borrow().is_none() {
            let deadline = self.shard.clock().plus_ms(SILENCE_MS);
            let frame = self.shard.timeout_at(deadline, self.receive_frame()).await;
            let silent = || anyhow!("it has said nothing for {} s", SILENCE_MS / 1000);
            let (tag, frame) = frame.map_err(|_| silent())??;
            let good = tag[..] == self.tag(from, number, &frame);
            ensure!(good, "a frame that does not come from where it should");
            number += 1;
            if !frame.is_empty() {
                ensure!(self.inbox.borrow().len() < QUEUED_MAX, "it says too much");
                self.inbox.borrow_mut().push_back(frame);
            }
        }
        Ok(())
    }

    async fn receive_frame(&self) -> Result<(Buf, Buf)> {
        let head = receive(&self.socket, 4).await?;
        let length = head.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let length = length as usize;
        let most = self.frame_bytes_max;
        ensure!(length <= most, "a frame of {length} bytes: at most {most}");
        let tag = receive(&self.socket, TAG_BYTES).await?;
        let frame = match length {
            0 => Buf::with_capacity(0),
            length => receive(&self.socket, length).await?,
        };
        Ok((tag, frame))
    }

    fn tag(&self, from: Role, number: u64, bytes: &[u8]) -> [u8; TAG_BYTES] {
        self.key.tag(&[from.name(), &number.to_be_bytes(), bytes])
    }
}
