//! What a statement costs beside the relay: reading and planning it when it is new, finding its plan
//! when it is not, settling that for the session's tenant. `cargo bench --bench statements`.
#![allow(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

use divan::{Bencher, black_box};
use orgguard::analyze::{Arguments, SessionTenant, plan};
use orgguard::config::{Overrides, standard};
use orgguard::policy::Policy;
use orgguard::sql::{Shape, read};
use orgguard::tenant::{Tenant, TenantType};

const TENANT: &str = "00000000-0000-0000-0000-000000000007";

/// Statements by their size; the sizes are what is told apart in docs/performance.md.
const STATEMENTS: [&str; 5] =
    ["select 57 B", "join 350 B", "cte 627 B", "list 5 KB", "values 5 KB"];

fn main() {
    divan::main();
}

fn policy() -> Policy {
    (*standard(&Overrides::default()).unwrap().policy).clone()
}

fn tenant() -> Tenant {
    TenantType::Uuid.parse(TENANT).unwrap()
}

fn text(name: &str) -> String {
    let bound = |alias: &str| {
        format!("{alias}.organization_id = '{TENANT}' AND {alias}.deleted_at IS NULL")
    };
    match name {
        "select 57 B" => "SELECT note, created_at, updated_at FROM notes WHERE id=$1".to_owned(),
        "join 350 B" => format!(
            "SELECT o.id, o.qty, p.name, p.price FROM org_orders o JOIN org_products p ON p.id = \
             o.product_id AND p.organization_id = o.organization_id WHERE {} AND {} AND o.id = 417",
            bound("o"),
            bound("p")
        ),
        "cte 627 B" => format!(
            "WITH recent AS (SELECT o.organization_id, o.product_id, sum(o.qty) AS sold FROM \
             org_orders o WHERE {} AND o.qty > 3 GROUP BY o.organization_id, o.product_id), named \
             AS (SELECT p.id, p.organization_id, p.name FROM org_products p WHERE {} AND p.name \
             LIKE 'product %') SELECT n.name, r.sold FROM recent r JOIN named n ON n.id = \
             r.product_id AND n.organization_id = r.organization_id ORDER BY r.sold DESC, n.name \
             LIMIT 25",
            bound("o"),
            bound("p")
        ),
        "list 5 KB" => {
            let numbers: Vec<String> = (10_000..10_680).map(|number| number.to_string()).collect();
            format!(
                "SELECT p.id, p.name FROM org_products p WHERE {} AND p.id IN ({})",
                bound("p"),
                numbers.join(", ")
            )
        }
        _ => {
            let rows: Vec<String> = (0..70)
                .map(|number| format!("('{TENANT}', {number}, 'product number {number}', 100)"))
                .collect();
            format!(
                "INSERT INTO org_products (organization_id, id, name, price) VALUES {}",
                rows.join(", ")
            )
        }
    }
}

#[divan::bench(args = STATEMENTS)]
fn read_only(bencher: Bencher<'_, '_>, name: &str) {
    let (policy, text) = (policy(), text(name));
    bencher.bench(|| read(black_box(&text), &policy.limits));
}

#[divan::bench(args = STATEMENTS)]
fn read_and_plan(bencher: Bencher<'_, '_>, name: &str) {
    let (policy, text) = (policy(), text(name));
    bencher.bench(|| plan(black_box(&text), &policy));
}

#[divan::bench(args = STATEMENTS)]
fn settle(bencher: Bencher<'_, '_>, name: &str) {
    let (policy, text, tenant) = (policy(), text(name), tenant());
    let plan = plan(&text, &policy);
    bencher.bench(|| {
        for statement in plan.statements() {
            let known = SessionTenant::Known(black_box(&tenant));
            black_box(statement.settle(known, Arguments::Values(&[])));
        }
    });
}

/// The plan of a text that differs in its literals from one that is known.
#[divan::bench(args = &STATEMENTS[1..])]
fn find_by_shape(bencher: Bencher<'_, '_>, name: &str) {
    let (policy, text) = (policy(), text(name));
    let plan = plan(&text, &policy);
    let other = text.replace("417", "9000").replace(", 100", ", 7");
    bencher.bench(|| {
        let shape = Shape::of(black_box(&other)).unwrap();
        black_box(plan.reused(&text, &other, &shape))
    });
}
