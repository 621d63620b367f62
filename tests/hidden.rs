//! What a catalogue adds to the name rule: families, views in their place, real columns, routines.
//! The catalogue is made by hand here; reading one from a server has tests of its own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/cases.rs"]
mod cases;

use std::collections::HashMap;
use std::sync::Arc;

use orgguard::analyze::{Arguments, SessionTenant, plan};
use orgguard::policy::{
    Catalog, CatalogColumn, CatalogReference, CatalogRelation, CatalogRoutine, CatalogRule,
    CatalogTrigger, CatalogUnique, Policy, RelationKind, RelationName, Write,
};

fn name(name: &str) -> RelationName {
    RelationName { schema: "public".into(), name: name.into() }
}

fn relation(kind: RelationKind, columns: &[&str], definition: Option<&str>) -> CatalogRelation {
    CatalogRelation {
        columns: columns
            .iter()
            .map(|column| CatalogColumn {
                name: (*column).into(),
                type_name: "text".into(),
                not_null: false,
                default: None,
            })
            .collect(),
        definition: definition.map(Into::into),
        ..CatalogRelation::of(kind)
    }
}

fn policy() -> Policy {
    use RelationKind::{Foreign, MaterializedView, Table, View};
    let product = ["id", "organization_id", "name", "partner_id", "deleted_at"];
    let mut relations = HashMap::from([
        (name("org_products"), relation(Table, &product, None)),
        (name("org_settings"), relation(Table, &["organization_id", "key"], None)),
        (name("org_events"), relation(Table, &product, None)),
        (name("events_2026"), relation(Table, &product, None)),
        (name("plans"), relation(Table, &["code", "name"], None)),
        (name("far"), relation(Foreign, &["id", "name"], None)),
        (name("far_products"), relation(Foreign, &product, None)),
    ]);
    let views = [
        (
            "v_products",
            View,
            &product[..],
            "SELECT id, organization_id, name, partner_id, deleted_at FROM public.org_products;",
        ),
        (
            "v_liar",
            View,
            &["name", "organization_id", "deleted_at"],
            "SELECT p.name, p.partner_id AS organization_id, p.deleted_at FROM public.org_products p;",
        ),
        (
            "v_own",
            View,
            &["name"],
            "SELECT org_products.name FROM public.org_products WHERE ((org_products.organization_id = (current_setting('app.organization_id'::text))::uuid) AND (org_products.deleted_at IS NULL));",
        ),
        ("v_plans", View, &["code"], "SELECT plans.code FROM public.plans;"),
        ("v_deep", View, &["name"], "SELECT v_products.name FROM public.v_products;"),
        (
            "m_products",
            MaterializedView,
            &product[..],
            "SELECT id, organization_id, name, partner_id, deleted_at FROM public.org_products;",
        ),
        (
            "m_names",
            MaterializedView,
            &["name"],
            "SELECT org_products.name FROM public.org_products;",
        ),
    ];
    for (own, kind, columns, definition) in views {
        relations.insert(name(own), relation(kind, columns, Some(definition)));
    }
    let catalogued = RelationName { schema: "pg_catalog".into(), name: "pg_attribute".into() };
    relations.insert(catalogued, relation(Table, &[], None));
    let (parent, child) = (name("org_events"), name("events_2026"));
    relations.get_mut(&parent).unwrap().family.push(child.clone());
    relations.get_mut(&child).unwrap().family.push(parent);
    let default = Some("(current_setting('app.organization_id'::text))::uuid".into());
    relations.get_mut(&name("org_events")).unwrap().columns[1].default = default;
    let routine = |body: Option<&str>, language: &str, extension: Option<&str>| CatalogRoutine {
        schema: "public".into(),
        language: language.into(),
        is_volatile: false,
        body: body.map(Into::into),
        extension: extension.map(Into::into),
        settings: Vec::new(),
    };
    let mut routines = HashMap::from([
        ("tax".into(), vec![routine(Some("SELECT $1 * 0.19"), "sql", None)]),
        (
            "all_names".into(),
            vec![routine(Some("SELECT name FROM public.org_products"), "sql", None)],
        ),
        ("opaque".into(), vec![routine(None, "plpgsql", None)]),
        ("digest".into(), vec![routine(None, "c", Some("pgcrypto"))]),
        ("crosstab".into(), vec![routine(None, "c", Some("tablefunc"))]),
        // An overload beside a routine of PostgreSQL's own.
        ("lower".into(), vec![routine(None, "plpgsql", None)]),
    ]);
    set_off(&mut relations, &mut routines);
    let policy = cases::standard_policy();
    let roles = ["app".into()].into_iter().collect();
    let catalog = Catalog::new(relations, routines, &policy.tables).with_roles(Vec::new(), roles);
    Policy { catalog: Some(Arc::new(catalog)), ..policy }
}

