"""A script of somebody's notes, run as it was written down, against BOOTSTRAP.

  seeds.py BOOTSTRAP SCRIPT

Two things are changed: the address, and a string that a line break of the page cut in two. What the
script leaves undone at its end, flushing, is done for it, and its records are looked for.
"""

import pathlib
import sys

bootstrap, script = sys.argv[1], pathlib.Path(sys.argv[2])
text = script.read_text()
assert "'localhost:9092'" in text
text = text.replace("localhost:9092", bootstrap).replace("{msg.topic()}\n        [", "{msg.topic()} [")
names = {}
exec(compile(text, script.name, "exec"), names)
assert names["producer"].flush(20) == 0

from confluent_kafka import Consumer, TopicPartition

expected = {
    "delivery_report": ("products.prices.changelog", {b"cola": b"2"}),
    "transaction": ("customer.balance", {b"bob": b"-10", b"alice": b"+10"}),
}
topic, records = expected[script.stem]
consumer = Consumer({
    "bootstrap.servers": bootstrap, "group.id": "seeds", "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
})
partitions = consumer.list_topics(topic, 20).topics[topic].partitions
consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
found = {}
while found != records:
    message = consumer.poll(20)
    assert message is not None, f"only {found}"
    if message.error() is None:
        found[message.key()] = message.value()
consumer.close()
print("done")
