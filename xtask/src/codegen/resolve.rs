//! The schema with every struct in its place: what the generators walk over.
//!
//! Checked here: that every named struct exists once, that defaults and tags fit, and how small an
//! encoded struct can be, which bounds the arrays a decoder believes.

use std::collections::BTreeMap;

use crate::Result;
use crate::naming::{field_ident, snake_case};
use crate::schema::{self, Field, Kind, Retired, Type, Value, Versions};

/// Everything there is to generate.
pub struct Resolved {
    pub retired: Vec<Retired>,
    pub messages: Vec<Message>,
}

/// A message and its structs; the first is the message itself.
pub struct Message {
    pub spec: schema::Message,
    pub structs: Vec<Struct>,
}

/// A struct as the generators see it.
pub struct Struct {
    pub name: String,
    /// The versions in which it can be met.
    pub versions: Versions,
    pub fields: Vec<Field>,
    /// The fewest bytes it takes, at least 1.
    pub min_bytes: usize,
    /// No float in it, nor in what it holds.
    pub is_eq: bool,
}

impl Message {
    /// The Rust module of the message.
    pub fn module(&self) -> String {
        snake_case(&self.spec.name)
    }

    /// The path of the module's parent inside the crate.
    pub fn folder(&self) -> String {
        match self.spec.log {
            Some(log) => format!("records::{}", log.word()),
            None => "messages".to_owned(),
        }
    }

    pub fn never_flexible(&self) -> bool {
        self.spec.flexible.is_empty()
    }
}

/// Checks a schema and puts its structs in order.
pub fn resolve(schema: schema::Schema) -> Result<Resolved> {
    let mut messages = Vec::new();
    for spec in schema.messages {
        let name = spec.name.clone();
        messages.push(message(spec).map_err(|reason| format!("{name}: {reason}"))?);
    }
    check_pairs(&messages)?;
    Ok(Resolved { retired: schema.retired, messages })
}

/// Every request has a response, and every key a value, of the same number and name.
fn check_pairs(messages: &[Message]) -> Result<()> {
    let has = |kind, of: &schema::Message, name: &str| {
        let mut specs = messages.iter().map(|m| &m.spec);
        specs.any(|m| m.kind == kind && m.key == of.key && m.log == of.log && m.name == name)
    };
    for Message { spec, .. } in messages {
        let (kind, suffix, other) = match spec.kind {
            Kind::Request => (Kind::Response, "Request", "Response"),
            Kind::Response => (Kind::Request, "Response", "Request"),
            Kind::Key => (Kind::Value, "Key", "Value"),
            Kind::Value => (Kind::Key, "Value", "Key"),
            Kind::Header | Kind::Data | Kind::Record => continue,
        };
        let stem = spec.name.strip_suffix(suffix).ok_or(format!("{}: no {suffix}", spec.name))?;
        if !has(kind, spec, &format!("{stem}{other}")) {
            return Err(format!("{} has no {other}", spec.name));
        }
    }
    Ok(())
}

fn message(spec: schema::Message) -> Result<Message> {
    let mut found = Vec::new();
    collect(&mut found, &spec.name, spec.versions, &spec.fields);
    for shared in &spec.structs {
        collect(&mut found, &shared.name, shared.versions, &shared.fields);
    }
    let mut fields_of = BTreeMap::new();
    for (name, _, fields) in &found {
        if fields_of.insert(name.as_str(), *fields).is_some() {
            return Err(format!("struct {name} is defined twice"));
        }
    }
    let mut structs = Vec::new();
    for (name, versions, fields) in &found {
        check_fields(fields, &fields_of, &spec)?;
        let sizes =
            (versions.first..=versions.last).map(|v| min_bytes(fields, v, &fields_of, &spec));
        structs.push(Struct {
            name: (*name).clone(),
            versions: *versions,
            fields: fields.to_vec(),
            min_bytes: sizes.min().unwrap_or(0).max(1),
            is_eq: is_eq(fields, &fields_of),
        });
    }
    Ok(Message { structs, spec })
}