/// Tables whose writes set off more than themselves.
fn set_off(
    relations: &mut HashMap<RelationName, CatalogRelation>,
    routines: &mut HashMap<Box<str>, Vec<CatalogRoutine>>,
) {
    use RelationKind::Table;
    let columns = ["id", "organization_id", "name", "deleted_at"];
    for own in [
        "org_rules",
        "org_audit",
        "org_touch",
        "org_plant",
        "org_child",
        "org_upsert",
        "org_whole",
        "part",
    ] {
        relations.insert(name(own), relation(Table, &columns, None));
    }
    for own in ["parent", "grandparent", "log", "log_fed", "twice"] {
        relations.insert(name(own), relation(Table, &["id", "name"], None));
    }
    for schema in ["app", "shadow"] {
        let twice = RelationName { schema: schema.into(), name: "twice".into() };
        relations.insert(twice, relation(Table, &["id"], None));
    }
    let mut change = |own: &str, change: &dyn Fn(&mut CatalogRelation)| {
        change(relations.get_mut(&name(own)).unwrap());
    };
    change("org_rules", &|it| {
        it.rules = vec![CatalogRule { name: "also".into(), write: Write::Update }];
    });
    let trigger = |routine: &str, writes: &[Write]| CatalogTrigger {
        name: "t".into(),
        routine: name(routine),
        writes: writes.to_vec(),
    };
    let all = [Write::Insert, Write::Update, Write::Delete];
    change("org_audit", &|it| it.triggers = vec![trigger("opaque", &[Write::Delete])]);
    change("log_fed", &|it| it.triggers = vec![trigger("opaque", &[Write::Truncate])]);
    change("org_touch", &|it| {
        it.triggers = vec![trigger("touch", &all), trigger("logs", &all)];
    });
    change("org_plant", &|it| it.triggers = vec![trigger("plant", &all)]);
    change("part", &|it| {
        it.triggers = vec![trigger("bent", &[Write::Insert])];
        it.family = vec![name("org_whole")];
    });
    change("org_whole", &|it| it.family = vec![name("part")]);
    let reference = |table: &str, on_delete, on_update| CatalogReference {
        table: name(table),
        columns: vec!["id".into()],
        on_delete,
        on_update,
    };
    change("parent", &|it| {
        it.references = vec![reference("org_child", Some(Write::Delete), Some(Write::Update))];
    });
    change("grandparent", &|it| {
        it.references = vec![reference("parent", Some(Write::Delete), None)]
    });
    change("plans", &|it| it.references = vec![reference("org_child", None, None)]);
    change("org_products", &|it| {
        it.references = vec![reference("org_audit", Some(Write::Delete), None)];
    });
    let unique = |name: &str, columns: &[&str]| CatalogUnique {
        name: name.into(),
        columns: Some(columns.iter().map(|&column| column.into()).collect()),
        is_whole: true,
    };
    change("org_upsert", &|it| {
        it.unique = vec![unique("own", &["organization_id", "name"]), unique("all", &["name"])];
    });
    let trigger_body = |body: &str| CatalogRoutine {
        schema: "public".into(),
        language: "plpgsql".into(),
        is_volatile: true,
        body: Some(body.into()),
        extension: None,
        settings: Vec::new(),
    };
    for (own, body) in [
        ("touch", "BEGIN NEW.name := upper(NEW.name); RETURN NEW; END"),
        ("logs", "BEGIN INSERT INTO log VALUES (NEW.id, TG_OP); RETURN NEW; END"),
        ("plant", "BEGIN NEW.organization_id := NEW.id; RETURN NEW; END"),
        ("reads", "BEGIN NEW.name := (SELECT max(name) FROM org_products); RETURN NEW; END"),
    ] {
        routines.insert(own.into(), vec![trigger_body(body)]);
    }
    let bent = CatalogRoutine {
        settings: vec!["search_path".into()],
        ..trigger_body("BEGIN RETURN NEW; END")
    };
    routines.insert("bent".into(), vec![bent]);
}

