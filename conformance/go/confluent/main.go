// confluent-kafka-go, on librdkafka: producing, a group under the classic and one under the consumer
// protocol, and its administration.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const (
	partitions = 4
	records    = 400
)

var run = strconv.FormatInt(time.Now().UnixNano(), 36)
var topic = "confluent-go-" + run

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func produce() int {
	codecs := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	for _, codec := range codecs {
		producer, err := kafka.NewProducer(&kafka.ConfigMap{
			"bootstrap.servers": os.Args[1], "compression.type": codec,
			"enable.idempotence": codec == "none",
		})
		must(err)
		reports := make(chan kafka.Event, records)
		for i := 0; i < records; i++ {
			must(producer.Produce(&kafka.Message{
				TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: int32(i % partitions)},
				Key:            []byte(strconv.Itoa(i)),
				Value:          []byte("v"),
				Headers:        []kafka.Header{{Key: "h", Value: []byte("1")}},
			}, reports))
		}
		for i := 0; i < records; i++ {
			must((<-reports).(*kafka.Message).TopicPartition.Error)
		}
		producer.Close()
	}
	return len(codecs) * records
}

func group(name string, total int, settings kafka.ConfigMap) {
	settings["bootstrap.servers"] = os.Args[1]
	settings["group.id"] = name
	settings["auto.offset.reset"] = "earliest"
	settings["enable.auto.commit"] = false
	members := []*kafka.Consumer{}
	for i := 0; i < 2; i++ {
		member, err := kafka.NewConsumer(&settings)
		must(err)
		must(member.Subscribe(topic, nil))
		members = append(members, member)
	}
	seen := map[string]bool{}
	shared := func() bool {
		for _, member := range members {
			assigned, err := member.Assignment()
			must(err)
			if len(assigned) != partitions/2 {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(time.Minute); len(seen) < total || !shared(); {
		if time.Now().After(deadline) {
			log.Fatalf("%s: %d of %d", name, len(seen), total)
		}
		for _, member := range members {
			if message, is := member.Poll(20).(*kafka.Message); is {
				at := message.TopicPartition
				seen[fmt.Sprintf("%d:%d", at.Partition, at.Offset)] = true
			}
		}
	}
	for _, member := range members {
		assigned, err := member.Assignment()
		must(err)
		for i := range assigned {
			assigned[i].Offset = kafka.Offset(total / partitions)
		}
		_, err = member.CommitOffsets(assigned)
		must(err)
		must(member.Close())
	}
	fmt.Println("group", name, len(seen))
}

func administer(ctx context.Context, admin *kafka.AdminClient, total int, groups []string) {
	_, err := admin.DescribeTopics(ctx, kafka.NewTopicCollectionOfTopicNames([]string{topic}))
	must(err)
	_, err = admin.DescribeCluster(ctx)
	must(err)
	_, err = admin.DescribeConfigs(ctx, []kafka.ConfigResource{
		{Type: kafka.ResourceTopic, Name: topic}})
	must(err)
	listed, err := admin.ListConsumerGroups(ctx)
	must(err)
	known := map[string]bool{}
	for _, group := range listed.Valid {
		known[group.GroupID] = true
	}
	for _, name := range groups {
		if !known[name] {
			log.Fatalf("%s is not listed", name)
		}
		offsets, err := admin.ListConsumerGroupOffsets(ctx,
			[]kafka.ConsumerGroupTopicPartitions{{Group: name}})
		must(err)
		for _, at := range offsets.ConsumerGroupsTopicPartitions[0].Partitions {
			if at.Offset != kafka.Offset(total/partitions) {
				log.Fatalf("%s has committed %v", name, at)
			}
		}
	}
	_, err = admin.DescribeConsumerGroups(ctx, groups)
	must(err)
	_, err = admin.ListOffsets(ctx, map[kafka.TopicPartition]kafka.OffsetSpec{
		{Topic: &topic, Partition: 0}: kafka.LatestOffsetSpec})
	must(err)
	_, err = admin.CreatePartitions(ctx, []kafka.PartitionsSpecification{
		{Topic: topic, IncreaseTo: partitions + 1}})
	must(err)
	_, err = admin.DeleteRecords(ctx, []kafka.TopicPartition{
		{Topic: &topic, Partition: 0, Offset: 5}})
	must(err)
	gone, err := admin.DeleteConsumerGroups(ctx, groups)
	must(err)
	for _, result := range gone.ConsumerGroupResults {
		if result.Error.Code() != kafka.ErrNoError {
			log.Fatal(result.Error)
		}
	}
	_, err = admin.DeleteTopics(ctx, []string{topic})
	must(err)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	admin, err := kafka.NewAdminClient(&kafka.ConfigMap{"bootstrap.servers": os.Args[1]})
	must(err)
	created, err := admin.CreateTopics(ctx, []kafka.TopicSpecification{
		{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}})
	must(err)
	if created[0].Error.Code() != kafka.ErrNoError {
		log.Fatal(created[0].Error)
	}
	total := produce()
	groups := []string{"range-" + run, "cooperative-" + run, "consumer-" + run}
	group(groups[0], total, kafka.ConfigMap{"partition.assignment.strategy": "range"})
	group(groups[1], total, kafka.ConfigMap{"partition.assignment.strategy": "cooperative-sticky"})
	group(groups[2], total, kafka.ConfigMap{"group.protocol": "consumer"})
	administer(ctx, admin, total, groups)
	admin.Close()
	fmt.Println("done")
}
