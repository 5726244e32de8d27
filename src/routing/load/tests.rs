//! The loader, on Portland's rules and on broken ones.

use std::path::Path;

use super::*;

#[test]
fn portland_loads_without_a_word() {
    let book = Rulebook::load_unheard(Path::new("routing-rules")).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    assert_eq!(book.warnings(), []);
    assert_eq!((book.lines.len(), book.topics.len(), book.languages.len()), (32, 101, 9));
    for alias in ["311", "9311", "+15038234000", "5038234000", "8234000"] {
        assert_eq!(book.entry(alias).map(|entry| entry.id.as_ref()), Some("main"), "{alias}");
    }
    assert!(book.entry("911").is_none() && book.entry("8234001").is_none());
}
