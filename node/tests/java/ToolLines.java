import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.Policy;
import java.security.ProtectionDomain;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.utils.Exit;
import org.slf4j.LoggerFactory;

/**
 * Lines of a shell that call Kafka's tools, each run in this JVM against Apache Kafka and against a
 * node; what they print must be the same once ids, ports, paths and times are masked. Starting a
 * JVM takes seconds, a tool in it a fraction of one.
 *
 * <pre>
 * ToolLines CLASSES SIDE SIDE whole|quick FILE...
 * </pre>
 * CLASSES: {@code tool=class,...}; SIDE: {@code name|key=value|...}, of which a line says
 * {@code $key}; FILE: lines of the form
 * <pre>
 * # a comment
 * $ kafka-topics --bootstrap-server $B --list       a tool
 * $$ kafka-topics ...                               the same, and not in a quick run
 * &lt; text                                           a line of its standard input
 * ? REGEX: reason                                   what it prints may differ in such lines
 * ! REGEX: reason                                   and differs in them
 * &gt; name text                                      writes text to a file in $DIR
 * = name                                            copies the next snapshot of the metadata to
 *                                                   $DIR/name; not in a quick run
 * + group topic protocol                            a member that stays until
 * -                                                 it leaves
 * </pre>
 * The last line is {@code done N} where nothing differs, with a status of 0.
 */
public class ToolLines {
    private static final long PATIENCE_S = 20;
    private static final int RETRIES = 30;
    /** Lines that change nothing. */
    private static final Pattern READS =
        Pattern.compile("(describe|list|get-offsets|dump-log|metadata-shell)");

    record Side(String name, Map<String, String> values) {}

    record Result(int status, String out, String err) {}

    static class Line {
        final String where;
        final String text;
        final StringBuilder stdin = new StringBuilder();
        final List<Pattern> mayDiffer = new ArrayList<>();
        final List<Pattern> differs = new ArrayList<>();

        Line(String where, String text) {
            this.where = where;
            this.text = text;
        }
    }

    /** A tool wants to end the process. */
    static class Ended extends RuntimeException {
        Ended(int status) {
            super("status " + status, null, false, false);
        }
    }

    private static final PrintStream OUT = System.out;
    private static final PrintStream ERR = System.err;
    private static final Map<String, String> CLASSES = new HashMap<>();
    private static final List<Thread> HOOKS = Collections.synchronizedList(new ArrayList<>());
    private static final Map<String, Admin> ADMINS = new HashMap<>();
    private static final Map<String, List<Member>> MEMBERS = new HashMap<>();
    private static volatile Integer status;
    private static int run;
    private static int differing;

    @SuppressWarnings("removal")
    public static void main(String[] args) throws Exception {
        // It writes to what is standard error now.
        LoggerFactory.getLogger(ToolLines.class);
        catchExits();
        for (String pair : args[0].split(",")) {
            CLASSES.put(pair.split("=")[0], pair.split("=")[1]);
        }
        List<Side> sides = List.of(side(args[1]), side(args[2]));
        boolean whole = args[3].equals("whole");
        for (String file : Arrays.asList(args).subList(4, args.length)) {
            for (Line line : read(Path.of(file))) {
                if (whole || !line.text.matches("(\\$\\$|=) .*")) {
                    step(sides, line);
                }
            }
        }
        for (Side side : sides) {
            leave(side);
        }
        OUT.println(differing == 0 ? "done " + run : differing + " of " + run + " lines differ");
        OUT.flush();
        // Threads of the tools may go on, so the process is ended; nothing asks whether to.
        System.setSecurityManager(null);
        Runtime.getRuntime().halt(differing == 0 ? 0 : 1);
    }

    private static Side side(String text) {
        Map<String, String> values = new LinkedHashMap<>();
        String[] parts = text.split("\\|");
        for (int i = 1; i < parts.length; i++) {
            int at = parts[i].indexOf('=');
            values.put(parts[i].substring(0, at), parts[i].substring(at + 1));
        }
        return new Side(parts[0], values);
    }

