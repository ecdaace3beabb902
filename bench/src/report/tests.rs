//! The page as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use ringlog_engine::io::Mono;

use super::*;
use crate::client::Durability;
use crate::figures::{Outcome, Warmup};
use crate::host::{Host, Versions};
use crate::load::Recorder;
use crate::profile::LoadedProfile;
use crate::results::{Env, Measured, Taken};

fn outcome(latencies_ns: &[u64], lost: u64) -> Outcome {
    let mut recording =
        Recorder::new(Mono(0), 0, 1_000_000_000, 250_000_000).finish(Mono(u64::MAX));
    for ns in latencies_ns {
        recording.latency.record(*ns).expect("within bounds");
        recording.series[0].p99_ns = recording.series[0].p99_ns.max(*ns);
        recording.series[0].records += 1;
        recording.records += 1;
    }
    recording.lost = lost;
    if lost > 0 {
        recording.reasons.insert("<why>".to_owned(), lost);
    }
    Outcome {
        durability: Durability::Sync,
        client_metrics: BTreeMap::from([("batch-size-avg".to_owned(), 12_345.0)]),
        ..Outcome::new(0, recording, Warmup { seconds: 1.0, steady: None })
    }
}

fn result(latencies_ns: &[u64], lost: u64) -> RunResult {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/seed-producer.toml");
    let mut profile = LoadedProfile::read(&path).expect("valid");
    profile.profile.title = "A & <b>".to_owned();
    let taken = Taken {
        outcome: outcome(latencies_ns, lost),
        target_rate: None,
        tried: Vec::new(),
        sustained: None,
    };
    let of = |experiment| Measured::of(experiment, Mode::Closed, 0, std::slice::from_ref(&taken));
    let measured = profile.experiments.iter().filter_map(of).collect();
    let env = Env {
        started: "2026-11-21T14:14:31Z".to_owned(),
        profile: "test".to_owned(),
        target: "ringlog".to_owned(),
        target_software: None,
        durability: Durability::Sync,
        warmup_seconds: 1.0,
        seconds: 1.0,
        rounds: 1,
        versions: Versions::of_this_build(),
        host: Host::read(None),
        nodes: 1,
        device_floors: Vec::new(),
        resumed: Vec::new(),
        page_cache: None,
        agents: Vec::new(),
    };
    RunResult { env, profile, measured, partial: None }
}

fn page(result: &RunResult) -> String {
    render(std::slice::from_ref(result), None)
}

#[test]
fn a_page_needs_nothing_from_elsewhere_and_says_durability_first() {
    let html = page(&result(&[1_000_000, 2_000_000, 30_000_000], 0));
    for outside in ["http:", "https:", "src=", "<link", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
    let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(at("Durability: sync") < at("<table"));
    assert!(html.contains("A &amp; &lt;b&gt;") && !html.contains("<b>"));
    // The reference, a metric, the host.
    for text in ["596,303", "12,345", "552,761", "Kernel", "prefers-color-scheme: dark"] {
        at(text);
    }
    // Every picture has a name.
    assert_eq!(
        html.matches("role=\"img\"").count(),
        html.matches("role=\"img\" aria-label").count()
    );
    for tag in ["section", "table", "svg", "figure", "tbody", "tr", "details", "p", "dl", "ul"] {
        let open =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(open, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn what_was_lost_is_said_and_nothing_measured_draws_nothing() {
    let html = page(&result(&[], 7));
    assert!(
        html.contains("7 records lost: &lt;why&gt;") && html.contains("class=\"lost\">ringlog, ")
    );
    for wrong in ["NaN", ">inf", "<figure>"] {
        let at = html.find(wrong).map(|at| &html[at..html.len().min(at + 200)]);
        assert_eq!(at, None, "{wrong}");
    }
    let one = page(&result(&[5_000], 0));
    assert!(one.contains("<figure>") && !one.contains("NaN"));
}
