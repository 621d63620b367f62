//! Statements made at random from a seed, over the case schema and the views below.
//!
//! A *compliant* one is built so that row-level security changes nothing, reference by reference; a
//! *violating* one is built in the same way with one flaw that no other part heals; a *mixed* one is
//! put together from parts that may bind or not.
#![allow(dead_code, reason = "each test program uses its own part")]

mod labelled;
mod mixed;
mod writes;

pub(crate) const A: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const B: &str = "22222222-2222-4222-8222-222222222222";

/// Views of both databases of the truth; the catalogue knows them.
pub(crate) const VIEWS: &str = "\
CREATE VIEW product_view AS SELECT id, organization_id, name, deleted_at FROM org_products;
CREATE VIEW customer_view (k, tenant, gone, label) AS
  SELECT id, organization_id, deleted_at, name FROM org_customers WHERE balance >= 0;
CREATE VIEW deep_view AS SELECT v.id, v.organization_id, v.name, v.deleted_at
  FROM product_view v WHERE v.name <> 'nothing'";

/// What a statement is by its construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Compliant,
    Violating,
    Mixed,
}

/// A statement, and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) sql: String,
    pub(crate) label: Label,
    /// The forms used, for the report.
    pub(crate) rules: Vec<&'static str>,
}

/// A generator of pseudo-random statements; the same seed gives the same ones.
pub(crate) struct Generator {
    state: u64,
    names: u32,
    /// The reference that gets a flaw, counted down; `None` makes no flaw.
    flaw: Option<u32>,
    flawed: bool,
    rules: Vec<&'static str>,
}

/// Tables with their own uuid columns beside `id`, and a text.
pub(crate) const TABLES: &[(&str, &[&str], &str)] = &[
    ("org_products", &["id", "supplier_id"], "name"),
    ("org_customers", &["id", "parent_id"], "name"),
    ("org_orders", &["id", "customer_id", "partner_id"], "status"),
    ("org_order_items", &["id", "order_id", "product_id"], "remark"),
    ("org_notes", &["id", "subject_id"], "body"),
];

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            names: 0,
            flaw: None,
            flawed: false,
            rules: Vec::new(),
        }
    }

    /// One statement. `merge` says whether the server knows all of MERGE (PostgreSQL 17).
    pub(crate) fn statement(&mut self, merge: bool) -> Made {
        // The first numbers of a small seed are alike.
        for _ in 0..8 {
            self.next();
        }
        match self.below(10) {
            0..=4 => self.labelled(false, merge),
            5 | 6 => self.labelled(true, merge),
            _ => Made { sql: self.mixed(), label: Label::Mixed, rules: Vec::new() },
        }
    }

    fn labelled(&mut self, violating: bool, merge: bool) -> Made {
        loop {
            self.names = 0;
            self.rules.clear();
            self.flawed = false;
            self.flaw = violating.then(|| self.below(3) as u32);
            let sql = self.whole(merge);
            // Fewer references than the flaw's number, or a place that takes none.
            if self.flawed == violating {
                let label = if violating { Label::Violating } else { Label::Compliant };
                return Made { sql, label, rules: std::mem::take(&mut self.rules) };
            }
        }
    }

    /// Whether the reference at hand is the one that gets the flaw.
    fn is_flawed(&mut self) -> bool {
        match self.flaw {
            Some(0) if !self.flawed => {
                self.flawed = true;
                true
            }
            Some(left) => {
                self.flaw = Some(left.saturating_sub(1));
                false
            }
            None => false,
        }
    }

    fn note(&mut self, rule: &'static str) {
        if !self.rules.contains(&rule) {
            self.rules.push(rule);
        }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn alias(&mut self) -> String {
        self.names += 1;
        format!("t{}", self.names)
    }
}
