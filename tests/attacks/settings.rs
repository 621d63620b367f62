//! Settings that change how the server reads a statement, by every route.

use super::Attack;
use super::guard::{bind, execute, parse};
use super::scene::*;

pub(crate) const ATTACKS: &[Attack] = &[
    ("standard_conforming_strings is off by no route", strings),
    ("client_encoding is SJIS, BIG5 or GBK by no route", encodings),
    ("search_path, role and row_security move by no route", paths),
];

/// With standard_conforming_strings = on, one string after another; with off, the first one
/// swallows the second's beginning, and OR true is free.
const BACKSLASH: &str = "SELECT name FROM org_products WHERE deleted_at IS NULL \
     AND organization_id = '11111111-1111-4111-8111-111111111111' \
     AND sku <> 'x\\' AND name <> ' OR true --'";

/// Statements that try to set a setting to a value, each a route of its own.
fn routes(setting: &str, value: &str) -> Vec<String> {
    vec![
        format!("SET {setting} = '{value}'"),
        format!("SET {setting} TO {value}"),
        format!("SET SESSION {setting} = '{value}'"),
        format!("BEGIN; SET LOCAL {setting} = '{value}'"),
        format!("SELECT set_config('{setting}', '{value}', false)"),
        format!("SELECT pg_catalog.set_config('{}', '{value}', false)", setting.to_uppercase()),
        format!("SELECT set_config('{setting}', lower('{value}'), false)"),
        format!("SELECT set_config(lower('{setting}'), '{value}', false)"),
        format!("SELECT set_config(name, '{value}', false) FROM (VALUES ('{setting}')) v(name)"),
        format!("UPDATE pg_settings SET setting = '{value}' WHERE name = '{setting}'"),
        format!("UPDATE pg_catalog.pg_settings SET setting = '{value}' WHERE name = '{setting}'"),
        format!("ALTER ROLE app SET {setting} = '{value}'"),
        format!("ALTER ROLE CURRENT_USER SET {setting} = '{value}'"),
        format!("ALTER USER app SET {setting} = '{value}'"),
        format!("ALTER ROLE ALL SET {setting} = '{value}'"),
        format!("ALTER DATABASE postgres SET {setting} = '{value}'"),
        format!("ALTER SYSTEM SET {setting} = '{value}'"),
        format!(
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET {setting} = '{value}' AS 'SELECT 1'"
        ),
        format!("DO $$ BEGIN PERFORM set_config('{setting}', '{value}', false); END $$"),
        format!("EXPLAIN (ANALYZE, COSTS OFF) SELECT set_config('{setting}', '{value}', false)"),
        format!("DECLARE c CURSOR WITH HOLD FOR SELECT set_config('{setting}', '{value}', false)"),
        format!("PREPARE p AS SELECT set_config('{setting}', $1, false); EXECUTE p('{value}')"),
        format!("COPY (SELECT set_config('{setting}', '{value}', false)) TO STDOUT"),
        format!("CREATE TABLE x AS SELECT set_config('{setting}', '{value}', false)"),
        format!("SELECT 1; SET {setting} = '{value}'; SELECT 2"),
    ]
}

/// Tries every route in both protocols; each is refused, and the setting is what it was.
fn try_routes(scene: &Scene<'_>, door: &Door<'_>, setting: &str, value: &str, before: &str) {
    let mut client = door.session();
    for route in routes(setting, value) {
        client.refused(&route);
        client.query("ROLLBACK");
        let answer = client.extended(&route, &[]);
        assert!(answer[0].starts_with("E "), "{route}: {answer:?}");
    }
    for sql in ["SELECT set_config($1, $2, false)", "SELECT set_config($1, $2, true)"] {
        let group = [parse("", sql), bind("", "", &[setting, value]), execute("")];
        fails(&client.group(&group), &["42501"]);
    }
    let sql = format!("SELECT set_config('{setting}', $1, false)");
    fails(&client.extended(&sql, &[value]), &["42501"]);
    assert_eq!(client.shown(setting), before, "{setting}");
    // From the start.
    let (database, option) = (scene.database(), format!("-c {setting}={value}"));
    for more in [(setting, value), ("options", &*option)] {
        assert_eq!(
            door.told(&[("user", "app"), ("database", database), more]),
            "42501",
            "{more:?}"
        );
    }
    // What an administrator has set for the role or the database does not hold either: the
    // session has the guard's value, or there is none.
    for holder in [&*format!("ROLE app IN DATABASE {database}"), &format!("DATABASE {database}")] {
        scene.admin().query(&format!("ALTER {holder} SET {setting} = '{value}'"));
        let told = door.told(&[("user", "app"), ("database", database)]);
        if told.is_empty() {
            let mut client = door.session();
            assert_eq!(client.shown(setting), before, "{setting} of {holder}");
            client.query(&format!("RESET {setting}"));
            client.query(&format!("SET {setting} TO DEFAULT"));
            client.query("RESET ALL");
            client.query("DISCARD ALL");
            assert_eq!(client.shown(setting), before, "{setting} of {holder}, after RESET");
            client.query(BACKSLASH);
        } else {
            assert_eq!(told, "42501", "{setting} of {holder}");
        }
        scene.admin().query(&format!("ALTER {holder} RESET {setting}"));
    }
    let mut client = door.session();
    has_rows(&client.extended(BOUND, &[A]));
}

