// pgjdbc: parameters in binary, statements prepared on the server from the fifth run, batches, fetch
// sizes. Runs the steps of ../raw/statements.sql, first as they are, then each of them again for
// every place in it that must name the organization or `deleted_at`, with that one thing forgotten.
//
//   DATABASE_URL  the guard, or PostgreSQL itself, without a tenant
//   PART          honest: the steps as they are; forgotten: the steps without one of their filters
//   STATEMENTS    the file of the statements
//
// Prints one JSON object a line: the versions, then one for each run of a step.
import java.io.IOException;
import java.math.BigDecimal;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Timestamp;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

final class Matrix {
    static final UUID ACME = UUID.fromString("01900000-0000-7000-8000-00000000000a");
    static final UUID BOLT = UUID.fromString("01900000-0000-7000-8000-00000000000b");

    /** A block of statements.sql. */
    record Block(String name, String shape, List<String> parameters, String text) {}

    /** A place that the running step has come upon, and the one thing that is to be forgotten. */
    record Forgotten(int place, String kind) {}

    /** Rows, or none, and how many a statement changed. */
    record Answer(List<List<Object>> rows, int count) {
        List<Object> column() {
            List<Object> found = new ArrayList<>();
            for (List<Object> row : rows) found.add(row.get(0));
            return found;
        }

        Object value() {
            return rows.get(0).get(0);
        }
    }

    private final Map<String, Block> blocks = new LinkedHashMap<>();
    private final List<List<String>> uses = new ArrayList<>();
    private final Random random = new Random();
    private Forgotten forgotten;
    private int words;
    private final Connection connection;

    Matrix(Path statements) throws IOException, SQLException {
        String[] texts = Files.readString(statements).split("\n\n");
        for (String text : Arrays.copyOfRange(texts, 1, texts.length)) {
            String[] parts = text.strip().split("\n", 2);
            List<String> head = List.of(parts[0].split(" "));
            blocks.put(head.get(1), new Block(head.get(1), head.get(2), head.subList(3, head.size()), parts[1]));
        }
        connection = connect(ACME);
    }

    static Connection connect(UUID organization) throws SQLException {
        URI url = URI.create(System.getenv("DATABASE_URL"));
        Properties settings = new Properties();
        settings.put("user", url.getUserInfo());
        settings.put("ApplicationName", "shop");
        if (organization != null) settings.put("options", "-c app.organization_id=" + organization);
        return DriverManager.getConnection("jdbc:postgresql://" + url.getHost() + ":" + url.getPort() + url.getPath(), settings);
    }

    static UUID row(String tail) {
        return UUID.fromString("01900000-0000-7000-8000-" + "0".repeat(12 - tail.length()) + tail);
    }

    /** A new id, as the application makes them: UUIDv7. */
    UUID newId() {
        long high = System.currentTimeMillis() << 16 | 0x7000 | random.nextInt(0x1000);
        return new UUID(high, random.nextLong() >>> 2 | 1L << 63);
    }

    String fresh(String word) {
        words += 1;
        return word + "-" + words;
    }

    /** What is forgotten at this place; null if nothing is. */
    String use(String... kinds) {
        uses.add(List.of(kinds));
        return forgotten != null && forgotten.place == uses.size() - 1 ? forgotten.kind : null;
    }

    /** The text with its filters written out, but for the one that is forgotten. */
    String filters(String text) {
        Matcher marks = Pattern.compile("\\{([a-z_]+)\\.?([a-z]*)\\}").matcher(text);
        return marks.replaceAll(mark -> {
            String organization = mark.group(1) + ".organization_id = $1";
            String live = mark.group(1) + ".deleted_at IS NULL";
            String written = switch (mark.group(2)) {
                case "live" -> use("deleted_at") == null ? live : "true";
                case "organization" -> use("organization") == null ? organization : "true";
                default -> {
                    String lost = use("organization", "deleted_at");
                    yield lost == null ? organization + " AND " + live : lost.equals("organization") ? live : organization;
                }
            };
            return Matcher.quoteReplacement(written);
        });
    }

