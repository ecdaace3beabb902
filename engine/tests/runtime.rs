//! The runtime's contract, checked on the real ring and in the simulated world alike.

#![allow(clippy::disallowed_methods, reason = "tests start threads and look at real files")]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::task::Poll;

use ringlog_engine::io::sim::{CrashProfile, World};
use ringlog_engine::io::uring::{UringOptions, probe};
use ringlog_engine::io::{
    Buf, Chunk, DriverChoice, DriverPlan, Errno, ListenOptions, OpenOptions, Output, Payload,
    SendPath, WritePath,
};
use ringlog_engine::shard::mesh::mesh_with_capacity;
use ringlog_engine::shard::sync::{Budget, Queue, oneshot};
use ringlog_engine::shard::{File, Shard, ShardOptions, Socket, TaskClass, Timeout};
use ringlog_engine::types::ShardId;

const LISTEN: ListenOptions =
    ListenOptions { backlog: 16, receive_buffer_bytes: None, send_buffer_bytes: None };

fn shard_of(plan: &DriverPlan, shard: usize) -> Shard {
    let driver = plan.driver(shard).expect("it was found to work");
    Shard::new(ShardId(shard as u16), driver, ShardOptions::default())
}

/// The drivers of nodes of so many shards: io_uring in several settings, and epoll.
fn plans(shards: usize) -> Vec<DriverPlan> {
    let plan = |choice, options: &UringOptions| {
        DriverPlan::new(choice, shards, options).expect("it was found to work").0
    };
    let plain = UringOptions::default();
    let mut plans = vec![plan(DriverChoice::Epoll, &plain)];
    if probe().is_err() {
        eprintln!("skipped on io_uring: not available here");
        return plans;
    }
    let bare = UringOptions { registered_files: 0, entries: 8, ..UringOptions::default() };
    let sqpoll = UringOptions { sqpoll: true, sqpoll_idle_ms: 10, ..UringOptions::default() };
    plans.extend([plain, bare, sqpoll].iter().map(|options| plan(DriverChoice::Uring, options)));
    plans
}

/// Runs `test` on epoll, on io_uring in several settings, and in twenty simulated worlds.
fn on_every_driver<F: Future<Output = ()> + 'static>(test: impl Fn(Shard, PathBuf) -> F) {
    for plan in plans(1) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let shard = shard_of(&plan, 0);
        shard.run(test(shard.clone(), dir.path().to_owned()));
        shard.abandon();
    }
    for seed in 0..20 {
        let world = World::new(seed, 1, CrashProfile::Ext4);
        ringlog_engine::io::sim::block_on(&world, |shard| test(shard, PathBuf::from("/")));
    }
}

const RW: OpenOptions =
    OpenOptions { write: true, create: true, create_new: false, truncate: false, direct: false };

#[test]
fn files_are_written_read_renamed_and_removed() {
    on_every_driver(|shard, dir| async move {
        let path = dir.join("a");
        for write_path in [WritePath::Ring, WritePath::Blocking] {
            let file = File::open(&shard, &path, RW).await.expect("open");
            let chunks = vec![Chunk::from(Buf::copy_of(b"hello ")), Chunk::from(&b"world"[..])];
            file.write_at(chunks, 3, write_path).await.expect("write");
            file.fdatasync().await.expect("sync");
            let read = file.read_at(Buf::with_capacity(100), 0, 100).await.expect("read");
            assert_eq!(&read[..], b"\0\0\0hello world");
            file.set_len(8).await.expect("truncate");
        }
        let options = OpenOptions { create_new: true, ..RW };
        let error = File::open(&shard, &path, options).await.err().expect("it is there");
        assert_eq!(error.errno, Errno::EEXIST);
        shard.make_dir_all(&dir.join("x/y")).await.expect("mkdir");
        shard.rename(&path, &dir.join("x/y/b")).await.expect("rename");
        shard.sync_dir(&dir).await.expect("sync dir");
        assert_eq!(shard.stat(&path).await, Ok(None));
        let stat = shard.stat(&dir.join("x/y/b")).await.expect("stat").expect("there");
        assert_eq!((stat.len, stat.is_dir), (8, false));
        assert_eq!(shard.list_dir(&dir.join("x")).await.expect("list"), ["y"]);
        let errno = shard.remove_dir(&dir.join("x")).await.expect_err("not empty").errno;
        assert_eq!(errno, Errno::ENOTEMPTY);
        assert_eq!(shard.unlink(&dir.join("x/y/b")).await, Ok(true));
        assert_eq!(shard.unlink(&dir.join("x/y/b")).await, Ok(false));
        shard.replace_file(&dir.join("c"), b"one".to_vec()).await.expect("replace");
        shard.replace_file(&dir.join("c"), b"two".to_vec()).await.expect("replace");
        let read = shard.read_file(&dir.join("c"), 10).await.expect("read").expect("there");
        assert_eq!(&read[..], b"two");
        assert!(shard.read_file(&dir.join("c"), 2).await.is_err(), "larger than allowed");
    });
}

