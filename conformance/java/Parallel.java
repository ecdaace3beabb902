// Confluent's Parallel Consumer: Parallel BOOTSTRAP
//
// It works on the keys of a partition side by side and commits with gaps: what is done beyond the
// committed offset is written into the commit's metadata. One key is held up while all others are
// done; whoever starts next gets that key's records, and no others again.

import io.confluent.parallelconsumer.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;

public class Parallel {
    static final int PARTITIONS = 2;
    // The records of a key that is held up are few: once they fill the program's buffer (twice its
    // threads, to begin with) it may read nothing more, whatever the broker.
    static final int KEYS = 200;
    static final int RECORDS = 2000;
    static final String HELD = "key-7";

    static String bootstrap;
    static String topic = "parallel-" + Long.toString(System.nanoTime(), 36);

    static ParallelStreamProcessor<String, String> processor() {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("group.id", topic);
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", "false");
        var strings = new StringDeserializer();
        var options = ParallelConsumerOptions.<String, String>builder()
            .ordering(ParallelConsumerOptions.ProcessingOrder.KEY)
            .commitMode(ParallelConsumerOptions.CommitMode.PERIODIC_CONSUMER_SYNC)
            .commitInterval(Duration.ofMillis(200))
            .maxConcurrency(16)
            .consumer(new KafkaConsumer<>(config, strings, strings))
            .build();
        ParallelStreamProcessor<String, String> made =
            ParallelStreamProcessor.createEosStreamProcessor(options);
        made.subscribe(List.of(topic));
        return made;
    }

    interface Condition { boolean holds() throws Exception; }

    static void until(String what, Condition condition) throws Exception {
        long deadline = System.currentTimeMillis() + 60_000;
        while (!condition.holds()) {
            if (System.currentTimeMillis() > deadline) {
                throw new AssertionError("not in time: " + what);
            }
            Thread.sleep(20);
        }
    }

    static long committed(Admin admin, boolean withGaps) throws Exception {
        var offsets = admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get();
        var known = offsets.values().stream().filter(Objects::nonNull);
        boolean gaps = known.anyMatch(offset -> offset.metadata().length() > 0);
        if (gaps != withGaps) return -1;
        return offsets.values().stream().mapToLong(OffsetAndMetadata::offset).sum();
    }

    static void checkAll(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap);
        var strings = new StringSerializer();
        try (var admin = Admin.create(config);
             var producer = new KafkaProducer<>(config, strings, strings)) {
            admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
            for (int i = 0; i < RECORDS; i++) {
                producer.send(new ProducerRecord<>(topic, "key-" + i % KEYS, "" + i));
            }
            producer.flush();

            Set<String> first = ConcurrentHashMap.newKeySet();
            Map<String, Integer> last = new ConcurrentHashMap<>();
            Queue<String> faults = new ConcurrentLinkedQueue<>();
            var forever = new CountDownLatch(1);
            var processor = processor();
            processor.poll(context -> {
                String key = context.key();
                int value = Integer.parseInt(context.value());
                if (key.equals(HELD)) {
                    try {
                        forever.await();
                    } catch (InterruptedException stopped) {
                        // It is stopped, and this record is not done.
                    }
                    throw new IllegalStateException("held");
                }
                Integer before = last.put(key, value);
                if (before != null && before >= value) {
                    faults.add(key + ": " + value + " after " + before);
                }
                first.add(context.value());
            });
            int others = RECORDS - RECORDS / KEYS;
            until("all other keys are done", () -> first.size() == others);
            until("it has committed with gaps", () -> committed(admin, true) >= 0);
            forever.countDown();
            processor.closeDontDrainFirst();
            if (!faults.isEmpty()) throw new AssertionError(faults);

            Set<String> second = ConcurrentHashMap.newKeySet();
            processor = processor();
            processor.poll(context -> second.add(context.key() + "=" + context.value()));
            until("the rest is done", () -> second.size() >= RECORDS / KEYS);
            until("everything is committed", () -> committed(admin, false) == RECORDS);
            processor.closeDrainFirst();
            for (String done : second) {
                if (!done.startsWith(HELD + "=")) {
                    throw new AssertionError(done + " was done twice");
                }
            }
            if (second.size() != RECORDS / KEYS) throw new AssertionError(second);
            System.out.println(first.size() + " records, then " + second.size());
        }
    }

    public static void main(String[] arguments) {
        // Threads of clients outlive a failure, and would keep its message.
        try {
            checkAll(arguments);
        } catch (Throwable failure) {
            failure.printStackTrace();
            System.exit(1);
        }
        System.out.println("done");
        System.exit(0);
    }
}
