//! The command line: `serve`, `check`, `explain` and `demo`.

mod throwaway;

pub use throwaway::{NoPostgres, Throwaway};
