use super::script::*;
use crate::session::Mode;

fn good(value: &str) -> String {
    format!("SELECT name FROM org_products WHERE organization_id = {value} AND deleted_at IS NULL")
}

fn honest() -> String {
    good(&format!("'{A}'"))
}

const BAD: &str = "SELECT name FROM org_products";

#[test]
fn an_honest_query_passes_and_a_refused_one_never_leaves() {
    let mut script = Script::new(Mode::Enforce);
    script.run(&honest(), &["SELECT 1"], 'I');
    script.refused(BAD, "42501");
    script.refused("SELECT (1", "0A000");
    script.run("SELECT 1", &["SELECT 1"], 'I');
    assert_eq!(script.violations(), ["unbound-tenant", "visible-deleted", "not-understood"]);
}

#[test]
fn one_bad_statement_refuses_its_whole_string() {
    let mut script = Script::new(Mode::Enforce);
    script.refused(&format!("{}; {BAD}", honest()), "42501");
    script.refused(&format!("SELECT 1; {BAD}; SELECT 2"), "42501");
}

#[test]
fn a_refusal_in_a_block_aborts_the_servers_transaction() {
    let mut script = Script::new(Mode::Enforce);
    script.run("BEGIN", &["BEGIN"], 'T');
    let sent = script.client(&[query(BAD)]);
    assert_eq!(sent, ["> Q orgguard refused a statement"]);
    assert_eq!(script.server(&[error("42601"), ready('E')]), ["E 42501", "Z E"]);
    script.run("COMMIT", &["ROLLBACK"], 'I');
}

#[test]
fn a_refusal_at_parse_skips_to_sync() {
    let mut script = Script::new(Mode::Enforce);
    let sent = script.client(&[
        parse("", BAD),
        bind("", "", &[]),
        describe('P', ""),
        execute(""),
        query("SELECT 1"),
        sync(),
    ]);
    assert_eq!(sent, ["> S", "< E 42501"]);
    assert_eq!(script.server(&[ready('I')]), ["Z I"]);
    script.run("SELECT 1", &["SELECT 1"], 'I');
}

#[test]
fn flush_is_answered_without_sync() {
    let mut script = Script::new(Mode::Enforce);
    let text = good("$1");
    let sent = script.client(&[parse("s", &text), describe('S', "s"), flush()]);
    assert_eq!(sent, [format!("> P s: {text}"), "> D".into(), "> H".into()]);
    let types = message(b't', b"\0\x01\0\0\x0b\x86");
    assert_eq!(script.server(&[bare('1'), types, message(b'T', b"\0\0")]), ["1", "t", "T"]);
    let sent = script.client(&[bind("", "s", &[A]), execute(""), sync()]);
    assert_eq!(sent, ["> B", "> E", "> S"]);
    let answer = [bare('2'), message(b'D', b"\0\0"), complete("SELECT 1"), ready('I')];
    assert_eq!(script.server(&answer), ["2", "D", "C SELECT 1", "Z I"]);
    // A refusal after answers that Flush has brought comes at once.
    script.client(&[parse("u", "SELECT 1"), flush()]);
    script.server(&[bare('1')]);
    assert_eq!(script.client(&[parse("v", BAD), flush()]), ["> H", "< E 42501"]);
    assert_eq!(script.client(&[sync()]), ["> S"]);
    assert_eq!(script.server(&[ready('I')]), ["Z I"]);
}

#[test]
fn a_refusal_never_overtakes_earlier_answers() {
    let mut script = Script::new(Mode::Enforce);
    script.client(&[parse("s", &good("$1")), sync()]);
    script.server(&[bare('1'), ready('I')]);
    script.run(&format!("SET app.organization_id = '{A}'"), &["SET"], 'I');
    let sent = script.client(&[
        close('S', "other"),
        parse("t", "SELECT 1"),
        bind("", "s", &[B]),
        execute(""),
        sync(),
    ]);
    assert_eq!(sent, ["> C Sother", "> P t: SELECT 1", "> S"]);
    assert_eq!(script.server(&[bare('3')]), ["3"]);
    assert_eq!(script.server(&[bare('1')]), ["1", "E 42501"]);
    assert_eq!(script.server(&[ready('I')]), ["Z I"]);
    // If an earlier message fails, the server skips what was refused, and its refusal with it.
    script.client(&[parse("t", "SELECT 1"), bind("", "s", &[B]), sync()]);
    assert_eq!(script.server(&[error("42P05"), ready('I')]), ["E 42P05", "Z I"]);
}