const OPAQUE: &str = "refuse opaque-sql";

#[test]
fn what_a_write_sets_off() {
    let bound = "WHERE organization_id = $A AND deleted_at IS NULL";
    // A rule is for one kind of write.
    assert_eq!(said(&format!("UPDATE org_rules SET name = 'x' {bound}")), HIDDEN);
    assert_eq!(said(&format!("DELETE FROM org_rules {bound}")), "admit");
    // A trigger's routine counts as called.
    assert_eq!(said(&format!("DELETE FROM org_audit {bound}")), OPAQUE);
    assert_eq!(said(&format!("UPDATE org_audit SET name = 'x' {bound}")), "admit");
    assert_eq!(said(&format!("UPDATE org_touch SET name = 'x' {bound}")), "admit");
    assert_eq!(said(&format!("UPDATE org_plant SET name = 'x' {bound}")), OPAQUE);
    let insert = "(id, organization_id) VALUES ('1', $A)";
    assert_eq!(said(&format!("INSERT INTO org_plant {insert}")), OPAQUE);
    // That of a partition, which changes a setting.
    assert_eq!(said(&format!("INSERT INTO org_whole {insert}")), OPAQUE);
    // A delete that a foreign key makes.
    assert_eq!(said(&format!("DELETE FROM org_products {bound}")), OPAQUE);
    assert_eq!(said("TRUNCATE log_fed"), OPAQUE);
    assert_eq!(said("TRUNCATE log, log_fed"), OPAQUE);
    assert_eq!(said("TRUNCATE log"), "admit");
    assert_eq!(said("COPY log FROM STDIN"), "admit");
}

#[test]
fn foreign_keys_that_reach_guarded_tables() {
    assert_eq!(said("DELETE FROM parent WHERE id = '1'"), HIDDEN);
    assert_eq!(said("DELETE FROM grandparent WHERE id = '1'"), HIDDEN);
    assert_eq!(said("DELETE FROM plans WHERE code = '1'"), "admit");
    assert_eq!(said("UPDATE parent SET id = '2' WHERE id = '1'"), HIDDEN);
    assert_eq!(said("UPDATE parent SET name = '2' WHERE id = '1'"), "admit");
    assert_eq!(said("UPDATE grandparent SET id = '2'"), "admit");
    assert_eq!(said("INSERT INTO parent VALUES ('1', 'x')"), "admit");
}

#[test]
fn what_the_configuration_vouches_for() {
    let mut policy = policy();
    policy.routines.allowed = ["public.opaque".into()].into_iter().collect();
    policy.routines.rules = ["org_rules.also".into()].into_iter().collect();
    policy.tables.cascades = vec!["parent".into()];
    for sql in [
        "DELETE FROM org_audit WHERE organization_id = $A AND deleted_at IS NULL",
        "UPDATE org_rules SET name = 'x' WHERE organization_id = $A AND deleted_at IS NULL",
        "DELETE FROM parent WHERE id = '1'",
    ] {
        assert_eq!(said_under(sql, &policy), "admit", "{sql}");
    }
    assert_eq!(said_under("DELETE FROM grandparent WHERE id = '1'", &policy), HIDDEN);
}

#[test]
fn tables_named_by_utility_statements() {
    assert_eq!(said("COPY events_2026 TO STDOUT"), "refuse guarded-copy");
    assert_eq!(said("COPY public.events_2026 (name) FROM STDIN"), "refuse guarded-copy");
    assert_eq!(said("TRUNCATE events_2026"), "refuse guarded-ddl");
    for sql in ["COPY nobody_knows TO STDOUT", "COPY m_names TO STDOUT", "COPY v_plans FROM STDIN"]
    {
        assert_eq!(said(sql), HIDDEN, "{sql}");
    }
    assert_eq!(said("TRUNCATE TABLE ONLY nobody_knows"), HIDDEN);
    assert_eq!(said("COPY public.plans (code) TO STDOUT"), "admit");
    assert_eq!(said("TRUNCATE public.plans, log RESTART IDENTITY"), "admit");
}

