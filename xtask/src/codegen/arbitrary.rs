//! The test-only module: random instances of every struct, and a walk over every message.

use std::fmt::Write;

use super::Files;
use super::resolve::{Message, Resolved, Struct};
use super::structs::{BANNER, condition};
use crate::naming::field_ident;
use crate::schema::{Kind, Log};

/// Adds the test module, in one file per kind of message so that none gets out of hand.
pub fn add(files: &mut Files, resolved: &Resolved) {
    let folder = "wire/tests/codec/generated";
    let mut modules = String::new();
    for (name, of) in groups(resolved) {
        let _ = writeln!(modules, "mod {name};");
        let mut text = format!("//! Random instances: {name}.\n\n{BANNER}\n");
        text.push_str("use crate::arbitrary::{Arbitrary, Gen};\n");
        for message in of {
            let module = message.module();
            let path = format!("ringlog_wire::{}::{module}", message.folder());
            let _ = write!(text, "\nmod {module} {{\nuse {path}::*;\n\nuse super::*;\n");
            for item in &message.structs {
                arbitrary(&mut text, item);
            }
            text.push_str("}\n");
        }
        files.insert(format!("{folder}/{name}.rs").into(), text);
    }
    files.insert(format!("{folder}/mod.rs").into(), lists(resolved, &modules));
}

/// The module around them: lists of all messages and structs.
fn lists(resolved: &Resolved, modules: &str) -> String {
    let mut subjects = String::new();
    let mut sizes = String::new();
    for message in &resolved.messages {
        let name = &message.spec.name;
        let (package, suffix) = java_class(message);
        let _ = writeln!(subjects, "subject::<{name}>(\"{package}\", \"{suffix}\"),");
        for item in &message.structs {
            let _ = match item.name == *name {
                true => writeln!(sizes, "size::<{name}>(),"),
                false => writeln!(sizes, "size::<{}::{}>(),", message.module(), item.name),
            };
        }
    }
    let logs: Vec<String> = Log::ALL.iter().map(|log| format!("{}::*", log.word())).collect();
    let logs = logs.join(", ");
    format!(
        "//! Random instances of every struct, and every message by name.\n\n{BANNER}
        #![allow(clippy::field_reassign_with_default, reason = \"drawn one after the other\")]
        {modules}
        use ringlog_wire::messages::*;
        use ringlog_wire::records::{{{logs}}};

        use crate::arbitrary::{{Size, Subject, size, subject}};

        /// Every message, with the package of Kafka's class for it and the end of its name.
        pub fn every_message() -> Vec<Subject> {{ vec![{subjects}] }}

        /// How large every struct is in memory, and how small in bytes.
        pub fn every_size() -> Vec<Size> {{ vec![{sizes}] }}\n"
    )
}

fn groups(resolved: &Resolved) -> Vec<(&'static str, Vec<&Message>)> {
    let of =
        |test: &dyn Fn(&Message) -> bool| resolved.messages.iter().filter(|m| test(m)).collect();
    vec![
        ("requests", of(&|m| m.spec.kind == Kind::Request)),
        ("responses", of(&|m| m.spec.kind == Kind::Response)),
        ("data", of(&|m| matches!(m.spec.kind, Kind::Header | Kind::Data))),
        ("logs", of(&|m| m.spec.log.is_some())),
    ]
}

/// The package of Kafka's class for a message, below org.apache.kafka, and what follows the
/// message's name in the name of the class.
fn java_class(message: &Message) -> (&'static str, &'static str) {
    let package = match message.spec.log {
        Some(Log::Metadata) => "common.metadata",
        Some(Log::Remote) => "server.log.remote.metadata.storage.generated",
        Some(Log::Group) => "coordinator.group.generated",
        Some(Log::Transaction) => "coordinator.transaction.generated",
        Some(Log::Share) => "coordinator.share.generated",
        // The only message of the storage module that is no record of a log.
        None if message.spec.name == "ProducerSnapshot" => {
            "server.log.remote.metadata.storage.generated"
        }
        None => "common.message",
    };
    let suffix = match message.spec.kind {
        Kind::Request | Kind::Response | Kind::Header => "Data",
        Kind::Data | Kind::Record | Kind::Key | Kind::Value => "",
    };
    (package, suffix)
}

fn arbitrary(out: &mut String, item: &Struct) {
    let _ = write!(
        out,
        "\nimpl Arbitrary for {} {{
            fn arbitrary(g: &mut Gen, version: i16) -> Self {{\n",
        item.name,
    );
    let mut lines = String::new();
    for field in &item.fields {
        if field.versions.intersect(item.versions).is_empty() {
            continue;
        }
        let ident = field_ident(&field.name);
        let around = field.versions.intersect(item.versions);
        let value = match condition(field.nullable, around, "version") {
            _ if field.nullable.is_empty() => "g.value(version)".to_owned(),
            None => "g.nullable(version)".to_owned(),
            Some(c) => {
                format!("if {c} {{ g.nullable(version) }} else {{ Some(g.value(version)) }}")
            }
        };
        let mut conditions = Vec::new();
        conditions.extend(condition(field.versions, item.versions, "version"));
        conditions.extend(field.tag.map(|_| "g.coin()".to_owned()));
        let line = format!("it.{ident} = {value};");
        let _ = match conditions.is_empty() {
            true => writeln!(lines, "{line}"),
            false => writeln!(lines, "if {} {{ {line} }}", conditions.join(" && ")),
        };
    }
    match lines.is_empty() {
        true => out.push_str("let _ = (g, version);\nSelf::default()\n"),
        false => {
            let _ = write!(out, "let mut it = Self::default();\n{lines}it\n");
        }
    }
    out.push_str("}\n}\n");
}