#[test]
fn a_refusal_after_an_execute_aborts_the_implicit_transaction() {
    let mut script = Script::new(Mode::Enforce);
    let write = format!(
        "UPDATE org_products SET name = 'x' WHERE organization_id = '{A}' AND deleted_at IS NULL"
    );
    let sent = script.client(&[
        parse("", &write),
        bind("", "", &[]),
        execute(""),
        parse("", BAD),
        bind("", "", &[]),
        execute(""),
        sync(),
    ]);
    assert_eq!(sent[0], format!("> P : {write}"));
    assert_eq!(sent[1..], ["> B", "> E", "> P orgguard: orgguard refused a statement", "> S"]);
    let answer = [bare('1'), bare('2'), complete("UPDATE 1"), error("42601"), ready('I')];
    assert_eq!(script.server(&answer), ["1", "2", "C UPDATE 1", "E 42501", "Z I"]);
}

#[test]
fn a_later_group_waits_and_stays_intact() {
    let mut script = Script::new(Mode::Enforce);
    let group = |sql: &str| [parse("", sql), bind("", "", &[]), execute(""), sync()].concat();
    let sent = script.client(&[group(&honest()), group(BAD), group("SELECT 2")]);
    assert_eq!(sent[1..], ["> B", "> E", "> S"]);
    assert!(script.is_waiting());
    let answered = script.answer(&[bare('1'), bare('2'), complete("SELECT 0"), ready('I')]);
    assert_eq!(answered, ["> S", "< 1", "< 2", "< C SELECT 0", "< Z I", "< E 42501"]);
    let answered = script.answer(&[ready('I')]);
    assert_eq!(answered, ["> P : SELECT 2", "> B", "> E", "> S", "< Z I"]);
    let answer = [bare('1'), bare('2'), complete("SELECT 1"), ready('I')];
    assert_eq!(script.server(&answer), ["1", "2", "C SELECT 1", "Z I"]);
    assert!(!script.is_waiting());
}

#[test]
fn a_statement_counts_from_its_parse_complete() {
    let mut script = Script::new(Mode::Enforce);
    script.run(&format!("SET app.organization_id = '{A}'"), &["SET"], 'I');
    let old = "SELECT 1 FROM org_products WHERE organization_id = $1 AND name <> $2 \
               AND deleted_at IS NULL";
    let new = "SELECT 1 FROM org_products WHERE organization_id = $2 AND name <> $1 \
               AND deleted_at IS NULL";
    script.client(&[parse("s", old), sync()]);
    script.server(&[bare('1'), ready('I')]);
    script.client(&[parse("s", new), sync()]);
    script.server(&[error("42P05"), ready('I')]);
    assert_eq!(script.client(&[bind("", "s", &[B, A]), sync()]), ["> S", "< E 42501"]);
    script.server(&[ready('I')]);
    assert_eq!(script.client(&[bind("", "s", &[A, B]), sync()]), ["> B", "> S"]);
    script.server(&[bare('2'), ready('I')]);
}

#[test]
fn names_are_cut_as_the_server_cuts_them() {
    let mut script = Script::new(Mode::Enforce);
    script.run(&format!("SET app.organization_id = '{A}'"), &["SET"], 'I');
    let long = "n".repeat(70);
    let other = format!("{}zzzz", "n".repeat(63));
    script.client(&[parse(&long, &good("$1")), sync()]);
    script.server(&[bare('1'), ready('I')]);
    assert_eq!(script.client(&[bind("", &other, &[B]), sync()]), ["> S", "< E 42501"]);
    script.server(&[ready('I')]);
    assert_eq!(script.client(&[bind("", &"n".repeat(62), &[A]), sync()]), ["> S", "< E 26000"]);
}

#[test]
fn sql_and_protocol_share_their_names() {
    let mut script = Script::new(Mode::Enforce);
    script.run(&format!("SET app.organization_id = '{A}'"), &["SET"], 'I');
    script.run(&format!("PREPARE s(uuid) AS {}", good("$1")), &["PREPARE"], 'I');
    assert_eq!(script.client(&[bind("", "s", &[B]), sync()]), ["> S", "< E 42501"]);
    script.server(&[ready('I')]);
    script.run(&format!("EXECUTE s('{A}')"), &["SELECT 1"], 'I');
    script.refused(&format!("EXECUTE s('{B}')"), "42501");
    script.run("DEALLOCATE s", &["DEALLOCATE"], 'I');
    script.refused(&format!("EXECUTE s('{A}')"), "26000");
    script.client(&[parse("p", &good("$1")), sync()]);
    script.server(&[bare('1'), ready('I')]);
    script.refused(&format!("EXECUTE p('{B}')"), "42501");
    script.run("DISCARD ALL", &["DISCARD ALL"], 'I');
    assert_eq!(script.client(&[bind("", "p", &[A]), sync()]), ["> S", "< E 26000"]);
    // Within one string, what was prepared before is known.
    script.server(&[ready('I')]);
    let both = format!("PREPARE q(uuid) AS {}; EXECUTE q('{A}')", good("$1"));
    script.run(&both, &["PREPARE", "SELECT 1"], 'I');
}

