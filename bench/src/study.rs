//! `ringlog-bench study`: the same run again and again. With the same target twice it shows how
//! often a verdict is wrong, and which differences the host can tell (an A/A study); with two
//! targets, between which bounds the next run's ratios will be.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::compare::{Judged, MARGIN, judge_targets};
use crate::figures::{align, short, utc};
use crate::host::{Host, Versions};
use crate::results::{CARD, Card, ResultFolder, VERDICT, command_line, json};
use crate::stats::prediction;

/// What a study is kept in.
const STUDY: &str = "study.json";
const RUNS_MAX: usize = 1_000;
/// What nearly every run can tell: this share of them.
const USUAL: f64 = 0.95;
/// A study is contradicted by more figures beyond their bounds than chance puts there, once in
/// twenty checks.
const CHANCE: f64 = 0.05;

/// A study.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Study {
    /// When it began.
    pub started: String,
    /// The profile's name.
    pub profile: String,
    /// What was measured.
    pub targets: Vec<String>,
    /// Whether both targets are the same, so that every verdict is wrong.
    pub same: bool,
    /// The machine.
    pub host: Host,
    /// This program.
    pub versions: Versions,
    /// What each run was told besides.
    #[serde(default)]
    pub args: Vec<String>,
    /// Runs.
    pub runs: usize,
    /// Each figure of each experiment.
    pub rows: Vec<StudyRow>,
}

/// One figure of an experiment over all runs.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StudyRow {
    /// Experiment, load, durability and figure.
    pub title: String,
    /// B against A in each run.
    pub ratios: Vec<f64>,
    /// The difference, as a factor, that each run would have told apart.
    pub told_from: Vec<f64>,
    /// Runs that said `faster` or `slower`.
    pub verdicts: usize,
    /// Between which bounds the ratio of another run is, 95 times of a hundred.
    pub prediction: Option<(f64, f64)>,
}

/// What is run again and again.
#[derive(Clone, Debug)]
pub struct StudyOptions {
    /// This program, which is executed again for each run.
    pub program: PathBuf,
    /// The profile.
    pub profile: PathBuf,
    /// Two targets, by the names that `run` takes.
    pub targets: Vec<String>,
    /// What else `run` is told.
    pub args: Vec<String>,
    /// Where targets keep their data while they run.
    pub data_dir: PathBuf,
}

impl StudyOptions {
    /// Runs the profile once, from fresh targets. Returns what was said of each figure.
    fn run(&self) -> Result<Vec<Judged>> {
        let dir = tempfile::tempdir().context("a folder for a run")?;
        let path = dir.path().join("run");
        let targets = self.targets.iter().flat_map(|target| ["--target", target]);
        let status = Command::new(&self.program)
            .arg("run")
            .arg(&self.profile)
            .args(targets)
            .args(&self.args)
            .arg("--out")
            .arg(&path)
            .stdout(Stdio::null())
            .status()
            .context("this program cannot be executed again")?;
        ensure!(status.success(), "a run has failed: {status}");
        judge_targets(&path)
    }
}

/// Runs the profile so often, each time from fresh targets.
pub fn study(options: &StudyOptions, runs: usize, out: &Path) -> Result<()> {
    ensure!((2..=RUNS_MAX).contains(&runs), "--runs = {runs}: expected 2 to {RUNS_MAX}");
    ensure!(options.targets.len() == 2, "a study holds two targets against each other: --target");
    let folder = ResultFolder::create(out)?;
    let mut rows: Vec<StudyRow> = Vec::new();
    let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    for number in 0..runs {
        let judged = options.run().with_context(|| format!("run {} of {runs}", number + 1))?;
        judged.into_iter().for_each(|judged| note(&mut rows, judged));
        println!("run {} of {runs} has ended", number + 1);
    }
    for row in &mut rows {
        row.prediction = prediction(&row.ratios);
    }
    let study = Study {
        started: utc(began.as_millis() as i64),
        profile: options.profile.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        targets: options.targets.clone(),
        same: options.targets[0] == options.targets[1],
        host: Host::read(Some(&options.data_dir)),
        versions: Versions::of_this_build(),
        args: options.args.clone(),
        runs,
        rows,
    };
    folder.write(CARD, &json(&study.card())?)?;
    folder.write(STUDY, &json(&study)?)?;
    folder.write(VERDICT, study.verdict().as_bytes())?;
    folder.complete()?;
    println!("\n{}\n{}", study.verdict(), out.display());
    Ok(())
}

/// Runs a study's profile once more, and says whether it is where the study predicts.
pub fn check(options: &StudyOptions, study: &Path) -> Result<()> {
    let file = study.join(STUDY);
    let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    let study: Study =
        serde_json::from_str(&text).with_context(|| format!("{}", file.display()))?;
    let (targets, args) = (study.targets.clone(), study.args.clone());
    let judged = StudyOptions { targets, args, ..options.clone() }.run()?;
    let (mut beyond, mut compared) = (Vec::new(), 0);
    for judged in judged {
        let known = study.rows.iter().find(|row| row.title == judged.title);
        let bounds = known.and_then(|row| row.prediction).zip(judged.ratio);
        let Some(((low, high), ratio)) = bounds else { continue };
        let within = (low..=high).contains(&ratio.estimate);
        compared += 1;
        let shown = format!(
            "{}: {} ({} to {} predicted)",
            judged.title,
            short(ratio.estimate),
            short(low),
            short(high)
        );
        println!("{} {shown}", if within { "within" } else { "BEYOND" });
        beyond.extend((!within).then_some(shown));
    }
    ensure!(compared > 0, "the study has none of these figures");
    let max = beyond_max(compared);
    println!("{} of {compared} are beyond their bounds; chance allows {max}", beyond.len());
    ensure!(beyond.len() <= max, "beyond what the study predicts:\n  {}", beyond.join("\n  "));
    Ok(())
}