    Object value(String parameter) {
        String kind = parameter.split(":", 2)[0];
        String text = parameter.substring(Math.min(kind.length() + 1, parameter.length()));
        return switch (kind) {
            case "new" -> newId();
            case "fresh" -> fresh(text);
            case "uuid" -> row(text);
            case "uuids" -> Arrays.stream(text.split(",")).map(Matrix::row).toArray(UUID[]::new);
            case "new_ids" -> Stream.generate(this::newId).limit(Integer.parseInt(text)).toArray(UUID[]::new);
            case "fresh_texts" -> Arrays.stream(text.split(",")).map(this::fresh).toArray(String[]::new);
            case "text" -> text;
            case "int" -> Integer.valueOf(text);
            case "numeric" -> new BigDecimal(text);
            case "time" -> OffsetDateTime.parse(text);
            default -> throw new IllegalArgumentException(parameter);
        };
    }

    /** Prepares a text with `?` for its numbered parameters, and binds them. */
    static PreparedStatement prepared(Connection on, String text, List<Object> values) throws SQLException {
        List<Object> bound = new ArrayList<>();
        Matcher numbers = Pattern.compile("\\$(\\d+)").matcher(text);
        String asked = numbers.replaceAll(number -> {
            bound.add(values.get(Integer.parseInt(number.group(1)) - 1));
            return "?";
        });
        PreparedStatement statement = on.prepareStatement(asked);
        for (int at = 0; at < bound.size(); at += 1) {
            Object value = bound.get(at);
            if (value instanceof UUID[] ids) statement.setArray(at + 1, on.createArrayOf("uuid", ids));
            else if (value instanceof String[] texts) statement.setArray(at + 1, on.createArrayOf("text", texts));
            else statement.setObject(at + 1, value);
        }
        return statement;
    }

    static List<List<Object>> rows(ResultSet found) throws SQLException {
        List<List<Object>> rows = new ArrayList<>();
        while (found.next()) {
            List<Object> row = new ArrayList<>();
            for (int at = 1; at <= found.getMetaData().getColumnCount(); at += 1) row.add(found.getObject(at));
            rows.add(row);
        }
        return rows;
    }

    static Answer run(Connection on, String text, List<Object> values) throws SQLException {
        try (PreparedStatement statement = prepared(on, text, values)) {
            if (!statement.execute()) return new Answer(List.of(), statement.getUpdateCount());
            try (ResultSet found = statement.getResultSet()) {
                return new Answer(rows(found), -1);
            }
        }
    }

    /** The organization that a statement is given, which may be the wrong one. */
    Object whose(String text) {
        return text.contains("org_") && use("another organization") != null ? BOLT : ACME;
    }

    Answer ask(Connection on, String name, Object... given) throws SQLException {
        Block block = blocks.get(name);
        String text = filters(block.text);
        List<Object> values = new ArrayList<>();
        if (given.length == 0) for (String parameter : block.parameters) values.add(value(parameter));
        values.addAll(Arrays.asList(given));
        values.add(0, whose(text));
        return run(on, text, values);
    }

    Answer ask(String name, Object... given) throws SQLException {
        return ask(connection, name, given);
    }

    Object plain(Block block) throws SQLException {
        Answer answer = ask(block.name);
        return switch (block.shape) {
            case "rows" -> answer.rows;
            case "column" -> answer.column();
            case "row" -> answer.rows.get(0);
            case "value" -> answer.value();
            case "count" -> answer.count;
            default -> throw new IllegalArgumentException(block.shape);
        };
    }

    /** Runs something in a transaction, which is rolled back if it fails. */
    static <T> T transaction(Connection on, Callable<T> work) throws Exception {
        on.setAutoCommit(false);
        try {
            T result = work.call();
            on.commit();
            return result;
        } catch (Exception error) {
            on.rollback();
            throw error;
        } finally {
            on.setAutoCommit(true);
        }
    }

    Object forUpdate() throws Exception {
        return transaction(connection, () -> ask("for_update").column());
    }

    /** One prepared statement, executed with other values. */
    Object preparedTwelveTimes() throws SQLException {
        String text = filters(blocks.get("by_sku").text);
        List<Object> counts = new ArrayList<>();
        Object whose = whose(text);
        try (PreparedStatement statement = prepared(connection, text, List.of(whose, "ANVIL"))) {
            int last = statement.getParameterMetaData().getParameterCount();
            for (int at = 0; at < 12; at += 1) {
                statement.setString(last, at % 2 == 0 ? "ANVIL" : "HAMMER");
                try (ResultSet found = statement.executeQuery()) {
                    counts.add(rows(found).size());
                }
            }
        }
        return counts;
    }

