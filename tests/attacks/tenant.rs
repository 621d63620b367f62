//! The tenant, changed in the middle of everything: guard and server must agree on it.

use super::Attack;
use super::guard::{bind, execute, flush, message, parse, sync};
use super::scene::*;

pub(crate) const ATTACKS: &[Attack] = &[
    ("changed in the middle of a transaction", in_transaction),
    ("changed in the middle of a pipeline", in_pipeline),
    ("changed by ROLLBACK, errors and failed commits", by_rollback),
    ("changed by a function call inside the judged statement", inside),
    ("set by a statement that does not run, or not once", phantom),
    ("never changed where it may not be", never),
];

fn set(tenant: &str) -> String {
    format!("SET app.organization_id = '{tenant}'")
}

fn set_local(tenant: &str) -> String {
    format!("SET LOCAL app.organization_id = '{tenant}'")
}

/// A statement of one tenant, without rows.
fn probe(tenant: &str) -> String {
    format!(
        "SELECT 'none' FROM org_tags WHERE organization_id = '{tenant}' \
         AND deleted_at IS NULL AND label = 'no such label'"
    )
}

/// Guard and server have the same tenant: `expected`.
#[track_caller]
fn agree(client: &mut Attacker, expected: &str) {
    assert_eq!(client.shown("app.organization_id"), expected, "the server's");
    // A refusal in a block aborts it, so each question has a savepoint.
    client.query("SAVEPOINT agree");
    for tenant in [A, B] {
        let admitted = !client.query(&probe(tenant))[0].starts_with("E ");
        client.query("ROLLBACK TO agree");
        assert_eq!(admitted, tenant == expected, "the guard's, of {tenant}");
    }
}

fn in_transaction(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    agree(&mut client, A);
    client.run("BEGIN");
    client.run(&set_local(B));
    agree(&mut client, B);
    client.run("SAVEPOINT a");
    client.run(&set(A));
    agree(&mut client, A);
    client.run("SAVEPOINT a");
    client.run(&set_local(B));
    client.run("RELEASE a");
    agree(&mut client, B);
    client.run("ROLLBACK TO a");
    agree(&mut client, B);
    client.run(&set_local(A));
    client.run("COMMIT AND CHAIN");
    agree(&mut client, A);
    client.run(&set_local(B));
    client.run("ROLLBACK AND CHAIN");
    agree(&mut client, A);
    client.run("COMMIT");
    agree(&mut client, A);
    // SET and SET LOCAL in one block, in both orders.
    client.run("BEGIN");
    client.run(&set(B));
    client.run(&set_local(A));
    agree(&mut client, A);
    client.run("COMMIT");
    agree(&mut client, B);
    client.run("BEGIN");
    client.run(&set_local(B));
    client.run(&set(A));
    client.run("COMMIT");
    agree(&mut client, A);
    // Back to the value of the startup packet, by every word for it.
    for reset in [
        "RESET app.organization_id",
        "RESET ALL",
        "DISCARD ALL",
        "SET app.organization_id TO DEFAULT",
        "SET SESSION \"app\".organization_id = DEFAULT",
        "SELECT set_config('app.organization_id', NULL, false)",
    ] {
        client.run(&set(B));
        agree(&mut client, B);
        client.run(reset);
        agree(&mut client, A);
    }
    client.run(&set(B));
    client.run("BEGIN");
    client.run("SET LOCAL app.organization_id TO DEFAULT");
    agree(&mut client, A);
    client.run("COMMIT");
    agree(&mut client, B);
    // A string with whole transactions in it.
    client.run(&format!("BEGIN; {}; COMMIT; {}; {}", set(A), set_local(B), probe(B)));
    agree(&mut client, A);
    fails(&client.query(&format!("{}; {}", set_local(B), probe(A))), &["42501"]);
    agree(&mut client, A);
}

