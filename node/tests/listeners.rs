//! Listeners, what they tell clients, their sockets, and the limits on connections and requests.

#![allow(clippy::disallowed_methods, reason = "tests open sockets and look at the clock")]

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

use ringlog_wire::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest, MetadataRequest,
    MetadataResponse,
};
use rustix::net::sockopt::{socket_recv_buffer_size, socket_send_buffer_size};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use support::{Client, Node, PATIENCE, batch, free_ports, have, produce_request, ringlog, text};

/// How long something is watched that must not happen.
const MOMENT: Duration = Duration::from_millis(300);

fn brokers(client: &mut Client) -> Vec<(String, i32)> {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let response: MetadataResponse = client.request(&request, 12);
    let of_metadata: Vec<_> = response.brokers.into_iter().map(|b| (b.host, b.port)).collect();
    let request = DescribeClusterRequest { endpoint_type: 1, ..Default::default() };
    let described = client.request(&request, 1);
    let described: Vec<_> = described.brokers.into_iter().map(|b| (b.host, b.port)).collect();
    assert_eq!(of_metadata, described);
    of_metadata
}

fn served(client: &mut Client) -> bool {
    client.try_request(&ApiVersionsRequest::default(), 0).is_some()
}

#[test]
fn each_listener_answers_with_its_own_address() {
    let [inside, outside, any, controller] = free_ports();
    let listeners = format!(
        "listeners=INSIDE://127.0.0.1:{inside},outside://127.0.0.1:{outside},ANY://:{any},\
         CONTROLLER://127.0.0.1:{controller}"
    );
    let node = Node::start_on(
        inside,
        &[
            &listeners,
            &format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
            &format!(
                "advertised.listeners=INSIDE://inside.example:1111,OUTSIDE://[2001:db8::1]:22,\
                 ANY://localhost:{any}"
            ),
            "listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT,ANY:PLAINTEXT,\
             CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=INSIDE",
        ],
    );
    let at = |port| Client::try_connect(port).expect("it listens");
    assert_eq!(brokers(&mut at(inside)), [("inside.example".to_owned(), 1111)]);
    assert_eq!(brokers(&mut at(outside)), [("2001:db8::1".to_owned(), 22)]);
    assert_eq!(brokers(&mut at(any)), [("localhost".to_owned(), i32::from(any))]);
    // An empty host is all interfaces, of both kinds.
    let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), any);
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        assert!(served(&mut Client::of(TcpStream::connect(v6).expect("it listens there too"))));
    }
    drop(node);
}

#[test]
fn a_port_that_the_system_picks_is_the_one_that_is_told() {
    let [controller] = free_ports();
    let mut node = Node::prepare(&[
        &format!("listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:{controller}"),
        "advertised.listeners=",
    ]);
    node.edit_properties(|line| !line.starts_with("advertised.listeners"));
    node.format();
    node.spawn();
    let deadline = Instant::now() + PATIENCE;
    let port = loop {
        let log = node.log();
        if let Some((_, rest)) = log.split_once("name=\"PLAINTEXT\" port=") {
            break rest.split_whitespace().next().expect("a number").parse().expect("a number");
        }
        assert!(node.is_alive() && Instant::now() < deadline, "{log}");
        std::thread::park_timeout(Duration::from_millis(10));
    };
    let mut client = Client::try_connect(port).expect("it listens");
    assert_eq!(brokers(&mut client), [("127.0.0.1".to_owned(), i32::from(port))]);
}

