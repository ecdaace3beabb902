//! What code says about itself: lints it silences, tests it leaves out, `unsafe`, sleeping.

use super::source::{Source, closing, words};
use super::tree::Tree;
use super::{Problem, Rule};

/// Where `unsafe` may be: the pool, the system calls, the drivers, the mailbox between threads, the
/// rings whose raw speed is studied, and the interface of a link with delay.
const UNSAFE_ALLOWED: [&str; 7] = [
    "engine/src/io/buffer.rs",
    "engine/src/io/sys.rs",
    "engine/src/io/uring/",
    "engine/src/io/epoll",
    "engine/src/shard/ring_queue.rs",
    "bench/src/io_study/engines/",
    "bench/src/target/tun.rs",
];

pub(super) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for source in &tree.sources {
        let mut add = |line, rule, what: &str| {
            let (path, item, what) = (source.path.clone(), String::new(), what.to_owned());
            problems.push(Problem { path, line, rule, item, what });
        };
        for (at, inner) in source.attributes() {
            let line = source.line(at);
            if silences_without_reason(inner) {
                add(line, Rule::Allow, "a lint is silenced without `reason = ..`");
            }
            if ignores_without_reason(inner) {
                add(line, Rule::Ignore, "`#[ignore]` without a reason");
            }
        }
        for (at, word) in words(&source.code) {
            let line = source.line(at);
            if word == "unsafe" && !UNSAFE_ALLOWED.iter().any(|p| source.path.starts_with(p)) {
                add(line, Rule::Unsafe, "`unsafe` is for io's buffers, system calls and drivers");
            }
            let bang = source.code[at + word.len()..].starts_with('!');
            if bang && matches!(word, "dbg" | "todo" | "unimplemented") {
                add(line, Rule::Leftover, &format!("{word}! is for work that is not done"));
            }
            if word == "sleep" && sleeps(source, at) && source.is_test_at(at) {
                add(line, Rule::Sleep, "a test waits for a condition, not for time to pass");
            }
        }
    }
}

fn sleeps(source: &Source, at: usize) -> bool {
    source.code[..at].ends_with("thread::")
}

/// Whether an attribute holds `allow(..)` or `expect(..)` that does not say why.
fn silences_without_reason(inner: &str) -> bool {
    words(inner).any(|(at, word)| {
        let open = at + word.len();
        let opens = inner[open..].starts_with('(') && matches!(word, "allow" | "expect");
        let list = closing(inner, open).map_or(inner, |end| &inner[open..end]);
        opens && !words(list).any(|(_, word)| word == "reason")
    })
}

fn ignores_without_reason(inner: &str) -> bool {
    let mut words = words(inner).map(|(_, word)| word);
    // Quotes are left standing, what they hold is blanked out: `""` is an empty reason.
    words.next() == Some("ignore") && (!inner.contains('"') || inner.contains("\"\""))
}