async fn echo(shard: Shard, listener: ringlog_engine::io::Fd) {
    let mut accepted = shard.accept_stream(listener);
    while let Some(completion) = accepted.next().await {
        let Ok(Output::Accepted { socket, .. }) = completion.result else { continue };
        let socket = Socket::adopt(&shard, socket);
        shard.spawn(async move {
            let mut stream = socket.receive_stream();
            while let Some(completion) = stream.next().await {
                let Payload::Buf(buf) = completion.payload else { break };
                if buf.is_empty() || socket.send(vec![buf.into()], false).await.is_err() {
                    break;
                }
            }
        });
    }
}

#[test]
fn connections_carry_every_byte_in_order() {
    on_every_driver(|shard, dir| async move {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listener, port) = shard.listen(address, LISTEN).await.expect("listen");
        shard.spawn(echo(shard.clone(), listener));
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let socket = Socket::connect(&shard, to).await.expect("connect");
        let sent: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        let (half, rest) = sent.split_at(100_000);
        let file = File::open(&shard, &dir.join("body"), RW).await.expect("open");
        file.write_at(vec![Buf::copy_of(rest).into()], 0, WritePath::Ring).await.expect("write");
        let sender = {
            let (socket, half) = (socket.clone(), Buf::copy_of(half));
            async move {
                socket.send(vec![half.into()], true).await.expect("send");
                for path in [SendPath::SendFile, SendPath::Splice] {
                    // Asked for more than the file has: it says how much there was.
                    let sent = socket.send_file(file.fd(), 0, 250_000, false, path).await;
                    assert_eq!(sent.expect("send"), 200_000);
                }
            }
        };
        shard.spawn(sender);
        let sent = [&sent[..], &sent[100_000..]].concat();
        let received = socket.receive_exact(Buf::with_capacity(sent.len()), sent.len()).await;
        assert!(received.expect("receive")[..] == sent[..]);
        let errno = shard.listen(to, LISTEN).await.expect_err("the port is taken");
        assert_eq!(errno, Errno::EADDRINUSE);
    });
}

#[test]
fn a_receive_can_be_cancelled_and_gives_what_came_before() {
    on_every_driver(|shard, _| async move {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listener, port) = shard.listen(address, LISTEN).await.expect("listen");
        let mut accepted = shard.accept_stream(listener);
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let client = Socket::connect(&shard, to).await.expect("connect");
        let Some(Ok(Output::Accepted { socket, .. })) = accepted.next().await.map(|c| c.result)
        else {
            panic!("no connection")
        };
        let server = Socket::adopt(&shard, socket);
        let mut stream = server.receive_stream();
        client.send(vec![Chunk::from(&b"first"[..])], false).await.expect("send");
        let mut seen = Vec::new();
        while seen.len() < 5 {
            let Some(Payload::Buf(buf)) = stream.next().await.map(|c| c.payload) else { panic!() };
            seen.extend_from_slice(&buf);
        }
        stream.cancel();
        while let Some(completion) = stream.next().await {
            assert!(!completion.more || completion.result.is_ok());
        }
        client.send(vec![Chunk::from(&b"second"[..])], false).await.expect("send");
        let rest = server.receive_exact(Buf::with_capacity(6), 6).await.expect("receive");
        assert_eq!((&seen[..], &rest[..]), (&b"first"[..], &b"second"[..]));
        drop(client);
        let end = server.receive(Buf::with_capacity(1), 1).await.expect("receive");
        assert!(end.is_empty(), "the peer closed");
    });
}

