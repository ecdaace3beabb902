//! Reports and exports of results that were measured before, and the page in a real browser.

#![allow(clippy::disallowed_methods, reason = "tests start processes and read files")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::PROGRAM;

const PROFILE: &str = r#"
title = "A grid"
description = "For the page."
[topic]
partitions = 3
[records]
value_bytes = 100
[measure]
warmup_seconds = 0.25
seconds = 0.25
rounds = 2
[[load]]
mode = "closed"
[[load]]
mode = "open"
rate = 500
[[load]]
mode = "open"
rate = 1000
[[load]]
mode = "open"
rate = 2000
[sweep.producer]
"batch.size" = [16384, 100000]
"linger.ms" = [0, 5]
"#;
/// A phone's width.
const NARROW: u32 = 390;

fn bench(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.current_dir(dir).args(args).stdin(Stdio::null()).output().expect("it runs")
}

fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_report_is_built_again_from_its_folder_and_exported() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("grid.toml"), PROFILE).expect("a profile");
    fs::create_dir(dir.path().join("data")).expect("a folder");
    let run = |target: &str, out: &str| {
        let args = ["run", "grid.toml", "--data-dir", "data", "--target", target, "--out", out];
        ok(&bench(dir.path(), &args));
    };
    run("null", "null");
    let page = dir.path().join("null/report.html");
    let first = fs::read_to_string(&page).expect("a report");
    for part in ["Throughput over two axes", "class=\"heat\"", "Latency by load", "At a glance"] {
        assert!(first.contains(part), "{part}");
    }
    fs::remove_file(&page).expect("removed");
    ok(&bench(dir.path(), &["report", "null"]));
    let again = fs::read_to_string(&page).expect("a report");
    for part in ["<h2>At a glance</h2>", "<h2>Result</h2>", "<h2>Latency</h2>"] {
        let section = |html: &str| {
            let at = html.find(part).unwrap_or_else(|| panic!("{part} is missing"));
            let end = html[at..].find("</section>").expect("an end");
            html[at..at + end].to_owned()
        };
        let (one, other) = (section(&first), section(&again));
        // The logs round differently than what was measured, so numbers have other digits.
        let words = |html: &str| html.replace(|c: char| c.is_numeric() || "+-.,".contains(c), "");
        assert_eq!(words(&one), words(&other), "{part}");
    }
    both_on_one_page(dir.path());
    exports(dir.path());
    in_a_browser(dir.path());
}

