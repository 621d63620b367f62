//! COPY FROM into a guarded table, with a real server behind: own rows arrive, a foreign one fails
//! the COPY, and nothing of it is kept.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;

use guard::{Client, Guard, bind, execute, field, message, parse, startup, sync};
use orgguard::cli::Throwaway;

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const COPY: &str = "COPY org_tags (organization_id, label, deleted_at) FROM STDIN";

struct Scene {
    server: Throwaway,
    guard: Guard,
}

impl Scene {
    fn new(mode: &str, copy_from: &str) -> Self {
        let server = Throwaway::start().unwrap();
        let text = Guard::text(mode, &server.address().to_string(), "");
        let guard = format!("[guard]\ncopy_from = \"{copy_from}\"");
        let scene = Self { guard: Guard::start_text(&text.replace("[guard]", &guard)), server };
        let made = scene.direct().query(
            "CREATE TABLE org_tags (organization_id uuid NOT NULL, label text, deleted_at timestamptz); \
             CREATE TABLE plain (organization_id uuid, label text)",
        );
        assert_eq!(made.last().unwrap(), "Z I");
        scene
    }

    fn direct(&self) -> Client {
        login(Client::connect(self.server.address()), &[])
    }

    fn session(&self) -> Client {
        login(self.guard.connect(), &[("app.organization_id", A)])
    }

    /// How many rows there are, of the own tenant and of others.
    fn rows(&self) -> (String, String) {
        let count = |comparison: &str| {
            let sql = format!("SELECT 1 FROM org_tags WHERE organization_id {comparison} '{A}'");
            let answer = self.direct().query(&sql);
            answer[answer.len() - 2].trim_start_matches("C SELECT ").to_owned()
        };
        (count("="), count("<>"))
    }

    #[track_caller]
    fn has(&self, own: &str, foreign: &str) {
        assert_eq!(self.rows(), (own.to_owned(), foreign.to_owned()));
    }
}

fn login(mut client: Client, more: &[(&str, &str)]) -> Client {
    let mut parameters = vec![("user", "postgres"), ("database", "postgres")];
    parameters.extend(more);
    client.send(&startup(&parameters));
    client.until(b'Z');
    client
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

fn data(text: &str) -> Vec<u8> {
    message(b'd', text.as_bytes())
}

fn done() -> Vec<u8> {
    message(b'c', b"")
}

fn row(tenant: &str, label: &str) -> String {
    format!("{tenant}\t{label}\t\\N\n")
}

/// Starts a COPY, waits for the server to want its data, sends it, and gives the answer.
fn copy(client: &mut Client, sql: &str, pieces: &[Vec<u8>]) -> Vec<String> {
    client.send(&query(sql));
    let begun = client.until(b'G');
    assert_eq!(begun, ["G"], "{sql}");
    for piece in pieces {
        client.send(piece);
    }
    client.send(&done());
    client.until(b'Z')
}

#[test]
fn own_rows_arrive_in_every_form() {
    let scene = Scene::new("enforce", "judge");
    let mut client = scene.session();
    let two = data(&(row(A, "one") + &row(A, "two")));
    assert_eq!(copy(&mut client, COPY, &[two]), ["C COPY 2", "Z I"]);
    // In pieces that know nothing of rows, and in empty ones.
    let text = row(A, "three") + &row(A, "four");
    let pieces: Vec<_> = text.as_bytes().chunks(7).map(|piece| message(b'd', piece)).collect();
    let pieces = [vec![data("")], pieces, vec![data("")]].concat();
    assert_eq!(copy(&mut client, COPY, &pieces), ["C COPY 2", "Z I"]);
    let csv = format!("organization_id,label\r\n{A},\"a \"\"b\"\"\r\n c\"\r\n\"{A}\",\r\n");
    let sql = "COPY org_tags (organization_id, label) FROM STDIN WITH (FORMAT csv, HEADER true)";
    assert_eq!(copy(&mut client, sql, &[data(&csv)]), ["C COPY 2", "Z I"]);
    let sql = "COPY org_tags (label, organization_id) FROM STDIN (FORMAT binary)";
    let mut binary = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x01x\0\0\0\x10".to_vec();
    binary.extend(
        A.replace('-', "")
            .as_bytes()
            .chunks(2)
            .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()),
    );
    binary.extend(b"\xff\xff");
    assert_eq!(copy(&mut client, sql, &[message(b'd', &binary)]), ["C COPY 1", "Z I"]);
    scene.has("7", "0");
    // The same bytes with another tenant in them.
    let foreign: Vec<u8> = [&binary[..28], &[0x22; 16], &binary[44..]].concat();
    let answer = copy(&mut client, sql, &[message(b'd', &foreign)]);
    assert_eq!(answer, ["E 42501", "Z I"]);
    scene.has("7", "0");
    // All of it in one packet, in both protocols.
    client.send(&[query(COPY), data(&row(A, "packet")), done(), query("SELECT 1")].concat());
    assert_eq!(client.until(b'Z'), ["G", "C COPY 1", "Z I"]);
    assert_eq!(client.until(b'Z'), ["T", "D", "C SELECT 1", "Z I"]);
    let run = [parse("", COPY), bind("", "", &[]), execute("")].concat();
    client.send(&[run.clone(), data(&row(A, "x")), done(), sync()].concat());
    assert_eq!(client.until(b'Z'), ["1", "2", "G", "C COPY 1", "Z I"]);
    // As libpq does it: Sync behind Execute, and another behind the data.
    client.send(&[run, sync()].concat());
    assert_eq!(client.until(b'G'), ["1", "2", "G"]);
    client.send(&[data(&row(A, "y")), done(), sync()].concat());
    assert_eq!(client.until(b'Z'), ["C COPY 1", "Z I"]);
    scene.has("10", "0");
}

