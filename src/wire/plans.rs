use std::sync::Arc;
use std::task::{Context, Poll};

use crate::session::{Planner, SessionRules};
use crate::telemetry::SessionLabels;

/// Where one session gets its plans, some of which have to be waited for.
pub trait Plans: Planner {
    /// A session begins, whose it is and what was drawn for it: what it goes by, under the
    /// configuration in force.
    fn begin(
        &self,
        labels: &Arc<SessionLabels>,
        lot: u8,
        rules: &Arc<SessionRules>,
    ) -> Arc<SessionRules>;

    /// Ready once a plan that was not given can be given: the message is to be offered again.
    /// Pending where nothing is waited for.
    fn poll_plan(&self, context: &mut Context<'_>) -> Poll<()>;
}
