//! How long a function is and how much it takes. rustfmt has laid the file out, so a function ends at the
//! first line that is a lone `}` under its first word.

use super::{Finding, Source};

/// The longest function, in lines from its first word to its last brace.
const LINES_MAX: usize = 70;
/// The most parameters, `self` not counted.
const PARAMETERS_MAX: usize = 5;

/// The functions of `source` that are too long or take too much.
pub(super) fn findings(source: &Source) -> Vec<Finding> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut findings = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let length = length(&lines[index..]);
        if length > LINES_MAX {
            findings.push(source.finding(
                index + 1,
                format!(
                    "`{name}` has {length} lines, and {LINES_MAX} fit the eye: keep the branches here, move each \
                     pure part to a function under it"
                ),
            ));
        }
        let parameters = parameters(&lines[index..]);
        if parameters > PARAMETERS_MAX {
            findings.push(source.finding(
                index + 1,
                format!(
                    "`{name}` takes {parameters} parameters, and {PARAMETERS_MAX} are the most: group what belongs \
                     together in a struct with a name"
                ),
            ));
        }
    }
    findings
}

/// The name of the function that begins on `line`.
fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if rest.starts_with("pub") {
        rest = rest.trim_start_matches("pub").trim_start();
        if rest.starts_with('(') {
            rest = rest.split_once(')')?.1.trim_start();
        }
    }
    for word in ["const ", "async ", "extern \"C\" "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    Some(name.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default())
}

/// How many lines it has.
fn length(lines: &[&str]) -> usize {
    let indent = lines[0].len() - lines[0].trim_start().len();
    let is_whole = |line: &str| line.trim_end().ends_with('}') || line.trim_end().ends_with(';');
    if is_whole(lines[0]) {
        return 1;
    }
    for (index, line) in lines.iter().enumerate().skip(1) {
        let here = line.len() - line.trim_start().len();
        let ends_declaration = here == indent && line.trim_end().ends_with(';');
        if here == indent && (line.trim() == "}" || ends_declaration) {
            return index + 1;
        }
    }
    1
}

/// How many parameters it takes: the commas of its outermost parentheses.
fn parameters(lines: &[&str]) -> usize {
    let signature: String = lines.iter().take(40).map(|line| line.split("//").next().unwrap_or_default()).collect();
    let Some(open) = opening(&signature) else { return 0 };
    let (mut depth, mut current, mut all) = (0_i32, String::new(), Vec::new());
    let mut before = ' ';
    for c in signature[open + 1..].chars() {
        match c {
            ')' if depth == 0 => break,
            ',' if depth == 0 => all.push(std::mem::take(&mut current)),
            '(' | '[' | '<' | '{' => depth += 1,
            '>' if before == '-' => {}
            ')' | ']' | '>' | '}' => depth -= 1,
            _ => current.push(c),
        }
        before = c;
    }
    all.push(current);
    all.iter().map(|one| one.trim()).filter(|one| !one.is_empty() && !is_self(one)).count()
}

/// Where the parameter list opens: the first `(` that is not inside the generics.
fn opening(signature: &str) -> Option<usize> {
    let (mut depth, mut before) = (0_i32, ' ');
    let name = signature.find("fn ")?;
    for (at, c) in signature[name..].char_indices() {
        match c {
            '(' if depth == 0 => return Some(name + at),
            '<' | '(' => depth += 1,
            '>' if before == '-' => {}
            '>' | ')' => depth -= 1,
            _ => {}
        }
        before = c;
    }
    None
}

fn is_self(parameter: &str) -> bool {
    let name = parameter.split(':').next().unwrap_or_default();
    name.split(|c: char| !c.is_alphanumeric()).any(|word| word == "self")
}

#[test]
fn parameters_are_counted_through_generics_and_closures() {
    assert_eq!(parameters(&["fn f(a: u8, b: impl Fn(u8, u8) -> Result<u8, String>, c: [u8; 3]) {"]), 3);
    assert_eq!(parameters(&["pub fn g<F: Fn(u8) -> u8>(", "    &mut self,", "    f: F,", ") {"]), 1);
    assert_eq!(parameters(&["fn none() {}"]), 0);
}

#[test]
fn a_function_ends_at_its_own_brace() {
    let lines: Vec<&str> =
        "    fn f(\n        a: u8,\n    ) {\n        if a {\n        }\n    }\n    fn g() {}".lines().collect();
    assert_eq!(length(&lines), 6);
    assert_eq!(function_name("    pub(crate) async fn drop_it<T>(x: T) {"), Some("drop_it"));
}
