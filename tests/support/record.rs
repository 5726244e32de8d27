//! The record, read as an administrator reads it: through the program's own commands.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::server::Server;
use super::{clock, root};

/// How long the record may take to be complete after a call has ended.
const WRITTEN_MAX: Duration = Duration::from_secs(5);

/// The calls of a server, newest first: `cityline calls --json`.
pub(crate) fn calls(server: &Server) -> Vec<Value> {
    let text = command(server, &["calls", "--last", "1000", "--json"]);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
}

/// The journal of a call, from its first line: `cityline why --json`.
pub(crate) fn journal(server: &Server, call: &Value) -> Vec<Value> {
    let told = command(server, &["why", text(call, "call"), "--json"]);
    let mut told: Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("not JSON: {told}"));
    let Value::Array(events) = told["events"].take() else { panic!("no events: {told:#}") };
    events
}

/// Waits until exactly `count` calls are in the record and each has its outcome.
pub(crate) fn settled(server: &Server, count: usize) -> Vec<Value> {
    clock::until(&format!("{count} calls with an outcome"), WRITTEN_MAX, || {
        let calls = calls(server);
        assert!(calls.len() <= count, "{} calls in the record, and {count} were made: {calls:#?}", calls.len());
        let complete = calls.len() == count && calls.iter().all(|call| call["outcome"].is_string());
        complete.then_some(calls)
    })
}

/// The one call of a test, when it has its outcome. Its record must have no flaw that the store itself sees.
pub(crate) fn only_call(server: &Server) -> Value {
    let call = settled(server, 1).remove(0);
    assert!(call["flaws"].as_array().is_none_or(Vec::is_empty), "{call:#}");
    call
}

/// A field of text.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text `{field}` in {value:#}"))
}

/// The events of a journal, by their words.
pub(crate) fn words(journal: &[Value]) -> Vec<&str> {
    journal.iter().map(|entry| text(event(entry), "event")).collect()
}

/// The event of a journal's line.
pub(crate) fn event(entry: &Value) -> &Value {
    &entry["event"]
}

/// The first event of that kind.
pub(crate) fn first<'a>(journal: &'a [Value], word: &str) -> &'a Value {
    let found = journal.iter().map(event).find(|event| event["event"] == word);
    found.unwrap_or_else(|| panic!("no `{word}` among {:?}", words(journal)))
}

/// What every record must satisfy: a beginning, one end, no gap in the numbering, no time that runs back.
pub(crate) fn assert_true(journal: &[Value]) {
    let words = words(journal);
    assert_eq!(words.first(), Some(&"arrived"), "{words:?}");
    assert_eq!(words.last(), Some(&"ended"), "{words:?}");
    assert_eq!(words.iter().filter(|word| **word == "ended").count(), 1, "{words:?}");
    for (index, entry) in journal.iter().enumerate() {
        assert_eq!(entry["seq"], index, "{entry:#}");
    }
    let times: Vec<u64> = journal.iter().filter_map(|entry| entry["at_ms"].as_u64()).collect();
    assert!(times.is_sorted(), "{times:?}");
}

fn command(server: &Server, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cityline"))
        .args(arguments)
        .arg("--data")
        .arg(server.data())
        .current_dir(root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}
