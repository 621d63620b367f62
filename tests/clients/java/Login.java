import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.DriverManager;
import java.util.Properties;

/** Logs in once for each line of standard input, "port tls binding"; says what the server knows of its
 * connection, or what went wrong. */
class Login {
    public static void main(String[] arguments) throws Exception {
        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            var words = line.split(" ");
            var properties = new Properties();
            properties.setProperty("user", "app");
            properties.setProperty("password", System.getenv("PGPASSWORD"));
            properties.setProperty("sslmode", words[1].equals("true") ? "require" : "disable");
            var url = "jdbc:postgresql://127.0.0.1:" + words[0] + "/postgres";
            try (var connection = DriverManager.getConnection(url, properties);
                    var rows = connection.createStatement().executeQuery("SELECT ssl FROM wire")) {
                rows.next();
                System.out.println(rows.getBoolean(1) ? "t" : "f");
            } catch (Exception error) {
                System.out.println(("error: " + error.getMessage()).replace('\n', ' '));
            }
        }
    }
}
