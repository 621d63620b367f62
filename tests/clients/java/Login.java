import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Objects;
import java.util.Properties;

/** Logs in once for each line of standard input; its fields, with tabs between, are port, tls, binding,
 * password, and the statements of tests/support/tls_clients.rs. Says what came of it in a line as
 * described there. */
class Login {
    public static void main(String[] arguments) throws Exception {
        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            var fields = line.split("\t");
            var properties = new Properties();
            properties.setProperty("user", "app");
            properties.setProperty("password", fields[3]);
            properties.setProperty("sslmode", fields[1].equals("true") ? "require" : "disable");
            // Since pgjdbc 42.7.4; nothing to one that does not know it.
            properties.setProperty("channelBinding", fields[2]);
            properties.setProperty("loginTimeout", "60");
            properties.setProperty("socketTimeout", "60");
            var url = "jdbc:postgresql://127.0.0.1:" + fields[0] + "/postgres";
            try (var connection = DriverManager.getConnection(url, properties)) {
                var encrypted = names(connection, fields[4]).equals("t") ? "t" : "f";
                var names = names(connection, fields[5]);
                try {
                    names(connection, fields[6]);
                    say("in", encrypted, names, "", "no error");
                } catch (SQLException refused) {
                    say("in", encrypted, names, refused.getSQLState(), refused.getMessage());
                }
            } catch (SQLException error) {
                say("out", error.getSQLState(), error.getMessage());
            }
        }
    }

    /** The first column. */
    static String names(Connection connection, String query) throws SQLException {
        try (var statement = connection.prepareStatement(query); var rows = statement.executeQuery()) {
            var names = new ArrayList<String>();
            while (rows.next()) {
                names.add(rows.getString(1));
            }
            return String.join(",", names);
        }
    }

    static void say(String... fields) {
        var line = new ArrayList<String>();
        for (var field : fields) {
            line.add(Objects.toString(field, "").replaceAll("\\s+", " "));
        }
        System.out.println(String.join("\t", line));
    }
}
