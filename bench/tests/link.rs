//! A network with delay between the load and a broker. It needs root, for interfaces and a network
//! namespace.

#![allow(clippy::disallowed_methods, reason = "tests start processes and read files")]

mod support;

use support::runs::{number, run};

#[test]
fn an_answer_takes_a_round_trip_and_a_small_window_bounds_the_rate() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root may make interfaces");
        return;
    }
    // What a connection has under way is at most its window: 64 KiB in 20 ms are 3.2 MB/s.
    let profile = "title = \"t\"\n[topic]\npartitions = 1\n[records]\nvalue_bytes = 1000\n\
                   [producer]\n\"batch.size\" = 500000\n\"buffer.memory\" = 4000000\n\
                   [measure]\nwarmup_seconds = 1\nseconds = 1\n[[load]]\nmode = \"closed\"\n\
                   [sweep.link]\nrtt_ms = [0, 20]\n\
                   [sweep.broker]\n\"socket.receive.buffer.bytes\" = [65536, -1]\n";
    let run = run(profile, &[]).ok();
    let found = run.experiments("");
    let of = |rtt: &str, buffer: &str| {
        let is = |axis: &serde_json::Value, key: &str, value: &str| {
            axis["key"] == key && axis["value"] == value
        };
        let mut all = found.iter().filter(|one| {
            let axes = one["axes"].as_array().expect("axes");
            axes.iter().any(|axis| is(axis, "rtt_ms", rtt))
                && axes.iter().any(|axis| is(axis, "socket.receive.buffer.bytes", buffer))
        });
        all.next().expect("an experiment")
    };
    let (small, large) = (of("20", "65536"), of("20", "-1"));
    for far in [small, large] {
        assert!(number(far, "/client_metrics/request-latency-avg") >= 20.0, "{far}");
    }
    let rate = |one| number(one, "/mb_per_second");
    assert!(rate(small) < 8.0, "{small}");
    assert!(rate(large) > 2.0 * rate(small), "{} and {}", rate(large), rate(small));
    assert!(rate(of("0", "65536")) > 2.0 * rate(small), "loopback has no delay");
}
