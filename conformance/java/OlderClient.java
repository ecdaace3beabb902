// What every release of Kafka's Java client can do since 2.1: OlderClient BOOTSTRAP VERSION

import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;

public class OlderClient {
    static final int PARTITIONS = 3;
    static final int RECORDS = 300;

    public static void main(String[] arguments) throws Exception {
        String topic = "older-" + arguments[1] + "-" + Long.toString(System.nanoTime(), 36);
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", arguments[0]);
        try (AdminClient admin = AdminClient.create(config)) {
            admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
            int total = 0;
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                Map<String, Object> settings = new HashMap<>(config);
                settings.put("compression.type", codec);
                settings.put("enable.idempotence", codec.equals("none"));
                settings.put("acks", "all");
                var strings = new StringSerializer();
                try (var producer = new KafkaProducer<>(settings, strings, strings)) {
                    for (int i = 0; i < RECORDS; i++) {
                        var record = new ProducerRecord<>(topic, i % PARTITIONS, "" + i, codec + i);
                        record.headers().add("h", new byte[] {1});
                        producer.send(record);
                    }
                    producer.flush();
                }
                total += RECORDS;
            }
            consume(config, topic, total);
            administer(admin, topic, total);
        }
        System.out.println("done");
    }

    static void consume(Map<String, Object> config, String topic, int total) {
        Map<String, Object> settings = new HashMap<>(config);
        settings.put("group.id", topic);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("isolation.level", "read_committed");
        var strings = new StringDeserializer();
        try (var consumer = new KafkaConsumer<>(settings, strings, strings)) {
            consumer.subscribe(List.of(topic));
            int seen = 0;
            long deadline = System.currentTimeMillis() + 60_000;
            while (seen < total) {
                if (System.currentTimeMillis() > deadline) throw new AssertionError("only " + seen);
                seen += consumer.poll(Duration.ofMillis(200)).count();
            }
            consumer.commitSync();
            var first = new TopicPartition(topic, 0);
            var times = consumer.offsetsForTimes(Map.of(first, 0L));
            if (times.get(first).offset() != 0) throw new AssertionError(times);
            if (consumer.endOffsets(List.of(first)).get(first) != total / PARTITIONS) {
                throw new AssertionError("end offsets");
            }
        }
    }

    static void administer(AdminClient admin, String topic, int total) throws Exception {
        var offsets = admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get();
        for (var offset : offsets.values()) {
            if (offset.offset() != total / PARTITIONS) throw new AssertionError(offsets);
        }
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        var entries = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        if (!entries.get("retention.ms").value().equals("604800000")) {
            throw new AssertionError(entries);
        }
        admin.describeTopics(List.of(topic)).values().get(topic).get();
        admin.describeCluster().nodes().get();
        admin.describeConsumerGroups(List.of(topic)).all().get();
        admin.listConsumerGroups().all().get();
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(PARTITIONS + 1))).all().get();
        admin.deleteRecords(Map.of(new TopicPartition(topic, 0), RecordsToDelete.beforeOffset(5)))
            .all().get();
        admin.describeLogDirs(List.of(1)).values().get(1).get();
        admin.deleteConsumerGroups(List.of(topic)).all().get();
        admin.deleteTopics(List.of(topic)).all().get();
    }
}