#[test]
fn listeners_that_contradict_each_other_are_refused_at_start() {
    let [port, controller] = free_ports();
    let of = |lines: &[&str]| {
        let node = Node::prepare(lines);
        let output = ringlog().arg("start").arg(&node.properties).output().expect("it runs");
        assert!(!output.status.success());
        text(&output)
    };
    let both = format!("PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}");
    let cases: &[(&[&str], &str)] = &[
        (
            &[
                &format!("listeners={both},OTHER://localhost:{port}"),
                "listener.security.protocol.map=OTHER:PLAINTEXT,PLAINTEXT:PLAINTEXT,\
               CONTROLLER:PLAINTEXT",
            ],
            "Each listener must have a different port",
        ),
        (
            &[&format!("listeners={both},OTHER://localhost:1")],
            "No security protocol defined for listener OTHER",
        ),
        (
            &["advertised.listeners=PLAINTEXT://0.0.0.0:1"],
            "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0",
        ),
        (
            &["inter.broker.listener.name=NOPE"],
            "Listener with name NOPE defined in inter.broker.listener.name not found in \
             listener.security.protocol.map",
        ),
        (
            &["inter.broker.listener.name=CONTROLLER"],
            "inter.broker.listener.name must be a listener name defined in advertised.listeners",
        ),
    ];
    for (lines, sentence) in cases {
        let said = of(lines);
        assert!(said.contains(sentence), "{lines:?}: {said}");
    }
    let node = Node::start(&[]);
    let taken = format!("listeners=PLAINTEXT://127.0.0.1:{},CONTROLLER://:{controller}", node.port);
    let other = Node::prepare(&[&taken]);
    other.format();
    let output = ringlog().arg("start").arg(&other.properties).output().expect("it runs");
    assert!(text(&output).contains("Socket server failed to bind"), "{}", text(&output));
}

/// The node's end of a connection of ours.
fn other_end(node: &Node, client: &Client) -> OwnedFd {
    let mine = client.socket.local_addr().expect("an address");
    let pid = Pid::from_raw(node.pid() as i32).expect("a process");
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("a child");
    let fds = std::fs::read_dir(format!("/proc/{}/fd", node.pid())).expect("a child");
    for fd in fds {
        let number = fd.expect("readable").file_name().into_string().expect("a number");
        let number = number.parse().expect("a number");
        let Ok(fd) = pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty()) else { continue };
        let peer = rustix::net::getpeername(&fd).ok().flatten();
        if peer.and_then(|peer| SocketAddr::try_from(peer).ok()) == Some(mine) {
            return fd;
        }
    }
    panic!("the node has no end of {mine}");
}

#[test]
fn socket_buffers_have_the_sizes_that_are_set() {
    let sizes = |lines: &[&str]| {
        let node = Node::start(lines);
        let mut client = node.client();
        assert!(served(&mut client));
        let fd = other_end(&node, &client);
        let send = socket_send_buffer_size(&fd).expect("a socket");
        (send, socket_recv_buffer_size(&fd).expect("a socket"))
    };
    // The kernel doubles what is asked for, and reports that.
    let set = |send: i32, receive: i32| {
        [("send", send), ("receive", receive)]
            .map(|(which, bytes)| format!("socket.{which}.buffer.bytes={bytes}"))
    };
    let sizes_of = |lines: [String; 2]| sizes(&lines.each_ref().map(String::as_str));
    assert_eq!(sizes_of(set(30_000, 50_000)), (60_000, 100_000));
    assert_eq!(sizes_of(set(102_400, 102_400)), (204_800, 204_800));
    // -1, and what is not set: the system's own, which it adapts.
    for (send, receive) in [sizes_of(set(-1, -1)), sizes(&[])] {
        assert!(send != 204_800 && receive != 204_800, "{send} {receive}");
    }
}

#[test]
fn at_max_connections_the_next_one_waits_and_the_backlog_fills() {
    let node = Node::start(&["max.connections=2", "socket.listen.backlog.size=3"]);
    let mut first = node.client();
    let mut second = node.client();
    assert!(served(&mut first) && served(&mut second));
    let mut third = node.client();
    third.socket.set_read_timeout(Some(MOMENT)).expect("a timeout");
    assert!(!served(&mut third), "a third connection is served");
    // The kernel lets one more into the backlog than it is told, and the node had a few at hand.
    let address = SocketAddr::from(([127, 0, 0, 1], node.port));
    let connect = |_| TcpStream::connect_timeout(&address, MOMENT).ok();
    let waiting: Vec<TcpStream> = (0..20).map_while(connect).collect();
    assert!(waiting.len() >= 2 && waiting.len() < 10, "{} fit", waiting.len());
    drop(first);
    third.socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    assert!(third.read_frame().is_some(), "the place that became free is taken");
}

