//! Names of statements and portals, in both protocols.

use super::Attack;
use super::guard::{bind, execute, flush, parse};
use super::scene::*;

pub(crate) const ATTACKS: &[Attack] = &[
    ("a live name is parsed again with its parameters swapped", swapped),
    ("names that collide in their first 63 bytes", collisions),
    ("a statement closed, deallocated or replaced before its Execute", replaced),
    ("EXECUTE of statements of the protocol, and Bind of SQL's", shared),
    ("portals and cursors that outlive a refusal or a tenant", outliving),
];

/// The server keeps the old statement; so must the guard.
fn swapped(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    passes(&client.group(&[parse("s", FIRST)]), "parse");
    // In a group of its own, in the group of its Bind, before a Flush, and from SQL.
    assert_eq!(client.group(&[parse("s", SECOND)]), ["E 42P05", "Z I"]);
    fails(&client.group(&[bind("", "s", &[B, A]), execute("")]), &["42501"]);
    let group = [parse("s", SECOND), bind("", "s", &[B, A]), execute("")];
    fails(&client.group(&group), &["42P05", "42501"]);
    client.send(&[parse("s", SECOND), flush()].concat());
    assert_eq!(client.until(b'E'), ["E 42P05"]);
    client.send(&[bind("", "s", &[B, A]), execute(""), flush()].concat());
    assert_eq!(client.group(&[]), ["Z I"], "skipped to Sync");
    fails(&client.group(&[bind("", "s", &[B, A]), execute("")]), &["42501"]);
    assert_eq!(client.query(&format!("PREPARE s AS {SECOND}")), ["E 42P05", "Z I"]);
    fails(&client.query(&format!("EXECUTE s('{B}', '{A}')")), &["42501"]);
    // The other way round: a statement of SQL's, parsed again by the protocol.
    client.run(&format!("PREPARE q (uuid, text) AS {FIRST}"));
    assert_eq!(client.group(&[parse("q", SECOND)]), ["E 42P05", "Z I"]);
    fails(&client.group(&[bind("", "q", &[B, A]), execute("")]), &["42501"]);
    // A Parse of the unnamed statement that fails has removed the old one on the server.
    passes(&client.group(&[parse("", FIRST)]), "unnamed");
    let broken = SECOND.replace("name", "no_such_column");
    fails(&client.group(&[parse("", &broken)]), &["42703"]);
    fails(&client.group(&[bind("", "", &[B, A]), execute("")]), &["42501", "26000"]);
    fails(&client.group(&[bind("", "", &[A, B]), execute("")]), &["26000"]);
    // Honest: the old one still runs, and after Close the new one does.
    has_rows(&client.group(&[bind("", "s", &[A, B]), execute("")]));
    let group = [close('S', "s"), parse("s", SECOND), bind("", "s", &[B, A]), execute("")];
    has_rows(&client.group(&group));
    fails(&client.group(&[bind("", "s", &[A, B]), execute("")]), &["42501"]);
}

/// The server cuts protocol names at 63 bytes, and identifiers at a character.
fn collisions(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    let stem = "n".repeat(63);
    let (one, other) = (format!("{stem}_one"), format!("{stem}_other"));
    passes(&client.group(&[parse(&one, FIRST)]), "parse");
    assert_eq!(client.group(&[parse(&other, SECOND)]), ["E 42P05", "Z I"]);
    fails(&client.group(&[bind("", &other, &[B, A]), execute("")]), &["42501"]);
    fails(&client.query(&format!("EXECUTE {other}('{B}', '{A}')")), &["42501"]);
    has_rows(&client.group(&[bind("", &other, &[A, B]), execute("")]));
    // Portals: the second Bind fails, and the first portal is what runs.
    let group = [bind(&one, &one, &[A, B]), bind(&other, &one, &[A, A]), execute(&other)];
    fails(&client.group(&group), &["42P03"]);
    has_rows(&client.group(&[bind(&one, &one, &[A, B]), execute(&other)]));
    // Close of the one name closes the other.
    passes(&client.group(&[close('S', &one)]), "close");
    passes(&client.group(&[parse(&other, SECOND)]), "parse again");
    fails(&client.group(&[bind("", &one, &[A, B]), execute("")]), &["42501"]);
    has_rows(&client.group(&[bind("", &one, &[B, A]), execute("")]));
    // A character across the border: SQL cuts it off whole, the protocol in its middle.
    let (short, long) = ("m".repeat(62), format!("{}é", "m".repeat(62)));
    client.run(&format!("PREPARE \"{long}\" (uuid, text) AS {FIRST}"));
    assert_eq!(client.group(&[parse(&short, SECOND)]), ["E 42P05", "Z I"]);
    fails(&client.group(&[bind("", &short, &[B, A]), execute("")]), &["42501"]);
    passes(&client.group(&[parse(&long, SECOND)]), "the protocol's own name");
    fails(&client.group(&[bind("", &long, &[A, B]), execute("")]), &["42501"]);
    fails(&client.query(&format!("EXECUTE \"{long}\"('{B}', '{A}')")), &["42501"]);
    has_rows(&client.query(&format!("EXECUTE \"{long}\"('{A}', '{B}')")));
    has_rows(&client.group(&[bind("", &long, &[B, A]), execute("")]));
    // Case: the protocol keeps it, SQL folds it.
    passes(&client.group(&[parse("Mixed", FIRST), parse("mixed", SECOND)]), "case");
    fails(&client.query(&format!("EXECUTE Mixed('{A}', '{B}')")), &["42501"]);
    fails(&client.query(&format!("EXECUTE \"Mixed\"('{B}', '{A}')")), &["42501"]);
    has_rows(&client.query(&format!("EXECUTE MIXED('{B}', '{A}')")));
}

