//! Records as JSON: Kafka's JsonConverterGenerator. Requests and responses have none; nobody prints
//! them.

use std::fmt::Write;

use super::resolve::{Message, Struct};
use super::structs::{condition, is_set};
use crate::naming::field_ident;
use crate::schema::{Field, Kind};

/// Adds how the structs of a message are printed, if it is one that is.
pub fn add(out: &mut String, message: &Message) {
    if matches!(message.spec.kind, Kind::Request | Kind::Response | Kind::Header) {
        return;
    }
    for item in &message.structs {
        to_json(out, message, item);
    }
}

fn to_json(out: &mut String, message: &Message, item: &Struct) {
    let _ = write!(
        out,
        "\nimpl ToJson for {} {{
            fn to_json(&self, version: i16) -> Json {{
                let mut fields = Vec::new();\n",
        item.name
    );
    for field in &item.fields {
        if field.versions.intersect(item.versions).is_empty() {
            continue;
        }
        let (ident, name) = (field_ident(&field.name), camel_case(&field.name));
        let push = format!("fields.push((\"{name}\", self.{ident}.to_json(version)));");
        let conditions = conditions(message, item, field);
        let _ = match conditions.is_empty() {
            true => writeln!(out, "{push}"),
            false => writeln!(out, "if {} {{ {push} }}", conditions.join(" && ")),
        };
    }
    out.push_str("Json::Object(fields)\n}\n}\n");
}

/// A tagged field is left out while it has its default.
fn conditions(message: &Message, item: &Struct, field: &Field) -> Vec<String> {
    let mut all = Vec::new();
    let versions = match field.tag {
        Some(_) => field.versions.intersect(message.spec.flexible),
        None => field.versions,
    };
    all.extend(condition(versions, item.versions, "version"));
    if field.tag.is_some() {
        let set = is_set(field);
        all.push(if set.contains("||") { format!("({set})") } else { set });
    }
    all
}

fn camel_case(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
