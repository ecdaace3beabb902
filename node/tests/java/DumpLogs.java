import java.io.FileOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * kafka-dump-log, as it is, many times in one JVM. The first argument is a folder, each other one
 * the arguments of a run, separated by tabs: run N leaves N.out, N.err, and N.failed if it did.
 */
public class DumpLogs {
    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[0]);
        for (int i = 1; i < args.length; i++) {
            String[] words = args[i].split("\t");
            Path failed = folder.resolve((i - 1) + ".failed");
            try (OutputStream out = new FileOutputStream(folder.resolve((i - 1) + ".out").toFile());
                 PrintStream err = new PrintStream(folder.resolve((i - 1) + ".err").toFile())) {
                System.setErr(err);
                scala.Console.withOut(out, () -> {
                    try {
                        kafka.tools.DumpLogSegments.main(words);
                    } catch (Throwable error) {
                        try {
                            Files.writeString(failed, error.toString());
                        } catch (java.io.IOException again) {
                            throw new RuntimeException(again);
                        }
                    }
                    return null;
                });
            }
        }
    }
}
