//! Every rule against a violation planted for it, the scanner against what fools scanners, and all
//! rules against the repository itself.

use super::source::Source;
use super::tree::File;
use super::*;

const DOC: &str = "//! A module.\n";

fn tree(files: &[(&str, &str)]) -> Tree {
    let files = files.iter().map(|(path, text)| File {
        path: (*path).to_owned(),
        size: text.len() as u64,
        text: Some((*text).to_owned()),
    });
    Tree::new(files.collect())
}

/// Line, rule and item of what is wrong with one Rust file, its module doc being line 1.
fn found(path: &str, code: &str) -> Vec<(usize, Rule, String)> {
    let text = format!("{DOC}{code}");
    let problems = check(&tree(&[(path, &text)]), &[]);
    problems.into_iter().map(|p| (p.line, p.rule, p.item)).collect()
}

fn rules(path: &str, code: &str) -> Vec<Rule> {
    found(path, code).into_iter().map(|(_, rule, _)| rule).collect()
}

fn code_of(text: &str) -> String {
    let source = Source::new("engine/src/x.rs", text);
    assert_eq!(source.code.len(), text.len(), "{text}");
    assert_eq!(source.code.matches('\n').count(), text.matches('\n').count(), "{text}");
    source.code
}

#[test]
fn the_repository_is_tidy() {
    if let Err(problems) = run(&crate::root()) {
        panic!("{problems}");
    }
}

#[test]
fn brackets_match_in_every_file_of_the_repository() {
    let tree = Tree::read(&crate::root()).expect("it is here");
    assert!(tree.sources.len() > 100, "{} Rust files", tree.sources.len());
    for source in &tree.sources {
        let all = format!("{{{}}}", source.code);
        assert_eq!(super::source::closing(&all, 0), Some(all.len()), "{}", source.path);
    }
}

#[test]
fn comments_and_literals_are_blanked_out() {
    let hidden = [
        "a // fn b() {\nz",
        "a /* fn /* { */ fn */ z",
        r#"a "fn { \" fn" z"#,
        r##"a r"fn \" z"##,
        r###"a r#"fn " { "# z"###,
        r###"a br##"fn "# { "## z"###,
        r#"a b"fn" z"#,
        r#"a c"fn" z"#,
        r"a '{' z",
        r"a '\'' z",
        r"a '\\' z",
        r"a '\u{7b}' z",
        r"a b'{' z",
        "a 'ß' z",
        "a \"ß fn\n fn\" z",
    ];
    for text in hidden {
        let code = code_of(text);
        assert!(code.starts_with('a') && code.ends_with('z'), "{text}: {code}");
        assert!(!code.contains("fn") && !code.contains('{'), "{text}: {code}");
    }
    let shown = ["fn a<'a>(x: &'a str) {}", "r#fn", "for x in 'a'..'b' {}", "matches!(x, '\"') {"];
    for text in shown {
        let code = code_of(text);
        assert!(code.contains("fn") || code.ends_with("{}") || code.ends_with('{'), "{code}");
    }
}

#[test]
fn unfinished_literals_end_with_the_file() {
    for text in ["\"", "\"\\", "r#\"", "/*", "/* /*", "'", "'\\", "b'", "// x", "r", "r#", "'a"] {
        code_of(text);
        found("engine/src/io/x.rs", text);
    }
}

#[test]
fn functions_are_measured_from_fn_to_brace() {
    let text = "fn a() -> [u8; 3] {\n    // }\n    x(\"}\");\n}\n\
                trait T {\n    fn none(&self);\n}\nfn b<F: Fn(u8) -> u8>(f: F)\nwhere\n    \
                F: Send,\n{\n    let g: fn(u8) = f;\n}\n";
    let functions = Source::new("engine/src/x.rs", text).functions();
    let sizes: Vec<_> = functions.iter().map(|f| (f.name.as_str(), f.lines)).collect();
    assert_eq!(sizes, [("a", 4), ("b", 6)]);
}

#[test]
fn tests_are_told_from_the_product() {
    let text = "fn a() {}\n\
                #[cfg(test)]\n#[allow(x, reason = \"y\")]\nmod tests {\n    fn b() {}\n}\n\
                fn c() {}\n#[cfg(all(test, not(loom)))]\nmod more;\n\
                #[cfg(not(test))]\nfn d() {}\n";
    let source = Source::new("engine/src/log/x.rs", text);
    assert_eq!((source.lines(), source.product_lines()), (11, 4));
    let product: Vec<bool> = source.functions().iter().map(|f| !source.is_test_at(f.at)).collect();
    assert_eq!(product, [true, false, true, true]);
    assert_eq!(source.test_modules(), ["engine/src/log/x/more/"]);
    let tree = tree(&[
        ("engine/src/log/x.rs", text),
        ("engine/src/log/x/more.rs", ""),
        ("engine/src/log/x/other.rs", ""),
        ("engine/tests/y.rs", ""),
    ]);
    let tests: Vec<bool> = tree.sources.iter().map(|source| source.is_test).collect();
    assert_eq!(tests, [false, true, false, true]);
}

