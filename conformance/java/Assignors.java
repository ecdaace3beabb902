// Java consumers under every assignor of the classic protocol, and under the consumer protocol with
// each of the server's assignors and a regular expression: Assignors BOOTSTRAP
//
// In each group one member begins, a second joins, both read everything, a third joins, one leaves.
// No partition is ever owned by two, all are owned in the end, and what was committed is where the
// next begins.

import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.BooleanSupplier;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.*;

public class Assignors {
    static final int PARTITIONS = 6;
    static final int RECORDS = 300;
    static final long PATIENCE_MS = 60_000;

    static String bootstrap;
    static String run = Long.toString(System.nanoTime(), 36);
    static List<String> topics = List.of("java-" + run + "-a", "java-" + run + "-b");

    /** What all members of a group have, and have read. */
    static class Group {
        final String id;
        final Map<String, Object> settings;
        final boolean byRegex;
        final Set<String> seen = ConcurrentHashMap.newKeySet();
        final Map<TopicPartition, String> owners = new ConcurrentHashMap<>();
        final Queue<String> faults = new ConcurrentLinkedQueue<>();

        Group(String name, Map<String, Object> settings, boolean byRegex) {
            this.id = name + "-" + run;
            this.settings = settings;
            this.byRegex = byRegex;
        }
    }

    /** One member, polled by a thread of its own. */
    static class Member extends Thread implements ConsumerRebalanceListener {
        final Group group;
        final KafkaConsumer<String, String> consumer;
        volatile boolean leaving = false;

        Member(Group group, int number) {
            super(group.id + "/" + number);
            this.group = group;
            Map<String, Object> config = new HashMap<>(group.settings);
            config.put("bootstrap.servers", bootstrap);
            config.put("group.id", group.id);
            config.put("client.id", getName());
            config.put("auto.offset.reset", "earliest");
            config.put("enable.auto.commit", "false");
            config.put("metadata.max.age.ms", "1000");
            if (!"consumer".equals(config.get("group.protocol"))) {
                config.put("heartbeat.interval.ms", "200");
            }
            var strings = new StringDeserializer();
            consumer = new KafkaConsumer<>(config, strings, strings);
            start();
        }

        @Override public void run() {
            try {
                if (group.byRegex && "consumer".equals(group.settings.get("group.protocol"))) {
                    consumer.subscribe(new SubscriptionPattern("java-" + run + "-[ab]"), this);
                } else if (group.byRegex) {
                    consumer.subscribe(Pattern.compile("java-" + run + "-[ab]"), this);
                } else {
                    consumer.subscribe(topics, this);
                }
                while (!leaving) {
                    for (var record : consumer.poll(Duration.ofMillis(100))) {
                        group.seen.add(record.topic() + record.partition() + ":" + record.offset());
                    }
                    consumer.commitSync();
                }
            } catch (RebalanceInProgressException | CommitFailedException again) {
                if (!leaving) run();
            } catch (WakeupException awake) {
                // It leaves.
            } catch (Exception error) {
                group.faults.add(getName() + ": " + error);
            } finally {
                if (leaving) consumer.close();
            }
        }

        @Override public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            for (var partition : partitions) {
                String other = group.owners.putIfAbsent(partition, getName());
                if (other != null) {
                    group.faults.add(partition + " of " + other + " and " + getName());
                }
            }
        }

        @Override public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            partitions.forEach(partition -> group.owners.remove(partition, getName()));
        }

        void leave() throws InterruptedException {
            leaving = true;
            join();
        }
    }

    static void until(String what, Group group, BooleanSupplier condition) throws Exception {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!condition.getAsBoolean()) {
            if (!group.faults.isEmpty()) throw new AssertionError(group.id + ": " + group.faults);
            if (System.currentTimeMillis() > deadline) {
                throw new AssertionError(group.id + ": not in time: " + what + " " + group.owners);
            }
            Thread.sleep(20);
        }
    }

    /** All are owned, by so many, and none has nothing. */
    static boolean isShared(Group group, int members) {
        return group.owners.size() == topics.size() * PARTITIONS
            && new HashSet<>(group.owners.values()).size() == members;
    }

    static void check(Admin admin, Group group) throws Exception {
        int total = topics.size() * RECORDS;
        var members = new ArrayList<>(List.of(new Member(group, 1)));
        // A client of the consumer protocol that knows no name yet for the topics it was given says
        // that it owns nothing, and whoever comes in that moment is given them too, by Kafka's own
        // coordinator as well (CurrentAssignmentBuilder.ownsRevokedPartitions).
        until("one has all", group, () -> isShared(group, 1));
        members.add(new Member(group, 2));
        until("two share", group, () -> isShared(group, 2));
        until("all is read", group, () -> group.seen.size() == total);
        members.add(new Member(group, 3));
        until("three share", group, () -> isShared(group, 3));
        members.remove(0).leave();
        until("two are left", group, () -> isShared(group, 2));
        var described = admin.describeConsumerGroups(List.of(group.id)).all().get().get(group.id);
        if (described.members().size() != 2) throw new AssertionError(described);
        for (var member : members) member.leave();
        var stored = admin.listConsumerGroupOffsets(group.id);
        var offsets = stored.partitionsToOffsetAndMetadata().get();
        long committed = offsets.values().stream().mapToLong(OffsetAndMetadata::offset).sum();
        if (committed != total) throw new AssertionError(group.id + " committed " + offsets);
        if (!group.faults.isEmpty()) throw new AssertionError(group.faults);
        admin.deleteConsumerGroups(List.of(group.id)).all().get();
        System.out.println(group.id + ": " + described.partitionAssignor());
    }

    static void checkAll(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap);
        var strings = new StringSerializer();
        try (var admin = Admin.create(config);
             var producer = new KafkaProducer<>(config, strings, strings)) {
            var created = topics.stream().map(t -> new NewTopic(t, PARTITIONS, (short) 1)).toList();
            admin.createTopics(created).all().get();
            for (String topic : topics) {
                for (int i = 0; i < RECORDS; i++) {
                    producer.send(new ProducerRecord<>(topic, i % PARTITIONS, "" + i, "v" + i));
                }
            }
            producer.flush();
            var groups = new ArrayList<Group>();
            var classic = Map.of(
                "range", RangeAssignor.class, "round-robin", RoundRobinAssignor.class,
                "sticky", StickyAssignor.class, "cooperative", CooperativeStickyAssignor.class);
            classic.forEach((name, assignor) -> groups.add(new Group(name,
                Map.of("partition.assignment.strategy", assignor.getName()), false)));
            groups.add(new Group("pattern", Map.of(), true));
            for (String name : List.of("uniform", "range")) {
                Map<String, Object> settings =
                    Map.of("group.protocol", "consumer", "group.remote.assignor", name);
                groups.add(new Group("server-" + name, settings, false));
            }
            groups.add(new Group("server-regex", Map.of("group.protocol", "consumer"), true));
            // All at once: most of the time is waiting for heartbeats.
            var pool = Executors.newFixedThreadPool(groups.size());
            var checks = groups.stream().map(group -> pool.submit(() -> {
                check(admin, group);
                return null;
            })).toList();
            for (var each : checks) each.get();
            pool.shutdown();
            admin.deleteTopics(topics).all().get();
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