fn strings(scene: &Scene<'_>) {
    let door = scene.guard();
    for value in ["off", "false", "0", "no"] {
        if value == "off" {
            try_routes(scene, &door, "standard_conforming_strings", value, "on");
        }
        let mut client = door.session();
        client.refused(&format!("SET standard_conforming_strings = {value}"));
        // The string that would turn into another statement gives the own rows.
        has_rows(&client.query(BACKSLASH));
        has_rows(&client.extended(BACKSLASH, &[]));
    }
    let mut client = door.session();
    for escaped in [
        BACKSLASH.replace("'x\\'", "E'x\\'"),
        BACKSLASH.replace("'x\\'", "e'x\\' --"),
        BACKSLASH.replace("'x\\'", "U&'x\\' UESCAPE '!'"),
    ] {
        let answer = client.query(&escaped);
        assert!(answer[0].starts_with("E "), "{escaped}: {answer:?}");
    }
    client.run("SET standard_conforming_strings = on");
    has_rows(&client.query(BACKSLASH));
}

fn encodings(scene: &Scene<'_>) {
    let door = scene.guard();
    for encoding in ["SJIS", "BIG5", "GBK"] {
        try_routes(scene, &door, "client_encoding", encoding, "UTF8");
        let mut client = door.session();
        for route in [
            format!("SET NAMES '{encoding}'"),
            format!("SET NAMES {encoding}"),
            format!("SET CLIENT_ENCODING TO '{}'", encoding.to_lowercase()),
            format!("SET client_encoding = \"{encoding}\""),
            format!("set\n/**/\"client_encoding\"='{encoding}'"),
        ] {
            client.refused(&route);
        }
        assert_eq!(client.shown("client_encoding"), "UTF8");
    }
    // Bytes that are text in one of them, whose last byte is a backslash or a quote's neighbour.
    let mut client = door.session();
    for bytes in [&b"\x95\x5c"[..], b"\xa5\x5c", b"\xbf\x27", b"\xc0\xa7", b"\xed\xa0\x80"] {
        let sql = [
            b"SELECT name FROM org_products WHERE deleted_at IS NULL AND organization_id = '",
            A.as_bytes(),
            b"' AND sku <> '",
            bytes,
            b"' OR true --'\0",
        ]
        .concat();
        client.send(&super::guard::message(b'Q', &sql));
        fails(&client.until(b'Z'), &["0A000", "42501", "22021"]);
    }
    client.run("SET NAMES 'UTF8'");
    client.run("SET client_encoding TO 'utf-8'");
    has_rows(&client.query(BACKSLASH));
}

fn paths(scene: &Scene<'_>) {
    let mut owner = scene.owner();
    // A schema whose operator says that everything is equal, as in the demonstration of old.
    for sql in [
        "CREATE SCHEMA evil",
        "CREATE FUNCTION evil.same(uuid, uuid) RETURNS bool LANGUAGE sql AS 'SELECT true'",
        "CREATE OPERATOR evil.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = evil.same)",
    ] {
        passes(&owner.query(sql), sql);
    }
    passes(&scene.admin().query("CREATE ROLE other; GRANT other TO app"), "role");
    let door = scene.guard();
    for (setting, value, before) in [
        ("search_path", "evil", "\"$user\", public"),
        ("search_path", "pg_temp", "\"$user\", public"),
        ("role", "other", "none"),
        ("row_security", "off", "on"),
        ("session_replication_role", "replica", "origin"),
        ("transform_null_equals", "on", "off"),
        ("backslash_quote", "on", "safe_encoding"),
    ] {
        try_routes(scene, &door, setting, value, before);
    }
    let mut client = door.session();
    for route in [
        "SET ROLE other",
        "SET SESSION ROLE other",
        "SET SESSION AUTHORIZATION other",
        "SET SCHEMA 'evil'",
        "SET search_path TO evil",
        "SET search_path TO public, evil",
        "SET search_path TO \"evil\", pg_catalog",
        "ALTER ROLE app IN DATABASE postgres SET search_path = evil",
    ] {
        client.refused(route);
    }
    assert_eq!(
        client.run("SELECT current_user, current_schemas(true)::text")[1],
        "D app|{pg_catalog,public}"
    );
    client.run("SET search_path TO public");
    has_rows(&client.extended(BOUND, &[A]));
    passes(&scene.admin().query("REVOKE other FROM app; DROP ROLE other"), "cleaned");
}