#[test]
fn a_use_that_points_upwards_is_refused() {
    let log = |code| {
        let found = found("engine/src/log/append.rs", code);
        found.into_iter().map(|(line, rule, item)| (line, format!("{rule:?} {item}")))
    };
    assert_eq!(log("use crate::io::Buf;\nuse super::segment;\nuse thiserror::Error;\n").count(), 0);
    let io = |code| found("engine/src/io/sys.rs", code);
    let layers = |line, item: &str| vec![(line, Rule::Layers, item.to_owned())];
    assert_eq!(io("use crate::log::Log;\n"), layers(2, "engine::log"));
    assert_eq!(io("\nuse crate::{io::Buf, types};\n"), layers(3, "engine::types"));
    let nested = "use crate::{\n    io,\n    batch::{self, x as y},\n};\n";
    assert_eq!(io(nested), [layers(4, "engine::batch"), layers(4, "engine::batch")].concat());
    assert_eq!(io("use super::super::shard::*;\n"), layers(2, "engine::shard"));
    assert_eq!(io("pub(crate) use crate::shard;\n"), layers(2, "engine::shard"));
    assert_eq!(io("fn f() {\n    crate::log::Log::open()\n}\n"), layers(3, "engine::log"));
    assert_eq!(io("fn f(x: &crate::log::Log) {}\n"), layers(2, "engine::log"));
    assert_eq!(io("mod inner {\n    use super::super::super::log::Log;\n}\n"), {
        layers(3, "engine::log")
    });
    assert_eq!(io("// use crate::log::Log;\nconst X: &str = \"use crate::log;\";\n"), []);
    assert_eq!(io("#[cfg(test)]\nmod tests {\n    use crate::log::Log;\n}\n"), []);
    assert_eq!(io("fn f() {\n    crate::must!(x)\n}\n"), []);
    assert_eq!(found("engine/tests/a.rs", "use ringlog_engine::log::Log;\n"), []);
    assert_eq!(found("bench/src/run/a.rs", "use ringlog_engine::log::Log;\n"), {
        layers(2, "engine::log")
    });
    assert_eq!(found("engine/src/io/a.rs", "use ringlog_wire::Uuid;\n"), layers(2, "wire::Uuid"));
}

#[test]
fn cores_do_not_know_the_outside_world() {
    let banned = [
        ("use std::time::Instant;", "std::time"),
        ("use std::{fmt, net::IpAddr};", "std::net"),
        ("fn f() {\n    std::fs::read(x)\n}", "std::fs"),
        ("use core::time::Duration;", "std::time"),
        ("use ringlog_wire::messages::FetchRequest;", "wire::messages"),
        ("use ringlog_engine::shard::Shard;", "engine::shard"),
        ("use ringlog_engine::{types, io};", "engine::io"),
        ("use crate::conn::Connection;", "node::conn"),
        ("use crate::api;", "node::api"),
    ];
    for core in ["partition", "quorum", "controller", "metadata", "group", "txn", "acl", "quota"] {
        let path = format!("node/src/{core}/step.rs");
        for (code, item) in banned {
            let found = found(&path, code);
            assert!(found.iter().any(|(_, r, i)| *r == Rule::Layers && i == item), "{core} {code}");
            assert_eq!(found.len(), 1, "{core} {code}: {found:?}");
        }
        let allowed = "use ringlog_wire::{Uuid, records::metadata::TopicRecord};\n\
                       use ringlog_engine::{batch, types::Offset};\nuse crate::metadata::Image;\n";
        assert_eq!(found(&path, allowed), []);
    }
    let log = ("node/src/conn/mod.rs", "use ringlog_engine::io::uring::UringDriver;\n");
    assert_eq!(rules(log.0, log.1), [Rule::Layers]);
    assert_eq!(rules("node/src/boot.rs", log.1), []);
}

