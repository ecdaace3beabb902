import java.io.ByteArrayInputStream;
import java.io.PrintStream;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import kafka.server.BrokerDynamicThreadPool;
import kafka.server.ConfigHelper;
import kafka.server.ControllerConfigurationValidator;
import kafka.server.DynamicBrokerConfig$;
import kafka.server.DynamicBrokerConfig;
import kafka.server.DynamicConfig;
import kafka.server.DynamicListenerConfig;
import kafka.server.DynamicLogConfig;
import kafka.server.DynamicRemoteLogConfig;
import kafka.server.KafkaBroker;
import kafka.server.KafkaConfig;
import org.apache.kafka.common.Endpoint;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.ConfigKey;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.message.DescribeConfigsRequestData.DescribeConfigsResource;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.metadata.ConfigRepository;
import org.apache.kafka.metadata.MetadataCache;
import org.apache.kafka.raft.QuorumConfig;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.server.config.ServerTopicConfigSynonyms;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.CleanerConfig;
import org.apache.kafka.storage.internals.log.LogCleaner;
import org.apache.kafka.storage.internals.log.LogConfig;
import org.apache.kafka.storage.internals.log.LogDirFailureChannel;
import scala.Option;
import scala.jdk.javaapi.CollectionConverters;

/**
 * Answers questions about configuration with Kafka's own classes, for config_oracle.rs.
 *
 * The argument names a file with one request per line: a command and its arguments, tab separated,
 * the arguments in hex. The answer to each is some lines and a line with a dot. Nothing is started.
 */
