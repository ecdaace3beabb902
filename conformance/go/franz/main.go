// franz-go: kgo produces and consumes, in groups under each of its balancers and under the consumer
// protocol; kadm administers.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions = 4
	records    = 400
)

var run = strconv.FormatInt(time.Now().UnixNano(), 36)
var topic = "franz-" + run

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func client(options ...kgo.Opt) *kgo.Client {
	options = append(options, kgo.SeedBrokers(os.Args[1]))
	made, err := kgo.NewClient(options...)
	must(err)
	return made
}

func produce(ctx context.Context) int {
	codecs := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(),
		kgo.ZstdCompression(),
	}
	for _, codec := range codecs {
		producer := client(kgo.ProducerBatchCompression(codec),
			kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for i := 0; i < records; i++ {
			record := &kgo.Record{
				Topic: topic, Partition: int32(i % partitions),
				Key: []byte(strconv.Itoa(i)), Value: []byte("v" + strconv.Itoa(i)),
				Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}, {Key: "h"}},
			}
			producer.Produce(ctx, record, func(_ *kgo.Record, err error) { must(err) })
		}
		must(producer.Flush(ctx))
		producer.Close()
	}
	return len(codecs) * records
}

// Two members read everything between them and commit; a third begins where they ended.
func group(ctx context.Context, name string, total int, options ...kgo.Opt) {
	options = append(options, kgo.ConsumerGroup(name), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	members := []*kgo.Client{client(options...), client(options...)}
	seen := map[string]bool{}
	shared := func() bool {
		for _, member := range members {
			if len(member.CommittedOffsets()[topic]) == 0 && len(seen) < total {
				return false
			}
		}
		return true
	}
	for len(seen) < total || !shared() {
		for _, member := range members {
			poll, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			fetches := member.PollFetches(poll)
			cancel()
			fetches.EachRecord(func(r *kgo.Record) {
				seen[fmt.Sprintf("%d:%d", r.Partition, r.Offset)] = true
				if len(r.Headers) != 2 {
					log.Fatalf("headers %v", r.Headers)
				}
			})
			if !fetches.Empty() {
				must(member.CommitUncommittedOffsets(ctx))
			}
		}
	}
	for _, member := range members {
		must(member.CommitUncommittedOffsets(ctx))
		member.Close()
	}
	third := client(options...)
	poll, cancel := context.WithTimeout(ctx, 2*time.Second)
	again := third.PollFetches(poll)
	cancel()
	if again.NumRecords() != 0 {
		log.Fatalf("%s: %d records again", name, again.NumRecords())
	}
	third.Close()
	fmt.Println("group", name, len(seen))
}

func administer(ctx context.Context, total int, groups []string) {
	admin := kadm.NewClient(client())
	defer admin.Close()
	metadata, err := admin.Metadata(ctx, topic)
	must(err)
	must(metadata.Topics.Error())
	ends, err := admin.ListEndOffsets(ctx, topic)
	must(err)
	must(ends.Error())
	if end, _ := ends.Lookup(topic, 0); end.Offset != int64(total/partitions) {
		log.Fatalf("end %v", end)
	}
	for _, list := range []func(context.Context, ...string) (kadm.ListedOffsets, error){
		admin.ListStartOffsets, admin.ListCommittedOffsets, admin.ListMaxTimestampOffsets,
	} {
		offsets, err := list(ctx, topic)
		must(err)
		must(offsets.Error())
	}
	configs, err := admin.DescribeTopicConfigs(ctx, topic)
	must(err)
	must(configs[0].Err)
	value := "7654321"
	altered, err := admin.AlterTopicConfigs(ctx,
		[]kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}, topic)
	must(err)
	must(altered[0].Err)
	listed, err := admin.ListGroups(ctx)
	must(err)
	for _, name := range groups {
		if _, known := listed[name]; !known {
			log.Fatalf("%s is not listed", name)
		}
		committed, err := admin.FetchOffsets(ctx, name)
		must(err)
		must(committed.Error())
		if at, _ := committed.Lookup(topic, 1); at.At != int64(total/partitions) {
			log.Fatalf("%s has committed %v", name, at)
		}
	}
	// The last speaks the consumer protocol; kadm's Lag asks DescribeGroups, which knows no such group.
	next := groups[len(groups)-1]
	described, err := admin.DescribeConsumerGroups(ctx, next)
	must(err)
	if described[next].State != "Empty" {
		log.Fatalf("%v", described[next])
	}
	lags, err := admin.Lag(ctx, groups[:len(groups)-1]...)
	must(err)
	lags.Each(func(lag kadm.DescribedGroupLag) {
		if err := lag.Error(); err != nil {
			log.Fatalf("lag of %s: %v", lag.Group, err)
		}
	})
	dirs, err := admin.DescribeAllLogDirs(ctx, nil)
	must(err)
	for _, of := range dirs {
		must(of.Error())
	}
	_, err = admin.ListPartitionReassignments(ctx, nil)
	must(err)
	_, err = admin.DescribeBrokerConfigs(ctx, 1)
	must(err)
	grown, err := admin.CreatePartitions(ctx, 1, topic)
	must(err)
	must(grown[topic].Err)
	deleted, err := admin.DeleteRecords(ctx, kadm.OffsetsFromRecords(kgo.Record{
		Topic: topic, Partition: 0, Offset: 5, LeaderEpoch: -1}))
	must(err)
	must(deleted.Error())
	gone, err := admin.DeleteGroups(ctx, groups...)
	must(err)
	for name, result := range gone {
		if result.Err != nil {
			log.Fatalf("deleting %s: %v", name, result.Err)
		}
	}
	removed, err := admin.DeleteTopics(ctx, topic)
	must(err)
	must(removed.Error())
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	admin := kadm.NewClient(client())
	created, err := admin.CreateTopics(ctx, partitions, 1, nil, topic)
	must(err)
	must(created.Error())
	admin.Close()
	total := produce(ctx)
	balancers := map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "round-robin": kgo.RoundRobinBalancer(),
		"sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer(),
	}
	groups := []string{}
	for name, balancer := range balancers {
		name = name + "-" + run
		group(ctx, name, total, kgo.Balancers(balancer))
		groups = append(groups, name)
	}
	// KIP-848, which the client still hides behind a key of its context.
	next := context.WithValue(ctx, "opt_in_kafka_next_gen_balancer_beta", true)
	group(next, "next-"+run, total, kgo.WithContext(next), kgo.Balancers(kgo.RangeBalancer()))
	groups = append(groups, "next-"+run)
	administer(ctx, total, groups)
	fmt.Println("done")
}