#[test]
fn a_name_of_several_schemas_must_be_qualified() {
    // `"$user"` is another schema for each role: `app` is one, `shadow` is none.
    assert_eq!(said("SELECT id FROM twice"), HIDDEN);
    assert_eq!(said("INSERT INTO twice VALUES ('1')"), HIDDEN);
    assert_eq!(said("SELECT id FROM public.twice"), "admit");
    assert_eq!(said("SELECT id FROM shadow.twice"), "admit");
}

#[test]
fn an_upsert_is_bound_by_the_index_that_finds_its_row() {
    let upsert = |arbiter: &str| {
        said(&format!(
            "INSERT INTO org_upsert AS u (id, organization_id, name) VALUES ('1', $A, 'x') \
             ON CONFLICT {arbiter} DO UPDATE SET name = 'x' WHERE u.deleted_at IS NULL"
        ))
    };
    assert_eq!(upsert("(organization_id, name)"), "admit");
    assert_eq!(upsert("ON CONSTRAINT own"), "admit");
    assert_eq!(upsert("ON CONSTRAINT \"all\""), "refuse unguarded-conflict");
    assert_eq!(upsert("(name)"), "refuse unguarded-conflict");
    // There is no such index.
    assert_eq!(upsert("(organization_id, id)"), "refuse unguarded-conflict");
    assert_eq!(upsert("ON CONSTRAINT nobody"), "refuse unguarded-conflict");
}

fn said(sql: &str) -> String {
    said_under(sql, &policy())
}

fn said_under(sql: &str, policy: &Policy) -> String {
    let sql = sql.replace("$A", &format!("'{}'", cases::TENANT));
    let tenant = cases::tenant();
    let verdicts: Vec<_> = plan(&sql, policy)
        .statements()
        .iter()
        .map(|one| one.settle(SessionTenant::Known(&tenant), Arguments::Values(&[])))
        .collect();
    cases::words(&verdicts)
}

const UNBOUND: &str = "refuse unbound-tenant, visible-deleted";
const HIDDEN: &str = "refuse hidden-relation";

#[test]
fn families_are_guarded_whatever_their_names() {
    assert_eq!(said("SELECT name FROM events_2026"), UNBOUND);
    assert_eq!(
        said("SELECT name FROM events_2026 WHERE organization_id = $A AND deleted_at IS NULL"),
        "admit"
    );
    assert_eq!(said("UPDATE events_2026 SET name = 'x'"), UNBOUND);
}

#[test]
fn families_are_deleted_from_as_the_policy_says_of_one_of_them() {
    let bound = "WHERE organization_id = $A AND deleted_at IS NULL";
    assert_eq!(said(&format!("DELETE FROM events_2026 {bound}")), "admit");
    let mut policy = policy();
    policy.tables.overrides.push(orgguard::policy::TableOverride {
        name: "org_events".into(),
        soft_delete: true,
        bound_by: Vec::new(),
        hard_delete: Some(false),
    });
    for table in ["org_events", "events_2026"] {
        let sql =
            format!("DELETE FROM {table} {bound}").replace("$A", &format!("'{}'", cases::TENANT));
        let tenant = cases::tenant();
        let verdict = plan(&sql, &policy).statements()[0]
            .settle(SessionTenant::Known(&tenant), Arguments::Values(&[]));
        assert_eq!(cases::words(&[verdict]), "refuse hard-delete", "{table}");
    }
}

#[test]
fn views_are_read_in_their_place() {
    assert_eq!(said("SELECT name FROM v_products"), UNBOUND);
    assert_eq!(said("SELECT name FROM v_deep"), UNBOUND);
    assert_eq!(
        said("SELECT name FROM v_products WHERE organization_id = $A AND deleted_at IS NULL"),
        "admit"
    );
    assert_eq!(
        said("SELECT name FROM v_liar WHERE organization_id = $A AND deleted_at IS NULL"),
        "refuse unbound-tenant"
    );
    assert_eq!(said("SELECT name FROM v_own"), "admit");
    assert_eq!(said("SELECT code FROM v_plans"), "admit");
    assert_eq!(
        said("UPDATE v_products SET name = 'x' WHERE organization_id = $A AND deleted_at IS NULL"),
        HIDDEN
    );
    assert_eq!(said("INSERT INTO v_products (id, organization_id) VALUES ('1', $A)"), HIDDEN);
    assert_eq!(said("INSERT INTO v_plans (code) VALUES ('x')"), "admit");
}

