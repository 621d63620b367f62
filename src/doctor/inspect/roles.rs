use super::{Inspection, Said, name};
use crate::doctor::finding::Flaw;
use crate::doctor::schema::{Role, Table};
use crate::doctor::sql::quote;

impl<'a> Inspection<'a> {
    /// Roles that the application logs in as.
    pub(super) fn roles(&mut self) {
        let schema = self.schema;
        let given = self.convention.roles;
        let used = if given.is_empty() { &schema.connected } else { given };
        for role in schema.roles.iter().filter(|role| used.contains(&role.name)) {
            self.role(role);
        }
    }

    fn role(&mut self, role: &Role) {
        let quoted = quote(&role.name);
        let all = self.memberships(role);
        if let Some(superuser) = all.iter().find(|role| role.superuser) {
            let said = Said {
                detail: format!("{}: nothing holds for it", is_or_becomes(role, superuser)),
                help: "let the application log in as a role with the rights it needs".to_owned(),
                fix: strip(role, superuser, "NOSUPERUSER"),
            };
            self.find(Flaw::SuperuserRole, quoted.clone(), None, said);
        }
        if let Some(bypassing) = all.iter().find(|role| role.bypass_rls && !role.superuser) {
            let said = Said {
                detail: format!(
                    "{} with BYPASSRLS: row-level security does not hold for it",
                    is_or_becomes(role, bypassing)
                ),
                help: "take BYPASSRLS away".to_owned(),
                fix: strip(role, bypassing, "NOBYPASSRLS"),
            };
            self.find(Flaw::BypassrlsRole, quoted, None, said);
        }
        for owner in all {
            let tables = self.schema.tables.iter();
            let owned: Vec<&Table> = tables
                .filter(|table| table.owner == owner.name && self.guard(table).is_some())
                .collect();
            if !owned.is_empty() {
                self.owner(role, owner, &owned);
            }
        }
    }

    fn owner(&mut self, role: &Role, owner: &Role, owned: &[&Table]) {
        let quoted = quote(&role.name);
        let is_itself = role.name == owner.name;
        let mut fix = Vec::new();
        if is_itself {
            let new = format!("{}_owner", role.name);
            if !self.schema.roles.iter().any(|role| role.name == new) {
                fix.push(format!("CREATE ROLE {} NOLOGIN;", quote(&new)));
            }
            for table in owned {
                fix.push(format!("ALTER TABLE {} OWNER TO {};", name(table), quote(&new)));
            }
        } else if role.member_of.contains(&owner.name) {
            fix.push(format!("REVOKE {} FROM {quoted};", quote(&owner.name)));
        }
        if !fix.is_empty() {
            for table in owned {
                let full = name(table);
                fix.push(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {full} TO {quoted};"));
            }
        }
        let tables: Vec<_> = owned.iter().map(|table| name(table)).collect();
        let owns = if is_itself {
            "it owns".to_owned()
        } else {
            format!("it is a member of {}, which owns", quote(&owner.name))
        };
        let said = Said {
            detail: format!(
                "{owns} {}: an owner can switch row-level security off and change the table",
                tables.join(", ")
            ),
            help: "let migrations run as the owner and the application as another role".to_owned(),
            fix,
        };
        self.find(Flaw::OwnerRole, quoted, None, said);
    }

    /// The role and every role that it can become.
    fn memberships(&self, role: &Role) -> Vec<&'a Role> {
        let mut all: Vec<&Role> = Vec::new();
        let mut names = vec![role.name.clone()];
        while let Some(next) = names.pop() {
            if all.iter().any(|role| role.name == next) {
                continue;
            }
            if let Some(found) = self.schema.roles.iter().find(|role| role.name == next) {
                names.extend(found.member_of.iter().cloned());
                all.push(found);
            }
        }
        all
    }
}

fn is_or_becomes(role: &Role, other: &Role) -> String {
    let what = if other.superuser { "a superuser" } else { "a role" };
    if role.name == other.name {
        format!("it is {what}")
    } else {
        format!("it can become {}, {what}", quote(&other.name))
    }
}

/// Takes an attribute away from a role, or the membership of the role that has it.
fn strip(role: &Role, other: &Role, attribute: &str) -> Vec<String> {
    let quoted = quote(&role.name);
    if role.name == other.name {
        vec![format!("ALTER ROLE {quoted} {attribute};")]
    } else if role.member_of.contains(&other.name) {
        vec![format!("REVOKE {} FROM {quoted};", quote(&other.name))]
    } else {
        Vec::new()
    }
}
