//! Bound values: their formats, NULL, numbers of parameters, and many of them at once.

use super::Attack;
use super::guard::{bind, execute, parse};
use super::scene::*;

pub(crate) const ATTACKS: &[Attack] = &[
    ("text, binary and mixed formats", formats),
    ("NULL and missing parameters", missing),
    ("parameter numbers far out", far),
    ("many Binds before one Sync, one of them foreign", many),
];

const UUID: u32 = 2950;
const TEXT: u32 = 25;
const BYTEA: u32 = 17;
const VARCHAR: u32 = 1043;
const BPCHAR: u32 = 1042;
const NAME: u32 = 19;
const UUIDS: u32 = 2951;

fn binary(tenant: &str) -> Vec<u8> {
    let digits: String = tenant.chars().filter(|c| *c != '-').collect();
    (0..16)
        .map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2).unwrap(), 16).unwrap())
        .collect()
}

/// Spellings of a uuid that PostgreSQL takes.
fn spellings(tenant: &str) -> Vec<String> {
    let bare: String = tenant.chars().filter(|c| *c != '-').collect();
    vec![
        tenant.to_owned(),
        tenant.to_uppercase(),
        bare.clone(),
        format!("{{{tenant}}}"),
        format!("{{{bare}}}"),
        bare.as_bytes()
            .chunks(4)
            .map(|chunk| std::str::from_utf8(chunk).unwrap())
            .collect::<Vec<_>>()
            .join("-"),
    ]
}

/// A binary array of uuids.
fn array(tenants: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = u32::try_from(tenants.len()).unwrap();
    for word in [1, 0, UUID, count, 1] {
        bytes.extend(word.to_be_bytes());
    }
    for tenant in tenants {
        bytes.extend(16_u32.to_be_bytes());
        bytes.extend(binary(tenant));
    }
    bytes
}

fn formats(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    passes(&client.group(&[parse("s", BOUND), parse_typed("t", BOUND, &[UUID])]), "parse");
    for name in ["s", "t"] {
        for (own, foreign) in spellings(A).iter().zip(spellings(B)) {
            has_rows(&client.group(&[bind("", name, &[own]), execute("")]));
            fails(&client.group(&[bind("", name, &[&foreign]), execute("")]), &["42501"]);
        }
        let own = bind_as("", name, &[1], &[Some(&binary(A))]);
        let foreign = bind_as("", name, &[1], &[Some(&binary(B))]);
        has_rows(&client.group(&[own, execute("")]));
        fails(&client.group(&[foreign, execute("")]), &["42501"]);
    }
    // A wrong number of formats is no message.
    let mut other = door.session();
    other.send(&bind_as("", "s", &[1, 1], &[Some(&binary(B))]));
    assert_eq!(other.until(b'E'), ["E 08P01"]);
    let mut other = door.session();
    other.send(&bind_as("", "s", &[2], &[Some(&binary(B))]));
    assert_eq!(other.until(b'E'), ["E 08P01"]);
    // One format for all, none, and one for each; the tenant in the second place.
    passes(&client.group(&[parse_typed("two", SECOND, &[TEXT, UUID])]), "two");
    for (formats, own, foreign) in [
        (&[][..], A.as_bytes().to_vec(), B.as_bytes().to_vec()),
        (&[0], A.as_bytes().to_vec(), B.as_bytes().to_vec()),
        (&[1], binary(A), binary(B)),
        (&[0, 1], binary(A), binary(B)),
        (&[1, 0], A.as_bytes().to_vec(), B.as_bytes().to_vec()),
    ] {
        let bound = |value: &[u8]| bind_as("", "two", formats, &[Some(b"x"), Some(value)]);
        has_rows(&client.group(&[bound(&own), execute("")]));
        fails(&client.group(&[bound(&foreign), execute("")]), &["42501"]);
    }
    // The text of A in binary, the binary of A in text: neither is A.
    for (formats, value) in [(&[1][..], A.as_bytes()), (&[0], &binary(A)[..])] {
        let answer = client.group(&[bind_as("", "s", formats, &[Some(value)]), execute("")]);
        assert!(answer[0].starts_with("E "), "{answer:?}");
    }
    // Declared as something else that is cast: what the cast gives is the value.
    let cast = BOUND.replace("$1", "$1::uuid");
    for (oid, honest) in
        [(TEXT, true), (VARCHAR, true), (BPCHAR, false), (NAME, false), (BYTEA, false)]
    {
        let typed = parse_typed("", &cast, &[oid]);
        let own = client.group(&[typed.clone(), bind("", "", &[A]), execute("")]);
        if honest {
            has_rows(&own);
        }
        let foreign = client.group(&[typed.clone(), bind("", "", &[B]), execute("")]);
        assert!(foreign.iter().any(|shown| shown.starts_with("E ")), "{oid}: {foreign:?}");
        let raw = bind_as("", "", &[1], &[Some(&binary(B))]);
        let foreign = client.group(&[typed, raw, execute("")]);
        assert!(foreign.iter().any(|shown| shown.starts_with("E ")), "{oid}: {foreign:?}");
    }
    arrays(&mut client);
}

