//! SARIF 2.1.0 (OASIS standard): what code hosts and editors read of `check` and `doctor`.

use serde_json::{Value, json};

/// A rule that results are of.
#[derive(Debug)]
pub(super) struct SarifRule {
    /// Its name.
    pub(super) id: &'static str,
    /// It in one sentence.
    pub(super) summary: String,
}

/// One result.
#[derive(Debug)]
pub(super) struct SarifResult {
    /// The rule's name.
    pub(super) rule: &'static str,
    /// `error`, `warning` or `note`.
    pub(super) level: &'static str,
    /// What is wrong and what to do.
    pub(super) message: String,
    /// Where.
    pub(super) place: SarifPlace,
    /// The same for the same result in another run.
    pub(super) fingerprint: Option<String>,
}

/// Where a result is.
#[derive(Debug)]
pub(super) enum SarifPlace {
    /// In a file: line and column count from 1, the column in characters.
    File { file: String, line: usize, column: usize },
    /// At an object of a database.
    Object(String),
}

/// The log of one run of the program.
pub(super) fn sarif(rules: &[SarifRule], results: &[SarifResult]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let described: Vec<Value> = rules
        .iter()
        .map(|rule| json!({ "id": rule.id, "shortDescription": { "text": rule.summary } }))
        .collect();
    let results: Vec<Value> = results.iter().map(|result| one(rules, result)).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "orgguard", "version": version, "rules": described } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn one(rules: &[SarifRule], result: &SarifResult) -> Value {
    let location = match &result.place {
        SarifPlace::File { file, line, column } => json!({ "physicalLocation": {
            "artifactLocation": { "uri": uri(file) },
            "region": { "startLine": line, "startColumn": column },
        }}),
        SarifPlace::Object(name) => {
            json!({ "logicalLocations": [{ "fullyQualifiedName": name, "kind": "object" }] })
        }
    };
    let mut value = json!({
        "ruleId": result.rule,
        "level": result.level,
        "message": { "text": result.message },
        "locations": [location],
    });
    if let Some(object) = value.as_object_mut() {
        if let Some(index) = rules.iter().position(|rule| rule.id == result.rule) {
            object.insert("ruleIndex".to_owned(), index.into());
        }
        if let Some(fingerprint) = &result.fingerprint {
            let fingerprints = json!({ "orgguard/v1": fingerprint });
            object.insert("partialFingerprints".to_owned(), fingerprints);
        }
    }
    value
}

/// A path as a relative reference (RFC 3986): what is no path character is percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
