//! The statements of the demo and what each must give.

use super::rows::Rows;

/// The organization the demo works for.
pub(super) const ACME: &str = "11111111-1111-1111-1111-111111111111";
/// The other organization.
pub(super) const GLOBEX: &str = "22222222-2222-2222-2222-222222222222";

/// One statement of the demo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    /// What it shows, in a few words.
    pub(super) title: &'static str,
    /// Sent before it, on the same connection.
    pub(super) before: Option<&'static str>,
    /// The text.
    pub(super) sql: &'static str,
    /// How it is sent.
    pub(super) sent: Sent,
    /// The rows that PostgreSQL gives without the guard.
    pub(super) alone: Rows,
    /// What the guard must do.
    pub(super) guarded: Guarded,
}

/// How a statement is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sent {
    /// As a simple query string.
    Simple,
    /// By the extended protocol, with this organization as `$1`.
    Bound(&'static str),
}

/// What the guard does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarded {
    /// Lets it pass; the rows are those of PostgreSQL alone.
    Pass,
    /// Refuses it by this rule.
    Refuse(&'static str),
}

const fn rows(own: usize, other: usize, deleted: usize) -> Rows {
    Rows { own, other, deleted }
}

/// The demo, in the order of telling.
pub(super) const SCENES: [Scene; 15] = [
    Scene {
        title: "honest query",
        before: None,
        sql: "SELECT id, name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL",
        sent: Sent::Bound(ACME),
        alone: rows(3, 0, 0),
        guarded: Guarded::Pass,
    },
    Scene {
        title: "organization forgotten",
        before: None,
        sql: "SELECT id, name FROM org_products WHERE deleted_at IS NULL",
        sent: Sent::Simple,
        alone: rows(3, 2, 0),
        guarded: Guarded::Refuse("unbound-tenant"),
    },
    Scene {
        title: "OR without parentheses",
        before: None,
        sql: "SELECT id, name FROM org_products \
              WHERE organization_id = $1 AND deleted_at IS NULL OR price < 10",
        sent: Sent::Bound(ACME),
        alone: rows(3, 2, 1),
        guarded: Guarded::Refuse("unbound-tenant"),
    },
    Scene {
        title: "soft delete ignored",
        before: None,
        sql: "SELECT id, name FROM org_products WHERE organization_id = $1",
        sent: Sent::Bound(ACME),
        alone: rows(3, 0, 1),
        guarded: Guarded::Refuse("visible-deleted"),
    },
    Scene {
        title: "another organization's id",
        before: None,
        sql: "SELECT id, name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL",
        sent: Sent::Bound(GLOBEX),
        alone: rows(0, 2, 0),
        guarded: Guarded::Refuse("foreign-tenant"),
    },
    Scene {
        title: "honest join",
        before: None,
        sql: "SELECT o.id, c.id FROM org_orders o JOIN org_customers c \
              ON c.id = o.customer_id AND c.organization_id = o.organization_id \
              WHERE o.organization_id = $1 AND o.deleted_at IS NULL AND c.deleted_at IS NULL",
        sent: Sent::Bound(ACME),
        alone: rows(2, 0, 0),
        guarded: Guarded::Pass,
    },
    Scene {
        title: "join, one side unbound",
        before: None,
        sql: "SELECT o.id, c.id FROM org_orders o JOIN org_customers c ON c.email = o.email \
              WHERE o.organization_id = $1 AND o.deleted_at IS NULL AND c.deleted_at IS NULL",
        sent: Sent::Bound(ACME),
        alone: rows(2, 1, 0),
        guarded: Guarded::Refuse("unbound-tenant"),
    },
    Scene {
        title: "union, one arm unbound",
        before: None,
        sql: "SELECT id FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL \
              UNION ALL SELECT id FROM org_products WHERE price < 10",
        sent: Sent::Bound(ACME),
        alone: rows(4, 2, 1),
        guarded: Guarded::Refuse("unbound-tenant"),
    },
    Scene {
        title: "SQL prepared statement",
        before: Some(
            "PREPARE by_organization (uuid) AS SELECT id, name FROM org_products \
             WHERE organization_id = $1 AND deleted_at IS NULL",
        ),
        sql: "EXECUTE by_organization ('22222222-2222-2222-2222-222222222222')",
        sent: Sent::Simple,
        alone: rows(0, 2, 0),
        guarded: Guarded::Refuse("foreign-tenant"),
    },
    Scene {
        title: "second statement in one string",
        before: None,
        sql: "SELECT id FROM org_products \
              WHERE organization_id = '11111111-1111-1111-1111-111111111111' \
              AND deleted_at IS NULL; DELETE FROM org_orders RETURNING id",
        sent: Sent::Simple,
        alone: rows(5, 1, 1),
        guarded: Guarded::Refuse("unbound-tenant"),
    },
    Scene {
        title: "update of everybody's prices",
        before: None,
        sql: "UPDATE org_products SET price = 0 WHERE deleted_at IS NULL RETURNING id",
        sent: Sent::Simple,
        alone: rows(3, 2, 0),
        guarded: Guarded::Refuse("unbound-tenant"),
    },
    Scene {
        title: "row planted at another's",
        before: None,
        sql: "INSERT INTO org_products (id, organization_id, name, price) \
              VALUES ('a2000000-0000-0000-0000-000000000009', \
              '22222222-2222-2222-2222-222222222222', 'Planted', 1) RETURNING organization_id",
        sent: Sent::Simple,
        alone: rows(0, 1, 0),
        guarded: Guarded::Refuse("foreign-insert"),
    },
    Scene {
        title: "honest update",
        before: None,
        sql: "UPDATE org_products SET updated_at = now() \
              WHERE organization_id = $1 AND deleted_at IS NULL AND name = 'Rope' RETURNING id",
        sent: Sent::Bound(ACME),
        alone: rows(1, 0, 0),
        guarded: Guarded::Pass,
    },
    Scene {
        title: "organization from the session",
        before: None,
        sql: "SELECT id, name FROM org_products WHERE deleted_at IS NULL \
              AND organization_id = current_setting('app.organization_id')::uuid",
        sent: Sent::Simple,
        alone: rows(3, 0, 0),
        guarded: Guarded::Pass,
    },
    Scene {
        title: "table that is not guarded",
        before: None,
        sql: "SELECT id, name FROM plans",
        sent: Sent::Simple,
        alone: rows(2, 0, 0),
        guarded: Guarded::Pass,
    },
];

