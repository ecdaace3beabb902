//! The host, as a list.

use std::fmt::Write;

use super::page::escape;
use crate::host::{Host, Versions, facts};
use crate::results::Env;

/// The machine in a line.
pub fn in_a_line(env: &Env) -> String {
    let host = &env.host;
    let mut parts = Vec::new();
    parts.extend(host.cpu_model.clone());
    parts.push(format!("{} processors", host.cpus_allowed));
    parts.extend(host.memory_bytes.map(|bytes| format!("{} GiB", bytes >> 30)));
    parts.extend(host.kernel.as_ref().map(|kernel| format!("Linux {kernel}")));
    if let Some(data) = &host.data {
        let journal = match data.journal {
            Some(true) => " with a journal",
            Some(false) => " without a journal",
            None => "",
        };
        let device = data.device.as_ref().map_or(String::new(), |device| format!(" on {device}"));
        parts.push(format!("{}{journal}{device}", data.kind));
    }
    if host.virtualised == Some(true) {
        parts.push("a virtual machine".to_owned());
    }
    parts.join(", ")
}

/// What is known of the machine.
pub fn render(host: &Host, versions: &Versions) -> String {
    let mut html = String::from("<dl>\n");
    let compiler = ("Compiler", Some(versions.rustc.clone()));
    for (name, value) in facts(host).into_iter().chain([compiler]) {
        let value = value.unwrap_or_else(|| "not known".to_owned());
        let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(&value));
    }
    html.push_str("</dl>\n");
    html
}