public class ConfigDump {
    static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.US_ASCII);

    public static void main(String[] args) throws Exception {
        for (String line : Files.readAllLines(Path.of(args[0]))) {
            String[] words = line.split("\t", -1);
            byte[][] given = new byte[words.length - 1][];
            for (int i = 1; i < words.length; i++) given[i - 1] = HexFormat.of().parseHex(words[i]);
            try {
                answer(words[0], given);
            } catch (Throwable error) {
                print("error", error.getMessage());
            }
            OUT.println(".");
        }
        OUT.flush();
    }

    static void answer(String command, byte[][] given) throws Exception {
        switch (command) {
            case "table" -> table();
            case "load" -> strings(load(given[0])).forEach((key, value) -> print(key, value));
            case "value" -> value(text(given[0]), text(given[1]), text(given[2]));
            case "node" -> node(config(given[0]));
            case "describe" -> {
                String name = text(given[3]);
                describe(layers(given), ConfigResource.Type.BROKER, name, new Properties());
            }
            case "describe-topic" ->
                describe(layers(given), ConfigResource.Type.TOPIC, "t", load(given[3]));
            case "describe-group" ->
                describe(layers(given), ConfigResource.Type.GROUP, "g", load(given[3]));
            case "describe-client-metrics" ->
                describe(layers(given), ConfigResource.Type.CLIENT_METRICS, "c", load(given[3]));
            case "check-broker" -> {
                KafkaConfig config = layers(given);
                checkers(config);
                config.dynamicConfig().validate(load(given[4]), text(given[3]).equals("1"));
                print("ok");
            }
            case "check-topic" -> check(given, ConfigResource.Type.TOPIC, "t");
            case "check-group" -> check(given, ConfigResource.Type.GROUP, "g");
            case "check-client-metrics" -> check(given, ConfigResource.Type.CLIENT_METRICS, "c");
            default -> throw new IllegalArgumentException("no command " + command);
        }
    }

    static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    static Properties load(byte[] bytes) throws Exception {
        Properties properties = new Properties();
        properties.load(new ByteArrayInputStream(bytes));
        return properties;
    }

    /** A configuration as a broker has it once its LogManager stands. */
    static KafkaConfig config(byte[] file) throws Exception {
        KafkaConfig config = KafkaConfig.fromProps(load(file), false);
        boolean remote = config.remoteLogManagerConfig().isRemoteStorageSystemEnabled();
        LogConfig.validateBrokerLogConfigValues(config.extractLogConfigMap(), remote);
        new LogConfig(config.extractLogConfigMap());
        return config;
    }

    static KafkaConfig layers(byte[][] given) throws Exception {
        KafkaConfig config = config(given[0]);
        config.dynamicConfig().initialize(Option.empty());
        config.dynamicConfig().updateDefaultConfig(load(given[1]), false);
        config.dynamicConfig().updateBrokerConfig(config.brokerId(), load(given[2]), false);
        return config;
    }

    /** The parts of a broker that have a say in changes, without the broker. */
    static void checkers(KafkaConfig config) {
        KafkaBroker broker = (KafkaBroker) Proxy.newProxyInstance(
            ConfigDump.class.getClassLoader(), new Class<?>[] {KafkaBroker.class},
            (proxy, method, args) -> method.getName().equals("config") ? config : null);
        DynamicBrokerConfig dynamic = config.dynamicConfig();
        dynamic.addBrokerReconfigurable(new BrokerDynamicThreadPool(broker));
        dynamic.addBrokerReconfigurable(new DynamicLogConfig(null));
        dynamic.addBrokerReconfigurable(new DynamicListenerConfig(broker));
        dynamic.addBrokerReconfigurable(new DynamicRemoteLogConfig(broker));
        dynamic.addBrokerReconfigurable(new LogCleaner(new CleanerConfig(config), List.of(),
            new ConcurrentHashMap<>(), new LogDirFailureChannel(1), Time.SYSTEM));
    }

    static void check(byte[][] given, ConfigResource.Type type, String name) throws Exception {
        Map<String, String> existing = strings(load(given[1]));
        Map<String, String> proposed = strings(load(given[2]));
        new ControllerConfigurationValidator(config(given[0]))
            .validate(new ConfigResource(type, name), proposed, existing);
        print("ok");
    }

    static Map<String, String> strings(Properties properties) {
        Map<String, String> map = new TreeMap<>();
        properties.forEach((key, value) -> map.put((String) key, (String) value));
        return map;
    }

    static Map<String, ConfigKey> keys(String resource) {
        return switch (resource) {
            case "broker" -> AbstractKafkaConfig.CONFIG_DEF.configKeys();
            case "dynamic" -> {
                var keys = new TreeMap<>(DynamicConfig.Broker$.MODULE$.configKeys());
                keys.keySet().removeAll(AbstractKafkaConfig.CONFIG_DEF.names());
                yield keys;
            }
            case "topic" -> LogConfig.configKeys();
            case "group" -> GroupConfig.configDef().configKeys();
            case "client-metrics" -> ClientMetricsConfigs.configDef().configKeys();
            default -> throw new IllegalArgumentException(resource);
        };
    }

    static void table() {
        Map<String, String> modes = DynamicBrokerConfig$.MODULE$.dynamicConfigUpdateModes();
        for (String resource : List.of("broker", "dynamic", "topic", "group", "client-metrics")) {
            for (ConfigKey key : new TreeMap<>(keys(resource)).values()) {
                Object initial = key.defaultValue;
                boolean required = initial == ConfigDef.NO_DEFAULT_VALUE;
                String value = required ? "" : ConfigDef.convertToString(initial, key.type);
                print("key", resource, key.name, key.type.name(),
                    required ? "required" : value == null ? "null" : "=" + value,
                    key.validator == null ? "" : key.validator.toString(),
                    key.importance.name(), key.internalConfig ? "internal" : "public",
                    resource.equals("broker") ? modes.getOrDefault(key.name, "read-only") : "");
            }
        }
        ServerTopicConfigSynonyms.ALL_TOPIC_CONFIG_SYNONYMS.forEach((topicKey, synonyms) -> {
            List<String> words = new ArrayList<>(List.of("synonyms", topicKey));
            synonyms.forEach(s -> words.add(s.name() + "*" + s.converter().apply("1")));
            print(words.toArray(String[]::new));
        });
    }

    static void value(String resource, String name, String raw) {
        ConfigKey key = keys(resource).get(name);
        Object value = ConfigDef.parseType(name, raw, key.type);
        if (key.validator != null) key.validator.ensureValid(name, value);
        boolean secret = key.type == ConfigDef.Type.PASSWORD;
        print("ok", secret ? "" : ConfigDef.convertToString(value, key.type));
    }

    static void node(KafkaConfig config) {
        print("ids", "" + config.nodeId(), "" + config.brokerId());
        config.logDirs().forEach(dir -> print("dir", dir));
        print("metadata", config.metadataLogDir());
        print("times", "" + config.logRollTimeMillis(), "" + config.logRollTimeJitterMillis(),
            "" + config.logRetentionTimeMillis(), "" + config.logFlushIntervalMs());
        endpoints("listener", config.listeners());
        endpoints("broker", config.dataPlaneListeners());
        endpoints("controller", config.controllerListeners());
        endpoints("advertised", config.effectiveAdvertisedBrokerListeners());
        endpoints("advertised-controller", config.effectiveAdvertisedControllerListeners());
        print("inter", config.interBrokerListenerName().value(),
            config.interBrokerSecurityProtocol().name);
        new TreeMap<>(QuorumConfig.parseVoterConnections(config.quorumConfig().voters())).forEach(
            (id, at) -> print("voter", "" + id, at.getHostString(), "" + at.getPort()));
        QuorumConfig.parseBootstrapServers(config.quorumConfig().bootstrapServers()).forEach(
            at -> print("server", at.getHostString(), "" + at.getPort()));
    }

    static void endpoints(String word, scala.collection.Seq<Endpoint> endpoints) {
        CollectionConverters.asJava(endpoints).forEach(e ->
            print(word, e.listener(), e.host() == null ? "" : e.host(), "" + e.port(),
                e.securityProtocol().name));
    }

    static void describe(
            KafkaConfig config, ConfigResource.Type type, String name, Properties own) {
        MetadataCache cache = (MetadataCache) Proxy.newProxyInstance(
            ConfigDump.class.getClassLoader(), new Class<?>[] {MetadataCache.class},
            (proxy, method, args) -> method.getName().equals("contains"));
        ConfigRepository repository = resource -> own;
        var request = new DescribeConfigsResource().setResourceType(type.id()).setResourceName(name)
            .setConfigurationKeys(null);
        var requests = CollectionConverters.asScala(List.of(request)).toList();
        var helper = new ConfigHelper(cache, config, repository);
        var result = helper.describeConfigs(requests, true, true).head();
        if (result.errorCode() != 0) {
            print("error", result.errorMessage());
            return;
        }
        result.configs().stream().sorted((a, b) -> a.name().compareTo(b.name())).forEach(c -> {
            print("config", c.name(), c.value() == null ? "null" : "=" + c.value(),
                "" + c.configSource(), "" + c.readOnly(), "" + c.isSensitive(), "" + c.configType(),
                c.documentation() == null ? "no doc" : "doc");
            c.synonyms().forEach(s -> print("synonym", s.name(),
                s.value() == null ? "null" : "=" + s.value(), "" + s.source()));
        });
    }

    /** Words separated by tabs; whatever is not printable ASCII is written as a UTF-16 escape. */
    static void print(String... words) {
        for (int i = 0; i < words.length; i++) {
            if (i > 0) OUT.print('\t');
            String word = words[i] == null ? "null" : words[i];
            for (char c : word.toCharArray()) {
                if (c < ' ' || c > '~' || c == '\\') OUT.print(String.format("\\u%04x", (int) c));
                else OUT.print(c);
            }
        }
        OUT.println();
    }
}
