//! Attacks over raw sockets, each with an honest control that passes, in front of a real
//! PostgreSQL. Every attack has a database of its own, and fails as soon as one byte of another
//! organization's rows, or of a deleted row, reaches its client, or if one of those rows changes.
//!
//! `ORGGUARD_PG_BIN` chooses the server; without it the newest one installed is taken.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

#[path = "support/guard.rs"]
mod guard;

#[path = "attacks/names.rs"]
mod names;
#[path = "attacks/pipeline.rs"]
mod pipeline;
#[path = "attacks/scene.rs"]
mod scene;
#[path = "attacks/settings.rs"]
mod settings;
#[path = "attacks/tenant.rs"]
mod tenant;
#[path = "attacks/values.rs"]
mod values;

use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use scene::{Arena, Scene};

/// One attack: its name and what it does.
type Attack = (&'static str, fn(&Scene<'_>));

fn main() {
    let mut arguments = Arguments::from_args();
    // Guards and servers are many, and the machine is small.
    arguments.test_threads.get_or_insert(2);
    let families: [(&str, &[Attack]); 5] = [
        ("names", names::ATTACKS),
        ("values", values::ATTACKS),
        ("pipeline", pipeline::ATTACKS),
        ("settings", settings::ATTACKS),
        ("tenant", tenant::ATTACKS),
    ];
    let arena = (!arguments.list).then(|| Arc::new(Arena::new()));
    let mut trials = Vec::new();
    for (family, attacks) in families {
        for (name, attack) in attacks {
            let arena = arena.clone();
            trials.push(Trial::test(format!("{family}: {name}"), move || {
                arena.unwrap().run(*attack);
                Ok(())
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The server is stopped when the arena is dropped, and `exit` drops nothing.
    drop(arena);
    conclusion.exit();
}
