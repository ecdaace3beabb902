//! [`Entry`]: one measured load of one target, and how it is told from others on a page.

use std::collections::BTreeSet;

use crate::client::Durability;
use crate::figures::grouped;
use crate::profile::{Driver, Mode};
use crate::results::{Measured, RunResult};

/// So many targets have a colour of their own.
const COLOURS: usize = 6;

/// One measured load of one target.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The target's name.
    pub target: &'a str,
    /// Its colour, which it has everywhere on the page.
    pub colour: usize,
    /// What was measured.
    pub measured: &'a Measured,
}

/// All loads of all targets: experiment by experiment, of each the targets side by side.
pub fn entries(results: &[RunResult]) -> Vec<Entry<'_>> {
    let mut all: Vec<Entry<'_>> = Vec::new();
    for (index, result) in results.iter().enumerate() {
        let colour = index % COLOURS;
        let target = result.env.target.as_str();
        all.extend(result.measured.iter().map(|measured| Entry { target, colour, measured }));
    }
    let mut names: Vec<&str> = Vec::new();
    for entry in &all {
        if !names.contains(&entry.measured.name.as_str()) {
            names.push(&entry.measured.name);
        }
    }
    let place = |entry: &Entry<'_>| names.iter().position(|name| *name == entry.measured.name);
    all.sort_by_key(|entry| (place(entry), entry.measured.durability));
    all
}

/// What sets lines of one picture apart: a legend says that, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Differences {
    target: bool,
    load: bool,
    rate: bool,
    durability: bool,
    driver: bool,
    experiment: bool,
}

impl Differences {
    /// Among these.
    pub fn among(entries: &[Entry<'_>]) -> Differences {
        let several = |of: &dyn Fn(&Entry<'_>) -> String| {
            entries.iter().map(of).collect::<BTreeSet<_>>().len() > 1
        };
        let load = |entry: &Entry<'_>| entry.load().to_owned();
        let rate = |entry: &Entry<'_>| entry.rate().unwrap_or_default();
        Differences {
            target: several(&|entry| entry.target.to_owned()),
            load: several(&load),
            // Rates tell loads of one mode apart.
            rate: entries.iter().any(|entry| entry.rate().is_some())
                && several(&|entry| format!("{} {}", load(entry), rate(entry))),
            durability: several(&|entry| entry.measured.durability.to_string()),
            driver: several(&|entry| entry.measured.driver.name().to_owned()),
            experiment: several(&|entry| entry.measured.name.clone()),
        }
    }

    /// The same, for where the target is written elsewhere.
    #[must_use]
    pub fn without_target(self) -> Differences {
        Differences { target: false, ..self }
    }

    /// The same, where the picture belongs to one experiment already.
    #[must_use]
    pub fn within_panel(self) -> Differences {
        Differences { experiment: false, ..self }
    }

    /// The same, for lines that hold several loads.
    #[must_use]
    pub fn without_load(self) -> Differences {
        Differences { load: false, rate: false, ..self }
    }

    /// What a line is called among the others.
    pub fn name(&self, entry: &Entry<'_>) -> String {
        let measured = entry.measured;
        let rate = entry.rate().map(|rate| format!("at {rate} records/s"));
        let parts = [
            (self.experiment, Some(measured.name.clone())),
            (self.target, Some(entry.target.to_owned())),
            (self.durability, Some(measured.durability.to_string())),
            (self.driver, Some(measured.driver.name().to_owned())),
            (self.load, Some(entry.load().to_owned())),
            (self.rate, rate),
        ];
        let said: Vec<String> =
            parts.into_iter().filter(|(said, _)| *said).filter_map(|(_, part)| part).collect();
        match (said.is_empty(), self.target) {
            (false, _) => said.join(", "),
            (true, true) => entry.target.to_owned(),
            (true, false) => measured.name.clone(),
        }
    }
}

impl Entry<'_> {
    /// Its load in words.
    pub fn load(&self) -> &'static str {
        self.measured.load()
    }

    /// The rate of an open loop.
    fn rate(&self) -> Option<String> {
        self.measured.target_rate.filter(|_| self.measured.mode == Mode::Open).map(grouped)
    }
}

/// Dashes of loads, in the order in which they were run.
const DASHES: [&str; 4] = ["", " dash", " dots", " long"];

impl Entry<'_> {
    /// How its line is drawn among others: colour by target, dash by load.
    pub fn class(&self, among: &[Entry<'_>]) -> String {
        let mut loads: Vec<(&str, Option<String>)> = Vec::new();
        for entry in among {
            let load = (entry.load(), entry.rate().filter(|_| entry.has_own_rate(among)));
            if !loads.contains(&load) {
                loads.push(load);
            }
        }
        let own = (self.load(), self.rate().filter(|_| self.has_own_rate(among)));
        let nth = loads.iter().position(|load| *load == own).unwrap_or(0);
        format!("c{}{}", self.colour, DASHES[nth % DASHES.len()])
    }

    /// Whether its rate tells it from another load of the same target.
    fn has_own_rate(&self, among: &[Entry<'_>]) -> bool {
        let mut rates: Vec<Option<String>> = among
            .iter()
            .filter(|other| other.colour == self.colour && other.load() == self.load())
            .map(Entry::rate)
            .collect();
        rates.sort();
        rates.dedup();
        rates.len() > 1
    }
}

/// Loads of one experiment at one durability by one driver: what is drawn in one picture.
pub fn panels<'a>(entries: &[Entry<'a>]) -> Vec<Vec<Entry<'a>>> {
    let key = |entry: &Entry<'a>| -> (&'a str, Durability, Driver) {
        let measured = entry.measured;
        (&measured.name, promise(measured.durability), measured.driver)
    };
    let mut panels: Vec<Vec<Entry<'a>>> = Vec::new();
    for entry in entries {
        match panels.iter_mut().find(|panel| panel.first().is_some_and(|of| key(of) == key(entry)))
        {
            Some(panel) => panel.push(*entry),
            None => panels.push(vec![*entry]),
        }
    }
    panels
}

/// What stores nothing is drawn beside what does.
fn promise(durability: Durability) -> Durability {
    durability.max(Durability::Replicated)
}

/// What a picture of one panel is called, among others.
pub fn panel_title(panel: &[Entry<'_>], among: Differences) -> String {
    let Some(first) = panel.first() else { return String::new() };
    let durability = panel.iter().map(|entry| entry.measured.durability).max();
    let mut title = first.measured.name.clone();
    if let (true, Some(durability)) = (among.durability, durability) {
        title.push_str(&format!(", {durability}"));
    }
    if among.driver {
        title.push_str(&format!(", {}", first.measured.driver.name()));
    }
    title
}
