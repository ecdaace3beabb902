"""aiokafka: codecs, a group of two, seeking, and its administration.

  aiokafka_client.py BOOTSTRAP
"""

import asyncio
import sys
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

BOOTSTRAP = sys.argv[1]
TOPIC, PARTITIONS, RECORDS = f"aiokafka-{uuid.uuid4().hex[:8]}", 4, 200
CODECS = [None, "gzip", "snappy", "lz4", "zstd"]


async def produce():
    for codec in CODECS:
        async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=codec,
                                    enable_idempotence=codec is None) as producer:
            sent = [await producer.send(TOPIC, b"v%d" % i, key=b"%d" % i, partition=i % PARTITIONS,
                                        headers=[("h", b"1")]) for i in range(RECORDS)]
            for future in sent:
                await future


def member(group):
    return AIOKafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, group_id=group,
                            auto_offset_reset="earliest", enable_auto_commit=False)


async def consume(total):
    group = f"{TOPIC}-group"
    members = [member(group), member(group)]
    await asyncio.gather(*(m.start() for m in members))
    seen = set()
    while len(seen) < total or any(len(m.assignment()) != 2 for m in members):
        for it in members:
            for batch in (await it.getmany(timeout_ms=100)).values():
                seen.update((record.partition, record.offset) for record in batch)
    for it in members:
        await it.commit({p: total // PARTITIONS for p in it.assignment()})
        await it.stop()
    again = member(group)
    await again.start()
    first = TopicPartition(TOPIC, 0)
    assert await again.committed(first) == total // PARTITIONS
    ends = await again.end_offsets([first])
    assert ends[first] == total // PARTITIONS, ends
    again.seek(first, 7)
    assert (await again.getone(first)).offset == 7
    await again.stop()
    return group


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
    await produce()
    group = await consume(RECORDS * len(CODECS))
    assert group in [name for name, _ in await admin.list_consumer_groups()]
    assert await admin.describe_consumer_groups([group])
    assert len(await admin.list_consumer_group_offsets(group)) == PARTITIONS
    assert (await admin.describe_topics([TOPIC]))[0]["error_code"] == 0
    await admin.delete_topics([TOPIC])
    await admin.close()
    print("done")


asyncio.run(main())