    private static List<Line> read(Path file) throws Exception {
        List<Line> lines = new ArrayList<>();
        int number = 0;
        for (String text : Files.readAllLines(file)) {
            number++;
            Line last = lines.isEmpty() ? null : lines.get(lines.size() - 1);
            if (text.startsWith("< ")) {
                last.stdin.append(text.substring(2)).append('\n');
            } else if (text.startsWith("? ") || text.startsWith("! ")) {
                Pattern pattern = Pattern.compile(text.substring(2, text.indexOf(": ")));
                (text.startsWith("?") ? last.mayDiffer : last.differs).add(pattern);
            } else if (!text.isBlank() && !text.startsWith("#")) {
                lines.add(new Line(file.getFileName() + ":" + number, text));
            }
        }
        return lines;
    }

    private static void step(List<Side> sides, Line line) throws Exception {
        long start = System.nanoTime();
        String[] words = line.text.split(" ", 3);
        List<String> texts = new ArrayList<>();
        for (Side side : sides) {
            switch (words[0]) {
                case ">" -> Files.writeString(Path.of(side.values.get("DIR"), words[1]),
                    fill(side, words[2]).replace("\\n", "\n") + "\n");
                case "=" -> snapshot(side, words[1]);
                case "+" -> join(side, line.text.split(" "));
                case "-" -> leave(side);
                case "$", "$$" -> texts.add(answer(side, line));
                default -> throw new IllegalArgumentException(line.where + ": " + line.text);
            }
        }
        if (!texts.isEmpty()) {
            run++;
            for (int i = 0; i < RETRIES && READS.matcher(line.text).find()
                && differing(line, texts) != null; i++) {
                // What a tool only looks at may come a moment later.
                Thread.sleep(100);
                texts.clear();
                for (Side side : sides) {
                    texts.add(answer(side, line));
                }
            }
            compare(sides, line, texts);
            show(sides, line, texts, (System.nanoTime() - start) / 1_000_000);
        }
    }

    private static String answer(Side side, Line line) throws Exception {
        String text = mask(side, show(call(side, line)));
        settle(side);
        return text;
    }

    /** The lines in which they differ; null where they do not. Tools print in any order. */
    private static List<List<String>> differing(Line line, List<String> texts) {
        List<List<String>> left = new ArrayList<>();
        for (String text : texts) {
            List<String> lines = new ArrayList<>(text.lines().toList());
            lines.removeIf(one -> line.mayDiffer.stream().anyMatch(p -> p.matcher(one).find()));
            Collections.sort(lines);
            left.add(lines);
        }
        for (Pattern pattern : line.differs) {
            boolean needed = !left.get(0).equals(left.get(1));
            left.forEach(lines -> lines.removeIf(one -> pattern.matcher(one).find()));
            if (!needed) {
                return List.of(List.of("nothing differs any more: " + pattern), List.of());
            }
        }
        return left.get(0).equals(left.get(1)) ? null : left;
    }

    private static void compare(List<Side> sides, Line line, List<String> texts) {
        List<List<String>> left = differing(line, texts);
        if (left == null) {
            return;
        }
        differing++;
        OUT.println("--- " + line.where + " " + line.text);
        only(sides.get(0).name, left.get(0), left.get(1)).forEach(OUT::println);
        only(sides.get(1).name, left.get(1), left.get(0)).forEach(OUT::println);
    }

