use smallvec::SmallVec;

use crate::analyze::Form;

/// The values of a Bind; a few have their place in the message.
pub type Values<'a> = SmallVec<[Form<'a>; 6]>;

/// One message of the client, decoded as far as the session needs it
/// (PostgreSQL documentation, 55.7). Names and texts are the bytes on the wire, without their NUL.
#[derive(Debug)]
pub enum FromClient<'a> {
    /// `Q`: a simple query string.
    Query(&'a [u8]),
    /// `P`.
    Parse {
        /// The prepared statement's name; empty for the unnamed one.
        name: &'a [u8],
        /// The statement's text.
        text: &'a [u8],
        /// The declared parameter types; 0 is not declared.
        types: Vec<u32>,
    },
    /// `B`.
    Bind {
        /// The portal's name; empty for the unnamed one.
        portal: &'a [u8],
        /// The prepared statement's name.
        statement: &'a [u8],
        /// The values, `$1` first.
        values: Values<'a>,
        /// The same as they came.
        raw: RawBind<'a>,
    },
    /// `D`.
    Describe(Target, &'a [u8]),
    /// `E`.
    Execute(&'a [u8]),
    /// `C`.
    Close(Target, &'a [u8]),
    /// `H`.
    Flush,
    /// `S`.
    Sync,
    /// `F`: runs a function beside SQL.
    FunctionCall,
    /// `d`.
    CopyData,
    /// `c`.
    CopyDone,
    /// `f`.
    CopyFail,
    /// `X`.
    Terminate,
    /// `p`: an answer to an authentication request.
    Password,
}

/// The parts of a Bind behind its names, as they are on the wire.
#[derive(Clone, Copy, Debug)]
pub struct RawBind<'a> {
    /// The format codes of the values: none, one for all, or one for each.
    pub formats: &'a [u8],
    /// How many values there are.
    pub count: u16,
    /// The values with their lengths.
    pub values: &'a [u8],
    /// The format codes of the results, with their count.
    pub results: &'a [u8],
}

/// What Describe and Close speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A prepared statement.
    Statement,
    /// A portal.
    Portal,
}

/// One message of the server, decoded as far as the session needs it.
#[derive(Debug)]
pub enum FromServer<'a> {
    /// `1`.
    ParseComplete,
    /// `2`.
    BindComplete,
    /// `3`.
    CloseComplete,
    /// `t`: the types of a statement's parameters.
    ParameterDescription(Vec<u32>),
    /// `T`.
    RowDescription,
    /// `n`.
    NoData,
    /// `D`, of an answer to the guard's own question; others are not decoded.
    Row(&'a [u8]),
    /// `C`, with its tag.
    CommandComplete(&'a [u8]),
    /// `I`.
    EmptyQuery,
    /// `s`.
    PortalSuspended,
    /// `G`: the server now reads COPY data.
    CopyIn,
    /// `W`: COPY in both directions, for replication.
    CopyBoth,
    /// `E`.
    Error {
        /// Its fields, as far as they are there: none of them where the session does not read
        /// errors.
        body: &'a [u8],
        /// The body goes on behind these fields.
        cut: bool,
    },
    /// `Z`.
    Ready(Status),
    /// `S`: the value of a setting.
    Parameter {
        /// The setting.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// `v`: the server speaks a lower minor version, or does not know an option.
    NegotiateVersion,
    /// Whatever may come at any time, or within an answer, without a meaning to the session:
    /// rows, COPY data, notices, notifications, authentication, the cancel key.
    Other,
}

/// The transaction status of ReadyForQuery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `I`: not in a transaction block.
    Idle,
    /// `T`: in a transaction block.
    Block,
    /// `E`: in a failed transaction block.
    Failed,
}
