//! Members of groups in masses, in miniature: they settle on a real node under both protocols, and
//! the producer is heard meanwhile.

mod support;

use ringlog_bench::groups::{self, GroupProtocol, GroupsOptions};
use support::{node, on_shard};

#[test]
fn groups_settle_twice_and_a_producer_is_heard() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().to_owned();
    let target = on_shard(|shard| async move {
        let properties = [
            ("group.initial.rebalance.delay.ms", "100"),
            ("group.consumer.heartbeat.interval.ms", "200"),
            ("group.consumer.min.heartbeat.interval.ms", "200"),
        ];
        node(&shard, &path, &properties).await
    });
    for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
        let report = groups::run(&GroupsOptions {
            bootstrap: target.bootstrap.clone(),
            pid: None,
            protocol,
            members: 12,
            groups: 4,
            partitions: 6,
            heartbeat_ms: 50,
            quiet_ms: 100,
        });
        let report = report.expect("they settle");
        assert!(report.join.generations >= 1, "{report:?}");
        assert!(report.rebalance.generations > report.join.generations, "{report:?}");
        assert!(report.join.requests >= 12 && report.rebalance.requests >= 16, "{report:?}");
        for phase in [&report.quiet, &report.join, &report.rebalance] {
            assert!(phase.seconds > 0.0 && phase.produce_p50_ms <= phase.produce_max_ms);
        }
        assert!(report.quiet.records > 0 && report.quiet.produce_p50_ms > 0.0, "{report:?}");
    }
}