fn in_pipeline(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    passes(&client.group(&[parse("s", BOUND)]), "parse");
    let run = |sql: &str| [parse("", sql), bind("", "", &[]), execute("")].concat();
    let select = |tenant: &str| [bind("", "s", &[tenant]), execute("")].concat();
    // In one group: each is judged under what went before it.
    fails(&client.group(&[run(&set(B)), select(A)]), &["42501"]);
    agree(&mut client, A);
    fails(&client.group(&[run(&set_local(B)), run(&probe(B)), select(A)]), &["42501"]);
    agree(&mut client, A);
    // Groups behind each other, all in one packet.
    client.send(
        &[run(&set(B)), sync(), select(A), sync(), run(&set(A)), sync(), select(A), sync()]
            .concat(),
    );
    passes(&client.until(b'Z'), "set");
    fails(&client.until(b'Z'), &["42501"]);
    passes(&client.until(b'Z'), "set back");
    has_rows(&client.until(b'Z'));
    agree(&mut client, A);
    // A SET that fails with its group has set nothing, whatever was sent behind it.
    client.send(&[run(&set(B)), run("SELECT 1/0"), sync(), select(A), sync()].concat());
    client.until(b'Z');
    has_rows(&client.until(b'Z'));
    agree(&mut client, A);
    // Simple queries in one packet.
    let query = |sql: &str| message(b'Q', format!("{sql}\0").as_bytes());
    let own = BOUND.replace("$1", &format!("'{A}'"));
    client.send(&[query(&set(B)), query(&own), query(&set(A)), query(&own)].concat());
    passes(&client.until(b'Z'), "set");
    fails(&client.until(b'Z'), &["42501"]);
    passes(&client.until(b'Z'), "set back");
    has_rows(&client.until(b'Z'));
    // set_config with its value bound: it happens at Execute, once, and not at Bind.
    let config = "SELECT set_config('app.organization_id', $1, false)";
    passes(&client.group(&[parse("c", config), bind("p", "c", &[B])]), "bind alone");
    agree(&mut client, A);
    let group = [bind("p", "c", &[B]), select(A), execute("p"), run(&probe(B))];
    has_rows(&client.group(&group));
    agree(&mut client, B);
    let answer = client.group(&[bind("p", "c", &[A]), execute("p"), run(&probe(B))]);
    assert_eq!(answer[answer.len() - 2..], ["E 42501", "Z I"]);
    agree(&mut client, B);
    client.send(&[bind("p", "c", &[A]), execute("p"), flush()].concat());
    client.until(b'C');
    client.send(&[select(A), flush()].concat());
    client.until(b'C');
    passes(&client.group(&[]), "sync");
    agree(&mut client, A);
    // Several spellings of the same, and one that is no tenant.
    passes(&client.extended(config, &[&B.to_uppercase()]), "upper case");
    assert_eq!(client.query(&probe(A))[0], "E 42501");
    passes(&client.extended(config, &[A]), "back");
    agree(&mut client, A);
}

fn by_rollback(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    // An error in the block, in a string, in a group.
    client.run("BEGIN");
    client.run(&set(B));
    fails(&client.query("SELECT 1/0"), &["22012"]);
    client.query("COMMIT");
    agree(&mut client, A);
    fails(&client.query(&format!("{}; SELECT 1/0", set(B))), &["22012"]);
    agree(&mut client, A);
    client.run("BEGIN");
    client.run("SAVEPOINT s");
    client.run(&set(B));
    fails(&client.query("SELECT 1/0"), &["22012"]);
    client.run("ROLLBACK TO s");
    agree(&mut client, A);
    client.run("COMMIT");
    agree(&mut client, A);
    // A refusal is an error like any other.
    client.run("BEGIN");
    client.run(&set(B));
    client.refused(FORGOTTEN);
    client.query("COMMIT");
    agree(&mut client, A);
    // An acknowledged SET whose commit fails: a deferred constraint.
    for sql in [
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    ] {
        client.run(sql);
    }
    client.run("BEGIN");
    client.run("INSERT INTO child VALUES (1)");
    client.run(&set(B));
    fails(&client.query("COMMIT"), &["23503"]);
    agree(&mut client, A);
    let string = format!("INSERT INTO child VALUES (1); {}", set(B));
    fails(&client.query(&string), &["23503"]);
    agree(&mut client, A);
    let run = |sql: &str| [parse("", sql), bind("", "", &[]), execute("")].concat();
    let own = [parse("", BOUND), bind("", "", &[A]), execute("")].concat();
    client.send(&[run("INSERT INTO child VALUES (1)"), run(&set(B)), sync(), own, sync()].concat());
    assert!(client.until(b'Z').contains(&"E 23503".to_owned()));
    has_rows(&client.until(b'Z'));
    agree(&mut client, A);
    // ROLLBACK of a SET from before the savepoint, by names that are used twice.
    client.run("BEGIN");
    client.run("SAVEPOINT s");
    client.run(&set_local(B));
    client.run("SAVEPOINT S");
    client.run(&set_local(A));
    client.run("ROLLBACK TO SAVEPOINT s");
    agree(&mut client, B);
    client.run("RELEASE s");
    client.run("ROLLBACK TO s");
    agree(&mut client, A);
    client.run("ROLLBACK");
    agree(&mut client, A);
    // Without a block, SAVEPOINT and SET LOCAL fail or do nothing.
    fails(&client.query(&format!("SAVEPOINT s; {}", set(B))), &["25P01"]);
    agree(&mut client, A);
    client.query(&set_local(B));
    agree(&mut client, A);
    fails(&client.query(&format!("{}; ROLLBACK TO s", set(B))), &["25P01"]);
    agree(&mut client, A);
    client.query(&format!("{}; ROLLBACK", set(B)));
    agree(&mut client, A);
}

