// What the pages of kafka-ui (kafbat) ask of a cluster, call by call: GuiCalls BOOTSTRAP
//
// As there, a feature whose call is not supported is left out, and said so; anything else fails.

import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.quota.*;
import org.apache.kafka.common.serialization.*;

public class GuiCalls {
    static String topic = "gui-" + Long.toString(System.nanoTime(), 36);
    static TopicPartition first = new TopicPartition(topic, 0);
    static List<String> without = new ArrayList<>();

    static <T> T call(String what, KafkaFuture<T> answer) throws Exception {
        try {
            return answer.get(30, TimeUnit.SECONDS);
        } catch (ExecutionException failed) {
            Throwable why = failed.getCause();
            // Without an authorizer there are no ACLs, and without SASL no tokens: pages not shown.
            if (why instanceof UnsupportedVersionException
                    || why instanceof SecurityDisabledException
                    || why instanceof UnsupportedByAuthenticationException) {
                without.add(what + " (" + why.getClass().getSimpleName() + ")");
                return null;
            }
            throw new AssertionError(what + ": " + why, why);
        }
    }

    static void check(boolean holds, Object what) {
        if (!holds) throw new AssertionError(what);
    }

    static void alter(Admin admin, ConfigResource of, ConfigEntry entry, AlterConfigOp.OpType how)
            throws Exception {
        var change = Map.<ConfigResource, Collection<AlterConfigOp>>of(
            of, List.of(new AlterConfigOp(entry, how)));
        call("configs", admin.incrementalAlterConfigs(change).all());
    }

    static void dashboard(Admin admin) throws Exception {
        var cluster = admin.describeCluster(
            new DescribeClusterOptions().includeAuthorizedOperations(true));
        check(call("cluster", cluster.nodes()).size() == 1, "nodes");
        call("controller", cluster.controller());
        call("operations", cluster.authorizedOperations());
        call("features", admin.describeFeatures().featureMetadata());
        call("quorum", admin.describeMetadataQuorum().quorumInfo());
        int id = cluster.nodes().get().iterator().next().id();
        var broker = new ConfigResource(ConfigResource.Type.BROKER, "" + id);
        var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        var configs = call("broker configs", admin.describeConfigs(List.of(broker), options).all());
        check(configs.get(broker).entries().size() > 200, "broker configs");
        call("log dirs", admin.describeLogDirs(List.of(id)).allDescriptions());
        var threads = "log.cleaner.threads";
        alter(admin, broker, new ConfigEntry(threads, "2"), AlterConfigOp.OpType.SET);
        alter(admin, broker, new ConfigEntry(threads, ""), AlterConfigOp.OpType.DELETE);
    }

    static void topics(Admin admin) throws Exception {
        var all = admin.listTopics(new ListTopicsOptions().listInternal(true));
        var names = call("topics", all.names());
        check(names.contains(topic), names);
        call("describe topics", admin.describeTopics(List.of(topic),
            new DescribeTopicsOptions().includeAuthorizedOperations(true)).allTopicNames());
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        call("topic configs", admin.describeConfigs(List.of(resource)).all());
        alter(admin, resource, new ConfigEntry("retention.ms", "60000"), AlterConfigOp.OpType.SET);
        var more = Map.of(topic, NewPartitions.increaseTo(4));
        call("more partitions", admin.createPartitions(more).all());
        for (var spec : List.of(OffsetSpec.earliest(), OffsetSpec.latest(),
                OffsetSpec.maxTimestamp(), OffsetSpec.forTimestamp(0))) {
            call("offsets", admin.listOffsets(Map.of(first, spec)).all());
        }
        call("active producers", admin.describeProducers(List.of(first)).all());
        call("reassignments", admin.listPartitionReassignments().reassignments());
        var same = Optional.of(new NewPartitionReassignment(List.of(1)));
        call("reassign", admin.alterPartitionReassignments(Map.of(first, same)).all());
        var purge = Map.of(first, RecordsToDelete.beforeOffset(3));
        var low = admin.deleteRecords(purge).lowWatermarks().get(first);
        check(call("clear messages", low).lowWatermark() == 3, "purge");
    }

    static void groups(Admin admin) throws Exception {
        var listed = call("groups", admin.listConsumerGroups(new ListConsumerGroupsOptions()
            .inStates(Set.of(ConsumerGroupState.STABLE, ConsumerGroupState.EMPTY))).valid());
        check(listed.stream().anyMatch(group -> group.groupId().equals(topic)), listed);
        call("all groups", admin.listGroups().valid());
        call("describe groups", admin.describeConsumerGroups(List.of(topic)).all());
        var specs = Map.of(topic, new ListConsumerGroupOffsetsSpec());
        check(call("group offsets", admin.listConsumerGroupOffsets(specs).all()).get(topic)
            .get(first).offset() == 10, "offsets");
        var offset = Map.of(first, new OffsetAndMetadata(4));
        call("reset", admin.alterConsumerGroupOffsets(topic, offset).all());
        call("forget", admin.deleteConsumerGroupOffsets(topic, Set.of(first)).all());
        call("delete group", admin.deleteConsumerGroups(List.of(topic)).all());
    }

    static void rights(Admin admin) throws Exception {
        call("ACLs", admin.describeAcls(AclBindingFilter.ANY).values());
        call("quotas", admin.describeClientQuotas(ClientQuotaFilter.all()).entities());
        call("SCRAM users", admin.describeUserScramCredentials().all());
        call("transactions", admin.listTransactions().all());
        call("delegation tokens", admin.describeDelegationToken().delegationTokens());
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", arguments[0]);
        try (var admin = Admin.create(config)) {
            dashboard(admin);
            topicsWithRecords(admin, config);
            groups(admin);
            rights(admin);
            call("delete", admin.deleteTopics(List.of(topic)).all());
        }
        without.forEach(what -> System.out.println("without " + what));
        System.out.println("done");
    }

    static void topicsWithRecords(Admin admin, Map<String, Object> config) throws Exception {
        call("create", admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1)
            .configs(Map.of("cleanup.policy", "delete")))).all());
        var texts = new StringSerializer();
        try (var producer = new KafkaProducer<>(config, texts, texts)) {
            for (int i = 0; i < 10; i++) {
                producer.send(new ProducerRecord<>(topic, 0, "k", "v" + i)).get();
            }
        }
        Map<String, Object> settings = new HashMap<>(config);
        settings.put("group.id", topic);
        var strings = new StringDeserializer();
        try (var consumer = new KafkaConsumer<>(settings, strings, strings)) {
            consumer.assign(List.of(first));
            consumer.commitSync(Map.of(first, new OffsetAndMetadata(10)));
        }
        topics(admin);
    }
}