#[test]
fn an_address_with_too_many_connections_is_turned_away() {
    for (limits, allowed) in [
        (&["max.connections.per.ip=2"][..], 2),
        (&["max.connections.per.ip=0", "max.connections.per.ip.overrides=127.0.0.1:3"][..], 3),
    ] {
        let node = Node::start(limits);
        let mut open: Vec<Client> = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        // The connection that saw the node start may still be counted for a moment.
        while open.len() < allowed {
            assert!(Instant::now() < deadline, "{} of {allowed}", open.len());
            let mut client = node.client();
            if served(&mut client) {
                open.push(client);
            }
        }
        assert!(!served(&mut node.client()), "one more than {limits:?}");
        assert!(open.iter_mut().all(served));
    }
}

#[test]
fn brokers_beyond_max_connections_push_out_the_clients_that_were_silent_longest() {
    let [inside, outside, controller] = free_ports();
    let node = Node::start_on(
        outside,
        &[
            &format!(
                "listeners=INSIDE://127.0.0.1:{inside},OUTSIDE://127.0.0.1:{outside},\
                 CONTROLLER://127.0.0.1:{controller}"
            ),
            &format!("advertised.listeners=INSIDE://127.0.0.1:{inside},OUTSIDE://h:{outside}"),
            &format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
            "listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT,\
             CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=INSIDE",
            "max.connections=4",
            "ringlog.shards=1",
        ],
    );
    let mut clients: Vec<Client> = (0..4).map(|_| node.client()).collect();
    // The last one to come is the one that was silent for longest.
    for client in clients.iter_mut().rev() {
        assert!(served(client));
    }
    let mut controllers: Vec<_> = (0..4).filter_map(|_| Client::try_connect(controller)).collect();
    assert!(controllers.iter_mut().all(served), "controllers are counted apart");
    let mut brokers = Vec::new();
    for left in [3, 2] {
        let mut broker = Client::try_connect(inside).expect("it listens");
        assert!(served(&mut broker));
        brokers.push(broker);
        let mut pushed_out = clients.pop().expect("one more");
        assert!(pushed_out.read_frame().is_none(), "closed");
        clients.iter_mut().rev().for_each(|client| assert!(served(client), "{left} are left"));
    }
    assert!(brokers.iter_mut().all(served));
}

#[test]
fn connections_that_come_too_fast_wait_in_the_listeners_backlog() {
    const RATE: u32 = 20;
    let windows = ["quota.window.num=2", "quota.window.size.seconds=1"];
    let own = format!("listener.name.plaintext.max.connection.creation.rate={RATE}");
    for limit in [format!("max.connection.creation.rate={RATE}"), own] {
        let node = Node::start(&[&limit, windows[0], windows[1]]);
        let start = Instant::now();
        // As many as a second's worth of them may come at once.
        let mut all: Vec<Client> = (0..RATE + 8).map(|_| node.client()).collect();
        assert!(all.iter_mut().all(served), "late, and not refused");
        assert!(start.elapsed() > MOMENT, "{limit}: {:?}", start.elapsed());
    }
}

#[test]
fn a_request_above_socket_request_max_bytes_closes_the_connection() {
    let node = Node::start(&["socket.request.max.bytes=3000"]);
    node.client().create_topic("t", 1, &[]);
    let mut client = node.client();
    let request = produce_request("t", 0, 1, batch(&[&[7; 2500]], None));
    assert!(client.try_request(&request, 9).is_some());
    let request = produce_request("t", 0, 1, batch(&[&[7; 3000]], None));
    assert!(client.try_request(&request, 9).is_none());
    assert!(node.log().contains("bad_frame_length"), "{}", node.log());
}

