// kafkajs, which knows no flexible version of any API: producing, a group of two, seeking, and its
// administration.
//
//   kafkajs.js BOOTSTRAP
"use strict";
const assert = require("node:assert");
const { randomUUID } = require("node:crypto");
const { AssignerProtocol, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require("kafkajs");

const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.ERROR });
const run = randomUUID().slice(0, 8);
const topic = `kafkajs-${run}`;
const groupId = `kafkajs-group-${run}`;
const partitions = 4;
const records = 400;

async function until(what, condition) {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function produce() {
  for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
    const idempotent = compression === CompressionTypes.None;
    const producer = kafka.producer({ idempotent, maxInFlightRequests: 1 });
    await producer.connect();
    const messages = Array.from({ length: records }, (_, i) => ({
      key: `${i}`, value: `v${i}`, partition: i % partitions, headers: { h: ["1", "2"] },
    }));
    const results = await producer.send({ topic, acks: -1, compression, messages });
    assert(results.every((result) => result.errorCode === 0));
    await producer.disconnect();
  }
  return 2 * records;
}

async function member(seen) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 300,
    maxWaitTimeInMs: 200 });
  consumer.parts = 0;
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    consumer.parts = (payload.memberAssignment[topic] || []).length;
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      assert.deepStrictEqual(message.headers.h.map(String), ["1", "2"]);
      seen.add(`${partition}:${message.offset}`);
    },
  });
  return consumer;
}

async function consume(total) {
  const seen = new Set();
  const members = [await member(seen)];
  await until("one reads all", () => seen.size === total);
  members.push(await member(seen));
  await until("two share", () => members.every((m) => m.parts === partitions / 2));
  const described = await members[0].describeGroup();
  assert.strictEqual(described.members.length, 2);
  assert.strictEqual(described.state, "Stable");
  const protocol = AssignerProtocol.MemberAssignment.decode(described.members[0].memberAssignment);
  assert.strictEqual(protocol.assignment[topic].length, partitions / 2);
  for (const each of members) await each.disconnect();
}

async function administer(admin, total) {
  const each = total / partitions;
  const offsets = await admin.fetchOffsets({ groupId, topics: [topic] });
  assert(offsets[0].partitions.every((p) => Number(p.offset) === each), JSON.stringify(offsets));
  const ends = await admin.fetchTopicOffsets(topic);
  assert(ends.every((p) => Number(p.high) === each && p.low === "0"));
  const now = await admin.fetchTopicOffsetsByTimestamp(topic, 0);
  assert(now.every((p) => p.offset === "0"), JSON.stringify(now));
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: "3" }] });
  await admin.resetOffsets({ groupId, topic, earliest: true });
  const { resources } = await admin.describeConfigs({
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: ["retention.ms"] }],
  });
  assert.strictEqual(resources[0].configEntries[0].configValue, "604800000");
  await admin.alterConfigs({
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic,
      configEntries: [{ name: "retention.ms", value: "7654321" }] }],
  });
  await admin.createPartitions({ topicPartitions: [{ topic, count: partitions + 1 }] });
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "5" }] });
  const cluster = await admin.describeCluster();
  assert.strictEqual(cluster.brokers.length, 1);
  const { groups } = await admin.listGroups();
  assert(groups.some((group) => group.groupId === groupId));
  assert.strictEqual((await admin.describeGroups([groupId])).groups[0].state, "Empty");
  await admin.listPartitionReassignments({ topics: [{ topic, partitions: [0] }] });
  await assert.rejects(admin.describeAcls({
    resourceType: 2, resourceName: topic, resourcePatternType: 3, principal: "User:a", host: "*",
    operation: 2, permissionType: 3,
  }), /SECURITY_DISABLED|[Ss]ecurity features are disabled/);
  await admin.deleteGroups([groupId]);
  await admin.deleteTopics({ topics: [topic] });
}

async function main() {
  const admin = kafka.admin();
  await admin.connect();
  assert(await admin.createTopics({ topics: [{ topic, numPartitions: partitions }] }));
  const metadata = await admin.fetchTopicMetadata({ topics: [topic] });
  assert.strictEqual(metadata.topics[0].partitions.length, partitions);
  const total = await produce();
  await consume(total);
  await administer(admin, total);
  await admin.disconnect();
  console.log("done");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
