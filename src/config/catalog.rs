use std::time::Duration;

use super::CatalogSource;
use super::problem::Place;
use super::section::Section;
use super::upstream::Upstream;

/// How old the catalogue may be when nothing tells of a change.
const REFRESH: Duration = Duration::from_secs(5);

/// `[catalog]`: the outer `None` is a problem, the inner one a configuration without it.
pub(super) fn convert_catalog(
    top: &mut Section<'_, '_>,
    upstream: &Upstream,
) -> Option<Option<CatalogSource>> {
    let wanted = top.has("catalog");
    let mut catalog = top.section("catalog");
    let written = catalog.has("dsn");
    let dsn = catalog.text("dsn");
    let refresh = catalog.duration("refresh").unwrap_or(REFRESH);
    if wanted && !written {
        catalog.report(Place::File, "`dsn` is missing in [catalog]");
    }
    let source = dsn.and_then(|dsn| match connection(&dsn.value) {
        Ok((connection, database)) => {
            let tls = upstream.tls_of(&connection);
            Some(CatalogSource { connection, tls, database, refresh })
        }
        Err(why) => {
            catalog.report(dsn.place, format!("`dsn` {why}"));
            None
        }
    });
    catalog.finish();
    if wanted { source.map(Some) } else { Some(None) }
}

/// A connection string and the database it names. What is wrong is said without its text, which
/// may hold a password.
fn connection(dsn: &str) -> Result<(tokio_postgres::Config, Box<str>), &'static str> {
    const FORM: &str = r#"must be a connection string such as "host=127.0.0.1 user=orgguard dbname=shop"; of sslmode it has disable, prefer and require, and certificates are verified as [upstream_tls] says"#;
    let connection: tokio_postgres::Config = dsn.parse().map_err(|_| FORM)?;
    let has_host = !connection.get_hosts().is_empty() || !connection.get_hostaddrs().is_empty();
    // Not left to what the process's user happens to be called.
    let (true, Some(_), Some(database)) =
        (has_host, connection.get_user(), connection.get_dbname())
    else {
        return Err("must name host, user and dbname");
    };
    let database = database.into();
    Ok((connection, database))
}
