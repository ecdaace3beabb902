"""kafka-python: codecs, a group, and its administration.

  kafka_python_client.py BOOTSTRAP
"""

import sys
import uuid

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

BOOTSTRAP = sys.argv[1]
TOPIC, PARTITIONS, RECORDS = f"kafka-python-{uuid.uuid4().hex[:8]}", 4, 200
CODECS = [None, "gzip", "snappy", "lz4", "zstd"]

admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
for codec in CODECS:
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=codec, acks="all")
    sent = [producer.send(TOPIC, b"v%d" % i, key=b"%d" % i, partition=i % PARTITIONS,
                          headers=[("h", b"1")]) for i in range(RECORDS)]
    for future in sent:
        future.get(20)
    producer.close()
total, group = RECORDS * len(CODECS), f"{TOPIC}-group"


def member():
    return KafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, group_id=group,
                         auto_offset_reset="earliest", enable_auto_commit=False)


consumer, seen = member(), set()
while len(seen) < total:
    for batch in consumer.poll(1000).values():
        seen.update((record.partition, record.offset) for record in batch)
consumer.commit()
consumer.close()
again = member()
first = TopicPartition(TOPIC, 0)
assert again.committed(first) == total // PARTITIONS
assert again.end_offsets([first])[first] == total // PARTITIONS
again.close()
assert group in str(admin.list_groups() if hasattr(admin, "list_groups") else admin.list_consumer_groups())
admin.delete_topics([TOPIC])
admin.close()
print("done")
