//! Refusals in the stream of answers, clients that Flush, and startup packets.

use super::Attack;
use super::guard::{bind, execute, flush, message, parse, sync};
use super::scene::*;

pub(crate) const ATTACKS: &[Attack] = &[
    ("refusals overtake no CloseComplete, DataRow or CopyDone", order),
    ("a query within a COPY, and behind a COPY that fails", copies),
    ("clients that Flush and do not Sync", flushes),
    ("a refusal skips to Sync, whatever comes", skipping),
    ("user, options and settings given twice", twice),
];

fn order(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    passes(&client.group(&[parse("s", BOUND)]), "parse");
    let rows = [parse("", "SELECT generate_series(1, 5000)"), bind("", "", &[]), execute("")];
    for bad in [parse("", FORGOTTEN), bind("", "s", &[B]), execute("no such portal")] {
        let group = [close('S', "none"), rows.concat(), close('P', "none"), bad.clone()].concat();
        let answer = client.group(&[group, execute("")]);
        assert_eq!(answer[..3], ["3", "1", "2"]);
        assert_eq!(answer.iter().filter(|shown| shown.starts_with("D ")).count(), 5000);
        assert_eq!(answer[5003..5005], ["C SELECT 5000", "3"]);
        assert!(answer[5005].starts_with("E ") && answer[5006..] == ["Z I"], "{bad:?}");
    }
    // A COPY in and one out in the extended protocol, with a refusal in the same packet.
    client.run("CREATE TABLE imports (line text)");
    let data = [message(b'd', b"one\n"), message(b'c', b"")].concat();
    let copy = [parse("", "COPY imports FROM STDIN"), bind("", "", &[]), execute("")].concat();
    let answer = client.group(&[copy.clone(), data.clone(), parse("", FORGOTTEN)]);
    assert_eq!(answer, ["1", "2", "G", "C COPY 1", "E 42501", "Z I"]);
    let failed = message(b'f', b"no more\0");
    let answer = client.group(&[copy, failed, parse("", FORGOTTEN)]);
    assert_eq!(answer, ["1", "2", "G", "E 57014", "Z I"]);
    let out = "COPY (SELECT n FROM generate_series(1, 3) n) TO STDOUT";
    let answer =
        client.group(&[parse("", out), bind("", "", &[]), execute(""), parse("", FORGOTTEN)]);
    let expected = ["1", "2", "H", "d", "d", "d", "c", "C COPY 3", "E 42501", "Z I"];
    assert_eq!(answer, expected);
    // Simple queries, all in one packet.
    let query = |sql: &str| message(b'Q', format!("{sql}\0").as_bytes());
    client.send(
        &[query("COPY imports FROM STDIN"), data, query(FORGOTTEN), query("SELECT 1")].concat(),
    );
    assert_eq!(client.until(b'Z'), ["G", "C COPY 1", "Z I"]);
    assert_eq!(client.until(b'Z'), ["E 42501", "Z I"]);
    assert_eq!(client.until(b'Z'), ["T", "D 1", "C SELECT 1", "Z I"]);
    // The line of the COPY behind which a refusal came was undone with its group.
    assert_eq!(client.run("SELECT count(*) FROM imports")[1], "D 1");
    has_rows(&client.group(&[bind("", "s", &[A]), execute("")]));
}

