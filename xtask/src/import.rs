//! `cargo xtask import-schema DIR...`: reads Kafka's message files into the schema file.
//!
//! Only facts are taken (names, types, versions, tags, defaults); the texts that describe them stay
//! behind. What Kafka's generator would refuse or what the schema has no word for is an error here,
//! so that a later release with a new idea is noticed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::json::Json;
use crate::schema::{
    self, Field, Kind, Log, Message, Retired, Schema, Struct, Type, Value, Versions,
};

/// Runs the command: all JSON files of the folders, into the schema file below `root`.
pub fn run(root: &Path, dirs: &[&str]) -> Result<()> {
    let mut schema = Schema::default();
    for dir in dirs {
        for file in json_files(Path::new(dir))? {
            let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
            import(&mut schema, &text, log_of(&file))
                .map_err(|reason| format!("{}: {reason}", file.display()))?;
        }
    }
    sort(&mut schema);
    let path = root.join(schema::PATH);
    fs::write(&path, schema::print(&schema)).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("{} messages, {} retired APIs", schema.messages.len(), schema.retired.len());
    Ok(())
}

fn json_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let paths = entries.map(|entry| entry.map(|e| e.path()));
    let mut paths: Vec<PathBuf> =
        paths.collect::<std::io::Result<_>>().map_err(|e| e.to_string())?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}

/// The log whose records a module of Kafka's tree defines.
fn log_of(file: &Path) -> Option<Log> {
    file.components().rev().find_map(|part| match part.as_os_str().to_str()? {
        // metadata/src/main/resources/common/metadata: either component says the same.
        "metadata" => Some(Log::Metadata),
        "storage" => Some(Log::Remote),
        "group-coordinator" => Some(Log::Group),
        "transaction-coordinator" => Some(Log::Transaction),
        "share-coordinator" => Some(Log::Share),
        _ => None,
    })
}

/// Requests with their responses by key, then headers and data by name, then logs by type.
fn sort(schema: &mut Schema) {
    schema.retired.sort_by_key(|retired| retired.key);
    schema.messages.sort_by_key(|m| {
        let part = match m.kind {
            Kind::Request | Kind::Response => 0,
            Kind::Header => 1,
            Kind::Data => 2,
            Kind::Record | Kind::Key | Kind::Value => 3,
        };
        (part, m.log, m.key, m.kind, m.name.clone())
    });
}

fn import(schema: &mut Schema, text: &str, log: Option<Log>) -> Result<()> {
    let json = Json::parse(text)?;
    let name = text_of(&json, "name").ok_or("no name")?;
    let kind = match text_of(&json, "type").as_deref() {
        Some("request") => Kind::Request,
        Some("response") => Kind::Response,
        Some("header") => Kind::Header,
        Some("data") => Kind::Data,
        Some("metadata") => Kind::Record,
        Some("coordinator-key") => Kind::Key,
        Some("coordinator-value") => Kind::Value,
        other => return Err(format!("unknown type {other:?}")),
    };
    let key = text_of(&json, "apiKey").map(|key| key.parse::<i16>());
    let key = key.transpose().map_err(|_| "apiKey is not an int16")?;
    let versions = range(&json, "validVersions")?.ok_or("no validVersions")?;
    if versions.is_empty() {
        if let (Kind::Request, Some(key)) = (kind, key) {
            let name = name.strip_suffix("Request").unwrap_or(&name).to_owned();
            schema.retired.push(Retired { name, key });
        }
        return Ok(());
    }
    let is_record = matches!(kind, Kind::Record | Kind::Key | Kind::Value);
    if is_record && log.is_none() {
        return Err("a record outside the modules whose logs are known".to_owned());
    }
    let flexible = range(&json, "flexibleVersions")?.ok_or("no flexibleVersions")?;
    let mut message = Message {
        kind,
        name,
        log: log.filter(|_| is_record),
        key,
        versions,
        flexible: flexible.intersect(versions),
        broker: false,
        controller: false,
        latest_unstable: flag(&json, "latestVersionUnstable"),
        structs: Vec::new(),
        fields: fields(&json, versions)?,
    };
    for listener in json.get("listeners").map(Json::list).unwrap_or_default() {
        match listener.scalar().as_deref() {
            Some("broker") => message.broker = true,
            Some("controller") => message.controller = true,
            other => return Err(format!("unknown listener {other:?}")),
        }
    }
    for shared in json.get("commonStructs").map(Json::list).unwrap_or_default() {
        message.structs.push(shared_struct(shared, versions)?);
    }
    schema.messages.push(message);
    Ok(())
}

fn shared_struct(json: &Json, around: Versions) -> Result<Struct> {
    let name = text_of(json, "name").ok_or("a struct without name")?;
    let versions = range(json, "versions")?.ok_or("a struct without versions")?.intersect(around);
    Ok(Struct { name, versions, fields: fields(json, versions)? })
}

fn text_of(json: &Json, key: &str) -> Option<String> {
    json.get(key).and_then(Json::scalar)
}

fn flag(json: &Json, key: &str) -> bool {
    json.get(key) == Some(&Json::Bool(true))
}

fn range(json: &Json, key: &str) -> Result<Option<Versions>> {
    let Some(text) = text_of(json, key) else { return Ok(None) };
    Versions::parse(&text).map(Some).ok_or_else(|| format!("{key} is not a range: {text}"))
}

