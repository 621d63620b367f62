/// What a change of a setting means to the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingClass {
    /// The guard does not rely on it.
    Harmless,
    /// The guard relies on its value: only certain values are allowed.
    Pinned,
    /// It holds the session's tenant.
    Tenant,
    /// Not known to be harmless: refused.
    Unknown,
}

/// Which settings a session may change.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `[session] settings`: settings that the configuration vouches for, in lower case.
    pub allowed: Vec<Box<str>>,
    /// `[session] search_path`: schemas that a search path may name.
    pub search_path: Vec<Box<str>>,
}