    Object pool() throws SQLException {
        LinkedHashSet<Object> counts = new LinkedHashSet<>();
        List<Connection> connections = new ArrayList<>();
        try {
            for (int at = 0; at < 4; at += 1) connections.add(connect(ACME));
            for (String table : List.of("customers", "orders", "products")) {
                String text = filters(blocks.get("count_" + table).text);
                Object whose = whose(text);
                for (Connection one : connections) counts.add(table + " " + run(one, text, List.of(whose)).value());
            }
        } finally {
            for (Connection one : connections) one.close();
        }
        return new ArrayList<>(counts);
    }

    Object organizationInTransaction() throws Exception {
        try (Connection other = connect(null)) {
            return transaction(other, () -> {
                run(other, "SELECT set_config('app.organization_id', $1, true)", List.of(ACME.toString()));
                return ask(other, "list").column();
            });
        }
    }

    /** A portal that is read two rows at a time. */
    Object stream() throws Exception {
        return transaction(connection, () -> {
            List<Object> batches = new ArrayList<>(List.of(new ArrayList<>(), new ArrayList<>()));
            String text = filters(blocks.get("list").text);
            try (PreparedStatement statement = prepared(connection, text, List.of(whose(text)))) {
                statement.setFetchSize(2);
                try (ResultSet found = statement.executeQuery()) {
                    for (int at = 0; found.next(); at += 1) {
                        @SuppressWarnings("unchecked")
                        List<Object> batch = (List<Object>) batches.get(at / 2);
                        batch.add(found.getString(1));
                    }
                }
            }
            return batches;
        });
    }