fn copies(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    client.run("CREATE TABLE imports (number int)");
    let query = |sql: &str| message(b'Q', format!("{sql}\0").as_bytes());
    for bad in [
        "COPY org_products TO STDOUT",
        "COPY org_products FROM STDIN",
        "COPY org_tags (organization_id, label) FROM STDIN",
        "COPY public.\"org_products\" (name) TO STDOUT WITH (FORMAT binary)",
        "COPY (TABLE org_products) TO STDOUT",
        "COPY (SELECT * FROM org_products) TO STDOUT",
        "COPY imports FROM PROGRAM 'true'",
        "COPY imports FROM '/etc/passwd'",
    ] {
        client.refused(bad);
    }
    // The server fails the COPY at its first line, and runs what stands behind it.
    client.send(
        &[
            query("COPY imports FROM STDIN"),
            message(b'd', b"no number\n"),
            query(FORGOTTEN),
            message(b'd', b"1\n"),
            message(b'c', b""),
            query("SELECT 1"),
        ]
        .concat(),
    );
    let mut answer = client.until(b'Z');
    while answer.last().unwrap() != "Z I" || !answer.contains(&"D 1".to_owned()) {
        answer.extend(client.until(b'Z'));
    }
    assert!(!answer.contains(&"D A lamp".to_owned()), "{answer:?}");
    // In the middle of a COPY that goes well, each kind of message that could run something.
    for bad in [query(FORGOTTEN), parse("", FORGOTTEN), bind("", "", &[]), execute("")] {
        let mut client = door.session();
        client.send(&[query("COPY imports FROM STDIN"), message(b'd', b"1\n")].concat());
        assert_eq!(client.until(b'G'), ["G"]);
        client.send(&[bad, sync()].concat());
        assert!(client.until(b'Z')[0].starts_with("E "));
        client.send(&query("SELECT 'behind it'"));
        while !client.until(b'Z').contains(&"D behind it".to_owned()) {}
    }
    assert_eq!(client.run("SELECT count(*) FROM imports")[1], "D 0");
    client.send(
        &[query("COPY imports FROM STDIN"), message(b'd', b"1\n"), message(b'c', b"")].concat(),
    );
    assert_eq!(client.until(b'Z'), ["G", "C COPY 1", "Z I"]);
    let own = BOUND.replace("$1", &format!("'{A}'"));
    assert_eq!(client.run(&format!("COPY ({own}) TO STDOUT")).last().unwrap(), "Z I");
}

fn flushes(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    // As postgres.js, asyncpg and pg-cursor do it: the types first, then the values.
    client.send(&[parse("s", BOUND), describe('S', "s"), flush()].concat());
    assert_eq!(client.until(b'T'), ["1", "t", "T"]);
    client.send(&[bind("c", "s", &[A]), describe('P', "c"), flush()].concat());
    assert_eq!(client.until(b'T'), ["2", "T"]);
    client.send(&[execute_some("c", 1), flush()].concat());
    let first = client.until(b's');
    assert!(first[0].starts_with("D A "), "{first:?}");
    client.send(&[execute_some("c", 1), flush()].concat());
    client.until(b's');
    // A foreign Bind in the same group: told at Flush, and nothing behind it runs.
    client.send(&[bind("d", "s", &[B]), execute("d"), flush()].concat());
    assert_eq!(client.until(b'E'), ["E 42501"]);
    client.send(&[execute_some("c", 1), execute("d"), flush(), flush()].concat());
    client.send(&[bind("d", "s", &[A]), execute("d"), flush()].concat());
    assert_eq!(client.group(&[]), ["Z I"]);
    // A refusal that is the first of its group, and one behind an answered Flush.
    client.send(&[parse("", FORGOTTEN), describe('S', ""), flush()].concat());
    assert_eq!(client.until(b'E'), ["E 42501"]);
    assert_eq!(client.group(&[]), ["Z I"]);
    client.send(&[parse("u", "SELECT 1"), flush()].concat());
    assert_eq!(client.until(b'1'), ["1"]);
    client.send(&[parse("", FORGOTTEN), flush()].concat());
    assert_eq!(client.until(b'E'), ["E 42501"]);
    client.send(&[bind("", "u", &[]), execute(""), flush()].concat());
    assert_eq!(client.group(&[]), ["Z I"]);
    // Writes driven by Flush, and a refusal before Sync: nothing is kept.
    let insert = format!(
        "INSERT INTO org_tags (id, organization_id, label) \
         VALUES (gen_random_uuid(), '{A}', 'flushed')"
    );
    client.send(&[parse("", &insert), bind("", "", &[]), execute(""), flush()].concat());
    assert_eq!(client.until(b'C'), ["1", "2", "C INSERT 0 1"]);
    client.send(&[parse("", FORGOTTEN), flush()].concat());
    assert_eq!(client.until(b'E'), ["E 42501"]);
    assert_eq!(client.group(&[]), ["Z I"]);
    let count = format!(
        "SELECT count(*) FROM org_tags WHERE organization_id = '{A}' AND deleted_at IS NULL \
         AND label = 'flushed'"
    );
    assert_eq!(client.run(&count)[1], "D 0");
    // Describe with no Sync behind it, then a simple query: its own ReadyForQuery ends the group.
    client.send(&[parse("", BOUND), describe('S', ""), flush()].concat());
    assert_eq!(client.until(b'T'), ["1", "t", "T"]);
    assert_eq!(client.run(&count)[1], "D 0");
    has_rows(&client.group(&[bind("", "s", &[A]), execute("")]));
}