fn both_on_one_page(dir: &Path) {
    let copy = dir.join("copy");
    fs::create_dir(&copy).expect("a folder");
    for entry in fs::read_dir(dir.join("null")).expect("there").flatten() {
        fs::copy(entry.path(), copy.join(entry.file_name())).expect("copied");
    }
    let out = dir.join("both.html");
    ok(&bench(dir, &["report", "null", "copy", "--out", "both.html"]));
    let html = fs::read_to_string(out).expect("a page");
    assert!(html.contains("Which is faster") && html.contains("not distinguishable"));
    for outside in ["http:", "https:", "src=", "<link", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
    let output = bench(dir, &["report", "none"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("none is no folder"), "{stderr}");
}

fn exports(dir: &Path) {
    let csv = ok(&bench(dir, &["export", "null"]));
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 1 + 4 * 4 * 2, "{csv}");
    let columns = lines[0].split(',').count();
    assert!(lines.iter().all(|line| line.split(',').count() == columns), "{csv}");
    assert!(lines[1].starts_with("null,none,batch.size=16384 linger.ms=0,produce,native,closed,"));
    let json = ok(&bench(dir, &["export", "null", "--format", "openmessaging"]));
    let all: Vec<Value> = serde_json::from_str(&json).expect("JSON");
    assert_eq!(all.len(), 4 * 4);
    for document in &all {
        for key in ["publishRate", "aggregatedPublishLatency99pct", "aggregatedPublishLatencyMax"] {
            assert!(!document[key].is_null(), "{key}: {document}");
        }
        let p50 = document["aggregatedPublishLatency50pct"].as_f64().expect("a number");
        let p99 = document["aggregatedPublishLatency99pct"].as_f64().expect("a number");
        assert!(p50 > 0.0 && p50 <= p99 && document["messageSize"] == 100, "{document}");
    }
}

/// What a page is asked in the browser, at the width of a phone.
const ASKED: &str = r#"
onload = () => {
  const d = document.getElementById('f').contentDocument;
  const all = selector => [...d.querySelectorAll(selector)];
  const text = e => e.textContent.trim();
  const unique = list => new Set(list).size === list.length;
  const stroke = e => d.defaultView.getComputedStyle(e).stroke;
  const width = d.scrollingElement.clientWidth;
  const box = e => e.getBoundingClientRect();
  const inside = e => box(e).left >= -1 && box(e).right <= width + 1;
  const out = selector => all(selector).filter(e => !inside(e)).map(text).slice(0, 3);
  // Every line has the colour of its target, which is a part of its name.
  const colours = {}, targets = new Set(all('.dotrow > span').map(text));
  for (const line of all('figure path.line')) {
    const target = line.dataset.name.split(', ').find(part => targets.has(part));
    (colours[target] ||= new Set()).add(stroke(line));
  }
  const apart = list => list.every((e, i) => !i || box(e).left >= box(list[i - 1]).right);
  const label = e => e.getAttribute('aria-label') || e.getAttribute('aria-labelledby');
  const style = e => e.getAttribute('class');
  document.getElementById('said').textContent = JSON.stringify({
    width: d.scrollingElement.scrollWidth,
    figures: all('figure').length,
    legends: all('.legend').every(l => unique([...l.children].map(text))),
    drawn_as_said: all('figure').every(f => {
      const lines = [...f.querySelectorAll('path.line')];
      const keys = [...f.querySelectorAll('.legend path')];
      return lines.every((line, i) => style(line) === 'line ' + style(keys[i]));
    }),
    one_colour: Object.values(colours).every(found => found.size === 1),
    colours: unique(Object.values(colours).map(found => [...found][0])),
    out: [...out('.dotrow *'), ...out('.verdict li'), ...out('.cards td'), ...out('.legend li')],
    labels_apart: all('.dotaxis > div').every(axis => apart([...axis.children])),
    titles: unique(all('figcaption').map(c => c.firstChild.textContent)),
    ids: unique(all('[id]').map(e => e.id)),
    reachable: all('.scroll').every(e => e.tabIndex === 0 && e.getAttribute('aria-label')),
    named: all('[role=img]').every(label),
  });
};"#;

/// The page in headless Chromium: what is drawn is what is said, and at the width of a phone
/// nothing sticks out.
fn in_a_browser(dir: &Path) {
    let there = |name: &&str| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(there)
    else {
        assert!(
            std::env::var("RINGLOG_REQUIRE_INTEROP").is_err(),
            "no Chromium: RINGLOG_REQUIRE_INTEROP allows no test to be skipped"
        );
        eprintln!("SKIPPED: no Chromium here; Debian: apt-get install chromium");
        return;
    };
    let html = fs::read_to_string(dir.join("both.html")).expect("a page");
    let escaped = html.replace('&', "&amp;").replace('"', "&quot;");
    let wrapper = format!(
        "<!doctype html><title>t</title><iframe id=\"f\" width=\"{NARROW}\" height=\"844\" \
         style=\"border:0\" srcdoc=\"{escaped}\"></iframe><p id=\"said\"></p><script>{ASKED}\
         </script>"
    );
    fs::write(dir.join("narrow.html"), wrapper).expect("written");
    let url = format!("file://{}", dir.join("narrow.html").display());
    let profile = format!("--user-data-dir={}", dir.join("browser").display());
    let flags = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"];
    let output = Command::new(browser).args(flags).args([&profile, &url]).output();
    let dom = String::from_utf8_lossy(&output.expect("it runs").stdout).into_owned();
    let said = dom.split_once("<p id=\"said\">").and_then(|(_, rest)| rest.split_once("</p>"));
    let (said, _) = said.unwrap_or_else(|| panic!("no answer: {dom}"));
    let said: Value = serde_json::from_str(&said.replace("&quot;", "\"")).expect("JSON");
    assert!(said["width"].as_u64().is_some_and(|width| width <= u64::from(NARROW)), "{said}");
    assert!(said["figures"].as_u64().is_some_and(|figures| figures >= 4), "{said}");
    assert_eq!(said["out"], serde_json::json!([]), "{said}");
    for holds in [
        "legends",
        "drawn_as_said",
        "one_colour",
        "colours",
        "labels_apart",
        "titles",
        "ids",
        "reachable",
        "named",
    ] {
        assert_eq!(said[holds], true, "{holds}: {said}");
    }
}
