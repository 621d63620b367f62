//! The throwaway PostgreSQL that the demo and other tests stand on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::net::TcpStream;

use orgguard::cli::Throwaway;

#[test]
fn a_throwaway_server_answers_and_leaves_nothing_behind() {
    let server = Throwaway::start_with(&[("application_name", "it's mine")]).unwrap();
    let other = Throwaway::start().unwrap();
    assert_ne!(server.port(), other.port());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let value = runtime.block_on(async {
        let connection = server.connection_string();
        let (client, driver) =
            tokio_postgres::connect(&connection, tokio_postgres::NoTls).await.unwrap();
        let driver = tokio::spawn(driver);
        let row = client
            .query_one(
                "SELECT current_setting('data_directory'), current_setting('application_name')",
                &[],
            )
            .await
            .unwrap();
        let (data, name): (String, String) = (row.get(0), row.get(1));
        drop(client);
        driver.await.unwrap().unwrap();
        assert_eq!(name, "it's mine");
        data
    });
    let data = std::path::PathBuf::from(value);
    assert!(data.is_dir());
    let address = server.address();
    drop(server);
    assert!(!data.exists());
    assert!(TcpStream::connect(address).is_err(), "the server still listens");
    assert!(TcpStream::connect(other.address()).is_ok(), "the other one was stopped too");
}