    /** Writes down what was printed, into the file that TOOL_SHOW names. */
    private static void show(List<Side> sides, Line line, List<String> texts, long ms)
        throws Exception {
        String file = System.getenv("TOOL_SHOW");
        if (file == null) {
            return;
        }
        StringBuilder shown = new StringBuilder(ms + " ms " + line.where + " " + line.text + "\n");
        shown.append(texts.get(0).indent(4));
        if (!texts.get(0).equals(texts.get(1))) {
            shown.append("  " + sides.get(1).name + "\n" + texts.get(1).indent(4));
        }
        Files.writeString(
            Path.of(file), shown, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    private static List<String> only(String name, List<String> mine, List<String> theirs) {
        List<String> rest = new ArrayList<>(mine);
        theirs.forEach(rest::remove);
        return rest.stream().limit(12).map(text -> "  " + name + ": " + text).toList();
    }

    /**
     * Waits until the broker knows what the controller has decided. A node answers when all of it
     * does.
     */
    private static void settle(Side side) throws Exception {
        if (!side.name.equals("Kafka")) {
            return;
        }
        Admin admin = ADMINS.computeIfAbsent(side.name,
            name -> Admin.create(Map.of("bootstrap.servers", side.values.get("B"))));
        long decided = admin.describeMetadataQuorum().quorumInfo().get().highWatermark() - 1;
        for (int i = 0; i < PATIENCE_S * 100; i++) {
            var known = admin.describeFeatures().featureMetadata().get().finalizedFeaturesEpoch();
            if (known.isPresent() && known.get() >= decided) {
                return;
            }
            Thread.sleep(10);
        }
        throw new IllegalStateException(side.name + ": the broker does not follow");
    }

    private static String fill(Side side, String text) {
        String filled = text;
        for (Map.Entry<String, String> value : side.values.entrySet()) {
            filled = filled.replace("$" + value.getKey(), value.getValue());
        }
        return filled;
    }

    /** What is a side's own becomes what both say. */
    private static String mask(Side side, String text) {
        String masked = text;
        for (Map.Entry<String, String> value : side.values.entrySet()) {
            masked = masked.replace(value.getValue(), "$" + value.getKey());
        }
        masked = masked.replaceAll(
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID");
        masked = masked.replaceAll("console-consumer-[0-9]+", "console-consumer-N");
        masked = masked.replaceAll("(?<![\\w-])[\\w-]{22}(?![\\w-])", "ID");
        masked = masked.replaceAll("\\b1[0-9]{12}\\b", "TIME");
        masked = masked.replaceAll("Epoch: [0-9]+", "Epoch: N");
        masked = masked.replaceAll("crc: [0-9]+", "crc: N");
        masked = masked.replaceAll("[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,]+Z?", "DATE");
        List<String> kept = masked.lines()
            .filter(line -> !line.startsWith("\tat ") && !line.contains(Ended.class.getName()))
            .filter(line -> !line.matches("\t\\.\\.\\. [0-9]+ more"))
            .map(line -> line.replaceAll(" +", " ").stripTrailing())
            .toList();
        return String.join("\n", kept);
    }

    private static String show(Result result) {
        String text = "status " + result.status + "\n" + result.out;
        return result.err.isEmpty() ? text : text + "\non standard error:\n" + result.err;
    }

    /** The words of a line, as a shell parts them. */
    private static List<String> words(String text) {
        List<String> words = new ArrayList<>();
        Matcher word = Pattern.compile("(?:'[^']*'|\"[^\"]*\"|\\S)+").matcher(text);
        while (word.find()) {
            words.add(word.group().replaceAll("'([^']*)'", "$1").replaceAll("\"([^\"]*)\"", "$1"));
        }
        return words;
    }

    private static Result call(Side side, Line line) throws Exception {
        List<String> words = words(fill(side, line.text.substring(line.text.indexOf(' ') + 1)));
        String tool = words.get(0).replaceAll("\\.sh$", "");
        String name = tool.equals("kafka-run-class") ? words.get(1) : CLASSES.get(tool);
        if (name == null) {
            throw new IllegalArgumentException(line.where + ": no such tool: " + tool);
        }
        int first = tool.equals("kafka-run-class") ? 2 : 1;
        String[] args = words.subList(first, words.size()).toArray(String[]::new);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        byte[] in = line.stdin.toString().getBytes(StandardCharsets.UTF_8);
        System.setIn(new ByteArrayInputStream(in));
        status = null;
        Thread thread = new Thread(() -> invoke(name, args), tool);
        thread.start();
        thread.join(TimeUnit.SECONDS.toMillis(PATIENCE_S));
        if (thread.isAlive()) {
            Exception stuck = new Exception(line.where + " " + side.name + " does not end");
            stuck.setStackTrace(thread.getStackTrace());
            stuck.printStackTrace(ERR);
            thread.interrupt();
        }
        // What a tool leaves to the end of its process is done at the end of its call.
        List<Thread> hooks = new ArrayList<>(HOOKS);
        HOOKS.clear();
        for (Thread hook : hooks) {
            hook.start();
            hook.join(TimeUnit.SECONDS.toMillis(PATIENCE_S));
        }
        System.setOut(OUT);
        System.setErr(ERR);
        return new Result(status == null ? 0 : status, out.toString(), err.toString());
    }

    private static void invoke(String name, String[] args) {
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) args);
        } catch (InvocationTargetException error) {
            if (!(error.getCause() instanceof Ended)) {
                System.err.println(error.getCause());
                end(1);
            }
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    private static void end(int code) {
        if (status == null) {
            status = code;
        }
    }

    @SuppressWarnings("removal")
    private static void catchExits() {
        Exit.Procedure procedure = (code, message) -> {
            end(code);
            throw new Ended(code);
        };
        Exit.setExitProcedure(procedure);
        Exit.setHaltProcedure(procedure);
        Exit.setShutdownHookAdder((name, runnable) -> HOOKS.add(new Thread(runnable, name)));
        // Some call the JVM itself. Nothing else is forbidden.
        Policy.setPolicy(new Policy() {
            @Override
            public boolean implies(ProtectionDomain domain, java.security.Permission permission) {
                return true;
            }
        });
        System.setSecurityManager(new SecurityManager() {
            @Override
            public void checkPermission(java.security.Permission permission) {}

            @Override
            public void checkExit(int code) {
                end(code);
                throw new Ended(code);
            }
        });
    }

    /** A consumer that stays in its group. */
    static class Member extends Thread {
        private final KafkaConsumer<byte[], byte[]> consumer;
        private final CountDownLatch assigned = new CountDownLatch(1);
        private volatile boolean leaving;

        Member(Side side, String group, String topic, String protocol) {
            Map<String, Object> config = new HashMap<>();
            config.put("bootstrap.servers", side.values.get("B"));
            config.put("group.id", group);
            config.put("client.id", "member");
            config.put("group.protocol", protocol);
            config.put("auto.offset.reset", "earliest");
            config.put("enable.auto.commit", "false");
            String bytes = "org.apache.kafka.common.serialization.ByteArrayDeserializer";
            config.put("key.deserializer", bytes);
            config.put("value.deserializer", bytes);
            consumer = new KafkaConsumer<>(config);
            consumer.subscribe(new LinkedHashSet<>(List.of(topic)));
        }

        @Override
        public void run() {
            while (!leaving) {
                consumer.poll(Duration.ofMillis(100));
                if (!consumer.assignment().isEmpty()) {
                    assigned.countDown();
                }
            }
            consumer.commitSync();
            consumer.close();
        }
    }

    private static void join(Side side, String[] words) throws Exception {
        Member member = new Member(side, words[1], words[2], words[3]);
        member.start();
        if (!member.assigned.await(PATIENCE_S, TimeUnit.SECONDS)) {
            throw new IllegalStateException(side.name + ": no assignment");
        }
        MEMBERS.computeIfAbsent(side.name, name -> new ArrayList<>()).add(member);
    }

    private static void snapshot(Side side, String name) throws Exception {
        Path log = Path.of(side.values.get("DATA"), "__cluster_metadata-0");
        Path before = newest(log);
        Path after = before;
        for (int i = 0; after.equals(before); i++) {
            if (i == PATIENCE_S * 10) {
                throw new IllegalStateException(side.name + ": no snapshot");
            }
            Thread.sleep(100);
            after = newest(log);
        }
        Files.copy(after, Path.of(side.values.get("DIR"), name));
    }

    private static Path newest(Path log) throws Exception {
        try (var files = Files.list(log)) {
            return files.filter(file -> file.toString().endsWith(".checkpoint"))
                .max(Path::compareTo).orElse(log);
        }
    }

    private static void leave(Side side) throws Exception {
        List<Member> members = MEMBERS.getOrDefault(side.name, new ArrayList<>());
        for (Member member : members) {
            member.leaving = true;
            member.join();
        }
        members.clear();
    }
}