#[test]
fn config_uses_nothing_but_std() {
    let manifest =
        ("node/Cargo.toml", "[dependencies]\nring-x = \"1\"\ntracing.workspace = true\n");
    let reasons = ("docs/decisions/0003-dependencies.md", "| ring-x | 1 |\n| tracing | 1 |\n");
    for (code, broken) in [
        ("use std::net::IpAddr;\n", false),
        ("use ringlog_engine::types::NodeId;\n", false),
        ("use super::key::Key;\n", false),
        ("use ring_x::Y;\n", true),
        ("fn f() {\n    tracing::warn!(x)\n}\n", true),
        ("use ringlog_engine::io::Buf;\n", true),
    ] {
        let text = format!("{DOC}{code}");
        let files = [("node/src/config/a.rs", text.as_str()), manifest, reasons];
        let problems = check(&tree(&files), &[]);
        assert_eq!(problems.len(), usize::from(broken), "{code}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.rule == Rule::Layers));
    }
}

#[test]
fn dependencies_have_reasons() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\nringlog-wire.workspace = true\n\
                    a-b = \"1\"\n# c = \"1\"\n[dev-dependencies.d]\nversion = \"1\"\n\
                    [target.'cfg(loom)'.dependencies]\ne = { version = \"1\" }\n";
    let found = |reasons| {
        let reasons = ("docs/decisions/0003-dependencies.md", reasons);
        let problems = check(&tree(&[("x/Cargo.toml", manifest), reasons]), &[]);
        assert!(problems.iter().all(|problem| problem.rule == Rule::Dependency), "{problems:?}");
        problems.into_iter().map(|p| (p.line, p.item)).collect::<Vec<_>>()
    };
    assert_eq!(found("| a-b | 1 |\n| d | 1 |\n| e | 1 |\n"), []);
    let lines = [(5, "a-b".to_owned()), (7, "d".to_owned()), (10, "e".to_owned())];
    assert_eq!(found("a-b, d and e are fine\n"), lines);
}

#[test]
fn apis_do_not_know_each_other() {
    let others = [
        ("wire/src/messages/fetch_request.rs", DOC),
        ("wire/src/messages/produce_request.rs", DOC),
    ];
    let count = |path, code: &str| {
        let text = format!("{DOC}{code}");
        let problems = check(&tree(&[(path, &text), others[0], others[1]]), &[]);
        assert!(problems.iter().all(|problem| problem.rule == Rule::Layers), "{problems:?}");
        problems.len()
    };
    assert_eq!(count("node/src/api/fetch.rs", "use super::produce::x;\n"), 1);
    assert_eq!(count("node/src/api/fetch/session.rs", "use crate::api::produce;\n"), 1);
    assert_eq!(count("node/src/api/fetch/session.rs", "use crate::api::fetch::x;\n"), 0);
    assert_eq!(count("node/src/api/fetch.rs", "use super::authorize::x;\n"), 0);
    assert_eq!(count("node/src/api/mod.rs", "use crate::api::produce;\n"), 0);
}

#[test]
fn a_module_without_a_row_is_named() {
    assert_eq!(rules("node/src/gossip/mod.rs", ""), [Rule::Layers]);
    assert_eq!(rules("engine/src/lib.rs", "use crate::log::Log;\n"), []);
    assert_eq!(rules("xtask/src/anything.rs", ""), []);
}

#[test]
fn words_that_mean_something_else_are_found_as_whole_identifiers() {
    let word = |path, code| {
        let found = found(path, code);
        found.into_iter().map(|(_, rule, item)| (rule, item)).next()
    };
    let banned = |item: &str| Some((Rule::Words, item.to_owned()));
    assert_eq!(word("engine/src/log/a.rs", "let message = 1;\n"), banned("message"));
    assert_eq!(word("engine/src/log/a.rs", "let max_message_bytes = 1; // message\n"), None);
    assert_eq!(word("node/src/api/a.rs", "let message = 1;\n"), None);
    assert_eq!(word("node/src/quorum/a.rs", "struct Term(u32);\n"), banned("Term"));
    assert_eq!(word("node/src/group/a.rs", "let generation = 1;\n"), None);
    assert_eq!(word("engine/src/shard/a.rs", "fn worker() {}\n"), banned("worker"));
    assert_eq!(word("engine/src/log/a.rs", "flag.store(true);\n"), None);
    assert_eq!(word("engine/src/log/a.rs", "let store = 1;\n"), banned("store"));
}

