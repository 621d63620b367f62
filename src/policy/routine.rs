use std::collections::HashSet;

/// What is known of a routine that a statement calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routine {
    /// Computes from its arguments alone.
    Harmless,
    /// Harmless, but has an effect or another result at each call, so that it must not see rows
    /// that are not the tenant's (design, trap 2).
    Volatile,
    /// Reads settings or sets them: the caller looks at its arguments.
    Setting,
    /// Runs SQL text, or reads rows or files beside the guard.
    Dangerous,
    /// Not known: refused unless the configuration names it.
    Unknown,
}

/// Which routines a statement may call.
#[derive(Clone, Debug, Default)]
pub struct Routines {
    /// `[routines] allow`: routines that the configuration vouches for, in lower case.
    pub allowed: HashSet<Box<str>>,
}
