//! `ringlog-bench produce` and `consume`: lines in and out.

#![allow(clippy::disallowed_methods, reason = "tests start processes")]
#![allow(dead_code, reason = "the shared module is used in part")]

mod support;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use support::PROGRAM;

/// Runs it with this standard input.
fn bench(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(PROGRAM)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("piped");
    // A program that refuses its arguments reads nothing.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn lines_come_out_as_they_went_in() {
    let dir = tempfile::tempdir().expect("a folder");
    support::on_shard(async move |shard: ringlog_engine::shard::Shard| {
        let mut target = support::node(&shard, dir.path(), &[]).await;
        let address = target.bootstrap.to_string();
        let at = ["--bootstrap", &address, "--topic", "greetings"];
        let produce = |input: &str| ok(&bench(&[&["produce"], &at[..]].concat(), input));
        let consume = |more: &[&str]| bench(&[&["consume"], &at[..], more].concat(), "");
        assert_eq!(produce("one\ntwo\n\nthree"), "4 records acknowledged\n");
        assert_eq!(ok(&consume(&[])), "one\ntwo\n\nthree\n");
        assert_eq!(ok(&consume(&["--max-records", "2"])), "one\ntwo\n");
        assert_eq!(produce(""), "0 records acknowledged\n");
        // Order is kept however many batches it takes.
        let many: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
        assert_eq!(produce(&many), "20000 records acknowledged\n");
        assert_eq!(ok(&consume(&[])), format!("one\ntwo\n\nthree\n{many}"));
        let none = bench(&["consume", "--bootstrap", &address, "--topic", "nothing"], "");
        let said = String::from_utf8_lossy(&none.stderr).into_owned();
        assert!(!none.status.success() && said.contains("there is no topic nothing"), "{said}");
        let long = "x".repeat(1_000_001);
        let refused = bench(&[&["produce"], &at[..]].concat(), &long);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("line 1: over 1000000 bytes"), "{said}");
        target.stop().expect("a clean stop");
    });
}
