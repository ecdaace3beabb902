//! Generates docs/config.md from the table of keys.

use std::fmt::Write;

use super::key::{ConfigKey, DefaultValue, Effect, Scope};
use super::keys::{self, Resource, SECTIONS, Section};
use super::synonyms;

const HEAD: &str = "\
# Configuration

<!-- Generated from node/src/config/keys/ - see node/src/config/markdown.rs. Do not edit. -->

Ringlog uses the configuration keys of Apache Kafka 4.1. They are set in the same file,
`server.properties`, and with the same tools. This page lists all of them, and Ringlog's own keys,
which begin with `ringlog.`. An unknown key is ignored with a warning.

- **Default** is the value of a key that is not set. `null` means no value.
- **Change** says how a broker key can be changed. `read-only`: by a restart. `per-broker`: at run
  time, for one broker. `cluster-wide`: at run time, for one broker or as the default of all
  brokers. `dynamic only`: only at run time, not in the file.
- **Effect** is `yes` if the key does what its meaning says. All other keys are checked, stored and
  shown as in Kafka, but do nothing. The column gives the reason.

A broker takes the first value that is set, in this order: at run time for this broker, at run time
for all brokers, in the file, the default. A topic takes its own value if it is set, otherwise the
broker's value of the key under *Broker key*.
";

/// The text of docs/config.md.
pub fn render_markdown() -> String {
    let mut page = HEAD.to_string();
    render_counts(&mut page);
    for section in SECTIONS {
        render_section(&mut page, section);
    }
    page
}

fn render_counts(page: &mut String) {
    page.push_str("\n| resource | keys | keys with effect |\n|---|---|---|\n");
    let resources = [
        ("broker", Resource::Broker),
        ("topic", Resource::Topic),
        ("group", Resource::Group),
        ("client metrics subscription", Resource::ClientMetrics),
    ];
    for (name, resource) in resources {
        let keys: Vec<&ConfigKey> = keys::all(resource).collect();
        let acting = keys.iter().filter(|key| key.effect == Effect::Acts).count();
        line(page, format_args!("| {name} | {} | {acting} |", keys.len()));
    }
}

fn render_section(page: &mut String, section: &Section) {
    let topics = section.keys.iter().any(|key| key.scope == Scope::Topic);
    let (fifth, rule) = if topics { ("Broker key", "---|") } else { ("Change", "---|") };
    line(page, format_args!("\n## {}\n\n{}\n", section.title, section.intro));
    line(page, format_args!("| Key | Type | Default | Valid | {fifth} | Effect | Meaning |"));
    line(page, format_args!("|---|---|---|---|{rule}---|---|"));
    for key in section.keys {
        let change = if topics { broker_keys(key) } else { key.scope.name().to_string() };
        let internal = if key.internal { " (internal)" } else { "" };
        line(
            page,
            format_args!(
                "| `{}`{internal} | {} | {} | {} | {change} | {} | {} |",
                key.name,
                key.kind.name().to_lowercase(),
                default(key),
                cell(&key.valid.to_string()),
                effect(key),
                cell(key.doc)
            ),
        );
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a String takes everything");
}

/// Escapes what would end a table cell or begin a tag.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn default(key: &ConfigKey) -> String {
    match key.default {
        DefaultValue::Required => "required".to_string(),
        DefaultValue::Null => "null".to_string(),
        DefaultValue::Text("") => "empty".to_string(),
        DefaultValue::Text(text) => format!("`{text}`"),
    }
}

fn broker_keys(key: &ConfigKey) -> String {
    let names: Vec<String> =
        synonyms::of_topic_key(key.name).iter().map(|(name, _)| format!("`{name}`")).collect();
    names.join(", ")
}

fn effect(key: &ConfigKey) -> String {
    match key.effect {
        Effect::Acts => "yes".to_string(),
        Effect::Stored(reason) => cell(reason),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the test compares a file of the repository")]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/config.md");
        let page = render_markdown();
        if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
            std::fs::write(path, &page).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == page,
            "docs/config.md is out of date: run this test with UPDATE=1 to rewrite it"
        );
    }

    #[test]
    fn every_key_has_a_row() {
        let page = render_markdown();
        for key in SECTIONS.iter().flat_map(|section| section.keys) {
            assert!(page.contains(&format!("| `{}`", key.name)), "{}", key.name);
        }
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        rows.for_each(|row| assert_eq!(columns(row), 8, "{row}"));
    }
}
