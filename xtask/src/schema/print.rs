//! Writes the schema file. What `print` writes, `parse` reads back to the same value.

use std::fmt::Write;

use super::{Field, Kind, Message, Schema, Value, Versions};

const HEADER: &str = "\
# Kafka's messages and log records: the one source of everything in wire/src/messages and
# wire/src/records (cargo xtask codegen). Imported from Kafka's own files (cargo xtask
# import-schema), edited by nobody.
#
#   request|response NAME key API-KEY versions RANGE [flexible RANGE] [listeners ...]
#   header|data      NAME versions RANGE [flexible RANGE]
#   record|key|value NAME log LOG key TYPE versions RANGE [flexible RANGE]
#
# A range is 3, 3-5, or 3+ (to the newest). A field is `Name: type [range] [attributes]`; without a
# range it is in every version of what it stands in. `?` after the type: may be null in every
# version; `nullable 7+`: only in those. `tag N`: a tagged field. `default`: where it is not zero,
# false or empty. `ignorable`: dropped without an error where the version lacks it. `classic`: never
# in the compact form. Braces after a field define its struct; `struct` one that several fields use.
";

/// The text of a schema.
pub fn print(schema: &Schema) -> String {
    let mut out = HEADER.to_owned();
    out.push_str("\n# APIs that Kafka removed; their keys stay taken.\n");
    for retired in &schema.retired {
        let _ = writeln!(out, "retired {} key {}", retired.name, retired.key);
    }
    let mut section = "";
    for message in &schema.messages {
        let title = section_of(message);
        if title != section {
            let _ = write!(out, "\n# --- {title} ---\n");
            section = title;
        }
        print_message(&mut out, message);
    }
    out
}

fn section_of(message: &Message) -> &'static str {
    match (message.kind, message.log) {
        (Kind::Request | Kind::Response, _) => "requests and responses, by API key",
        (Kind::Header, _) => "headers of requests and responses",
        (Kind::Data, _) => "what travels inside other fields, batches and files",
        (_, Some(log)) => log.word(),
        (_, None) => "others",
    }
}

fn print_message(out: &mut String, message: &Message) {
    let _ = write!(out, "\n{} {}", message.kind.word(), message.name);
    if let Some(log) = message.log {
        let _ = write!(out, " log {}", log.word());
    }
    if let Some(key) = message.key {
        let _ = write!(out, " key {key}");
    }
    let _ = write!(out, " versions {}", message.versions);
    if !message.flexible.is_empty() {
        let _ = write!(out, " flexible {}", relative(message.flexible, message.versions));
    }
    if message.broker || message.controller {
        out.push_str(" listeners");
        out.push_str(if message.broker { " broker" } else { "" });
        out.push_str(if message.controller { " controller" } else { "" });
    }
    out.push_str(if message.latest_unstable { " latest-unstable" } else { "" });
    out.push_str(" {\n");
    for shared in &message.structs {
        let _ = write!(out, "  struct {}", shared.name);
        print_versions(out, shared.versions, message.versions);
        out.push_str(" {\n");
        print_fields(out, &shared.fields, shared.versions, 2);
        out.push_str("  }\n");
    }
    print_fields(out, &message.fields, message.versions, 1);
    out.push_str("}\n");
}

fn print_fields(out: &mut String, fields: &[Field], around: Versions, depth: usize) {
    for field in fields {
        print_field(out, field, around, depth);
    }
}

fn print_field(out: &mut String, field: &Field, around: Versions, depth: usize) {
    let _ = write!(out, "{:indent$}{}: {}", "", field.name, field.ty, indent = depth * 2);
    if field.nullable == field.versions {
        out.push('?');
    }
    print_versions(out, field.versions, around);
    if !field.nullable.is_empty() && field.nullable != field.versions {
        let _ = write!(out, " nullable {}", relative(field.nullable, field.versions));
    }
    if let Some(tag) = field.tag {
        let _ = write!(out, " tag {tag}");
    }
    match field.default {
        Value::Zero => {}
        Value::Null => out.push_str(" default null"),
        Value::True => out.push_str(" default true"),
        Value::Int(value) => {
            let _ = write!(out, " default {value}");
        }
    }
    out.push_str(if field.ignorable { " ignorable" } else { "" });
    out.push_str(if field.classic { " classic" } else { "" });
    if field.fields.is_empty() {
        out.push('\n');
        return;
    }
    out.push_str(" {\n");
    print_fields(out, &field.fields, field.versions, depth + 1);
    let _ = writeln!(out, "{:indent$}}}", "", indent = depth * 2);
}

fn print_versions(out: &mut String, versions: Versions, around: Versions) {
    if versions != around {
        let _ = write!(out, " {}", relative(versions, around));
    }
}

/// An end that is the newest version of what is around is written open.
fn relative(versions: Versions, around: Versions) -> Versions {
    let open = versions.last == around.last;
    Versions { last: if open { i16::MAX } else { versions.last }, ..versions }
}
