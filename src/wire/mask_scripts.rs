//! Errors of the server that may quote rows of another tenant.

use super::script::*;
use crate::session::{MaskErrors, Mode};

const GUARDED: &str = "INSERT INTO org_products (organization_id, barcode) \
                       VALUES ('11111111-1111-4111-8111-111111111111', 'x')";

fn conflict(padding: usize) -> Vec<u8> {
    let pad = "x".repeat(padding);
    let body = format!(
        "SERROR\0VERROR\0C23505\0Mduplicate\0DKey (barcode)=(secret) exists{pad}.\0nbarcode_key\0\0"
    );
    message(b'E', body.as_bytes())
}

/// The bytes that the client gets for this error of the server.
fn answer(script: &mut Script, sql: &str, error: &[u8]) -> String {
    assert_eq!(script.client(&[query(sql)]), [format!("> Q {sql}")]);
    let (server, client) = script.server_raw(&[error, &ready('I')].concat());
    assert!(server.is_empty());
    assert!(client.ends_with(&ready('I')));
    assert_eq!(client.iter().filter(|byte| **byte == b'Z').count(), 1);
    String::from_utf8_lossy(&client).into_owned()
}

#[test]
fn the_detail_of_a_constraint_is_masked() {
    for (chunk, padding) in
        [(usize::MAX, 0), (1, 0), (7, 100), (4_096, 200_000), (4_096, 300_000), (70_000, 600_000)]
    {
        let mut script = Script::new(Mode::Enforce).in_chunks(chunk);
        for _ in 0..2 {
            let shown = answer(&mut script, GUARDED, &conflict(padding));
            assert!(!shown.contains("secret"), "{shown:?}");
            assert!(shown.contains("C23505\0Mduplicate\0"), "{shown:?}");
            // What stands behind a detail of that length is not passed on.
            assert_eq!(shown.contains("nbarcode_key\0"), padding < 1 << 18, "{shown:?}");
        }
        script.run("SELECT 1", &["SELECT 1"], 'I');
    }
}

#[test]
fn nothing_is_masked_in_audit_or_where_it_is_turned_off() {
    let mut audit = Script::new(Mode::Audit);
    let mut off = Script::with(Mode::Enforce, |rules| rules.mask_errors = MaskErrors::Off);
    for script in [&mut audit, &mut off] {
        for padding in [0, 300_000] {
            let error = conflict(padding);
            assert_eq!(script.client(&[query(GUARDED)]).len(), 1);
            let (_, client) = script.server_raw(&[&error[..], &ready('I')].concat());
            assert_eq!(client, [&error[..], &ready('I')].concat());
        }
    }
}

#[test]
fn messages_are_masked_where_the_configuration_says_so() {
    let conversion = message(
        b'E',
        b"SERROR\0VERROR\0C22P02\0Minvalid input syntax for type integer: \"secret\"\0\0",
    );
    let mut script = Script::with(Mode::Enforce, |rules| rules.mask_errors = MaskErrors::All);
    let guarded = "SELECT name FROM org_products WHERE deleted_at IS NULL \
                   AND organization_id = '11111111-1111-4111-8111-111111111111'";
    assert!(!answer(&mut script, guarded, &conversion).contains("secret"));
    assert!(!answer(&mut script, "COMMIT", &conversion).contains("secret"));
    // No guarded row was near.
    assert!(answer(&mut script, "SELECT 'secret'::int", &conversion).contains("secret"));

    // The same in the extended protocol.
    let messages = [parse("", guarded), bind("", "", &[]), execute(""), sync()];
    assert_eq!(script.client(&messages).len(), 4);
    let (_, client) = script.server_raw(&[bare('1'), bare('2'), conversion, ready('I')].concat());
    let shown = String::from_utf8_lossy(&client);
    assert!(shown.contains("C22P02") && !shown.contains("secret"), "{shown:?}");
}