#[test]
fn a_foreign_row_fails_the_copy_and_nothing_is_kept() {
    let scene = Scene::new("enforce", "judge");
    let mut client = scene.session();
    for text in [
        row(B, "x"),
        row(A, "x") + &row(B, "x"),
        row(A, "x") + &row(B, "x") + &row(A, "x"),
        row(A, "x") + &row("\\N", "x"),
        row(A, "x") + &format!("{A}\tdeleted\t2026-01-01\n"),
        // Not as it seems at first sight.
        format!("{A}\\\t{A}\t\\N\n"),
        format!("{A}\tx\\\n{A}\ty\t\\N\n{B}\tz\t\\N\n"),
        row(A, "x") + "\\.\n" + &row(B, "x"),
        row(A, "x").replace('\n', "\r\n") + &row(A, "x"),
        row(A, "x") + B + "\tx\t\\N",
    ] {
        for size in [1, 40, 4096] {
            let pieces: Vec<_> =
                text.as_bytes().chunks(size).map(|piece| message(b'd', piece)).collect();
            assert_eq!(copy(&mut client, COPY, &pieces), ["E 42501", "Z I"], "{text:?}");
        }
        // Everything in one packet, the answer to COPY included.
        client.send(&[query(COPY), data(&text), done(), query("SELECT 1")].concat());
        assert_eq!(client.until(b'Z'), ["G", "E 42501", "Z I"], "{text:?}");
        assert_eq!(client.until(b'Z'), ["T", "D", "C SELECT 1", "Z I"]);
        let run = [parse("", COPY), bind("", "", &[]), execute("")].concat();
        client.send(&[run, data(&text), done(), sync(), query("SELECT 1")].concat());
        assert_eq!(client.until(b'Z'), ["1", "2", "G", "E 42501", "Z I"]);
        assert_eq!(client.until(b'Z'), ["T", "D", "C SELECT 1", "Z I"]);
    }
    scene.has("0", "0");
    // What it says, and what is counted.
    client.send(&[query(COPY), data(&row(B, "secret label")), done()].concat());
    client.until(b'G');
    let (kind, body) = client.message();
    assert_eq!(kind, b'E');
    assert_eq!(field(&body, b'M'), "orgguard: statement refused: foreign-insert on \"org_tags\"");
    assert_eq!(field(&body, b'P'), "6");
    assert!(!String::from_utf8_lossy(&body).contains("secret"));
    client.until(b'Z');
    // In a block, the block is lost.
    client.query("BEGIN");
    copy(&mut client, COPY, &[data(&row(A, "first"))]);
    assert_eq!(copy(&mut client, COPY, &[data(&row(B, "second"))]), ["E 42501", "Z E"]);
    assert_eq!(client.query("COMMIT"), ["C ROLLBACK", "Z I"]);
    scene.has("0", "0");
    // The client ends it itself, and data that comes late is nobody's.
    client.send(&query(COPY));
    client.until(b'G');
    client.send(&[data(&row(A, "x")), message(b'f', b"no\0")].concat());
    assert_eq!(client.until(b'Z'), ["E 57014", "Z I"]);
    client.send(&query(COPY));
    client.until(b'G');
    client.send(&data(&row(B, "x")));
    assert_eq!(client.until(b'Z'), ["E 42501", "Z I"]);
    client.send(&[data(&row(B, "late")), done()].concat());
    assert_eq!(copy(&mut client, COPY, &[data(&row(A, "kept"))]), ["C COPY 1", "Z I"]);
    scene.has("1", "0");
}