#[test]
fn x01_a_stream_that_is_not_taken_up_pauses_and_loses_nothing() {
    on_every_driver(|shard, _| async move {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listener, port) = shard.listen(address, LISTEN).await.expect("listen");
        let mut accepted = shard.accept_stream(listener);
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let client = Socket::connect(&shard, to).await.expect("connect");
        let Some(Ok(Output::Accepted { socket, .. })) = accepted.next().await.map(|c| c.result)
        else {
            panic!("no connection")
        };
        let server = Socket::adopt(&shard, socket);
        let mut stream = server.receive_stream();
        let sent: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        let (body, sender) = (Buf::copy_of(&sent), shard.clone());
        shard.spawn(async move {
            client.send(vec![body.into()], false).await.expect("send");
            sender.sleep_ms(1).await;
        });
        // Nothing is taken until the sender is stuck, or done as far as it can tell.
        for _ in 0..1000 {
            shard.yield_now().await;
        }
        let mut received = Vec::with_capacity(sent.len());
        while let Some(completion) = stream.next().await {
            match completion.payload {
                Payload::Buf(buf) => received.extend_from_slice(&buf),
                _ => assert_eq!(completion.result, Ok(Output::Count(0)), "the end, and no error"),
            }
        }
        assert!(received == sent, "{} bytes of {}", received.len(), sent.len());
    });
}

#[test]
fn timers_fire_in_order_and_timeouts_cut_off() {
    on_every_driver(|shard, _| async move {
        let fired = Rc::new(RefCell::new(Vec::new()));
        for ms in [9, 3, 6] {
            let (fired, sleeper) = (Rc::clone(&fired), shard.clone());
            shard.spawn(async move {
                sleeper.sleep_ms(ms).await;
                fired.borrow_mut().push(ms);
            });
        }
        shard.sleep_ms(20).await;
        assert_eq!(*fired.borrow(), [3, 6, 9]);
        let never = std::future::pending::<()>();
        assert_eq!(shard.timeout_at(shard.now().plus_ms(2), never).await, Err(Timeout));
        assert_eq!(shard.timeout_at(shard.now().plus_ms(2), async { 5 }).await, Ok(5));
    });
}

#[test]
fn tasks_wait_for_each_other() {
    on_every_driver(|shard, _| async move {
        let (sender, receiver) = oneshot();
        shard.spawn(async move { sender.send(7) });
        assert_eq!(receiver.await, Some(7));
        let (sender, receiver) = oneshot::<u8>();
        drop(sender);
        assert_eq!(receiver.await, None);

        let queue = Rc::new(Queue::default());
        let pushed = Rc::clone(&queue);
        shard.spawn(async move {
            for i in 0..10 {
                pushed.until_shorter_than(2).await;
                pushed.push(i);
            }
            pushed.close();
        });
        let mut got = Vec::new();
        while let Some(item) = queue.pop().await {
            got.push(item);
        }
        assert_eq!(got, (0..10).collect::<Vec<_>>());

        let budget = Budget::new(10);
        let order = Rc::new(RefCell::new(Vec::new()));
        let first = budget.take(8).await;
        for (name, units) in [("large", 10), ("small", 1)] {
            let (budget, order) = (Rc::clone(&budget), Rc::clone(&order));
            shard.spawn(async move {
                let share = budget.take(units).await;
                order.borrow_mut().push(name);
                drop(share);
            });
            shard.sleep_ms(1).await;
        }
        assert!(order.borrow().is_empty(), "the small one may not overtake");
        drop(first);
        shard.sleep_ms(1).await;
        assert_eq!(*order.borrow(), ["large", "small"]);
        assert_eq!(budget.free(), 10);

        // Whoever gives up leaves its place, and units that it was given and has not seen.
        let held = budget.take(10).await;
        let soon = shard.clock().plus_ms(1);
        assert!(shard.timeout_at(soon, budget.take(10)).await.is_err(), "there are none");
        drop(held);
        assert_eq!(budget.free(), 10);
        let held = budget.take(10).await;
        let mut given = Box::pin(budget.take(10));
        assert!(poll_fn(|cx| Poll::Ready(given.as_mut().poll(cx).is_pending())).await);
        drop(held);
        assert_eq!(budget.free(), 0, "they are its");
        drop(given);
        assert_eq!(budget.free(), 10);
    });
}

