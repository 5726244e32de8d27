//! Tables for people, and the same as JSON lines for machines.

use std::io::Write as _;

use serde_json::{Map, Value};

/// What a bench has found.
pub(crate) struct Report {
    json: Option<String>,
    lines: Vec<Value>,
}

/// One row: the columns by name, in order.
pub(crate) type Row = Vec<(&'static str, String)>;

impl Report {
    /// A report; `json` names the file for machines, one object a row.
    pub(crate) fn new(json: Option<String>) -> Self {
        Self { json, lines: Vec::new() }
    }

    /// Prints a table under its title and keeps its rows.
    pub(crate) fn table(&mut self, title: &str, rows: &[Row]) {
        println!("\n### {title}\n");
        let Some(first) = rows.first() else { return };
        let names: Vec<&str> = first.iter().map(|(name, _)| *name).collect();
        println!("| {} |", names.join(" | "));
        println!("|{}", "---|".repeat(names.len()));
        for row in rows {
            let cells: Vec<&str> = row.iter().map(|(_, cell)| cell.as_str()).collect();
            println!("| {} |", cells.join(" | "));
            let mut object = Map::new();
            object.insert("table".to_owned(), Value::from(title));
            object.extend(row.iter().map(|(name, cell)| ((*name).to_owned(), value(cell))));
            self.lines.push(Value::Object(object));
        }
    }

    /// Prints the command that makes it all again, and writes the JSON.
    pub(crate) fn close(self, bench: &str) {
        let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
        println!("\nmade by: cargo bench --bench {bench} -- {}", arguments.join(" "));
        let Some(path) = self.json else { return };
        let mut file = std::fs::File::create(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        for line in self.lines {
            writeln!(file, "{line}").expect("room for the JSON");
        }
    }
}

/// A number where the cell is one.
fn value(cell: &str) -> Value {
    cell.parse::<f64>().map_or_else(|_| Value::from(cell), Value::from)
}