fn replaced(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    // A portal keeps the statement that it was bound to.
    passes(&client.group(&[parse("s", FIRST)]), "parse");
    let group = [
        bind("p", "s", &[A, B]),
        close('S', "s"),
        parse("s", SECOND),
        execute("p"),
        bind("q", "s", &[B, A]),
        execute("q"),
    ];
    has_rows(&client.group(&group));
    let group = [bind("p", "s", &[B, A]), close('S', "s"), parse("s", FIRST), execute("p")];
    has_rows(&client.group(&group));
    fails(&client.group(&[bind("", "s", &[B, A]), execute("")]), &["42501"]);
    // Deallocated by SQL, in the same group or string.
    let sql = |text: &str| [parse("", text), bind("", "", &[]), execute("")].concat();
    let group = [sql("DEALLOCATE s"), parse("s", SECOND), bind("", "s", &[A, B]), execute("")];
    fails(&client.group(&group), &["42501"]);
    // The refusal undid neither DEALLOCATE nor Parse, which no transaction holds.
    fails(&client.group(&[bind("", "s", &[A, B]), execute("")]), &["42501"]);
    has_rows(&client.group(&[bind("", "s", &[B, A]), execute("")]));
    // What a string did to names before it failed stays done.
    let string = format!("DEALLOCATE s; PREPARE s (text, uuid) AS {SECOND}; SELECT 1/0");
    fails(&client.query(&string), &["22012"]);
    fails(&client.group(&[bind("", "s", &[A, B]), execute("")]), &["42501"]);
    has_rows(&client.group(&[bind("", "s", &[B, A]), execute("")]));
    // The same in a transaction that is rolled back.
    client.run("BEGIN");
    client.run("DEALLOCATE ALL");
    client.run(&format!("PREPARE s (uuid, text) AS {FIRST}"));
    client.run("ROLLBACK");
    fails(&client.group(&[bind("", "s", &[B, A]), execute("")]), &["42501"]);
    has_rows(&client.group(&[bind("", "s", &[A, B]), execute("")]));
    // DISCARD ALL takes them all, and the tenant goes back to that of the startup packet.
    client.run("DISCARD ALL");
    fails(&client.group(&[bind("", "s", &[A, B]), execute("")]), &["26000"]);
    // EXECUTE bound to a portal finds at its Execute what has the name then.
    client.run(&format!("PREPARE s (uuid, text) AS {FIRST}"));
    let call = format!("EXECUTE s('{A}', '{B}')");
    passes(&client.group(&[parse("call", &call)]), "call");
    let group = [
        bind("c", "call", &[]),
        sql("DEALLOCATE s"),
        sql(&format!("PREPARE s (text, uuid) AS {SECOND}")),
        execute("c"),
    ];
    fails(&client.group(&group), &["42501"]);
    client.run("DEALLOCATE ALL");
    client.run(&format!("PREPARE s (uuid, text) AS {FIRST}"));
    has_rows(&client.query(&call));
}