fn arrays(client: &mut Attacker) {
    let any = BOUND.replace("= $1", "= ANY($1)");
    passes(&client.group(&[parse("any", &any), parse_typed("typed", &any, &[UUIDS])]), "any");
    for name in ["any", "typed"] {
        has_rows(&client.group(&[bind("", name, &[&format!("{{{A}}}")]), execute("")]));
        has_rows(&client.group(&[bind("", name, &[&format!("{{\"{A}\",{A}}}")]), execute("")]));
        let own = array(&[A, A]);
        has_rows(&client.group(&[bind_as("", name, &[1], &[Some(&own)]), execute("")]));
        for foreign in [
            format!("{{{A},{B}}}"),
            format!("{{{{{A}}},{{{B}}}}}"),
            format!("[0:1]={{{A},{B}}}"),
            format!("{{{A},\"{B}\"}}"),
            format!("{{{A}, NULL, {B} }}"),
        ] {
            let answer = client.group(&[bind("", name, &[&foreign]), execute("")]);
            fails(&answer, &["42501", "22P02"]);
        }
        let foreign = array(&[A, B]);
        fails(
            &client.group(&[bind_as("", name, &[1], &[Some(&foreign)]), execute("")]),
            &["42501"],
        );
        // The count says one, and two follow; the count says none.
        for count in [0_u32, 1] {
            let mut short = array(&[A, B]);
            short[12..16].copy_from_slice(&count.to_be_bytes());
            let bound = bind_as("", name, &[1], &[Some(&short)]);
            let answer = client.group(&[bound, execute("")]);
            assert!(answer[0].starts_with("E "), "{answer:?}");
        }
    }
}

fn missing(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    passes(&client.group(&[parse("s", FIRST), parse("b", BOUND)]), "parse");
    let no_rows = |answer: &[String]| {
        assert!(!answer.iter().any(|shown| shown.starts_with('D')), "{answer:?}");
    };
    // NULL equals nothing; fewer or more values than parameters are an error of one of the two.
    no_rows(&client.group(&[bind_as("", "b", &[], &[None]), execute("")]));
    no_rows(&client.group(&[bind_as("", "b", &[1], &[None]), execute("")]));
    fails(&client.group(&[bind("", "b", &[]), execute("")]), &["42501", "08P01"]);
    fails(&client.group(&[bind("", "b", &[A, B]), execute("")]), &["08P01"]);
    fails(&client.group(&[bind("", "s", &[A]), execute("")]), &["42501", "08P01"]);
    // Where NULL would select rows, or all rows.
    for predicate in [
        "organization_id IS NOT DISTINCT FROM $1",
        "($1::uuid IS NULL OR organization_id = $1)",
        "organization_id = coalesce($1, organization_id)",
        "(organization_id = $1) IS NOT FALSE",
        "organization_id = ANY($1::uuid[]) IS NOT FALSE",
        "nullif(organization_id, $1) IS NOT NULL",
        "organization_id IN ($1, supplier_id)",
    ] {
        let sql = format!("SELECT name FROM org_products WHERE {predicate} AND deleted_at IS NULL");
        let group = [parse("", &sql), bind_as("", "", &[], &[None]), execute("")];
        no_rows(&client.group(&group));
    }
    // A row without a tenant is no row of this tenant.
    let insert = "INSERT INTO org_tags (id, organization_id, label) \
                  VALUES (gen_random_uuid(), $1, 'null')";
    let group = [parse("", insert), bind_as("", "", &[], &[None]), execute("")];
    fails(&client.group(&group), &["42501", "23502"]);
    fails(&client.group(&[parse("", insert), bind("", "", &[B]), execute("")]), &["42501"]);
    let group = [parse("", insert), bind("", "", &[A]), execute("")];
    assert_eq!(client.group(&group), ["1", "2", "C INSERT 0 1", "Z I"]);
    let update = "UPDATE org_tags SET organization_id = $2 \
                  WHERE organization_id = $1 AND deleted_at IS NULL AND label = 'null'";
    fails(&client.group(&[parse("", update), bind("", "", &[A, B]), execute("")]), &["42501"]);
    let group = [parse("", update), bind("", "", &[A, A]), execute("")];
    assert_eq!(client.group(&group), ["1", "2", "C UPDATE 1", "Z I"]);
    has_rows(&client.group(&[bind("", "b", &[A]), execute("")]));
}