fn inside(scene: &Scene<'_>) {
    let move_to = "CREATE FUNCTION move_to(tenant text) RETURNS text LANGUAGE plpgsql AS \
         $$ BEGIN RETURN set_config('app.organization_id', tenant, false); END $$";
    passes(&scene.owner().query(move_to), "function");
    let by_setting = "SELECT name FROM org_products WHERE deleted_at IS NULL \
         AND organization_id = current_setting('app.organization_id')::uuid";
    // Once unknown to the guard, once vouched for by somebody who did not look into it.
    for more in ["", "[routines]\nallow = [\"move_to\"]\n"] {
        let door = scene.guard_with(more);
        let mut client = door.session();
        for call in
            [format!("move_to('{B}')"), format!("set_config('app.organization_id', '{B}', false)")]
        {
            for sql in [
                format!("{by_setting} AND {call} IS NOT NULL"),
                format!("{call}, {by_setting}").replacen(
                    &format!("{call}, SELECT"),
                    &format!("SELECT {call},"),
                    1,
                ),
                format!(
                    "WITH moved AS MATERIALIZED (SELECT {call} AS x) {}",
                    by_setting.replace("FROM org_products", "FROM moved, org_products")
                ),
                format!("{by_setting} AND sku <> {call}"),
                by_setting.replace("current_setting('app.organization_id')", &call),
                format!("SELECT {call} UNION ALL {by_setting}"),
                format!("{by_setting} ORDER BY {call}"),
                format!("SELECT lower({call}); {by_setting}"),
            ] {
                let answer = client.query(&sql);
                assert!(answer.iter().any(|shown| shown.starts_with("E ")), "{sql}: {answer:?}");
            }
        }
        client.query(&set(A));
        has_rows(&client.query(by_setting));
    }
}