#[test]
fn portals_end_with_their_transaction() {
    let mut script = Script::new(Mode::Enforce);
    script.run("BEGIN", &["BEGIN"], 'T');
    script.client(&[parse("", &honest()), bind("c", "", &[]), execute("c"), sync()]);
    script.server(&[bare('1'), bare('2'), bare('s'), ready('T')]);
    assert_eq!(script.client(&[execute("c"), sync()]), ["> E", "> S"]);
    script.server(&[bare('s'), ready('T')]);
    script.run("FETCH 1 FROM c", &["FETCH 1"], 'T');
    script.run("COMMIT", &["COMMIT"], 'I');
    script.refused("FETCH 1 FROM c", "34000");
    assert_eq!(script.client(&[execute("c"), sync()]), ["> S", "< E 34000"]);
}

#[test]
fn a_copy_passes_and_ends_where_the_server_says() {
    let mut script = Script::new(Mode::Enforce);
    let data = [message(b'd', b"a\tb\n"), bare('c')];
    assert_eq!(script.client(&[query("COPY imports FROM STDIN")]), ["> Q COPY imports FROM STDIN"]);
    script.server(&[message(b'G', b"\0\0\0")]);
    assert_eq!(script.client(&data), ["> d", "> c"]);
    script.server(&[complete("COPY 1"), ready('I')]);
    // A query within a COPY is not run: the COPY fails.
    script.client(&[query("COPY imports FROM STDIN")]);
    script.server(&[message(b'G', b"\0\0\0")]);
    assert_eq!(script.client(&[message(b'd', b"x"), query(BAD)]), ["> d", "> f"]);
    assert_eq!(script.server(&[error("57014"), ready('I')]), ["E 57014", "Z I"]);
    // After a COPY has failed on the server, the next query is judged and runs at once.
    script.client(&[query("COPY imports FROM STDIN")]);
    script.server(&[message(b'G', b"\0\0\0")]);
    script.client(&[message(b'd', b"x")]);
    script.server(&[error("22P02"), ready('I')]);
    assert_eq!(script.client(&[message(b'd', b"x"), bare('c')]), ["> d", "> c"]);
    script.refused(BAD, "42501");
}

#[test]
fn a_copy_of_the_extended_protocol_swallows_syncs() {
    let mut script = Script::new(Mode::Enforce);
    let copy = [parse("", "COPY imports FROM STDIN"), bind("", "", &[]), execute(""), sync()];
    assert_eq!(script.client(&copy).len(), 4);
    script.server(&[bare('1'), bare('2'), message(b'G', b"\0\0\0")]);
    assert_eq!(script.client(&[message(b'd', b"x"), bare('c'), sync()]), ["> d", "> c", "> S"]);
    script.server(&[complete("COPY 1"), ready('I')]);
    script.run("SELECT 1", &["SELECT 1"], 'I');
}

#[test]
fn function_calls_and_unknown_messages() {
    let mut script = Script::new(Mode::Enforce);
    assert_eq!(script.client(&[message(b'F', b"\0\0\0\x01")]), ["< E 42501", "< Z I"]);
    assert_eq!(script.client(&[message(b'y', b"")]), ["< E 08P01"]);
    assert!(script.is_ending());
    for frame in
        [&b"Q\0\0\0\x03"[..], b"Q\0\0\0\x05a", b"B\0\0\0\x04", b"Q\xff\xff\xff\xff", b"p\0\0\0\x04"]
    {
        let mut script = Script::new(Mode::Enforce);
        let (server, client) = script.client_raw(frame);
        assert!(server.is_empty(), "{frame:?}");
        assert!(client.starts_with(b"E"), "{frame:?}");
        assert!(script.is_ending(), "{frame:?}");
    }
}

#[test]
fn a_query_behind_unanswered_messages_is_refused_in_turn() {
    let mut script = Script::new(Mode::Enforce);
    let sent = script.client(&[parse("s", "SELECT 1"), query(BAD)]);
    assert_eq!(sent, ["> P s: SELECT 1", "> Q orgguard refused a statement"]);
    assert_eq!(script.server(&[bare('1'), error("42601"), ready('I')]), ["1", "E 42501", "Z I"]);
}

