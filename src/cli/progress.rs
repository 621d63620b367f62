use std::borrow::Cow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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

    /// Work on so many bytes.
    pub(super) fn bytes(what: impl Into<Cow<'static, str>>, bytes: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let line = "{msg} {wide_bar} {bytes}/{total_bytes} {eta}";
        if let Ok(style) = ProgressStyle::with_template(line) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(bar)
    }

    /// So many bytes are done.
    pub(super) fn reached(&self, bytes: u64) {
        self.0.set_position(bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
