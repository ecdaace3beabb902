//! The modules around the messages: what they export, the table of APIs, the enums of records.

use std::fmt::Write;
use std::path::PathBuf;

use super::Files;
use super::resolve::{Message, Resolved};
use super::structs::{self, BANNER};
use crate::schema::{Kind, Log};

const ALLOW: &str = "#![allow(missing_docs, reason = \"Kafka's names are the documentation\")]
#![allow(clippy::large_enum_variant, reason = \"records are handled one at a time\")]
#![allow(clippy::field_reassign_with_default, reason = \"fields are read one after the other\")]
#![allow(unused_mut, unused_variables, reason = \"some structs have no fields in some layouts\")]
#![allow(unused_imports, reason = \"every module has the same prelude\")]
";

/// Adds the modules of the library.
pub fn add(files: &mut Files, resolved: &Resolved) {
    for message in &resolved.messages {
        let folder = PathBuf::from("wire/src").join(message.folder().replace("::", "/"));
        files.insert(folder.join(message.module() + ".rs"), structs::module(message));
    }
    files.insert("wire/src/messages/mod.rs".into(), messages(resolved));
    files.insert("wire/src/messages/api.rs".into(), api(resolved));
    files.insert("wire/src/records/mod.rs".into(), records());
    for log in Log::ALL {
        let path = format!("wire/src/records/{}/mod.rs", log.word());
        files.insert(path.into(), record_module(resolved, log));
    }
}

fn messages(resolved: &Resolved) -> String {
    let mut out = "//! Requests, responses, headers, and what travels inside them.\n".to_owned();
    let _ = write!(out, "//!\n//! One module per message, because the names of inner structs are ");
    let _ = write!(out, "unique\n//! within a message only.\n\n{BANNER}\n{ALLOW}\n");
    let here: Vec<&Message> = resolved.messages.iter().filter(|m| m.spec.log.is_none()).collect();
    out.push_str("pub(crate) mod api;\n");
    exports(&mut out, &here);
    out
}

fn exports(out: &mut String, messages: &[&Message]) {
    for message in messages {
        let _ = writeln!(out, "pub mod {};", message.module());
    }
    out.push('\n');
    for message in messages {
        let _ = writeln!(out, "pub use {}::{};", message.module(), message.spec.name);
    }
}

/// The enum of the APIs and the table behind it.
fn api(resolved: &Resolved) -> String {
    let specs = resolved.messages.iter().map(|message| &message.spec);
    let requests: Vec<_> = specs.clone().filter(|spec| spec.kind == Kind::Request).collect();
    let responses: Vec<_> = specs.filter(|spec| spec.kind == Kind::Response).collect();
    let mut variants = String::new();
    let mut all = String::new();
    let mut rows = String::new();
    for request in requests {
        let name = request.name.strip_suffix("Request").unwrap_or(&request.name);
        let key = request.key.unwrap_or_default();
        let response = responses.iter().find(|response| response.key == request.key);
        let flexible_from = |spec: &crate::schema::Message| match spec.flexible.is_empty() {
            true => i16::MAX,
            false => spec.flexible.first,
        };
        let _ = writeln!(variants, "{name} = {key},");
        let _ = writeln!(all, "Self::{name},");
        let _ = writeln!(
            rows,
            "Api {{ key: ApiKey::{name}, name: \"{name}\", first: {first}, last: {last},
                last_is_unstable: {unstable}, request_flexible_from: {request_from},
                response_flexible_from: {response_from}, on_broker: {broker},
                on_controller: {controller} }},",
            first = request.versions.first,
            last = request.versions.last,
            unstable = request.latest_unstable,
            request_from = flexible_from(request),
            response_from = response.map_or(i16::MAX, |response| flexible_from(response)),
            broker = request.broker,
            controller = request.controller,
        );
    }
    let mut retired = String::new();
    for api in &resolved.retired {
        let _ = writeln!(retired, "({}, \"{}\"),", api.key, api.name);
    }
    format!(
        "//! Every API that has versions, by key.\n\n{BANNER}\nuse crate::api_key::Api;\n
        /// The kind of a request and of its response.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {{ {variants} }}

        impl ApiKey {{
            /// Every API, by key.
            pub const ALL: &'static [Self] = &[{all}];

            /// The keys and names that Kafka used once and serves no more.
            pub const RETIRED: &'static [(i16, &'static str)] = &[{retired}];
        }}

        pub(crate) static TABLE: &[Api] = &[{rows}];\n"
    )
}

fn records() -> String {
    let mut out = "//! The records of Kafka's internal topics, by log.\n\n".to_owned();
    let _ = writeln!(out, "{BANNER}\n{ALLOW}");
    for log in Log::ALL {
        let _ = writeln!(out, "pub mod {};", log.word());
    }
    out
}

fn record_module(resolved: &Resolved, log: Log) -> String {
    let here = resolved.messages.iter().filter(|message| message.spec.log == Some(log));
    let here: Vec<&Message> = here.collect();
    let topic = match log {
        Log::Metadata => "the metadata log",
        Log::Remote => "the remote log metadata topic",
        Log::Group => "the group coordinator's topic",
        Log::Transaction => "the transaction coordinator's topic",
        Log::Share => "the share coordinator's topic",
    };
    let mut out = format!("//! Records of {topic}.\n\n{BANNER}\n");
    exports(&mut out, &here);
    let enums = [
        (Kind::Record, "framed_records", "Record", "A record"),
        (Kind::Key, "record_keys", "Key", "A key"),
        (Kind::Value, "record_values", "Value", "A value"),
    ];
    for (kind, macro_name, suffix, article) in enums {
        let mut entries = String::new();
        for spec in here.iter().map(|message| &message.spec).filter(|spec| spec.kind == kind) {
            let variant = spec.name.strip_suffix(suffix).unwrap_or(&spec.name);
            let _ =
                writeln!(entries, "        {variant}({}) = {},", spec.name, spec.key.unwrap_or(-1));
        }
        if !entries.is_empty() {
            let name = match (kind, log) {
                (Kind::Record, Log::Metadata) => "MetadataRecord",
                (Kind::Record, _) => "RemoteRecord",
                _ => suffix,
            };
            // rustfmt leaves macros in braces as they are.
            let _ = write!(
                out,
                "\ncrate::frame::{macro_name}! {{\n    /// {article} of {topic}, of any type.\n"
            );
            let _ = write!(out, "    {name} {{\n{entries}    }}\n}}\n");
        }
    }
    out
}
