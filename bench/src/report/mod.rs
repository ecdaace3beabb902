//! report.html: a run as a page that needs nothing from anywhere else.

mod chart;
mod host;
mod page;
mod plots;
mod tables;

use std::fmt::Write;

use crate::profile::Mode;
use crate::results::RunResult;
use page::escape;
use plots::OverTime;

/// Digits of a commit.
const COMMIT_SHOWN: usize = 12;
const STYLE: &str = include_str!("style.css");

/// The page.
pub fn render(result: &RunResult) -> String {
    let profile = &result.profile.profile;
    let env = &result.env;
    let title = escape(&profile.title);
    let (target, durability) = (escape(&env.target), escape(&env.durability));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}: {target}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n\
         <p class=\"durability\"><strong>Durability: {durability}.</strong> {}</p>\n",
        meaning(&env.durability)
    );
    // As much of the commit as git itself shows; env.json has all of it.
    let commit = env.versions.commit.map_or(String::new(), |commit| {
        let (id, changed) =
            commit.split_once('-').map_or((commit, ""), |(id, _)| (id, " and changes"));
        format!(", commit {}{changed}", &id[..id.len().min(COMMIT_SHOWN)])
    });
    let _ = writeln!(
        html,
        "<p class=\"soft\">Target {target}, profile {}, {}. ringlog-bench {} ({} build{}).</p>",
        escape(&env.profile),
        escape(&env.started),
        escape(env.versions.ringlog),
        escape(env.versions.build),
        escape(&commit),
    );
    let _ = writeln!(html, "<p>{}</p>", escape(profile.description.trim()));
    let _ = writeln!(
        html,
        "<p class=\"soft\">Each load warms up for {} s and is measured for {} s.</p>",
        env.warmup_seconds, env.seconds
    );
    section(&mut html, "Result", &tables::results(result));
    section(&mut html, "Throughput", &tables::throughput(result));
    charts(&mut html, "Latency", result, |result, mode| plots::percentiles(&result.measured, mode));
    charts(&mut html, "Throughput over time", result, |result, mode| {
        plots::over_time(&result.measured, mode, OverTime::Throughput)
    });
    charts(&mut html, "Latency over time", result, |result, mode| {
        plots::over_time(&result.measured, mode, OverTime::Latency)
    });
    section(&mut html, "The producer's own metrics", &tables::client_metrics(result));
    section(&mut html, "Host", &host::render(&env.host, &env.versions));
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

/// What an acknowledgement is worth, in words.
fn meaning(durability: &str) -> &'static str {
    match durability {
        "sync" => "A record is acknowledged when it is on the platter: it survives a power cut.",
        "replicated" => {
            "A record is acknowledged when it is in the memory of the in-sync replicas: it \
             survives the end of the process, not a power cut of all of them."
        }
        "none" => "Nothing is stored: this is what the load generator reaches by itself.",
        _ => "The broker does not say what its acknowledgement means.",
    }
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
    let drawn = [Mode::Closed, Mode::Open].into_iter().filter_map(|mode| chart(result, mode));
    let drawn: String = drawn.map(|chart| chart.render()).collect();
    if !drawn.is_empty() {
        section(html, title, &format!("<div class=\"charts\">\n{drawn}</div>\n"));
    }
}

#[cfg(test)]
mod tests;
