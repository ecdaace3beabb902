//! What a result does not claim: where its host, its rounds or its generator are not what a reader
//! may take for granted.

use super::entry::Entry;
use crate::figures::figure;
use crate::host::PAUSE_MS_MAX;
use crate::profile::{Driver, Mode};
use crate::results::{Measured, RunResult};
use crate::stats::Trend;

/// A share of the processors' time that is worth a word.
const SHARE_MIN: f64 = 0.02;
/// Pages of a new file that cost so many times what used ones cost.
const PAGES_MIN: f64 = 2.0;

/// In sentences, the most general first.
pub fn not_claimed(results: &[RunResult], entries: &[Entry<'_>]) -> Vec<String> {
    let Some(first) = results.first() else { return Vec::new() };
    let mut all = of_host(first);
    for result in results {
        all.extend(of_memory(result));
    }
    for entry in entries {
        all.extend(of_rounds(entry));
    }
    all.extend(of_loads(entries));
    let mut seen: Vec<String> = Vec::new();
    all.retain(|sentence| {
        let new = !seen.contains(sentence);
        seen.push(sentence.clone());
        new
    });
    all
}

fn of_host(result: &RunResult) -> Vec<String> {
    let host = &result.env.host;
    let mut all = Vec::new();
    if host.virtualised == Some(true) {
        all.push("The machine is virtual: on bare metal figures differ.".to_owned());
    }
    if result.env.agents.is_empty() {
        all.push(format!(
            "The generator shares the machine's {} processors with what it measures.",
            host.cpus_allowed
        ));
    }
    if let Some(data) = &host.data {
        if data.journal == Some(false) {
            all.push(format!(
                "The data's file system ({}) has no journal: where there is one a sync takes \
                 longer.",
                data.kind
            ));
        }
        if data.write_cache.as_deref() == Some("write through") {
            all.push(
                "The data's device says that it has no volatile cache: a sync costs it little."
                    .to_owned(),
            );
        }
    }
    if host.tcp_congestion_control.as_deref() == Some("bbr") {
        all.push(
            "TCP's congestion control is bbr, which holds back by a timer what is sent over the \
             loopback interface too."
                .to_owned(),
        );
    }
    all
}

fn of_memory(result: &RunResult) -> Option<String> {
    let pages = result.env.page_cache.as_ref()?;
    let (new, used) = pages.new_page_us.zip(pages.used_page_us)?;
    let reporting = match pages.free_page_reporting {
        Some(true) => " (free pages are given back to the host)",
        _ => "",
    };
    (new > PAGES_MIN * used).then(|| {
        format!(
            "Memory was mostly free: a page of a new file costs {} µs, a used one {} \
             µs{reporting}. Brokers that write through the page cache pay for new pages.",
            figure(new),
            figure(used)
        )
    })
}

fn of_rounds(entry: &Entry<'_>) -> Vec<String> {
    let measured = entry.measured;
    let name = format!("{}, {}, {}", entry.target, measured.title(), measured.durability);
    let cold = measured.rounds.iter().filter(|round| !round.counted).count();
    let mut all = Vec::new();
    if cold > 0 {
        all.push(format!("{name}: {cold} rounds before it was warm do not count."));
    }
    match measured.trend() {
        Some(Trend::Rising) => all.push(format!("{name}: later rounds are higher.")),
        Some(Trend::Falling) => all.push(format!("{name}: later rounds are lower.")),
        None => {}
    }
    let pause = measured.counted().filter_map(|round| round.machine?.pause_ms_max);
    let pause = pause.fold(0.0, f64::max);
    if pause > PAUSE_MS_MAX {
        all.push(format!("{name}: the machine stood still for up to {} ms.", figure(pause)));
    }
    let seconds = measured.outcome.recording.seconds;
    if let Some(machine) = measured.outcome.machine {
        let shares = [
            (machine.steal_seconds / seconds, "of a processor went to other machines of the host"),
            (
                machine.writeback_seconds / seconds,
                "of a processor went into writing back, which no process is charged for",
            ),
            (machine.others_busy.unwrap_or(0.0), "of a processor went to targets that waited"),
        ];
        for (share, words) in shares {
            if share > SHARE_MIN {
                all.push(format!("{name}: {} % {words}.", figure(share * 100.0)));
            }
        }
    }
    if measured.is_limited_by_generator() == Some(true) {
        all.push(format!("{name}: limited by the generator, the target may be faster."));
    }
    all
}

fn of_loads(entries: &[Entry<'_>]) -> Vec<String> {
    let any = |is: &dyn Fn(&Measured) -> bool| entries.iter().any(|entry| is(entry.measured));
    let mut all = Vec::new();
    if any(&|measured| measured.driver == Driver::Java && measured.mode == Mode::Open) {
        all.push(
            "kafka-producer-perf-test at a rate waits whenever its buffer is full, and its clock \
             begins when it sends: what it calls latency leaves out what had to wait."
                .to_owned(),
        );
    }
    if any(&|measured| measured.driver == Driver::Java) {
        all.push(
            "A Java tool's figures hold the start of its JVM, and whole milliseconds.".to_owned(),
        );
    }
    all
}