#[test]
fn those_of_the_foreground_that_wait_for_a_budget_go_first_most_of_the_time() {
    on_every_driver(|shard, _| async move {
        let budget = Budget::new(1);
        let order = Rc::new(RefCell::new(Vec::new()));
        let held = budget.take(1).await;
        for class in [TaskClass::Background, TaskClass::Foreground] {
            for _ in 0..8 {
                let (budget, order) = (Rc::clone(&budget), Rc::clone(&order));
                shard.spawn(async move {
                    let share = budget.take_as(class, 1).await;
                    order.borrow_mut().push(class);
                    drop(share);
                });
            }
            shard.sleep_ms(1).await;
        }
        drop(held);
        while order.borrow().len() < 16 {
            shard.sleep_ms(1).await;
        }
        let order = order.borrow();
        let background = |part: &[TaskClass]| {
            part.iter().filter(|class| **class == TaskClass::Background).count()
        };
        assert!((1..=3).contains(&background(&order[..8])), "{order:?}");
        assert_eq!(background(&order[11..]), 5, "{order:?}");
        assert_eq!(budget.free(), 1);
    });
}

#[test]
fn run_last_comes_after_all_that_is_ready() {
    on_every_driver(|shard, _| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        let (late, last) = (Rc::clone(&order), shard.clone());
        shard.spawn(async move {
            last.run_last().await;
            late.borrow_mut().push(99);
        });
        for i in 0..5 {
            let (order, yielding) = (Rc::clone(&order), shard.clone());
            shard.spawn(async move {
                yielding.yield_now().await;
                order.borrow_mut().push(i);
            });
        }
        shard.sleep_ms(1).await;
        let order = order.borrow();
        assert_eq!((order.len(), order.last()), (6, Some(&99)));
    });
}

#[test]
fn run_last_has_its_turn_though_something_is_always_ready() {
    on_every_driver(|shard, _| async move {
        let (had, last) = (Rc::new(Cell::new(false)), shard.clone());
        let note = Rc::clone(&had);
        shard.spawn(async move {
            last.run_last().await;
            note.set(true);
        });
        for _ in 0..10_000 {
            shard.yield_now().await;
        }
        assert!(had.get());
    });
}

#[test]
fn the_background_holds_nobody_up_and_has_its_turn() {
    on_every_driver(|shard, _| async move {
        const TASKS: usize = 1000;
        let done = Rc::new(Cell::new(0));
        for _ in 0..TASKS {
            let (done, this) = (Rc::clone(&done), shard.clone());
            shard.spawn_as(TaskClass::Background, async move {
                this.yield_now().await;
                done.update(|count| count + 1);
            });
        }
        // A task of the foreground that is always ready.
        for _ in 0..2000 {
            shard.yield_now().await;
        }
        assert!(done.get() < TASKS / 2, "{} came before a task that was ready", done.get());
        for _ in 0..100_000 {
            if done.get() == TASKS {
                return;
            }
            shard.yield_now().await;
        }
        panic!("{} of {TASKS} had their turn", done.get());
    });
}

#[test]
fn a_task_is_of_the_class_that_it_has_set() {
    on_every_driver(|shard, _| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        for (name, class) in [("back", TaskClass::Background), ("fore", TaskClass::Foreground)] {
            let (order, this) = (Rc::clone(&order), shard.clone());
            shard.spawn(async move {
                this.set_class(class);
                // What a task is woken to is decided by what it was before; the next time counts.
                this.sleep_ms(1).await;
                for _ in 0..100 {
                    this.yield_now().await;
                }
                order.borrow_mut().push(name);
            });
        }
        while order.borrow().len() < 2 {
            shard.sleep_ms(1).await;
        }
        assert_eq!(*order.borrow(), ["fore", "back"]);
    });
}

#[test]
fn shards_exchange_messages_in_order_through_small_mailboxes() {
    plans(2).iter().for_each(exchange_messages);
}

