use std::sync::Arc;

use tokio_postgres::config::{Host, SslMode};

use super::upstream::Endpoint;

/// The port of PostgreSQL where a connection string names none.
const PORT: u16 = 5432;

/// A login of the guard's own for questions to the database. TLS is as `[upstream_tls]` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Role, password and database. Its debug text leaves the password out.
    pub connection: tokio_postgres::Config,
    /// The servers it names; `None` for those of `upstream`.
    pub endpoints: Option<Arc<[Endpoint]>>,
}

impl Account {
    /// Reads a connection string. What is wrong is said without its text, which may hold a password.
    pub(super) fn parse(dsn: &str) -> Result<Self, &'static str> {
        const FORM: &str =
            r#"must be a connection string such as "user=orgguard password=… dbname=shop""#;
        let mut connection: tokio_postgres::Config = dsn.parse().map_err(|_| FORM)?;
        if connection.get_user().is_none() || connection.get_dbname().is_none() {
            return Err("must name user and dbname");
        }
        if connection.get_ssl_mode() != SslMode::Prefer {
            return Err("must not name sslmode: TLS is as [upstream_tls] says");
        }
        if !connection.get_hostaddrs().is_empty() {
            return Err("must name host, not hostaddr");
        }
        let ports = connection.get_ports();
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
        let endpoints: Vec<Endpoint> = connection
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| match host {
                Host::Tcp(host) => Endpoint::Tcp { host: host.as_str().into(), port: port(at) },
                Host::Unix(folder) => Endpoint::Unix(folder.join(format!(".s.PGSQL.{}", port(at)))),
            })
            .collect();
        // The guard begins TLS itself.
        connection.ssl_mode(SslMode::Disable);
        if connection.get_application_name().is_none() {
            connection.application_name("orgguard");
        }
        let endpoints = (!endpoints.is_empty()).then(|| endpoints.into());
        Ok(Self { connection, endpoints })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_and_nothing_of_a_password_is_said() {
        let account = Account::parse("user=a password=hush dbname=d").unwrap();
        assert_eq!(account.endpoints, None);
        assert!(!format!("{account:?}").contains("hush"));
        let account = Account::parse("host=db,/run/pg port=1,2 user=a dbname=d").unwrap();
        let named: Vec<String> =
            account.endpoints.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(named, ["db:1", "/run/pg/.s.PGSQL.2"]);
        for dsn in ["user=a", "dbname=d", "user=a dbname=d sslmode=require", "x", "hostaddr=::1"] {
            assert!(Account::parse(dsn).is_err(), "{dsn}");
        }
    }
}