#[test]
fn what_cannot_be_judged_is_refused_before_a_row_is_sent() {
    let scene = Scene::new("enforce", "judge");
    let mut client = scene.session();
    for sql in [
        "COPY org_tags FROM STDIN",
        "COPY org_tags (label) FROM STDIN",
        "COPY org_tags (organization_id) TO STDOUT",
        "COPY org_tags (organization_id, label) FROM STDIN (ENCODING 'latin1')",
        "COPY org_tags (organization_id, label) FROM STDIN (FORMAT csv, FORCE_NULL (label))",
        "COPY org_tags (organization_id, label) FROM STDIN WHERE label <> ''",
        "COPY org_tags (organization_id, label) FROM '/tmp/x'",
        &format!("SELECT 1; {COPY}"),
        &format!("{COPY}; {COPY}"),
    ] {
        let answer = client.query(sql);
        assert!(["E 42501", "E 0A000"].contains(&&*answer[0]), "{sql}: {answer:?}");
    }
    // Without a tenant there is nothing to hold a row against.
    let mut nobody = login(scene.guard.connect(), &[]);
    assert_eq!(nobody.query(COPY), ["E 42501", "Z I"]);
    // The tenant is that of the moment in which the data begins.
    client.query(&format!("SET app.organization_id = '{B}'"));
    assert_eq!(copy(&mut client, COPY, &[data(&row(A, "x"))]), ["E 42501", "Z I"]);
    assert_eq!(copy(&mut client, COPY, &[data(&row(B, "x"))]), ["C COPY 1", "Z I"]);
    let set = format!("SET app.organization_id = '{A}'");
    let group = [
        parse("c", COPY),
        bind("c", "c", &[]),
        parse("", &set),
        bind("", "", &[]),
        execute(""),
        execute("c"),
        sync(),
    ];
    client.send(&group.concat());
    assert!(client.until(b'Z').contains(&"E 42501".to_owned()));
    // Tables that are not guarded are as ever.
    let plain = "COPY plain FROM STDIN";
    assert_eq!(copy(&mut client, plain, &[data(&format!("{A}\tx\n"))]), ["C COPY 1", "Z I"]);
    scene.has("0", "1");
    // A query in the middle fails the COPY, and the next one is judged again.
    client.send(&query(COPY));
    client.until(b'G');
    client.send(&[data(&row(B, "x")), query("SELECT 1")].concat());
    assert_eq!(client.until(b'Z').last().unwrap(), "Z I");
    client.query("SELECT 1");
    scene.has("0", "1");
}

#[test]
fn large_copies_stream() {
    let scene = Scene::new("enforce", "judge");
    let mut client = scene.session();
    let block = row(A, &"x".repeat(2000)).repeat(100);
    let pieces = vec![data(&block); 200];
    assert_eq!(copy(&mut client, COPY, &pieces), ["C COPY 20000", "Z I"]);
    let mut pieces = pieces;
    pieces.push(data(&row(B, "the last")));
    client.send(&query(COPY));
    client.until(b'G');
    for piece in &pieces {
        client.send(piece);
    }
    client.send(&done());
    assert_eq!(client.until(b'Z'), ["E 42501", "Z I"]);
    scene.has("20000", "0");
}

