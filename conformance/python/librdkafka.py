"""confluent-kafka for Python: groups under every assignor, and its administration.

  librdkafka.py BOOTSTRAP
"""

import sys
import uuid

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBindingFilter, AclOperation, AclPermissionType, AdminClient, AlterConfigOpType, ConfigEntry,
    ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourcePatternType, ResourceType)
from confluent_kafka import ConsumerGroupState, TopicCollection

BOOTSTRAP = {"bootstrap.servers": sys.argv[1]}
RUN = uuid.uuid4().hex[:8]
TOPIC, PARTITIONS, RECORDS = f"python-{RUN}", 4, 400
admin = AdminClient(BOOTSTRAP)


def done(futures):
    return {key: future.result(30) for key, future in futures.items()}


def produce(codec, **more):
    producer = Producer({**BOOTSTRAP, "compression.type": codec, "linger.ms": 5, **more})
    failed = []
    for i in range(RECORDS):
        producer.produce(TOPIC, key=str(i), value=f"{codec}-{i}", headers=[("h", b"1"), ("h", None)],
                         partition=i % PARTITIONS,
                         on_delivery=lambda e, m: failed.append(e) if e else None)
    assert producer.flush(30) == 0 and not failed, failed


def group(name, count, settings):
    """Two members read all of it, each partition by one of them; a third begins where they ended."""
    config = {**BOOTSTRAP, "group.id": f"{name}-{RUN}", "auto.offset.reset": "earliest",
              "enable.auto.commit": False, **settings}
    members = [Consumer(config) for _ in range(2)]
    for member in members:
        member.subscribe([TOPIC])
    seen = set()
    while len(seen) < count or any(len(m.assignment()) != PARTITIONS // 2 for m in members):
        for member in members:
            message = member.poll(0.05)
            if message is not None and message.error() is None:
                seen.add((message.partition(), message.offset()))
                assert message.headers() == [("h", b"1"), ("h", None)], message.headers()
    owned = sorted(p.partition for m in members for p in m.assignment())
    assert owned == list(range(PARTITIONS)), owned
    for member in members:
        ends = [TopicPartition(TOPIC, p.partition, count // PARTITIONS) for p in member.assignment()]
        member.commit(offsets=ends, asynchronous=False)
    for member in members:
        member.close()
    third = Consumer(config)
    third.subscribe([TOPIC])
    while len(third.assignment()) < PARTITIONS:
        assert third.poll(0.1) is None, "it reads again what was committed"
    committed = third.committed(third.assignment(), timeout=20)
    assert [p.offset for p in committed] == [count // PARTITIONS] * PARTITIONS, committed
    third.close()
    print(f"group {name}: {len(seen)} records")


def administer():
    topics = TopicCollection([TOPIC])
    assert len(admin.describe_topics(topics)[TOPIC].result(30).partitions) == PARTITIONS
    assert admin.describe_cluster().result(30).nodes
    resource = ConfigResource(ConfigResource.Type.TOPIC, TOPIC, incremental_configs=[
        ConfigEntry("retention.ms", "1234567", incremental_operation=AlterConfigOpType.SET)])
    done(admin.incremental_alter_configs([resource]))
    described = done(admin.describe_configs([ConfigResource("topic", TOPIC)]))
    assert next(iter(described.values()))["retention.ms"].value == "1234567"
    done(admin.create_partitions([NewPartitions(TOPIC, PARTITIONS + 1)]))
    latest = done(admin.list_offsets({TopicPartition(TOPIC, 0): OffsetSpec.latest()}))
    end = next(iter(latest.values())).offset
    low = done(admin.delete_records([TopicPartition(TOPIC, 0, end)]))
    assert next(iter(low.values())).low_watermark == end
    listed = admin.list_consumer_groups(states={ConsumerGroupState.EMPTY}).result(30).valid
    ids = [g.group_id for g in listed if g.group_id.endswith(RUN)]
    assert len(ids) == 4, ids
    done(admin.describe_consumer_groups(ids))
    stored = [ConsumerGroupTopicPartitions(ids[0])]
    assert len(done(admin.list_consumer_group_offsets(stored))[ids[0]].topic_partitions) == PARTITIONS
    done(admin.delete_consumer_groups(ids))
    acls = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None,
                            AclOperation.ANY, AclPermissionType.ANY)
    try:
        admin.describe_acls(acls).result(30)
    except Exception as error:  # librdkafka's own class, by name
        assert "SECURITY_DISABLED" in str(error), error
    done(admin.delete_topics([TOPIC]))


done(admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]))
for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
    produce(codec, **{"enable.idempotence": codec == "zstd"})
total = 5 * RECORDS
for strategy in ("range", "roundrobin", "cooperative-sticky"):
    group(strategy, total, {"partition.assignment.strategy": strategy})
group("consumer", total, {"group.protocol": "consumer"})
administer()
print("done")