#[cfg(test)]
mod tests {
    use super::super::CONFIG;
    use super::*;
    use crate::analyze::{Argument, Arguments, Effect, Form, NewValue, Plan, SessionTenant, plan};
    use crate::config::{Overrides, parse};
    use crate::tenant::TenantType;

    /// The uuid type in `pg_type.dat`.
    const UUID_OID: u32 = 2950;

    fn planned(text: &str) -> Plan {
        plan(text, &parse(CONFIG, &Overrides::default()).unwrap().policy)
    }

    /// The rules that a text breaks for Acme with this text as `$1`.
    fn rules(text: &str, value: Option<&str>) -> Vec<&'static str> {
        let values =
            value.map(|value| Argument { type_oid: UUID_OID, form: Form::Text(value.as_bytes()) });
        let values = values.as_slice();
        let acme = TenantType::Uuid.parse(ACME).unwrap();
        let tenant = SessionTenant::Known(&acme);
        let plan = planned(text);
        let verdicts = plan.statements().iter().map(|statement| {
            let inner = if let Effect::Prepare { statement, .. } = statement.effect() {
                statement
            } else {
                statement
            };
            inner.settle(tenant, Arguments::Values(values))
        });
        verdicts.flat_map(|verdict| verdict.violations).map(|found| found.rule.name()).collect()
    }

    #[test]
    fn the_analysis_agrees_with_the_story() {
        for scene in &SCENES {
            let found = match (scene.before, scene.sent) {
                (Some(prepared), _) => {
                    let execute = planned(scene.sql);
                    let Effect::Execute { arguments, .. } = execute.statements()[0].effect() else {
                        panic!("{}", scene.sql);
                    };
                    let [NewValue::Text(value)] = &**arguments else { panic!("{arguments:?}") };
                    rules(prepared, Some(value))
                }
                (None, Sent::Simple) => rules(scene.sql, None),
                (None, Sent::Bound(value)) => rules(scene.sql, Some(value)),
            };
            match scene.guarded {
                Guarded::Pass => assert_eq!(found, [""; 0], "{}", scene.title),
                Guarded::Refuse(rule) => {
                    assert!(found.contains(&rule), "{}: {found:?}", scene.title);
                }
            }
        }
    }
}
