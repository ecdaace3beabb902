//! report.html: a run as a page that needs nothing from anywhere else.

mod chart;
mod host;
mod page;
mod plots;
mod tables;

use std::fmt::Write;

use crate::compare::Comparison;
use crate::profile::{Driver, Mode};
use crate::results::RunResult;
use page::escape;
use plots::OverTime;

/// Digits of a commit.
const COMMIT_SHOWN: usize = 12;
const STYLE: &str = include_str!("style.css");

/// The page of a result, or of several side by side, with what comparing them has said.
pub fn render(results: &[RunResult], comparison: Option<&Comparison>) -> String {
    let Some(first) = results.first() else { return String::new() };
    let merged;
    let result = match results {
        [one] => one,
        several => {
            merged = merge(several);
            &merged
        }
    };
    let profile = &result.profile.profile;
    let title = escape(&profile.title);
    let targets: Vec<String> = results.iter().map(|result| escape(&result.env.target)).collect();
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n",
        targets.join(", ")
    );
    for result in results {
        introduce(&mut html, result);
    }
    let _ = writeln!(html, "<p>{}</p>", escape(profile.description.trim()));
    let _ = writeln!(
        html,
        "<p class=\"soft\">Each load warms up for {} s at least and is measured for {} s, {}.</p>",
        first.env.warmup_seconds,
        first.env.seconds,
        match first.env.rounds {
            1 => "once".to_owned(),
            rounds => format!("in {rounds} rounds"),
        }
    );
    if let Some(comparison) = comparison {
        section(&mut html, "Which is faster", &tables::comparison(comparison));
    }
    section(&mut html, "Result", &tables::results(result));
    section(&mut html, "Throughput", &tables::throughput(result));
    if let Some(map) = tables::heat_map(&result.measured) {
        section(&mut html, "Throughput over two axes", &map);
    }
    if let Some(chart) = plots::load_latency(&result.measured) {
        let chart = format!("<div class=\"charts\">\n{}</div>\n", chart.render());
        section(&mut html, "Latency against load", &chart);
    }
    charts(&mut html, "Latency", result, |result, mode| plots::percentiles(&result.measured, mode));
    charts(&mut html, "Throughput over time", result, |result, mode| {
        plots::over_time(&result.measured, mode, OverTime::Throughput)
    });
    charts(&mut html, "Latency over time", result, |result, mode| {
        plots::over_time(&result.measured, mode, OverTime::Latency)
    });
    if let Some(bars) = tables::cpu(&result.measured) {
        section(&mut html, "Processor time of the broker", &bars);
    }
    section(&mut html, "The client's own metrics", &tables::client_metrics(result));
    section(&mut html, "Host", &host::render(&first.env.host, &first.env.versions));
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

/// What was measured, and what its acknowledgements mean: before any figure.
fn introduce(html: &mut String, result: &RunResult) {
    let env = &result.env;
    let (target, durability) = (escape(&env.target), env.durability);
    let _ = writeln!(
        html,
        "<p class=\"durability\"><strong>Durability: {durability}</strong> ({target}). {}</p>",
        env.durability.meaning()
    );
    if let Some(why) = &result.partial {
        let why = escape(why);
        let _ = writeln!(html, "<p class=\"partial\"><strong>Not whole:</strong> {why}</p>");
    }
    // As much of the commit as git itself shows; env.json has all of it.
    let commit = env.versions.commit.as_ref().map_or(String::new(), |commit| {
        let (id, changed) =
            commit.split_once('-').map_or((commit.as_str(), ""), |(id, _)| (id, " and changes"));
        format!(", commit {}{changed}", &id[..id.len().min(COMMIT_SHOWN)])
    });
    let software = env.target_software.as_ref().map_or(String::new(), |s| format!(" ({s})"));
    let _ = writeln!(
        html,
        "<p class=\"soft\">Target {target}{}, profile {}, {}. ringlog-bench {} ({} build{}).</p>",
        escape(&software),
        escape(&env.profile),
        escape(&env.started),
        escape(&env.versions.ringlog),
        escape(&env.versions.build),
        escape(&commit),
    );
}

/// Several results as one, experiment by experiment, each named by its target, and by its driver
/// where that is another than this program.
fn merge(results: &[RunResult]) -> RunResult {
    let mut merged = results[0].clone();
    merged.measured.clear();
    let mut names: Vec<&str> = Vec::new();
    for measured in results.iter().flat_map(|result| &result.measured) {
        if !names.contains(&measured.name.as_str()) {
            names.push(&measured.name);
        }
    }
    for name in names {
        for (number, result) in results.iter().enumerate() {
            for measured in result.measured.iter().filter(|measured| measured.name == name) {
                let mut measured = measured.clone();
                let driver = match measured.driver {
                    Driver::Native => String::new(),
                    driver => format!(", {}", driver.name()),
                };
                measured.name = format!("{name}, {}{driver}", result.env.target);
                // The reference is beside the first of them.
                measured.reference = measured.reference.filter(|_| number == 0);
                merged.measured.push(measured);
            }
        }
    }
    merged
}

fn section(html: &mut String, title: &str, content: &str) {
    let _ = writeln!(html, "<section>\n<h2>{}</h2>\n{content}</section>", escape(title));
}

fn charts(
    html: &mut String,
    title: &str,
    result: &RunResult,
    chart: impl Fn(&RunResult, Mode) -> Option<chart::Chart>,
) {
    let drawn = [Mode::Closed, Mode::Open, Mode::Sustain]
        .into_iter()
        .filter_map(|mode| chart(result, mode));
    let drawn: String = drawn.map(|chart| chart.render()).collect();
    if !drawn.is_empty() {
        section(html, title, &format!("<div class=\"charts\">\n{drawn}</div>\n"));
    }
}

#[cfg(test)]
mod tests;