fn shared(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    passes(&client.group(&[parse("s", BOUND)]), "parse");
    for call in [
        format!("EXECUTE s('{B}')"),
        format!("EXPLAIN (COSTS OFF, ANALYZE) EXECUTE s('{B}')"),
        format!("CREATE TEMP TABLE stolen AS EXECUTE s('{B}')"),
        format!("EXECUTE s('{A}'); EXECUTE s('{B}')"),
        format!("EXECUTE s((SELECT '{B}'::uuid))"),
        format!("EXECUTE s(upper('{B}')::uuid)"),
        "EXECUTE s(NULL::uuid); EXECUTE s((SELECT id FROM organizations LIMIT 1))".to_owned(),
    ] {
        let answer = client.query(&call);
        assert!(answer.iter().any(|shown| shown.starts_with("E ")), "{call}: {answer:?}");
        let answer = client.extended(&call, &[]);
        assert!(answer.iter().any(|shown| shown.starts_with("E ")), "{call}: {answer:?}");
    }
    fails(&client.query("SELECT * FROM stolen"), &["42P01", "42501"]);
    has_rows(&client.query(&format!("EXECUTE s('{A}')")));
    has_rows(&client.extended(&format!("EXECUTE s('{A}')"), &[]));
    // The other way round.
    client.run(&format!("PREPARE q AS {BOUND}"));
    fails(&client.group(&[bind("", "q", &[B]), execute("")]), &["42501"]);
    has_rows(&client.group(&[bind("", "q", &[A]), execute("")]));
    // A cursor of SQL's through the protocol, and a portal through SQL.
    client.run("BEGIN");
    let declared = BOUND.replace("$1", &format!("'{A}'"));
    client.run(&format!("DECLARE c CURSOR FOR {declared}"));
    has_rows(&client.group(&[execute_some("c", 1)]));
    passes(&client.group(&[bind("p", "s", &[A])]), "portal");
    has_rows(&client.query("FETCH 1 FROM p"));
    client.run(&format!("SET LOCAL app.organization_id = '{B}'"));
    fails(&client.query("FETCH 1 FROM p"), &["42501"]);
    client.run("ROLLBACK");
    // A Parse that nothing could make hold does not even begin.
    fails(&client.group(&[parse("f", FORGOTTEN)]), &["42501"]);
    fails(&client.query("EXECUTE f"), &["26000"]);
    fails(&client.query(&format!("PREPARE f AS {FORGOTTEN}; EXECUTE f")), &["42501"]);
    // Utility statements prepared by the protocol run by EXECUTE too.
    passes(&client.group(&[parse("u", &format!("SET app.organization_id = '{B}'"))]), "utility");
    assert_eq!(client.query("EXECUTE u"), ["C SET", "Z I"]);
    fails(&client.query(&format!("EXECUTE q('{A}')")), &["42501"]);
    client.run("RESET app.organization_id");
    has_rows(&client.query(&format!("EXECUTE q('{A}')")));
}

fn outliving(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    passes(&client.group(&[parse("s", BOUND)]), "parse");
    // A block that a refusal has aborted runs no portal of it.
    client.run("BEGIN");
    has_rows(&client.group(&[bind("p", "s", &[A]), execute_some("p", 1)]));
    fails(&client.group(&[bind("q", "s", &[B]), execute("q")]), &["42501"]);
    fails(&client.group(&[execute("p")]), &["25P02"]);
    fails(&client.group(&[execute("q")]), &["34000", "25P02"]);
    client.run("ROLLBACK");
    fails(&client.group(&[execute("p")]), &["34000"]);
    // Behind a savepoint the portal of before it is alive, and the refused one never was.
    client.run("BEGIN");
    has_rows(&client.group(&[bind("p", "s", &[A]), execute_some("p", 1)]));
    client.run("SAVEPOINT here");
    fails(&client.group(&[bind("q", "s", &[B]), execute("q")]), &["42501"]);
    client.run("ROLLBACK TO here");
    has_rows(&client.group(&[execute_some("p", 1)]));
    fails(&client.group(&[execute("q")]), &["34000"]);
    fails(&client.query("FETCH 1 FROM q"), &["34000"]);
    client.run("ROLLBACK");
    // A portal whose name a refused Bind wanted is still the old one.
    client.run("BEGIN");
    client.run("SAVEPOINT here");
    passes(&client.group(&[bind("p", "s", &[A])]), "bind");
    fails(&client.group(&[close('P', "p"), bind("p", "s", &[B]), execute("p")]), &["42501"]);
    client.run("ROLLBACK TO here");
    let after = client.group(&[execute("p")]);
    assert!(after[0].starts_with("D A ") || after[0] == "E 34000", "{after:?}");
    client.run("ROLLBACK");
    // WITH HOLD outlives its transaction, and not its tenant.
    let own = BOUND.replace("$1", &format!("'{A}'"));
    client.run(&format!("DECLARE held CURSOR WITH HOLD FOR {own}"));
    has_rows(&client.query("FETCH 1 FROM held"));
    client.run(&format!("SET app.organization_id = '{B}'"));
    fails(&client.query("FETCH 1 FROM held"), &["42501"]);
    fails(&client.query("MOVE 1 FROM held"), &["42501"]);
    fails(&client.group(&[execute("held")]), &["42501"]);
    client.run("RESET app.organization_id");
    has_rows(&client.query("FETCH 1 FROM held"));
    client.run("CLOSE ALL");
    fails(&client.query("FETCH 1 FROM held"), &["34000"]);
    // Within one group: the tenant moves between Bind and Execute.
    let set = format!("SET app.organization_id = '{B}'");
    let group =
        [bind("p", "s", &[A]), parse("", &set), bind("", "", &[]), execute(""), execute("p")];
    fails(&client.group(&group), &["42501"]);
    has_rows(&client.group(&[bind("", "s", &[A]), execute("")]));
}
