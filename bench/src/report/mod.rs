//! report.html: a run as a page that needs nothing from anywhere else. The verdict comes first.

mod chart;
mod dots;
mod entry;
mod host;
mod lines;
mod notes;
mod page;
mod picture;
mod tables;

use std::fmt::Write;

use crate::client::Durability;
use crate::compare::Comparison;
use crate::figures::figure;
use crate::profile::Mode;
use crate::results::RunResult;
use crate::stats::{Interval, mean_interval};
use entry::{Differences, Entry, entries, panel_title, panels};
use lines::OverTime;
use page::escape;

pub use picture::{DARK, LIGHT, Theme};

/// Digits of a commit.
const COMMIT_SHOWN: usize = 12;
/// More pictures than this are folded away.
const OPEN_MAX: usize = 6;
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page of a result, or of several side by side, with what comparing them has said.
pub fn render(results: &[RunResult], comparison: Option<&Comparison>) -> String {
    let results = &told_apart(results);
    let Some(first) = results.first() else { return String::new() };
    let all = entries(results);
    let profile = &first.profile.profile;
    let title = escape(&profile.title);
    let targets: Vec<String> = results.iter().map(|result| escape(&result.env.target)).collect();
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n",
        targets.join(", ")
    );
    verdict(&mut html, &all, comparison);
    introduce(&mut html, results, &all);
    let _ = writeln!(html, "<p>{}</p>", escape(profile.description.trim()));
    let dots: String = dots::glance(&all).iter().map(dots::DotPlot::render).collect();
    section(&mut html, "At a glance", &dots);
    if let Some(comparison) = comparison {
        section(&mut html, "Which is faster", &tables::comparison(comparison));
    }
    section(&mut html, "Result", &tables::results(results, &all));
    if let Some(maps) = tables::heat_maps(&all) {
        section(&mut html, "Throughput over two axes", &maps);
    }
    if let Some(chart) = lines::load_latency(&all) {
        let chart = format!("<div class=\"charts\">\n{}</div>\n", chart.render());
        section(&mut html, "Latency by load", &chart);
    }
    pictures(&mut html, &all);
    if let Some(floors) = tables::floors(results, &all) {
        section(&mut html, "Floors", &floors);
    }
    if let Some(table) = tables::who_pays(&all) {
        section(&mut html, "Who pays", &table);
    }
    section(&mut html, "The client's own metrics", &tables::client_metrics(results, &all));
    let notes = notes::not_claimed(results, &all);
    if !notes.is_empty() {
        let list: String =
            notes.iter().map(|note| format!("<li>{}</li>\n", escape(note))).collect();
        section(&mut html, "What is not claimed", &format!("<ul>\n{list}</ul>\n"));
    }
    section(&mut html, "Host", &host::render(&first.env.host, &first.env.versions));
    let _ = write!(html, "</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    html
}

/// The picture of a result's most telling figure, below a headline, for a README.
pub fn picture(results: &[RunResult], headline: &str, theme: Theme) -> Option<String> {
    let results = told_apart(results);
    let all = entries(&results);
    let plots = dots::glance(&all);
    plots.first().map(|plot| picture::svg(plot, headline, theme))
}

/// Results of the same target, at two times, have names of their own.
fn told_apart(results: &[RunResult]) -> Vec<RunResult> {
    let mut all = results.to_vec();
    for (index, result) in all.iter_mut().enumerate() {
        let name = &results[index].env.target;
        if results.iter().filter(|other| other.env.target == *name).count() > 1 {
            result.env.target = format!("{name} ({})", index + 1);
        }
    }
    all
}

