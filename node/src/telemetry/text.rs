//! Prometheus' text format.

use std::fmt::{Arguments, Display, Write};

/// The text so far. Lines of one name follow each other, its help before them.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// A value that goes up and down, of the whole node.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, "gauge", help);
        self.write(format_args!("{name} {value}\n"));
    }

    /// A value that only grows, of the whole node.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, "counter", help);
        self.write(format_args!("{name} {value}\n"));
    }

    /// What stands before the lines of a name.
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A line of a part of the node, which the labels name: `label="value"`, separated by commas.
    pub(super) fn line(&mut self, name: &str, labels: impl Display, value: impl Display) {
        self.write(format_args!("{name}{{{labels}}} {value}\n"));
    }

    /// All of it.
    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn write(&mut self, line: Arguments<'_>) {
        self.0.write_fmt(line).expect("a string takes all");
    }
}
