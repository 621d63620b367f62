/// The values of a statement's parameters, as far as they are known.
#[derive(Clone, Copy, Debug)]
pub enum Arguments<'a> {
    /// Not bound yet: any value is possible.
    Unknown,
    /// Bound, `$1` first. A parameter beyond the end has no value and proves nothing.
    Values(&'a [Argument<'a>]),
}

/// One bound value.
#[derive(Clone, Copy, Debug)]
pub struct Argument<'a> {
    /// The parameter's type as declared in Parse or PREPARE or told by the server's
    /// ParameterDescription; 0 if it is not known.
    pub type_oid: u32,
    /// The value in its wire form.
    pub form: Form<'a>,
}

/// A value's wire form (PostgreSQL documentation, 55.7, Bind).
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// Length -1.
    Null,
    /// Format 0.
    Text(&'a [u8]),
    /// Format 1.
    Binary(&'a [u8]),
    /// Not known before the server computes it.
    Unknown,
}
