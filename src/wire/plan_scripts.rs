//! Plans that are waited for, plans that grow old, and changes of the schema.

use super::script::*;
use crate::analyze::Outcome;
use crate::session::Mode;

const PLAIN: &str = "SELECT 1 FROM plain";

#[test]
fn a_message_waits_for_its_plan_in_its_turn() {
    for chunk in [usize::MAX, 1, 7] {
        let mut script = Script::new(Mode::Enforce).in_chunks(chunk);
        script.renew(|_| {});
        let messages = [parse("", PLAIN), bind("", "", &[]), execute(""), sync()];
        assert_eq!(script.client(&messages), [""; 0]);
        assert!(script.is_waiting());
        // What the server says meanwhile passes.
        assert_eq!(script.server(&[message(b'N', b"\0")]), ["N"]);
        assert!(script.is_waiting());
        assert_eq!(script.plans_come(), [&format!("> P : {PLAIN}"), "> B", "> E", "> S"]);
        assert!(!script.is_waiting());
        let answer = [bare('1'), bare('2'), complete("SELECT 0"), ready('I')];
        assert_eq!(script.server(&answer), ["1", "2", "C SELECT 0", "Z I"]);

        script.renew(|_| {});
        assert_eq!(script.client(&[query("SELECT 1 FROM org_products")]), [""; 0]);
        assert_eq!(script.plans_come(), ["< E 42501", "< Z I"]);
    }
}

#[test]
fn a_statement_prepared_under_an_older_policy_is_planned_again_at_bind() {
    let mut script = Script::new(Mode::Enforce);
    let messages = [parse("s", PLAIN), sync()];
    assert_eq!(script.client(&messages).len(), 2);
    script.server(&[bare('1'), ready('I')]);
    let run = [bind("", "s", &[]), execute(""), sync()];
    assert_eq!(script.client(&run), ["> B", "> E", "> S"]);
    script.server(&[bare('2'), complete("SELECT 0"), ready('I')]);

    script.renew(|policy| {
        policy.tables.patterns = vec![crate::policy::Pattern::parse("pl*").unwrap()];
    });
    assert_eq!(script.client(&run), [""; 0]);
    assert!(script.is_waiting());
    assert_eq!(script.plans_come(), ["> S", "< E 42501"]);
    assert_eq!(script.server(&[ready('I')]), ["Z I"]);
}

#[test]
fn a_change_of_the_schema_is_told_when_others_can_see_it() {
    for mode in [Mode::Enforce, Mode::Audit] {
        let mut script = Script::new(mode);
        script.run("CREATE TABLE plain (a int)", &["CREATE TABLE"], 'I');
        assert_ne!(script.schema_changes(), 0);
        script.run(PLAIN, &["SELECT 0"], 'I');
        script.run("LISTEN c", &["LISTEN"], 'I');
        assert_eq!(script.schema_changes(), 0);

        script.run("BEGIN", &["BEGIN"], 'T');
        script.run("CREATE TABLE other (a int)", &["CREATE TABLE"], 'T');
        script.run(PLAIN, &["SELECT 0"], 'T');
        assert_eq!(script.schema_changes(), 0);
        script.client(&[query("COMMIT")]);
        // Before the client can know of it.
        assert_eq!(script.server(&[complete("COMMIT")]), ["C COMMIT"]);
        assert_ne!(script.schema_changes(), 0);
        script.server(&[ready('I')]);

        script.client(&[parse("", "DROP TABLE other"), bind("", "", &[]), execute(""), sync()]);
        script.server(&[bare('1'), bare('2'), complete("DROP TABLE")]);
        // The server commits at Sync.
        script.schema_changes();
        script.server(&[ready('I')]);
        assert_ne!(script.schema_changes(), 0);
    }
}

#[test]
fn audit_passes_everything_while_a_plan_is_waited_for() {
    for chunk in [usize::MAX, 1, 7] {
        let mut script = Script::new(Mode::Audit).in_chunks(chunk);
        script.renew(|_| {});
        let forgotten = "SELECT 1 FROM org_products";
        let messages = [parse("", forgotten), bind("", "", &[]), execute(""), sync()];
        let sent = [&format!("> P : {forgotten}"), "> B", "> E", "> S"];
        assert_eq!(script.client(&messages), sent);
        assert!(script.is_waiting());
        // The answer comes before the verdict, and the next statement too.
        let answer = [bare('1'), bare('2'), complete("SELECT 0"), ready('I')];
        assert_eq!(script.server(&answer), ["1", "2", "C SELECT 0", "Z I"]);
        assert_eq!(script.client(&[query(PLAIN)]), [format!("> Q {PLAIN}")]);
        assert_eq!(script.outcomes(), []);
        assert_eq!(script.plans_come(), [""; 0]);
        assert_eq!(script.outcomes(), [Outcome::Violates, Outcome::Holds]);
        assert_eq!(script.server(&[complete("SELECT 0"), ready('I')]), ["C SELECT 0", "Z I"]);
        assert!(!script.is_lost());
        // Nothing is left over: the session is followed as before.
        script.run(PLAIN, &["SELECT 0"], 'I');
        assert!(!script.is_lost());
    }
}