/// The fields of an object that exist in some version of what is around them.
fn fields(json: &Json, around: Versions) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    for entry in json.get("fields").map(Json::list).unwrap_or_default() {
        let field = field(entry, around).map_err(|reason| {
            format!("{}: {reason}", text_of(entry, "name").unwrap_or_default())
        })?;
        if !field.versions.is_empty() {
            fields.push(field);
        }
    }
    Ok(fields)
}

fn field(json: &Json, around: Versions) -> Result<Field> {
    let text = text_of(json, "type").ok_or("no type")?;
    let ty = Type::parse(&text).ok_or_else(|| format!("unknown type {text}"))?;
    let tagged = range(json, "taggedVersions")?.unwrap_or(Versions::NONE);
    let declared = match range(json, "versions")? {
        Some(versions) => versions,
        None if !tagged.is_empty() => tagged,
        None => return Err("no versions".to_owned()),
    };
    let tag = text_of(json, "tag").map(|tag| tag.parse::<u32>());
    let tag = tag.transpose().map_err(|_| "tag is not a number")?;
    if tag.is_some() == tagged.is_empty() || tag.is_some() && tagged != declared {
        return Err("a tagged field must be tagged in all its versions".to_owned());
    }
    let classic = match range(json, "flexibleVersions")? {
        None => false,
        Some(Versions::NONE) => true,
        Some(other) => return Err(format!("flexible only in {other}")),
    };
    let versions = declared.intersect(around);
    let nullable = range(json, "nullableVersions")?.unwrap_or(Versions::NONE).intersect(versions);
    if !nullable.is_empty() && !ty.may_be_null() {
        return Err(format!("{ty} cannot be null"));
    }
    Ok(Field {
        name: text_of(json, "name").ok_or("no name")?,
        default: default(json, &ty, nullable == versions)?,
        ty,
        versions,
        nullable,
        tag,
        ignorable: flag(json, "ignorable"),
        classic,
        fields: fields(json, versions)?,
    })
}

/// A missing default, JSON's null and the empty text all mean the type's own zero.
fn default(json: &Json, ty: &Type, nullable: bool) -> Result<Value> {
    let text = text_of(json, "default").unwrap_or_default();
    let bad = || Err(format!("{ty} with default {text}"));
    match text.to_ascii_lowercase().as_str() {
        "" => Ok(Value::Zero),
        "null" if nullable => Ok(Value::Null),
        "true" if *ty == Type::Bool => Ok(Value::True),
        "false" if *ty == Type::Bool => Ok(Value::Zero),
        number if ty.is_integer() => {
            let parsed = match number.strip_prefix("0x") {
                Some(digits) => i64::from_str_radix(digits, 16),
                None => number.parse(),
            };
            match parsed {
                Ok(0) => Ok(Value::Zero),
                Ok(value) => Ok(Value::Int(value)),
                Err(_) => bad(),
            }
        }
        _ => bad(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import_one(text: &str) -> Result<Schema> {
        let mut schema = Schema::default();
        import(&mut schema, text, None).map(|()| schema)
    }

    #[test]
    fn takes_the_facts() {
        let text = r#"{ "apiKey": 7, "type": "request", "name": "XRequest", "listeners": ["broker"],
          "validVersions": "2-5", "flexibleVersions": "4+", "latestVersionUnstable": true,
          "fields": [
            { "name": "A", "type": "int32", "versions": "0+", "default": "0x10", "about": "n" },
            { "name": "Gone", "type": "int32", "versions": "0-1" },
            { "name": "B", "type": "[]string", "taggedVersions": "4+", "tag": 0,
              "nullableVersions": "4+", "default": "null", "ignorable": true } ] }"#;
        let schema = import_one(text).expect("imports");
        let printed = schema::print(&schema);
        let line =
            "request XRequest key 7 versions 2-5 flexible 4+ listeners broker latest-unstable";
        assert!(printed.contains(line), "{printed}");
        assert!(printed.contains("  A: int32 default 16\n"), "{printed}");
        assert!(printed.contains("  B: []string? 4+ tag 0 default null ignorable\n"), "{printed}");
        assert!(!printed.contains("Gone") && !printed.contains("about"), "{printed}");
        assert_eq!(schema::parse(&printed).expect("parses"), schema);
    }

    #[test]
    fn refuses_what_it_cannot_say() {
        let field = |rest: &str| {
            format!(
                r#"{{ "type": "data", "name": "X", "validVersions": "0-1", "flexibleVersions": "0+",
                "fields": [ {{ "name": "A", "versions": "0+", {rest} }} ] }}"#
            )
        };
        for (rest, complaint) in [
            (r#""type": "int31""#, "unknown type"),
            (r#""type": "int8", "nullableVersions": "0+""#, "cannot be null"),
            (r#""type": "string", "default": "x""#, "with default x"),
            (r#""type": "string", "tag": 0"#, "tagged in all its versions"),
            (r#""type": "string", "flexibleVersions": "1+""#, "flexible only in"),
        ] {
            let reason = import_one(&field(rest)).expect_err(rest);
            assert!(reason.contains(complaint), "{reason} lacks {complaint}");
        }
    }
}