fn exchange_messages(plan: &DriverPlan) {
    const COUNT: u64 = 20_000;
    let threads: Vec<_> = mesh_with_capacity::<u64>(2, 4)
        .into_iter()
        .enumerate()
        .map(|(index, mailboxes)| {
            let plan = plan.clone();
            std::thread::spawn(move || {
                let shard = shard_of(&plan, index);
                let received = Rc::new(Cell::new(0));
                let (count, done) = (Rc::clone(&received), Rc::new(Queue::default()));
                let finished = Rc::clone(&done);
                let mesh = mailboxes.connect(&shard, move |from, message| {
                    assert_eq!((usize::from(from.0), message), (1 - index, count.get()));
                    count.set(message + 1);
                    if message + 1 == COUNT {
                        finished.push(());
                    }
                });
                shard.run(async move {
                    for message in 0..COUNT {
                        mesh.send(ShardId(1 - index as u16), message).await;
                    }
                    done.pop().await;
                });
                received.get()
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().expect("no shard panics"), COUNT);
    }
}

#[test]
fn another_process_or_opener_is_kept_out_by_the_lock() {
    let world = World::new(1, 1, CrashProfile::Ext4);
    ringlog_engine::io::sim::block_on(&world, |shard| async move {
        let path = PathBuf::from("/.lock");
        let lock = shard.lock_file(&path).await.expect("free");
        assert_eq!(shard.lock_file(&path).await.expect_err("taken").errno, Errno::EAGAIN);
        shard.close(lock).await;
        shard.lock_file(&path).await.expect("free again");
    });
}

#[test]
fn a_seed_repeats_to_the_last_bit() {
    let run = |seed| {
        let world = World::new(seed, 1, CrashProfile::Hostile);
        ringlog_engine::io::sim::block_on(&world, |shard| async move {
            let mut trace = Vec::new();
            for i in 0..20u8 {
                let file = File::open(&shard, &PathBuf::from(format!("/{}", i % 3)), RW).await;
                let file = file.expect("open");
                file.write_at(vec![Buf::copy_of(&[i; 5000]).into()], 100, WritePath::Ring)
                    .await
                    .expect("write");
                trace.push(shard.clock());
            }
            trace
        })
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn a_crash_keeps_what_was_synced_and_may_keep_the_rest() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..200 {
        let world = World::new(seed, 1, CrashProfile::Hostile);
        ringlog_engine::io::sim::block_on(&world, |shard| async move {
            let file = File::open(&shard, &PathBuf::from("/f"), RW).await.expect("open");
            let write = |byte, at| {
                let (file, chunk) = (file.clone(), Chunk::from(Buf::copy_of(&[byte; 8192])));
                async move { file.write_at(vec![chunk], at, WritePath::Ring).await }
            };
            write(1, 0).await.expect("write");
            file.fdatasync().await.expect("sync");
            shard.sync_dir(&PathBuf::from("/")).await.expect("sync");
            write(2, 8192).await.expect("write");
        });
        let mut world = world.borrow_mut();
        world.crash();
        let content = world.disk.content(&PathBuf::from("/f")).expect("its name was synced");
        assert_eq!(&content[..8192], &[1; 8192]);
        if content.len() == 16384 && content[8192..].iter().all(|&b| b == 2) {
            kept += 1;
        } else {
            lost += 1;
        }
    }
    assert!(kept > 10 && lost > 10, "kept {kept}, lost {lost}");
}

#[test]
fn a_failed_sync_loses_its_pages_and_the_next_one_lies() {
    let world = World::new(3, 1, CrashProfile::Hostile);
    world.borrow_mut().disk.faults.sync_error_after = Some(1);
    ringlog_engine::io::sim::block_on(&world, |shard| async move {
        let file = File::open(&shard, &PathBuf::from("/f"), RW).await.expect("open");
        shard.sync_dir(&PathBuf::from("/")).await.expect("sync");
        let chunk = Chunk::from(Buf::copy_of(&[1; 4096]));
        file.write_at(vec![chunk], 0, WritePath::Ring).await.expect("write");
        assert_eq!(file.fdatasync().await.expect_err("planned").errno, Errno::EIO);
        assert_eq!(file.fdatasync().await, Ok(()));
        let read = file.read_at(Buf::with_capacity(4096), 0, 4096).await.expect("read");
        assert_eq!(read.len(), 4096, "still in the page cache");
    });
    world.borrow_mut().crash();
    assert_eq!(world.borrow().disk.content(&PathBuf::from("/f")), Some(&[][..]));
}

#[test]
fn a_connection_that_nobody_takes_is_refused() {
    for plan in plans(1) {
        let shard = shard_of(&plan, 0);
        let this = shard.clone();
        shard.run(async move {
            let address = SocketAddr::from(([127, 0, 0, 1], 0));
            let (listener, port) = this.listen(address, LISTEN).await.expect("listen");
            this.close(listener).await;
            let to = SocketAddr::from(([127, 0, 0, 1], port));
            for _ in 0..3 {
                let refused = Socket::connect(&this, to).await.err();
                assert_eq!(refused, Some(Errno(libc::ECONNREFUSED)));
            }
        });
        shard.abandon();
    }
}