    Object batch() throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO org_tags (id, organization_id, name) VALUES (?, ?, ?)")) {
            for (int at = 0; at < 3; at += 1) {
                statement.setObject(1, newId());
                statement.setObject(2, whose("org_tags"));
                statement.setString(3, fresh("batch"));
                statement.addBatch();
            }
            List<Object> counts = new ArrayList<>();
            for (int count : statement.executeBatch()) counts.add(count);
            return counts;
        }
    }

    Object insert() throws SQLException {
        UUID lamp = newId();
        ask("insert_product", lamp, fresh("LAMP"), "Lamp");
        return ask("product_name", lamp).column();
    }

    Object softDelete() throws SQLException {
        UUID gone = newId();
        String name = fresh("gone");
        ask("insert_tag", gone, name);
        return List.of(ask("delete_tag", gone).count, ask("count_tags", name).value());
    }

    Object deleteJunction() throws SQLException {
        ask("insert_link");
        return ask("delete_link").count;
    }

    Object order() throws Exception {
        return transaction(connection, () -> {
            Object alan = ask("customer_id").value();
            UUID order = newId();
            Object status = ask("insert_order", order, alan).value();
            ask("insert_items", newId(), order, row("1a3"), newId());
            ask("take_stock");
            return List.of(status, ask("count_items", order).value());
        });
    }

    Object rollback() throws Exception {
        String name = fresh("lost");
        connection.setAutoCommit(false);
        try {
            ask("insert_tag", newId(), name);
        } finally {
            connection.rollback();
            connection.setAutoCommit(true);
        }
        return ask("count_tags", name).value();
    }

    Object savepoint() throws Exception {
        return transaction(connection, () -> {
            String kept = fresh("kept");
            String lost = fresh("lost");
            ask("insert_tag", newId(), kept);
            Savepoint before = connection.setSavepoint();
            ask("insert_tag", newId(), lost);
            connection.rollback(before);
            return List.of(ask("count_tags", kept).value(), ask("count_tags", lost).value());
        });
    }

    Object serverError() throws SQLException {
        try {
            ask("insert_tag", row("4a1"), "twin");
            return "none";
        } catch (SQLException error) {
            if (!"23505".equals(error.getSQLState())) throw error;
            return error.getSQLState();
        }
    }

    /** All steps; reads come first, since later steps change what they see. */
    Map<String, Callable<Object>> steps() {
        Map<String, Callable<Object>> steps = new LinkedHashMap<>();
        Map<String, Callable<Object>> changes = new LinkedHashMap<>();
        for (Block block : blocks.values()) {
            if (block.shape.equals("part")) continue;
            boolean reads = !block.text.matches("(?s)(INSERT|UPDATE|WITH moved).*");
            (reads ? steps : changes).put(block.name, () -> plain(block));
        }
        steps.put("for_update", this::forUpdate);
        steps.put("prepared", this::preparedTwelveTimes);
        steps.put("pool", this::pool);
        steps.put("organization_in_transaction", this::organizationInTransaction);
        steps.put("stream", this::stream);
        steps.putAll(changes);
        steps.put("batch", this::batch);
        steps.put("insert", this::insert);
        steps.put("soft_delete", this::softDelete);
        steps.put("delete_junction", this::deleteJunction);
        steps.put("transaction", this::order);
        steps.put("rollback", this::rollback);
        steps.put("savepoint", this::savepoint);
        steps.put("server_error", this::serverError);
        return steps;
    }

    static String json(Object value) throws SQLException {
        if (value == null) return "null";
        if (value instanceof Map<?, ?> map) {
            List<String> fields = new ArrayList<>();
            for (Map.Entry<?, ?> field : map.entrySet()) fields.add(json(field.getKey()) + ":" + json(field.getValue()));
            return "{" + String.join(",", fields) + "}";
        }
        if (value instanceof List<?> list) {
            List<String> texts = new ArrayList<>();
            for (Object one : list) texts.add(json(one));
            return "[" + String.join(",", texts) + "]";
        }
        if (value instanceof Array array) return json(Arrays.asList((Object[]) array.getArray()));
        if (value instanceof Timestamp time) return String.valueOf(time.getTime() / 1000);
        if (value instanceof Integer || value instanceof Long || value instanceof Boolean) return value.toString();
        return "\"" + value.toString().replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + "\"";
    }

    static void tell(Map<String, Object> line) throws SQLException {
        System.out.println(json(line));
    }

    static Map<String, Object> told(SQLException error) {
        Map<String, Object> told = new LinkedHashMap<>();
        // What a batch met is told as the error after its own.
        SQLException last = error.getNextException() == null ? error : error.getNextException();
        told.put("code", last.getSQLState());
        told.put("message", last.getMessage().split("\n")[0]);
        return told;
    }

    Object pid() throws SQLException {
        return run(connection, "SELECT pg_backend_pid()", List.of()).value();
    }

    void runAll(boolean honest) throws Exception {
        String control = json(plain(blocks.get("by_id")));
        for (Map.Entry<String, Callable<Object>> step : steps().entrySet()) {
            Map<String, Object> line = new LinkedHashMap<>(Map.of("step", step.getKey()));
            uses.clear();
            try {
                line.put("result", step.getValue().call());
            } catch (SQLException error) {
                line.put("error", told(error));
            }
            if (honest || line.containsKey("error")) {
                tell(line);
                continue;
            }
            List<List<String>> found = new ArrayList<>(uses);
            for (int place = 0; place < found.size(); place += 1) {
                for (String kind : found.get(place)) forget(step, place, kind, control);
            }
        }
    }

    private void forget(Map.Entry<String, Callable<Object>> step, int place, String kind, String control) throws Exception {
        Map<String, Object> line = new LinkedHashMap<>(Map.of("step", step.getKey(), "forgotten", kind + ", place " + (place + 1)));
        Object before = pid();
        forgotten = new Forgotten(place, kind);
        uses.clear();
        try {
            line.put("result", step.getValue().call());
        } catch (SQLException error) {
            line.put("error", told(error));
        }
        forgotten = null;
        line.put("kept", before.equals(pid()) && control.equals(json(plain(blocks.get("by_id")))));
        tell(line);
    }

    public static void main(String[] arguments) throws Exception {
        Matrix matrix = new Matrix(Path.of(System.getenv("STATEMENTS")));
        String version = matrix.connection.getMetaData().getDriverVersion();
        tell(Map.of("versions", List.of("pgjdbc " + version, "Java " + Runtime.version().feature())));
        matrix.runAll("honest".equals(System.getenv("PART")));
        matrix.connection.close();
    }
}