fn far(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    for number in [40_000_usize, 65_535] {
        let sql = BOUND.replace("$1", &format!("${number}"));
        let mut types = vec![TEXT; number];
        types[number - 1] = UUID;
        passes(&client.group(&[parse_typed("s", &sql, &types)]), "far");
        let mut values: Vec<Option<&[u8]>> = vec![Some(b""); number];
        for (tenant, others) in [(A, B), (B, A)] {
            // Every other parameter is the other tenant.
            values.fill(Some(others.as_bytes()));
            values[number - 1] = Some(tenant.as_bytes());
            let answer = client.group(&[bind_as("", "s", &[], &values), execute("")]);
            if tenant == A { has_rows(&answer) } else { fails(&answer, &["42501"]) }
        }
        // The first 7,232 (40,000 - 32,768) values, as a signed count would read them.
        let few = bind_as("", "s", &[], &values[..7_232]);
        fails(&client.group(&[few, execute("")]), &["42501", "08P01"]);
        passes(&client.group(&[close('S', "s")]), "close");
    }
    // Numbers that wrap to 1 in 16, 32 and 64 bits, and that are none.
    for number in ["65536", "65537", "4294967297", "18446744073709551617", "0", "-1", "00001x"] {
        let sql = BOUND.replace("$1", &format!("${number}"));
        for value in [A, B] {
            let answer = client.group(&[parse("", &sql), bind("", "", &[value]), execute("")]);
            assert!(answer[0].starts_with("E "), "${number}: {answer:?}");
        }
    }
    let padded = BOUND.replace("$1", "$0001");
    let answer = client.group(&[parse("", &padded), bind("", "", &[B]), execute("")]);
    fails(&answer, &["42501", "0A000", "42601"]);
    has_rows(&client.extended(BOUND, &[A]));
}

fn many(scene: &Scene<'_>) {
    let door = scene.guard();
    let mut client = door.session();
    passes(&client.group(&[parse("s", BOUND)]), "parse");
    let select = |tenant: &str| [bind("", "s", &[tenant]), execute("")].concat();
    let mut group = vec![select(A); 60];
    assert_eq!(client.group(&group).iter().filter(|shown| *shown == "D A lamp").count(), 60);
    group[37] = select(B);
    let answer = client.group(&group);
    assert_eq!(answer.iter().filter(|shown| *shown == "D A lamp").count(), 37);
    assert_eq!(answer[answer.len() - 2..], ["E 42501", "Z I"]);
    // Portals of all of them first, and then their Executes.
    let mut group: Vec<_> = (0..20).map(|n| bind(&format!("p{n}"), "s", &[A])).collect();
    group[11] = bind("p11", "s", &[B]);
    group.extend((0..20).map(|n| execute(&format!("p{n}"))));
    fails(&client.group(&group), &["42501"]);
    // Writes: nothing of the group is kept.
    let insert = "INSERT INTO org_tags (id, organization_id, label) \
                  VALUES (gen_random_uuid(), $1, $2)";
    passes(&client.group(&[parse("i", insert)]), "insert");
    let write = |tenant: &str, n: usize| {
        [bind("", "i", &[tenant, &format!("many {n}")]), execute("")].concat()
    };
    let mut group: Vec<_> = (0..40).map(|n| write(A, n)).collect();
    group[39] = write(B, 39);
    fails(&client.group(&group), &["42501"]);
    let mut see = door.session();
    let own = format!(
        "SELECT count(*) FROM org_tags WHERE organization_id = '{A}' AND deleted_at IS NULL \
         AND label LIKE 'many%'"
    );
    assert_eq!(see.run(&own)[1], "D 0");
    group[39] = write(A, 39);
    passes(&client.group(&group), "all own");
    assert_eq!(see.run(&own)[1], "D 40");
}