#[test]
fn sizes_are_bounded() {
    let long = "fn f() {}\n".repeat(800);
    assert_eq!(rules("engine/src/log/a.rs", &long), [Rule::FileSize]);
    assert_eq!(rules("engine/src/log/a.rs", &long[10..]), []);
    assert_eq!(rules("engine/tests/a.rs", &long), []);
    let tested = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", &long[10..], long);
    assert_eq!(rules("engine/src/log/a.rs", &tested), []);
    let function = |lines: usize| format!("fn f() {{\n{}}}\n", "    x();\n".repeat(lines - 2));
    assert_eq!(rules("engine/src/log/a.rs", &function(70)), []);
    let one_more = vec![(2, Rule::FunctionSize, "f".to_owned())];
    assert_eq!(found("engine/src/log/a.rs", &function(71)), one_more);
    let wide = format!("// {}\n", "ß".repeat(98));
    assert_eq!(found("engine/src/log/a.rs", &wide), [(2, Rule::LineWidth, String::new())]);
    assert_eq!(rules("engine/src/log/a.rs", &wide.replacen('ß', "", 1)), []);
    assert_eq!(rules("engine/src/log/a.rs", &wide.replacen("ß", "https://x", 1)), []);
    let banner = concat!("\n// Generated", " by `x`.\n");
    assert_eq!(rules("wire/src/a.rs", &format!("{banner}{wide}{}", function(80))), []);
    let script = format!("#!/bin/sh\n{wide}");
    assert_eq!(check(&tree(&[("scripts/x", &script), ("docs/x.md", &wide)]), &[]).len(), 1);
    let large = "x\n".repeat((512 << 10) / 2);
    assert_eq!(check(&tree(&[("results/x", &large)]), &[]), []);
    let problems = check(&tree(&[("results/x", &(large + "x"))]), &[]);
    assert_eq!(problems.iter().map(|p| p.rule).collect::<Vec<_>>(), [Rule::LargeFile]);
}

#[test]
fn files_say_what_they_are_for_and_names_say_something() {
    let problems = check(&tree(&[("engine/src/log/a.rs", "fn f() {}\n")]), &[]);
    assert_eq!(problems.iter().map(|p| p.rule).collect::<Vec<_>>(), [Rule::ModuleDoc]);
    for name in ["utils", "helpers", "common", "manager", "misc", "log_utils", "util"] {
        let path = format!("engine/src/log/{name}.rs");
        assert_eq!(found(&path, ""), [(0, Rule::ModuleName, name.to_owned())]);
        let path = format!("engine/src/log/{name}/mod.rs");
        assert_eq!(rules(&path, ""), [Rule::ModuleName]);
        let inline = format!("mod {name} {{}}\n");
        assert_eq!(found("engine/src/log/a.rs", &inline), [(2, Rule::ModuleName, name.to_owned())]);
    }
    assert_eq!(rules("engine/src/log/common_prefix.rs", ""), []);
}

#[test]
fn unfinished_work_is_found() {
    for mark in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")] {
        assert_eq!(rules("engine/src/log/a.rs", &format!("// {mark}: later\n")), [Rule::Leftover]);
        let text = format!("x\n{mark}\n");
        assert_eq!(check(&tree(&[("docs/a.md", &text)]), &[]).len(), 1, "{text}");
        assert_eq!(check(&tree(&[("docs/a.md", &format!("{mark}X"))]), &[]), []);
    }
    for code in ["dbg!(x);", "todo!()", "unimplemented!()"] {
        assert_eq!(
            rules("engine/src/log/a.rs", &format!("fn f() {{\n    {code}\n}}\n")),
            [Rule::Leftover]
        );
    }
    assert_eq!(rules("engine/src/log/a.rs", "// dbg!(x)\nfn todo() {}\n"), []);
    for path in ["node/tests/a.rs.orig", "docs/a.md.rej", "README.md~"] {
        let problems = check(&tree(&[(path, "x\n")]), &[]);
        assert_eq!(problems.iter().map(|p| p.rule).collect::<Vec<_>>(), [Rule::Leftover]);
    }
}

#[test]
fn what_is_silenced_says_why() {
    let rules = |code| rules("engine/src/log/a.rs", code);
    assert_eq!(rules("#![allow(dead_code)]\n"), [Rule::Allow]);
    assert_eq!(rules("#[expect(dead_code)]\nfn f() {}\n"), [Rule::Allow]);
    assert_eq!(rules("#[cfg_attr(loom, allow(dead_code))]\nfn f() {}\n"), [Rule::Allow]);
    assert_eq!(rules("#[allow(\n    dead_code,\n    reason = \"because\"\n)]\nfn f() {}\n"), []);
    assert_eq!(rules("fn f() {\n    x.expect(\"y\")[0]\n}\n"), []);
    assert_eq!(rules("#[ignore]\nfn f() {}\n"), [Rule::Ignore]);
    assert_eq!(rules("#[ignore = \"\"]\nfn f() {}\n"), [Rule::Ignore]);
    assert_eq!(rules("#[ignore = \"needs root\"]\nfn f() {}\n"), []);
}