fn note(rows: &mut Vec<StudyRow>, judged: Judged) {
    let Some(ratio) = judged.ratio else { return };
    let at = rows.iter().position(|row| row.title == judged.title);
    let at = at.unwrap_or_else(|| {
        rows.push(StudyRow {
            title: judged.title.clone(),
            ratios: Vec::new(),
            told_from: Vec::new(),
            verdicts: 0,
            prediction: None,
        });
        rows.len() - 1
    });
    rows[at].ratios.push(ratio.estimate);
    // Both sides are the same, so a true difference would shift the interval by its factor. A
    // verdict needs the whole interval beyond the margin: this factor shifts it that far.
    rows[at].told_from.push((1.0 + MARGIN) * ratio.high.max(1.0 / ratio.low));
    rows[at].verdicts += usize::from(judged.told_apart);
}

/// The difference that all but a twentieth of the runs of a target against itself would have told
/// apart, as a factor.
fn told_apart_from(row: &StudyRow) -> f64 {
    let mut all = row.told_from.clone();
    all.sort_by(f64::total_cmp);
    all[((all.len() - 1) as f64 * USUAL).ceil() as usize]
}

/// How many of so many figures may be beyond bounds that hold 95 times of a hundred.
fn beyond_max(figures: usize) -> usize {
    let n = figures as f64;
    // The binomial distribution, from 0 on.
    let (mut share, mut all, mut count) = ((1.0 - CHANCE).powf(n), 0.0, 0);
    loop {
        all += share;
        if all >= 1.0 - CHANCE || count == figures {
            return count;
        }
        share *= (n - count as f64) / (count as f64 + 1.0) * CHANCE / (1.0 - CHANCE);
        count += 1;
    }
}

impl Study {
    /// How many verdicts there were that could be wrong, and how many of them were.
    fn wrong(&self) -> String {
        let (all, verdicts) = self
            .rows
            .iter()
            .fold((0, 0), |(all, verdicts), row| (all + row.ratios.len(), verdicts + row.verdicts));
        let share = verdicts as f64 / all.max(1) as f64 * 100.0;
        format!("{verdicts} of {all} verdicts were wrong ({} %)", short(share))
    }

    /// The study in a few sentences.
    fn card(&self) -> Card {
        let question = match self.same {
            true => "How often is a verdict wrong, and what can this host tell apart?",
            false => "Between which bounds is the ratio of another run?",
        };
        let row = |row: &StudyRow| match (self.same, row.prediction) {
            (true, _) => {
                let percent = short((told_apart_from(row) - 1.0) * 100.0);
                format!("{}: differences of {percent} % are seen by 95 of 100 runs.", row.title)
            }
            (false, Some((low, high))) => {
                format!("{}: {} to {}.", row.title, short(low), short(high))
            }
            (false, None) => format!("{}: too few runs.", row.title),
        };
        let wrong = self.same.then(|| format!("{}.", self.wrong()));
        Card {
            question: format!("{} ({})", question, self.profile),
            answers: wrong.into_iter().chain(self.rows.iter().map(row)).collect(),
            started: self.started.clone(),
            commit: self.versions.commit.clone(),
            command: command_line(),
            host: self.host.clone(),
        }
    }

    /// What was found, as a file.
    fn verdict(&self) -> String {
        let mut text = format!(
            "# {} against {}, {} runs of {}\n\n",
            self.targets[0], self.targets[1], self.runs, self.profile
        );
        if self.same {
            let _ = writeln!(text, "Both sides are the same: {}.\n", self.wrong());
        }
        let mut lines = vec![
            ["", "runs", "verdicts", "lowest", "middle", "highest", "can tell", "next run"]
                .map(str::to_owned),
        ];
        for row in &self.rows {
            let mut sorted = row.ratios.clone();
            sorted.sort_by(f64::total_cmp);
            let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
            let usual = told_apart_from(row);
            let next = row
                .prediction
                .map_or(String::new(), |(low, high)| format!("{} to {}", short(low), short(high)));
            lines.push([
                row.title.clone(),
                row.ratios.len().to_string(),
                row.verdicts.to_string(),
                format!("{:.3}", at(0.0)),
                format!("{:.3}", at(0.5)),
                format!("{:.3}", at(1.0)),
                format!("{} %", short((usual - 1.0) * 100.0)),
                next,
            ]);
        }
        let _ = write!(
            text,
            "```text\n{}```\n\nRatios of B against A. `can tell`: a difference of so much would be \
             seen by 95 of 100 runs.\n",
            align(&lines, 1)
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_of_many_figures_may_be_beyond_their_bounds() {
        // One of one is beyond by chance in one check of twenty: that is not too often.
        let allowed = [1, 6, 10, 20, 100].map(beyond_max);
        assert_eq!(allowed, [0, 1, 2, 3, 9]);
    }
}