#[test]
fn the_server_may_not_run_more_than_was_judged() {
    let mut script = Script::new(Mode::Enforce);
    script.client(&[query("SELECT 1")]);
    assert_eq!(
        script.server(&[complete("SELECT 1"), complete("DELETE 9")]),
        ["C SELECT 1", "E 08P01"]
    );
    assert!(script.is_ending());
    let mut script = Script::new(Mode::Enforce);
    assert_eq!(script.server(&[parameter("standard_conforming_strings", "off")]), ["E 08P01"]);
    let mut script = Script::new(Mode::Enforce);
    assert_eq!(script.server(&[ready('I')]), ["E 08P01"]);
}

#[test]
fn the_registry_has_a_limit() {
    let mut script = Script::with(Mode::Enforce, |rules| rules.statements = 2);
    for name in ["a", "b"] {
        script.client(&[parse(name, "SELECT 1"), sync()]);
        script.server(&[bare('1'), ready('I')]);
    }
    assert_eq!(script.client(&[parse("c", "SELECT 1"), sync()]), ["> S", "< E 54000"]);
    script.server(&[ready('I')]);
    script.client(&[close('S', "a"), sync()]);
    script.server(&[bare('3'), ready('I')]);
    assert_eq!(script.client(&[parse("c", "SELECT 1"), sync()]), ["> P c: SELECT 1", "> S"]);
}

#[test]
fn messages_may_come_in_any_pieces() {
    for chunk in [1, 2, 3, 5, 7, 64] {
        let mut script = Script::new(Mode::Enforce).in_chunks(chunk);
        let sent = script.client(&[parse("", &honest()), bind("", "", &[]), execute(""), sync()]);
        assert_eq!(sent[1..], ["> B", "> E", "> S"]);
        let row = message(b'D', &[7; 100]);
        let answer = [
            bare('1'),
            bare('2'),
            row.clone(),
            message(b'N', b"notice\0"),
            row,
            complete("SELECT 2"),
            parameter("TimeZone", "UTC"),
            ready('I'),
        ];
        assert_eq!(script.server(&answer), ["1", "2", "D", "N", "D", "C SELECT 2", "S", "Z I"]);
        script.run("BEGIN", &["BEGIN"], 'T');
        script.client(&[query(BAD)]);
        assert_eq!(script.server(&[error("42601"), ready('E')]), ["E 42501", "Z E"]);
    }
}

#[test]
fn a_message_of_the_guard_waits_for_the_end_of_the_servers() {
    let mut script = Script::new(Mode::Enforce);
    let notice = message(b'N', b"SNOTICE\0Mfor your information\0\0");
    let (_, first) = script.server_raw(&notice[..9]);
    assert_eq!(script.client(&[query(BAD)]), [""; 0]);
    let (_, second) = script.server_raw(&notice[9..]);
    let all = [first, second].concat();
    assert!(all.starts_with(&notice), "{all:?}");
    assert_eq!(all[notice.len()], b'E');
    assert!(all.ends_with(b"Z\0\0\0\x05I"));
}

#[test]
fn audit_passes_every_byte_and_tells_the_same() {
    let conversation = |script: &mut Script| {
        let mut client: Vec<Vec<u8>> = vec![
            query(BAD),
            query("SELECT (1"),
            message(b'Q', b"SELECT '\xff'\0"),
            parse("s", BAD),
            bind("", "s", &[]),
            bind("", "unknown", &[]),
            execute(""),
            sync(),
            message(b'F', b"\0\0\0\x01\0\0\0\0\0\0"),
        ];
        let mut server = vec![
            complete("SELECT 9"),
            ready('I'),
            error("42601"),
            ready('I'),
            complete("SELECT 1"),
            ready('I'),
            bare('1'),
            bare('2'),
            error("26000"),
            ready('I'),
            message(b'V', b"\xff\xff\xff\xff"),
            ready('I'),
        ];
        let (to_server, _) = script.client_raw(&client.concat());
        assert_eq!(to_server, client.concat());
        let (_, to_client) = script.server_raw(&server.concat());
        assert_eq!(to_client, server.concat());
        let told = script.violations();
        assert_eq!(
            told,
            [
                "unbound-tenant",
                "visible-deleted",
                "not-understood",
                "not-understood",
                "unbound-tenant",
                "visible-deleted",
                "opaque-sql",
            ]
        );
        // Nonsense in both directions passes too.
        client = vec![b"\x00\x01nonsense".to_vec(), query("SELECT 1")];
        server = vec![b"?\0\0\0\x02nonsense".to_vec(), ready('I')];
        assert_eq!(script.client_raw(&client.concat()).0, client.concat());
        assert_eq!(script.server_raw(&server.concat()).1, server.concat());
        assert_eq!(script.violations(), ["lost"]);
        assert!(!script.is_ending());
    };
    for chunk in [usize::MAX, 1, 3, 16] {
        conversation(&mut Script::new(Mode::Audit).in_chunks(chunk));
    }
}