#[test]
fn requests_in_memory_are_bounded_and_the_next_one_waits() {
    let node = Node::start(&[
        "ringlog.shards=1",
        "socket.request.max.bytes=1000000",
        "queued.max.request.bytes=1000000",
    ]);
    node.client().create_topic("t", 1, &[]);
    let mut holder = node.client();
    holder.socket.write_all(&700_000i32.to_be_bytes()).expect("sends");
    holder.socket.write_all(&[0; 50_000]).expect("sends");
    let mut waiter = node.client();
    waiter.socket.set_read_timeout(Some(MOMENT)).expect("a timeout");
    let request = produce_request("t", 0, 1, batch(&[&[7; 200_000]], None));
    let request = waiter.frame(&request, 9);
    // It fits into the sockets' buffers or does not; either way nobody may wait for it here.
    waiter.socket.set_nonblocking(true).expect("a socket");
    let mut sent = 0;
    let deadline = Instant::now() + PATIENCE;
    let mut push = |sent: &mut usize, until: Instant| {
        while *sent < request.len() && Instant::now() < until {
            match waiter.socket.write(&request[*sent..]) {
                Ok(count) => *sent += count,
                Err(_) => std::thread::park_timeout(Duration::from_millis(5)),
            }
        }
        let mut byte = [0; 1];
        waiter.socket.peek(&mut byte).is_ok_and(|count| count > 0)
    };
    let moment = Instant::now() + MOMENT;
    while Instant::now() < moment {
        assert!(!push(&mut sent, moment), "answered although the memory is taken");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    drop(holder);
    while !push(&mut sent, deadline) {
        assert!(Instant::now() < deadline, "not answered although the memory is free");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_connection_without_traffic_is_closed() {
    let node = Node::start(&["connections.max.idle.ms=400"]);
    let start = Instant::now();
    let mut client = node.client();
    let request = ApiVersionsRequest::default();
    let answered: Option<ApiVersionsResponse> = client.try_request(&request, 0);
    assert!(answered.is_some());
    let mut byte = [0; 1];
    assert_eq!(client.socket.read(&mut byte).expect("closed, not timed out"), 0);
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
    let node = Node::start(&["connections.max.idle.ms=-1"]);
    let mut client = node.client();
    client.socket.set_read_timeout(Some(MOMENT)).expect("a timeout");
    assert!(client.socket.read(&mut byte).is_err(), "closed although it may idle");
    assert!(served(&mut client));
}

/// Makes io_uring_setup(2) fail as Docker's default seccomp profile does, then becomes its
/// arguments.
const WITHOUT_URING: &str = r#"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
statement = lambda code, true, false, k: struct.pack("HBBI", code, true, false, k)
IO_URING_SETUP, EPERM = 425, 1
program = (statement(0x20, 0, 0, 0) + statement(0x15, 0, 1, IO_URING_SETUP)
           + statement(0x06, 0, 0, 0x00050000 | EPERM) + statement(0x06, 0, 0, 0x7fff0000))
code = ctypes.create_string_buffer(program)
filters = struct.pack("HxxxxxxP", 4, ctypes.addressof(code))
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.c_char_p(filters), 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn where_io_uring_is_refused_a_node_runs_on_epoll() {
    if !have("Python 3", Command::new("python3").arg("-V")) {
        return;
    }
    let mut node = Node::prepare(&[]);
    node.edit_properties(|line| !line.starts_with("ringlog.io.driver"));
    node.format();
    let script = node.dir.path().join("without_uring.py");
    std::fs::write(&script, WITHOUT_URING).expect("writable");
    node.limits = format!("exec python3 {} \"$0\" start \"$1\";", script.display());
    node.restart();
    assert!(node.log().contains("io_uring_not_available"), "{}", node.log());
    assert!(node.log().contains("driver=\"epoll"), "{}", node.log());
    let mut client = node.client();
    client.create_topic("t", 4, &[]);
    for partition in 0..4 {
        assert_eq!(client.produce("t", partition, -1, batch(&[b"v"], None)).error, 0);
        assert!(!client.fetch("t", partition, 0).1.is_empty());
    }
    assert_eq!(node.stop(), 0);
    // Who asks for it and nothing else is told.
    let properties = std::fs::read_to_string(&node.properties).expect("readable");
    std::fs::write(&node.properties, properties + "ringlog.io.driver=io_uring\n").expect("written");
    assert!(node.try_restart().is_some_and(|status| !status.success()));
    assert!(node.log().contains("io_uring cannot be set up"), "{}", node.log());
}