#[test]
fn unsafe_is_kept_to_its_files() {
    let code = "fn f() {\n    unsafe { g() }\n}\n";
    assert_eq!(found("engine/src/log/a.rs", code), [(3, Rule::Unsafe, String::new())]);
    for path in ["io/buffer.rs", "io/uring/ring.rs", "io/epoll/poll.rs", "shard/ring_queue.rs"] {
        assert_eq!(rules(&format!("engine/src/{path}"), code), []);
    }
    assert_eq!(rules("engine/src/log/a.rs", "// unsafe\n#![deny(unsafe_code)]\n"), []);
}

#[test]
fn tests_do_not_sleep() {
    let code = "fn f() {\n    std::thread::sleep(x);\n    shard.sleep(x);\n}\n";
    assert_eq!(found("node/tests/a.rs", code), [(3, Rule::Sleep, String::new())]);
    assert_eq!(rules("engine/src/io/uring/a.rs", code), []);
}

#[test]
fn texts_name_no_machine_and_no_author() {
    let rule = |text: &str| {
        let problems = check(&tree(&[("docs/a.md", text)]), &[]);
        problems.into_iter().map(|problem| problem.rule).collect::<Vec<_>>()
    };
    for folder in ["work", "root", "home"] {
        assert_eq!(rule(&format!("in /{folder}/x")), [Rule::MachinePath]);
        assert_eq!(rule(&format!("\"/{folder}/x\"")), [Rule::MachinePath]);
        assert_eq!(rule(&format!("$dir/{folder}/x, ./{folder}/, net{folder}/")), []);
    }
    for phrase in [["coding", "agents"], ["AI", "assistant"], ["a language", "model"]] {
        assert_eq!(rule(&phrase.join(" ")), [Rule::Authorship], "{phrase:?}");
    }
    assert_eq!(rule("a fetch session, a user agent, an email assistant"), []);
}

#[test]
fn exceptions_cover_what_they_name_and_must_be_needed() {
    let exception = |path, item| Exception { rule: Rule::Words, path, item, reason: "why not" };
    let text = format!("{DOC}fn f(message: u8) {{}}\n");
    let tree = tree(&[("engine/src/log/a.rs", &text)]);
    assert_eq!(check(&tree, &[]).len(), 1);
    assert_eq!(check(&tree, &[exception("engine/src/log/a.rs", "message")]), []);
    assert_eq!(check(&tree, &[exception("engine/src/log/", "")]), []);
    let useless = check(&tree, &[exception("engine/src/log/a.rs", "block")]);
    let rules: Vec<Rule> = useless.iter().map(|problem| problem.rule).collect();
    assert_eq!(rules, [Rule::Exception, Rule::Words]);
}

#[test]
fn links_lead_somewhere() {
    let found = |files: &[(&str, &str)]| -> Vec<(usize, String)> {
        let problems = check(&tree(files), &[]);
        problems.into_iter().filter(|p| p.rule == Rule::Link).map(|p| (p.line, p.item)).collect()
    };
    let page = "# A page\n\n## Its `part`, again\n";
    let of = |link: &str| found(&[("docs/a.md", &format!("[x]({link})\n")), ("docs/b.md", page)]);
    for link in ["b.md", "b.md#a-page", "b.md#its-part-again", "https://example.org", "./b.md"] {
        assert_eq!(of(link), [], "{link}");
    }
    for link in ["c.md", "b.md#another", "../docs/c.md", "#nothing"] {
        assert_eq!(of(link), [(1, link.to_owned())]);
    }
    let outside = [("docs/a.md", "[x](../README.md)\n"), ("README.md", "[x](docs/a.md)\n")];
    assert_eq!(found(&outside), [(1, "../README.md".to_owned())]);
    let code = "`[x](y)`\n```text\n[x](y)\n# no heading\n```\n[x](#no-heading)\n";
    assert_eq!(found(&[("a.md", code)]), [(6, "#no-heading".to_owned())]);
    let book = [("docs/SUMMARY.md", "- [B](b.md)\n"), ("docs/b.md", page), ("docs/c.md", page)];
    assert_eq!(found(&book), [(0, "docs/c.md".to_owned())]);
}