#[test]
fn a_view_over_guarded_rows_is_a_migration() {
    assert_eq!(said("CREATE VIEW mine AS SELECT code FROM v_plans"), "admit");
    for guarded in ["org_products", "events_2026", "v_products", "v_deep", "v_own", "m_products"] {
        let view = format!("CREATE VIEW mine AS SELECT name FROM {guarded}");
        assert_eq!(said(&view), "refuse guarded-ddl", "{guarded}");
    }
    assert_eq!(said("CREATE VIEW mine AS SELECT name FROM m_names"), HIDDEN);
    assert_eq!(said("CREATE VIEW mine AS SELECT name FROM nobody_knows"), HIDDEN);
}

#[test]
fn what_keeps_or_fetches_rows_needs_the_tenants_own_columns() {
    assert_eq!(
        said("SELECT name FROM m_products WHERE organization_id = $A AND deleted_at IS NULL"),
        "admit"
    );
    assert_eq!(said("SELECT name FROM m_products"), UNBOUND);
    assert_eq!(said("SELECT name FROM m_names"), HIDDEN);
    assert_eq!(said("SELECT name FROM far"), HIDDEN);
    assert_eq!(said("SELECT name FROM far_products"), UNBOUND);
    assert_eq!(said("SELECT name FROM nobody_knows"), HIDDEN);
    assert_eq!(said("SELECT attname FROM pg_attribute"), "admit");
}

#[test]
fn the_real_columns_decide() {
    assert_eq!(said("SELECT key FROM org_settings WHERE organization_id = $A"), "admit");
    assert_eq!(said("INSERT INTO org_products VALUES ('1', $A, 'x')"), "admit");
    assert_eq!(said("INSERT INTO org_products VALUES ($A, '1', 'x')"), "refuse foreign-insert");
    assert_eq!(
        said("SELECT p.n FROM org_products AS p(i, o, n) WHERE p.o = $A AND p.deleted_at IS NULL"),
        "admit"
    );
    assert_eq!(
        said(
            "SELECT p.i FROM org_products AS p(i, x, n, organization_id) WHERE p.organization_id = $A AND p.deleted_at IS NULL"
        ),
        "refuse unbound-tenant"
    );
    assert_eq!(
        said(
            "SELECT id FROM org_products WHERE deleted_at IS NULL AND EXISTS (SELECT 1 FROM plans WHERE organization_id = $A)"
        ),
        "admit"
    );
    assert_eq!(said("INSERT INTO org_events (id, name) VALUES ('1', 'x')"), "admit");
    assert_eq!(
        said("INSERT INTO org_products (id, name) VALUES ('1', 'x')"),
        "refuse foreign-insert"
    );
}

#[test]
fn a_field_of_a_row_is_its_column_or_a_call() {
    let bound = "FROM org_products p WHERE (p).organization_id = $A AND (p).deleted_at IS NULL";
    assert_eq!(said(&format!("SELECT (p).name {bound}")), "admit");
    assert_eq!(said(&format!("SELECT (p).all_names {bound}")), "refuse opaque-sql");
    assert_eq!(said(&format!("SELECT (p.name).all_names {bound}")), "refuse opaque-sql");
    // A column comes before the row of a relation: here `name` is no row.
    let column = "SELECT 1 FROM org_products name WHERE (name).organization_id = $A AND name.deleted_at IS NULL";
    assert_eq!(said(column), "refuse unbound-tenant");
    let partner = "SELECT 1 FROM org_products p WHERE (p).partner_id = $A AND p.deleted_at IS NULL";
    assert_eq!(said(partner), "refuse unbound-tenant");
}

#[test]
fn routines_are_known_by_what_they_do() {
    assert_eq!(said("SELECT tax(1), digest('x', 'sha1')"), "admit");
    for unknown in ["all_names()", "opaque()", "crosstab('x')", "lower('X')", "nobody()"] {
        assert_eq!(said(&format!("SELECT {unknown}")), "refuse opaque-sql", "{unknown}");
    }
    assert_eq!(said("SELECT pg_catalog.lower('X')"), "admit");
    let bound = "FROM org_products p WHERE p.organization_id = $A AND p.deleted_at IS NULL";
    assert_eq!(said(&format!("SELECT p.all_names {bound}")), "refuse opaque-sql");
    assert_eq!(said(&format!("SELECT p.name, p.ctid {bound}")), "admit");
}
