//! What is fuzzed: `fuzz/run` drives these with libFuzzer, `tests/fuzz_smoke.rs` with mutations of
//! its own. Each takes any bytes; a panic is a finding.

pub(crate) mod frames;
pub(crate) mod reader;
pub(crate) mod server;
pub(crate) mod session;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use orgguard::analyze::plan;
use orgguard::config::{self, Config, Overrides};
use orgguard::policy::{Overlay, Policy};
use orgguard::session::{Planned, Planner};

pub(crate) const A: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const B: &str = "22222222-2222-4222-8222-222222222222";
/// An organization that no corpus names.
pub(crate) const NOBODY: &str = "9c5d7f0e-63b1-4a2c-8d4e-7f1a2b3c4d5e";

/// The configuration of the case schema: `enforce`, tenants by a setting that may change freely.
pub(crate) static SHOP: LazyLock<Config> = LazyLock::new(|| {
    let text = "mode = \"enforce\"\nlisten = \"127.0.0.1:6432\"\nupstream = \"127.0.0.1:5432\"\n\
         [tenant]\nunknown = \"refuse\"\n\
         [[guard.table]]\nname = \"org_product_tags\"\nsoft_delete = false\n";
    config::parse(text, &Overrides::default()).expect("the configuration of the fuzz targets")
});

/// The same with the order of evaluation judged.
pub(crate) static STRICT: LazyLock<Config> = LazyLock::new(|| {
    let text = "mode = \"enforce\"\nlisten = \"127.0.0.1:6432\"\nupstream = \"127.0.0.1:5432\"\n\
         [guard]\nevaluation_order = \"refuse\"\n[tenant]\nunknown = \"refuse\"\n";
    config::parse(text, &Overrides::default()).expect("the configuration of the fuzz targets")
});

/// Plans of texts; those of the session target are made once.
pub(crate) struct Plain;

static KNOWN: LazyLock<HashMap<&str, Arc<Planned>>> =
    LazyLock::new(|| server::TEXTS.iter().map(|(text, _)| (*text, planned(text))).collect());

fn planned(text: &str) -> Arc<Planned> {
    Arc::new(Planned::new(text.into(), plan(text, &SHOP.policy), 0))
}

impl Planner for Plain {
    fn plan(&self, text: &str, overlay: &Overlay) -> Option<Arc<Planned>> {
        Some(self.plan_now(text, overlay))
    }

    fn plan_now(&self, text: &str, overlay: &Overlay) -> Arc<Planned> {
        if let (true, Some(known)) = (overlay.is_empty(), KNOWN.get(text)) {
            return Arc::clone(known);
        }
        let policy = (*SHOP.policy).clone();
        let policy = Policy { overlay: Arc::new(overlay.clone()), ..policy };
        Arc::new(Planned::new(text.into(), plan(text, &policy), 0).under(overlay.version()))
    }

    fn is_current(&self, planned: &Planned, overlay: &Overlay) -> bool {
        planned.overlay() == overlay.version()
    }
}

/// Bytes read as small numbers; zero once they are used up.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