fn skipping(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    passes(&client.group(&[parse("s", BOUND)]), "parse");
    let insert = format!(
        "INSERT INTO org_tags (id, organization_id, label) \
         VALUES (gen_random_uuid(), '{A}', 'skipped')"
    );
    let query = message(b'Q', format!("{insert}\0").as_bytes());
    for bad in [parse("", FORGOTTEN), bind("", "s", &[B]), execute("none")] {
        for behind in [
            query.clone(),
            [parse("", &insert), bind("", "", &[]), execute("")].concat(),
            [message(b'd', b"1\n"), message(b'c', b""), query.clone()].concat(),
            [close('S', "s"), describe('S', "s"), flush(), query.clone()].concat(),
            message(b'F', &[0, 0, 0, 89, 0, 0, 0, 0, 0, 0]),
        ] {
            let answer = client.group(&[bad.clone(), behind]);
            assert!(answer.len() == 2 && answer[0].starts_with("E "), "{answer:?}");
            assert_eq!(answer[1], "Z I");
        }
    }
    let count = format!(
        "SELECT count(*) FROM org_tags WHERE organization_id = '{A}' AND deleted_at IS NULL \
         AND label = 'skipped'"
    );
    assert_eq!(client.run(&count)[1], "D 0");
    // The skipped Close has closed nothing.
    has_rows(&client.group(&[bind("", "s", &[A]), execute("")]));
}

fn twice(scene: &Scene<'_>) {
    let door = scene.guard();
    let database = scene.database();
    let base = [("user", "app"), ("database", database)];
    let path = "-c search_path=evil";
    let role = "-c role=postgres";
    for more in [
        &[("user", "postgres")][..],
        &[("database", "shop")],
        &[("User", "postgres")],
        &[("options", "-c datestyle=ISO"), ("options", path)],
        &[("options", path)],
        &[("options", role)],
        &[("Options", role)],
        &[("options", "-c\\ role=postgres")],
        &[("options", "-c app.organization_id=x -c APP.organization_id=y")],
        &[("options", "--search-path=evil")],
        &[("options", "--search_path=evil")],
        &[("options", "-csearch_path=evil")],
        &[("options", "-c sea\\rch_path=evil")],
        &[("options", "-c\u{b}search_path=evil")],
        &[("app.organization_id", A), ("App.Organization_ID", B)],
        &[("app.organization_id", A), ("options", "-c app.organization_id=b")],
        &[("search_path", "evil")],
        &[("session_authorization", "postgres")],
        &[("replication", "true")],
        &[("Replication", "database")],
    ] {
        let parameters = [&base[..], more].concat();
        let told = door.told(&parameters);
        assert!(["42501", "28000", "08P01"].contains(&&*told), "{more:?}: {told:?}");
    }
    for more in [
        &[][..],
        &[("options", "-c datestyle=ISO --statement-timeout=5s")],
        &[("application_name", "web"), ("client_encoding", "'utf-8'")],
        &[("options", "-c search_path=public")],
        &[("app.organization_id", A), ("options", "-c app.other=1")],
    ] {
        assert_eq!(door.told(&[&base[..], more].concat()), "", "{more:?}");
    }
    let mut client = door.session();
    assert_eq!(client.run("SELECT current_user, session_user")[1], "D app|app");
    has_rows(&client.extended(BOUND, &[A]));
}
