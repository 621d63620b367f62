use std::borrow::Cow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};

/// How often a line without a known end moves.
const TICK: Duration = Duration::from_millis(120);

/// What long work shows of itself on a terminal; nothing where standard error is none.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Work whose end is not known.
    pub(super) fn endless(what: impl Into<Cow<'static, str>>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_message(what);
        bar.enable_steady_tick(TICK);
        Self(bar)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
