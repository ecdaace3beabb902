//! A proxy that swallows answers: what a broker did is done, and its client does not know.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Forwards connections to a broker. Of each of the first few it passes on some pieces of answers,
/// drops the next one, and cuts the connection.
pub struct Proxy {
    listener: TcpListener,
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    pub fn bind() -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        Proxy { listener, cuts: Arc::default() }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("bound").port()
    }

    /// Connections cut so far.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }

    /// Serves until the test ends: connection number `n` is cut after `passed` pieces if it is one
    /// of the first `cut_max`.
    pub fn serve(&self, broker_port: u16, cut_max: usize, passed: usize) {
        let listener = self.listener.try_clone().expect("a second handle");
        let cuts = Arc::clone(&self.cuts);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a connection");
                let broker = TcpStream::connect(("127.0.0.1", broker_port)).expect("the broker");
                let (from, to) = (client.try_clone().expect("a handle"), broker.try_clone());
                let to = to.expect("a handle");
                thread::spawn(move || forward(from, to, || false));
                let (cuts, mut left) = (Arc::clone(&cuts), passed);
                thread::spawn(move || {
                    forward(broker, client, || {
                        left = left.wrapping_sub(1);
                        // The counter is taken and raised at once: threads race for the cuts.
                        left == usize::MAX
                            && cuts
                                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |cuts| {
                                    (cuts < cut_max).then_some(cuts + 1)
                                })
                                .is_ok()
                    });
                });
            }
        });
    }
}

/// Moves bytes until one side ends, or `cut` says so before a piece is passed on.
fn forward(mut from: TcpStream, mut to: TcpStream, mut cut: impl FnMut() -> bool) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        if cut() || to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    // Either end may be gone already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