/// What was found, in sentences: of two targets which is faster, of one what it reached.
fn verdict(html: &mut String, all: &[Entry<'_>], comparison: Option<&Comparison>) {
    let sentences = match comparison.map(|comparison| &comparison.sentences) {
        Some(sentences) if !sentences.is_empty() => sentences.clone(),
        _ => all.iter().filter_map(reached).collect(),
    };
    html.push_str("<ul class=\"verdict\">\n");
    for sentence in sentences {
        let _ = writeln!(html, "<li>{}</li>", escape(&sentence));
    }
    html.push_str("</ul>\n");
}

/// `ringlog, 16384/0: 3.5 M records/s (3.4 to 3.6), sync`.
fn reached(entry: &Entry<'_>) -> Option<String> {
    let measured = entry.measured;
    let values: Vec<f64> = measured.counted().map(|round| round.records_per_second).collect();
    let wide =
        |interval: Interval| format!(" ({} to {})", figure(interval.low), figure(interval.high));
    let interval = mean_interval(&values).map_or(String::new(), wide);
    let rate = measured.records_per_second();
    (measured.mode != Mode::Open && rate > 0.0).then(|| {
        format!(
            "{}, {}: {} records/s{interval}, durability {}.",
            entry.target,
            measured.title(),
            figure(rate),
            measured.durability
        )
    })
}

/// What was measured, on what, and what its acknowledgements mean: before any figure.
fn introduce(html: &mut String, results: &[RunResult], all: &[Entry<'_>]) {
    let mut promises: Vec<Durability> = all.iter().map(|e| e.measured.durability).collect();
    promises.extend(results.iter().filter(|_| all.is_empty()).map(|r| r.env.durability));
    promises.sort_unstable();
    promises.dedup();
    for durability in promises.iter().rev() {
        let _ = writeln!(
            html,
            "<p class=\"durability\"><strong>Durability: {durability}.</strong> {}</p>",
            durability.meaning()
        );
    }
    if let Some(first) = results.first() {
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(&host::in_a_line(&first.env)));
    }
    for result in results {
        let env = &result.env;
        if let Some(why) = &result.partial {
            let why = escape(why);
            let _ = writeln!(html, "<p class=\"partial\"><strong>Not whole:</strong> {why}</p>");
        }
        // As much of the commit as git itself shows; env.json has all of it.
        let commit = env.versions.commit.as_ref().map_or(String::new(), |commit| {
            let (id, changed) = commit
                .split_once('-')
                .map_or((commit.as_str(), ""), |(id, _)| (id, " and changes"));
            format!(", commit {}{changed}", &id[..id.len().min(COMMIT_SHOWN)])
        });
        let software = env.target_software.as_ref().map_or(String::new(), |s| format!(" ({s})"));
        let _ = writeln!(
            html,
            "<p class=\"soft\">{}{}: profile {}, {}, {} rounds of {} s. ringlog-bench {} ({} \
             build{}).</p>",
            escape(&env.target),
            escape(&software),
            escape(&env.profile),
            escape(&env.started),
            env.rounds,
            env.seconds,
            escape(&env.versions.ringlog),
            escape(&env.versions.build),
            escape(&commit),
        );
    }
}

/// Latency by percentile and how rounds went, a picture for each experiment.
fn pictures(html: &mut String, all: &[Entry<'_>]) {
    let among = Differences::among(all);
    let panels = panels(all);
    let titled = || {
        panels
            .iter()
            .enumerate()
            .map(|(index, panel)| (format!("{}", index + 1), panel_title(panel, among), panel))
    };
    let percentiles: Vec<String> = titled()
        .filter_map(|(id, title, panel)| lines::percentiles(&id, &title, panel))
        .map(|chart| chart.render())
        .collect();
    charts(html, "Latency", &percentiles);
    for (title, what) in
        [("Rate over time", OverTime::Throughput), ("Latency over time", OverTime::Latency)]
    {
        let drawn: Vec<String> = titled()
            .filter_map(|(id, title, panel)| lines::over_time(&id, &title, panel, what))
            .map(|chart| chart.render())
            .collect();
        charts(html, title, &drawn);
    }
}

fn charts(html: &mut String, title: &str, drawn: &[String]) {
    if drawn.is_empty() {
        return;
    }
    let (open, folded) = drawn.split_at(drawn.len().min(OPEN_MAX));
    let mut content = format!("<div class=\"charts\">\n{}</div>\n", open.concat());
    if !folded.is_empty() {
        let _ = write!(
            content,
            "<details class=\"more\"><summary>{} more</summary>\n<div class=\"charts\">\n{}\
             </div></details>\n",
            folded.len(),
            folded.concat()
        );
    }
    section(html, title, &content);
}

fn section(html: &mut String, title: &str, content: &str) {
    if !content.is_empty() {
        let _ = writeln!(html, "<section>\n<h2>{}</h2>\n{content}</section>", escape(title));
    }
}

#[cfg(test)]
mod tests;