/// Data of any form, made of what means something to COPY: whatever the guard lets through, the
/// server reads as it did.
/// A side that sends much is read now and then.
#[test]
fn what_is_much_comes_back_whole() {
    let scene = Scene::new("enforce", "judge");
    let rows = "SELECT g, repeat('x', g % 200) FROM generate_series(1, 40000) g";
    for sql in [rows, &format!("COPY ({rows}) TO STDOUT")] {
        let (mut session, mut direct) = (scene.session(), scene.direct());
        for client in [&mut session, &mut direct] {
            client.send(&query(&format!("{sql}; SELECT 'and on'")));
        }
        for number in 0.. {
            let message = session.message();
            assert!(message == direct.message(), "message {number} of {sql}");
            if message.0 == b'Z' {
                assert!(number > 40_000);
                break;
            }
        }
    }
}

#[test]
fn whatever_passes_holds_no_foreign_row() {
    let scene = Scene::new("enforce", "judge");
    let mut client = scene.session();
    // Options, what separates fields, and what is NULL.
    let forms = [
        ("", "\t", "\\N"),
        ("(FORMAT csv)", ",", ""),
        ("(FORMAT csv, QUOTE '''', ESCAPE '\\', DELIMITER ';', NULL 'N')", ";", "N"),
        ("(DELIMITER '|', NULL '', HEADER)", "|", ""),
    ];
    let parts = [
        A, B, "\t", ",", ";", "|", "\n", "\r\n", "\r", "\\", "\\\\", "\\.", "\\N", "N", "\"",
        "\"\"", "'", "x", "\\x32", "\\062", " ", "",
    ];
    let ends = ["\n", "\n", "\n", "\r\n", "\r"];
    // A sequence of numbers as arbitrary as any, the same at every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut number = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 1_000_003).unwrap() % below
    };
    let (mut passed, mut refused) = (0, 0);
    for _ in 0..3_000 {
        let (options, separator, null) = forms[number(forms.len())];
        let end = ends[number(ends.len())];
        let mut text = String::new();
        for _ in 0..=number(3) {
            let label: String = (0..number(4)).map(|_| parts[number(parts.len())]).collect();
            let tenant = if number(12) == 0 { B } else { A };
            text += &[tenant, &label, null].join(separator);
            text += end;
        }
        if number(3) == 0 {
            text.insert_str(number(text.len()), parts[number(parts.len())]);
        }
        client.send(&[query(&format!("{COPY} {options}")), data(&text), done()].concat());
        let answer = client.until(b'Z');
        if answer.contains(&"E 42501".to_owned()) { refused += 1 } else { passed += 1 }
    }
    let (_, foreign) = scene.rows();
    assert_eq!(foreign, "0");
    assert!(passed > 300 && refused > 300, "{passed} {refused}");
}

#[test]
fn audit_passes_all_and_counts_the_same() {
    let scene = Scene::new("audit", "judge");
    let mut client = scene.session();
    let foreign =
        "orgguard_violations_total{mode=\"audit\",rule=\"foreign-insert\",table=\"org_tags\"}";
    let text = row(A, "x") + &row(B, "x");
    assert_eq!(copy(&mut client, COPY, &[data(&text)]), ["C COPY 2", "Z I"]);
    assert_eq!(scene.guard.metric(foreign), 1);
    assert_eq!(copy(&mut client, COPY, &[data(&row(A, "x"))]), ["C COPY 1", "Z I"]);
    assert_eq!(scene.guard.metric(foreign), 1);
    scene.has("2", "1");
}

#[test]
fn it_is_refused_where_it_is_not_asked_for() {
    let scene = Scene::new("enforce", "refuse");
    let mut client = scene.session();
    assert_eq!(client.query(COPY), ["E 42501", "Z I"]);
    client.send(&[query(COPY), data(&row(A, "x")), done(), query("SELECT 1")].concat());
    assert_eq!(client.until(b'Z'), ["E 42501", "Z I"]);
    assert_eq!(client.until(b'Z'), ["T", "D", "C SELECT 1", "Z I"]);
    scene.has("0", "0");
}
