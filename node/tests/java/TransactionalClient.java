import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;

/** What becomes of a transactional producer: which error, and that it ends the producer. */
public class TransactionalClient {
    public static void main(String[] args) {
        Map<String, Object> config = Map.of(
            "bootstrap.servers", args[0],
            "transactional.id", "tx",
            "max.block.ms", "20000",
            "key.serializer", "org.apache.kafka.common.serialization.StringSerializer",
            "value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        KafkaProducer<String, String> producer = new KafkaProducer<>(config);
        try {
            producer.initTransactions();
            System.out.println("initialised");
        } catch (KafkaException error) {
            System.out.println("init: " + error.getClass().getSimpleName());
        }
        try {
            producer.beginTransaction();
            producer.send(new ProducerRecord<>("t", "v")).get();
            System.out.println("sent");
        } catch (Exception error) {
            System.out.println("then: " + error.getClass().getSimpleName());
        }
        producer.close(java.time.Duration.ZERO);
    }
}
