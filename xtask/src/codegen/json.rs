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
    // Fields that are always there, up to the first that is not, and the rest.
    let (mut always, mut rest) = (String::new(), String::new());
    for field in &item.fields {
        if field.versions.intersect(item.versions).is_empty() {
            continue;
        }
        let (ident, name) = (field_ident(&field.name), camel_case(&field.name));
        let pair = format!("(\"{name}\", self.{ident}.to_json(version))");
        let conditions = conditions(message, item, field).join(" && ");
        let _ = match (conditions.is_empty(), rest.is_empty()) {
            (true, true) => write!(always, "{pair},"),
            (true, false) => writeln!(rest, "fields.push({pair});"),
            (false, _) => writeln!(rest, "if {conditions} {{ fields.push({pair}); }}"),
        };
    }
    let body = match (always.is_empty(), rest.is_empty()) {
        (_, true) => format!("Json::Object(vec![{always}])"),
        (true, _) => format!("let mut fields = Vec::new();\n{rest}Json::Object(fields)"),
        (false, _) => format!("let mut fields = vec![{always}];\n{rest}Json::Object(fields)"),
    };
    let _ = write!(
        out,
        "\nimpl ToJson for {} {{
            fn to_json(&self, version: i16) -> Json {{
                {body}
            }}
        }}\n",
        item.name
    );
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
