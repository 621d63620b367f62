//! `[rewrite]`.

use super::convert::Overrides;
use super::section::Section;
use crate::policy::EvaluationOrder;
use crate::session::Mode;

/// What rewriting does beside putting in what is missing.
pub(super) struct Rewriting {
    pub(super) dry_run: bool,
    pub(super) soft_deletes: bool,
    pub(super) fences: bool,
}

pub(super) fn convert_rewrite(
    top: &mut Section<'_, '_>,
    overrides: &Overrides,
    mode: Option<Mode>,
    order: EvaluationOrder,
) -> Rewriting {
    let mut rewrite = top.section("rewrite");
    let dry_run = rewrite.flag("dry_run").unwrap_or(false);
    let soft_deletes = rewrite.flag("soft_delete").unwrap_or(false);
    let fence = rewrite.flag_at("fence").filter(|fence| fence.value);
    if let Some(fence) = &fence {
        if order != EvaluationOrder::Refuse {
            let message =
                r#"`fence` is for what `evaluation_order = "refuse"` in [guard] would refuse"#;
            rewrite.report(fence.place, message);
        }
        // A mode that is given beside the file is for this once.
        if overrides.mode.is_none() && mode.is_some_and(|mode| mode != Mode::Rewrite) {
            rewrite.report(fence.place, r#"`fence` is for `mode = "rewrite"`"#);
        }
    }
    rewrite.finish();
    let rewrites = mode == Some(Mode::Rewrite);
    Rewriting {
        dry_run,
        soft_deletes: soft_deletes && rewrites,
        fences: fence.is_some() && rewrites,
    }
}