fn phantom(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    let config = format!("set_config('app.organization_id', '{B}', false)");
    // Whatever the server makes of each, the guard makes the same of it, or refuses.
    for sql in [
        format!("EXPLAIN (COSTS OFF) SELECT {config}"),
        format!("EXPLAIN (ANALYZE, COSTS OFF) SELECT {config}"),
        format!("EXPLAIN (ANALYZE false, COSTS OFF) SELECT {config}"),
        format!("EXPLAIN ANALYZE SELECT {config}"),
        format!("SELECT {config} LIMIT 0"),
        format!("SELECT {config} OFFSET 1"),
        format!("SELECT {config} FETCH FIRST 0 ROWS ONLY"),
        format!("SELECT {config} HAVING false"),
        format!("SELECT {config} GROUP BY ()"),
        format!("SELECT {config} WHERE false"),
        format!("SELECT DISTINCT {config}"),
        format!("SELECT {config} ORDER BY 1"),
        format!("(SELECT {config})"),
        format!("SELECT {config} AS x"),
        format!("SELECT ({config})"),
        format!("SELECT {config}::text"),
        format!("SELECT {config} FOR UPDATE"),
        format!("SELECT {config} OVER ()"),
        format!("SELECT {config} FILTER (WHERE false)"),
        format!("SELECT {config} WINDOW w AS ()"),
        format!("VALUES ({config})"),
        format!("COPY (SELECT {config}) TO STDOUT"),
        format!("CREATE TABLE moved AS SELECT {config}"),
        format!("CREATE TEMP TABLE moved2 AS SELECT {config} WITH NO DATA"),
        format!("SELECT {config} INTO moved3"),
        format!("PREPARE later AS SELECT {config}"),
        "EXECUTE later".to_owned(),
        "EXPLAIN (COSTS OFF) EXECUTE later".to_owned(),
        "EXPLAIN (ANALYZE, COSTS OFF) EXECUTE later".to_owned(),
        format!("DECLARE c CURSOR WITH HOLD FOR SELECT {config}"),
        "FETCH 1 FROM c".to_owned(),
        "SELECT set_config('app.organization_id', NULL, NULL)".to_owned(),
        format!("SELECT set_config('app.organization_id', '{B}', NULL)"),
        format!("SELECT set_config('app.organization_id', '{B}', 'f')"),
        format!("SELECT set_config('APP.Organization_Id', '{B}', false)"),
        format!(
            "SELECT set_config(setting_name => 'app.organization_id', new_value => '{B}', is_local => false)"
        ),
        format!("SELECT pg_catalog.set_config('app.organization_id', '{B}'::text, false)"),
        format!("SELECT set_config('app.organization_id', '{B}'::uuid::text, false)"),
        format!("SELECT set_config('app.organization_id', '{B}' || '', false)"),
        format!("SELECT set_config('app.organization_id', '{B}'::varchar(8), false)"),
        format!("SET app.organization_id TO \"{B}\""),
        format!("SET app.organization_id = '{}'", B.to_uppercase()),
        format!("SET app.organization_id = '{A}', '{B}'"),
    ] {
        for extended in [false, true] {
            let answer = if extended { client.extended(&sql, &[]) } else { client.query(&sql) };
            let server = client.shown("app.organization_id");
            for tenant in [A, B] {
                let admitted = !client.query(&probe(tenant))[0].starts_with("E ");
                let same = server.eq_ignore_ascii_case(tenant);
                assert!(!admitted || same, "{sql}: {answer:?}: the server has {server:?}");
            }
            client.query("ROLLBACK");
            passes(&client.query(&set(A)), &sql);
            agree(&mut client, A);
        }
    }
}

fn never(scene: &Scene<'_>) {
    let door = scene.guard_never();
    let mut client = door.session();
    for sql in [
        set(B),
        set_local(B),
        format!("SET SESSION app.organization_id TO '{B}'"),
        format!("SET \"app\".\"organization_id\" = '{B}'"),
        format!("SET APP.ORGANIZATION_ID = '{B}'"),
        "SET app.organization_id = ''".to_owned(),
        "SET app.organization_id = 'no tenant'".to_owned(),
        format!("SELECT set_config('app.organization_id', '{B}', false)"),
        format!("SELECT set_config('app.organization_id', '{B}', true)"),
        format!("BEGIN; {}; COMMIT", set(B)),
        format!("{}; {}", set(B), set(A)),
        format!("UPDATE pg_settings SET setting = '{B}' WHERE name = 'app.organization_id'"),
    ] {
        client.refused(&sql);
        client.query("ROLLBACK");
        fails(&client.extended(&sql, &[]), &["42501", "0A000", "42601"]);
        client.query("ROLLBACK");
    }
    let config = "SELECT set_config('app.organization_id', $1, false)";
    fails(&client.extended(config, &[B]), &["42501"]);
    client.run(&format!("PREPARE c AS {config}"));
    fails(&client.query(&format!("EXECUTE c('{B}')")), &["42501"]);
    fails(&client.group(&[bind("", "c", &[B]), execute("")]), &["42501"]);
    agree(&mut client, A);
    // What restores the first value is honest, and so is the pool's release.
    for sql in [
        set(A),
        set_local(A),
        "RESET ALL".to_owned(),
        "RESET app.organization_id".to_owned(),
        format!("EXECUTE c('{A}')"),
        "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;".to_owned(),
        "DISCARD ALL".to_owned(),
    ] {
        passes(&client.query(&sql), &sql);
        agree(&mut client, A);
    }
    // A session that began without one keeps the first it gets.
    let mut client = door.session_with(&[]);
    passes(&client.query(&set(A)), "first");
    client.refused(&set(B));
    client.refused("RESET ALL");
    agree(&mut client, A);
    // Even where the first one is rolled back, another does not take its place unseen.
    let mut client = door.session_with(&[]);
    client.run("BEGIN");
    client.run(&set(A));
    client.run("ROLLBACK");
    has_rows(&{
        passes(&client.query(&set(A)), "again");
        client.extended(BOUND, &[A])
    });
    client.refused(&set(B));
}