type FieldsOf<'a> = BTreeMap<&'a str, &'a [Field]>;

/// The struct and those that its fields define, outermost first.
fn collect<'a>(
    found: &mut Vec<(&'a String, Versions, &'a [Field])>,
    name: &'a String,
    versions: Versions,
    fields: &'a [Field],
) {
    found.push((name, versions, fields));
    for field in fields.iter().filter(|field| !field.fields.is_empty()) {
        if let Type::Struct(inner) = element(&field.ty) {
            collect(found, inner, field.versions, &field.fields);
        }
    }
}

/// What an array is of; any other type is its own element.
pub fn element(ty: &Type) -> &Type {
    match ty {
        Type::Array(element) => element,
        other => other,
    }
}

fn check_fields(fields: &[Field], known: &FieldsOf<'_>, spec: &schema::Message) -> Result<()> {
    let mut tags: Vec<u32> = fields.iter().filter_map(|field| field.tag).collect();
    tags.sort_unstable();
    if tags.iter().zip(0..).any(|(tag, expected)| *tag != expected) {
        return Err(format!("tags are not 0, 1, 2 and so on: {tags:?}"));
    }
    for field in fields {
        let complaint = |what: &str| Err(format!("{}: {what}", field.name));
        let of_struct = field.ty.struct_name().is_some();
        if !of_struct && !field.fields.is_empty() {
            return complaint("only structs have fields");
        }
        if field.ty.struct_name().is_some_and(|name| !known.contains_key(name)) {
            return complaint("no such struct");
        }
        let fits = match field.default {
            Value::Zero => true,
            Value::Null => !field.nullable.is_empty() && field.nullable == field.versions,
            Value::True => field.ty == Type::Bool,
            Value::Int(_) => field.ty.is_integer(),
        };
        if !fits {
            return complaint("the default does not fit the type");
        }
        let flexible = field.versions.intersect(spec.flexible) == field.versions;
        if field.tag.is_some() && (!flexible || field.ty == Type::Records) {
            return complaint("cannot be tagged");
        }
        let nullable = field.nullable;
        if field.tag.is_some() && !nullable.is_empty() && nullable != field.versions {
            return complaint("a tagged field is nullable in all its versions or in none");
        }
        if field.classic && !matches!(field.ty, Type::String | Type::Bytes) {
            return complaint("only strings and bytes can be classic");
        }
        let names = fields.iter().filter(|f| field_ident(&f.name) == field_ident(&field.name));
        if names.count() > 1 {
            return complaint("the name is taken twice");
        }
    }
    Ok(())
}

/// The fewest bytes of a struct's fields in a version.
fn min_bytes(fields: &[Field], version: i16, of: &FieldsOf<'_>, spec: &schema::Message) -> usize {
    let flexible = spec.is_flexible(version);
    let present = fields.iter().filter(|f| f.tag.is_none() && f.versions.contains(version));
    let sizes = present.map(|field| match &field.ty {
        Type::Bool | Type::Int8 => 1,
        Type::Int16 | Type::Uint16 => 2,
        Type::Int32 | Type::Uint32 => 4,
        Type::Int64 | Type::Float64 => 8,
        Type::Uuid => 16,
        Type::Struct(_) if field.nullable.contains(version) => 1,
        Type::Struct(name) => of.get(name.as_str()).map_or(0, |f| min_bytes(f, version, of, spec)),
        _ if flexible && !field.classic => 1,
        Type::String => 2,
        Type::Bytes | Type::Records | Type::Array(_) => 4,
    });
    sizes.sum::<usize>() + usize::from(flexible)
}

fn is_eq(fields: &[Field], of: &FieldsOf<'_>) -> bool {
    fields.iter().all(|field| match element(&field.ty) {
        Type::Float64 => false,
        Type::Struct(name) => of.get(name.as_str()).is_none_or(|inner| is_eq(inner, of)),
        _ => true,
    })
}
