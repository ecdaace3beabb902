//! `ringlog-bench index`: the results of a repository in one page, the hosts that they come from,
//! and their answers in its documents. All of it is made from the results' cards.

mod age;
mod blocks;
mod page;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::host::Host;
use crate::results::{Card, INCOMPLETE};
use page::host_page;

/// Where results are, from the root of the repository, and of what kinds they are.
const RESULTS: &str = "results";
const KINDS: [&str; 3] = ["vs-kafka", "reference", "studies"];
const HOSTS: &str = "hosts";
/// Results of runs without --out, which git ignores.
const LOCAL: &str = "local";
const PAGE: &str = "README.md";
/// Results in one repository at most.
const RESULTS_MAX: usize = 1_000;
/// What all results together may take.
const BYTES_MAX: u64 = 5 << 20;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct IndexOptions {
    /// The root of the repository.
    pub root: PathBuf,
    /// Writes nothing: an error if something would change.
    pub check: bool,
    /// An error if a result is older than so many commits to what it measured.
    pub commits_max: Option<u32>,
}

/// A result with its place.
#[derive(Clone, Debug)]
struct Entry {
    /// `vs-kafka/headline`.
    name: String,
    card: Card,
    /// The name of its host.
    host: String,
}

/// Makes the index, or checks it. Returns what has changed.
pub fn index(options: &IndexOptions) -> Result<Vec<PathBuf>> {
    let results = options.root.join(RESULTS);
    let entries = entries(&results)?;
    check_size(&results)?;
    if let Some(commits_max) = options.commits_max {
        age::check(&options.root, &entries, commits_max)?;
    }
    let mut wanted = vec![(results.join(PAGE), page::render(&entries))];
    let mut hosts: BTreeMap<String, &Host> = BTreeMap::new();
    for entry in &entries {
        hosts.insert(entry.host.clone(), &entry.card.host);
    }
    for (name, host) in &hosts {
        let path = results.join(HOSTS).join(format!("{name}.md"));
        wanted.push((path, host_page(name, host)));
    }
    wanted.extend(blocks::documents(&options.root, &entries)?);
    let mut changed = Vec::new();
    for (path, text) in wanted {
        if fs::read_to_string(&path).ok().as_deref() == Some(&text) {
            continue;
        }
        if !options.check {
            let folder = path.parent().context("a file is in a folder")?;
            fs::create_dir_all(folder)?;
            fs::write(&path, &text).with_context(|| format!("{}", path.display()))?;
        }
        changed.push(path);
    }
    let strangers = strangers(&results, &hosts)?;
    ensure!(strangers.is_empty(), "no result, and no host of one: {}", listed(&strangers));
    ensure!(
        !options.check || changed.is_empty(),
        "not as the results say (ringlog-bench index): {}",
        listed(&changed)
    );
    Ok(changed)
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// All results, by kind and name.
fn entries(results: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for kind in KINDS {
        for path in folders(&results.join(kind))? {
            let name = format!("{kind}/{}", file_name(&path));
            ensure!(!path.join(INCOMPLETE).exists(), "the result {name} is incomplete");
            let card = Card::read(&path).with_context(|| format!("the result {name}"))?;
            let host = host_name(&card.host);
            entries.push(Entry { name, card, host });
        }
    }
    ensure!(entries.len() <= RESULTS_MAX, "more than {RESULTS_MAX} results");
    Ok(entries)
}

/// The folders in a folder, by name; none if it is not there.
fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
    };
    let mut all: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    all.retain(|path| path.is_dir());
    all.sort();
    Ok(all)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A name that the same machine always has: its processor, processors, kernel and file system, and
/// a number for everything that its page says.
fn host_name(host: &Host) -> String {
    let model = host.cpu_model.as_deref().unwrap_or("unknown");
    let mut words = vec![model.to_owned()];
    words.push(format!("{}cpu", host.cpus_allowed));
    words.extend(host.memory_bytes.map(|bytes| format!("{}gib", bytes >> 30)));
    words.extend(
        host.kernel.as_ref().map(|kernel| kernel.split('.').take(2).collect::<Vec<_>>().join(".")),
    );
    if let Some(data) = &host.data {
        words.push(data.kind.clone());
        words.extend(
            data.journal.map(|journal| if journal { "journal" } else { "nojournal" }.to_owned()),
        );
    }
    let page = Sha256::digest(host_page("", host));
    words.push(format!("{:02x}{:02x}", page[0], page[1]));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let name = words.join("-").to_lowercase();
    name.split(|c| !plain(c)).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

/// Folders that look like results and are no entry, and pages of hosts that no result comes from.
fn strangers(results: &Path, hosts: &BTreeMap<String, &Host>) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in folders(results)? {
        let name = file_name(&path);
        if ![LOCAL, HOSTS].contains(&name.as_str()) && !KINDS.contains(&name.as_str()) {
            found.push(path);
        }
    }
    if let Ok(pages) = fs::read_dir(results.join(HOSTS)) {
        let known = |path: &PathBuf| {
            path.file_stem().is_some_and(|stem| hosts.contains_key(&*stem.to_string_lossy()))
        };
        found.extend(pages.flatten().map(|entry| entry.path()).filter(|path| !known(path)));
    }
    Ok(found)
}

fn check_size(results: &Path) -> Result<()> {
    let bytes = KINDS.iter().map(|kind| size_of(&results.join(kind))).sum::<Result<u64>>()?;
    if bytes > BYTES_MAX {
        bail!("results take {} KiB, {} are allowed", bytes >> 10, BYTES_MAX >> 10);
    }
    Ok(())
}

/// Bytes of the files in a folder. Pages are not among them: git ignores what `report` makes again.
fn size_of(path: &Path) -> Result<u64> {
    let mut bytes = 0;
    let Ok(entries) = fs::read_dir(path) else { return Ok(0) };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        match path.is_dir() {
            true => bytes += size_of(&path)?,
            false if path.extension().is_some_and(|ending| ending == "html") => {}
            false => bytes += entry.metadata()?.len(),
        }
    }
    Ok(bytes)
}
