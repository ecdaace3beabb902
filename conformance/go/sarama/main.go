// sarama: producing with every codec, a consumer group of two under each strategy, and its
// administration.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

const (
	partitions = 4
	records    = 400
)

var run = strconv.FormatInt(time.Now().UnixNano(), 36)
var topic = "sarama-" + run

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func config() *sarama.Config {
	made := sarama.NewConfig()
	made.Version = sarama.V4_1_0_0
	made.Producer.Return.Successes = true
	made.Producer.Partitioner = sarama.NewManualPartitioner
	made.Consumer.Offsets.Initial = sarama.OffsetOldest
	made.Consumer.Offsets.AutoCommit.Enable = false
	return made
}

func produce() int {
	codecs := []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy,
		sarama.CompressionLZ4, sarama.CompressionZSTD,
	}
	for _, codec := range codecs {
		settings := config()
		settings.Producer.Compression = codec
		settings.Producer.RequiredAcks = sarama.WaitForAll
		if codec == sarama.CompressionNone {
			settings.Producer.Idempotent = true
			settings.Net.MaxOpenRequests = 1
		}
		producer, err := sarama.NewSyncProducer([]string{os.Args[1]}, settings)
		must(err)
		batch := []*sarama.ProducerMessage{}
		for i := 0; i < records; i++ {
			batch = append(batch, &sarama.ProducerMessage{
				Topic: topic, Partition: int32(i % partitions),
				Key: sarama.StringEncoder(strconv.Itoa(i)), Value: sarama.StringEncoder("v"),
				Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: []byte("1")}},
			})
		}
		must(producer.SendMessages(batch))
		must(producer.Close())
	}
	return len(codecs) * records
}

// What the members of a group have seen.
type reader struct {
	lock   sync.Mutex
	seen   map[string]bool
	claims map[string]int
}

func (r *reader) Setup(session sarama.ConsumerGroupSession) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.claims[session.MemberID()] = len(session.Claims()[topic])
	return nil
}

func (r *reader) Cleanup(session sarama.ConsumerGroupSession) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	delete(r.claims, session.MemberID())
	session.Commit()
	return nil
}

func (r *reader) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-c.Messages():
			if !open {
				return nil
			}
			r.lock.Lock()
			r.seen[fmt.Sprintf("%d:%d", message.Partition, message.Offset)] = true
			r.lock.Unlock()
			s.MarkMessage(message, "")
		case <-s.Context().Done():
			return nil
		}
	}
}

func (r *reader) isDone(total int) bool {
	r.lock.Lock()
	defer r.lock.Unlock()
	shared := 0
	for _, claims := range r.claims {
		if claims == partitions/2 {
			shared++
		}
	}
	return len(r.seen) == total && shared == 2
}

func group(name string, total int, strategy sarama.BalanceStrategy) {
	settings := config()
	settings.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
	ctx, cancel := context.WithCancel(context.Background())
	readers := &reader{seen: map[string]bool{}, claims: map[string]int{}}
	var running sync.WaitGroup
	for i := 0; i < 2; i++ {
		member, err := sarama.NewConsumerGroup([]string{os.Args[1]}, name, settings)
		must(err)
		running.Add(1)
		go func() {
			defer running.Done()
			for ctx.Err() == nil {
				if err := member.Consume(ctx, []string{topic}, readers); err != nil && ctx.Err() == nil {
					log.Fatal(err)
				}
			}
			must(member.Close())
		}()
	}
	for deadline := time.Now().Add(time.Minute); !readers.isDone(total); {
		if time.Now().After(deadline) {
			log.Fatalf("%s: %d of %d, %v", name, len(readers.seen), total, readers.claims)
		}
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	running.Wait()
	fmt.Println("group", name, len(readers.seen))
}

func administer(admin sarama.ClusterAdmin, total int, groups []string) {
	described, err := admin.DescribeTopics([]string{topic})
	must(err)
	if len(described[0].Partitions) != partitions {
		log.Fatalf("%v", described[0])
	}
	_, err = admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	must(err)
	value := "7654321"
	must(admin.IncrementalAlterConfig(sarama.TopicResource, topic,
		map[string]sarama.IncrementalAlterConfigsEntry{
			"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value},
		}, false))
	listed, err := admin.ListConsumerGroups()
	must(err)
	for _, name := range groups {
		if _, known := listed[name]; !known {
			log.Fatalf("%s is not listed", name)
		}
		offsets, err := admin.ListConsumerGroupOffsets(name, nil)
		must(err)
		if at := offsets.GetBlock(topic, 0); at == nil || at.Offset != int64(total/partitions) {
			log.Fatalf("%s has committed %v", name, at)
		}
	}
	states, err := admin.DescribeConsumerGroups(groups)
	must(err)
	if states[0].State != "Empty" {
		log.Fatalf("%v", states[0])
	}
	_, err = admin.DescribeLogDirs([]int32{1})
	must(err)
	_, err = admin.ListPartitionReassignments(topic, []int32{0})
	must(err)
	must(admin.CreatePartitions(topic, partitions+1, nil, false))
	must(admin.DeleteRecords(topic, map[int32]int64{0: 5}))
	for _, name := range groups {
		must(admin.DeleteConsumerGroup(name))
	}
	must(admin.DeleteTopic(topic))
}

func main() {
	admin, err := sarama.NewClusterAdmin([]string{os.Args[1]}, config())
	must(err)
	must(admin.CreateTopic(topic, &sarama.TopicDetail{
		NumPartitions: partitions, ReplicationFactor: 1}, false))
	total := produce()
	groups := []string{}
	for _, strategy := range []sarama.BalanceStrategy{
		sarama.NewBalanceStrategyRange(), sarama.NewBalanceStrategyRoundRobin(),
		sarama.NewBalanceStrategySticky(),
	} {
		name := strategy.Name() + "-" + run
		group(name, total, strategy)
		groups = append(groups, name)
	}
	administer(admin, total, groups)
	must(admin.Close())
	fmt.Println("done")
}
