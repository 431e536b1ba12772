package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go"

	"doorward/detect"
)

// Topic is a topic that Doorward writes.
type Topic struct {
	Name   string
	Config map[string]string // settings it is created with; an existing topic keeps its own
}

// Outputs are the topics Doorward writes. A dead letter carries a whole record of another topic and some headers, so that its topic takes
// a little more than a broker's default of 1 MiB; the audit trail is kept until somebody decides otherwise.
func Outputs() []Topic {
	return []Topic{
		{Name: detect.TopicState, Config: map[string]string{"cleanup.policy": "compact"}},
		{Name: detect.TopicFindings},
		{Name: detect.TopicNotices},
		{Name: detect.TopicAudit, Config: map[string]string{"retention.ms": "-1", "retention.bytes": "-1"}},
		{Name: detect.TopicDead, Config: map[string]string{"max.message.bytes": "1179648"}},
	}
}

// EnsureTopics creates the topics that are missing (inputs with LogAppendTime), checks that all input topics have the same number of
// partitions, and returns it. Warnings are sentences for the log: nothing is wrong yet, but somebody should know.
func (c *Client) EnsureTopics(ctx context.Context, outputs []Topic) (partitions int, warnings []string, err error) {
	if len(c.cfg.Inputs) == 0 {
		return 0, nil, errors.New("topics: no input topic given")
	}
	wanted := slices.Clone(outputs)
	for _, t := range c.cfg.Inputs {
		wanted = append(wanted, Topic{Name: t, Config: map[string]string{"message.timestamp.type": "LogAppendTime"}})
	}
	counts, brokers, err := c.counts(ctx, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("read the list of topics: %w", err)
	}
	if err := c.create(ctx, wanted, counts, brokers); err != nil {
		return 0, nil, err
	}
	names := make([]string, 0, len(wanted))
	for _, t := range wanted {
		names = append(names, t.Name)
	}
	if err := c.again(ctx, func(ctx context.Context) (err error) {
		if counts, _, err = c.counts(ctx, names); err != nil {
			return err
		}
		for _, n := range names {
			if counts[n] == 0 {
				return fmt.Errorf("topic %s: %w", n, kafka.UnknownTopicOrPartition)
			}
		}
		return nil
	}); err != nil {
		return 0, nil, fmt.Errorf("wait for the topics: %w", err)
	}
	first := c.cfg.Inputs[0]
	for _, t := range c.cfg.Inputs[1:] {
		if counts[t] != counts[first] {
			return 0, nil, &PartitionsError{Topic: t, Have: counts[t], Was: counts[first], Other: first}
		}
	}
	c.mu.Lock()
	c.partitions = counts[first]
	c.mu.Unlock()
	return counts[first], c.settings(ctx, outputs), nil
}

// create makes those of wanted that counts does not know.
func (c *Client) create(ctx context.Context, wanted []Topic, counts map[string]int, brokers int) error {
	partitions := c.cfg.Partitions
	for _, t := range c.cfg.Inputs {
		if counts[t] > 0 {
			partitions = counts[t] // a new input topic beside an old one has as many
			break
		}
	}
	for _, t := range wanted {
		if counts[t.Name] > 0 {
			continue
		}
		n := c.cfg.Partitions
		if slices.Contains(c.cfg.Inputs, t.Name) {
			n = partitions
		}
		config := kafka.TopicConfig{Topic: t.Name, NumPartitions: n, ReplicationFactor: min(3, max(brokers, 1))}
		for _, k := range slices.Sorted(maps.Keys(t.Config)) {
			config.ConfigEntries = append(config.ConfigEntries, kafka.ConfigEntry{ConfigName: k, ConfigValue: t.Config[k]})
		}
		err := c.again(ctx, func(ctx context.Context) error {
			r, err := c.api.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})
			if err != nil {
				return err
			}
			return r.Errors[t.Name]
		})
		switch {
		case err == nil:
			c.cfg.Log.Info("kafka: topic created", "topic", t.Name, "partitions", n, "replication", config.ReplicationFactor)
		case errors.Is(err, kafka.TopicAlreadyExists):
		case errors.Is(err, kafka.TopicAuthorizationFailed), errors.Is(err, kafka.ClusterAuthorizationFailed):
			return fmt.Errorf("create topic %s: user %q may not create topics: create it with %d partitions%s, or allow it: %w",
				t.Name, c.cfg.User, n, settingsText(config.ConfigEntries), err)
		default:
			return fmt.Errorf("create topic %s with %d partitions, replication %d: %w", t.Name, n, config.ReplicationFactor, err)
		}
	}
	return nil
}

func settingsText(entries []kafka.ConfigEntry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, ", %s=%s", e.ConfigName, e.ConfigValue)
	}
	return b.String()
}

// counts is how many partitions each topic has; names nil asks for all topics. Topics that do not exist are absent.
func (c *Client) counts(ctx context.Context, names []string) (counts map[string]int, brokers int, err error) {
	err = c.again(ctx, func(ctx context.Context) error {
		m, err := c.api.Metadata(ctx, &kafka.MetadataRequest{Topics: names})
		if err != nil {
			return err
		}
		counts, brokers = map[string]int{}, len(m.Brokers)
		for _, t := range m.Topics {
			if t.Error == nil && len(t.Partitions) > 0 {
				counts[t.Name] = len(t.Partitions)
			}
		}
		return nil
	})
	return counts, brokers, err
}

// settings looks at how existing topics are set up and says what will hurt.
func (c *Client) settings(ctx context.Context, outputs []Topic) (warnings []string) {
	for _, t := range c.cfg.Inputs {
		v, err := c.setting(ctx, t, "message.timestamp.type")
		switch {
		case err != nil:
			warnings = append(warnings, fmt.Sprintf("topic %s: its settings can't be read (%v): make sure that message.timestamp.type is LogAppendTime", t, err))
		case v != "LogAppendTime":
			warnings = append(warnings, fmt.Sprintf("topic %s: message.timestamp.type is %s: a producer's wrong clock makes its events early or late; set LogAppendTime", t, v))
		}
	}
	for _, t := range outputs {
		if t.Config["cleanup.policy"] != "compact" {
			continue
		}
		v, err := c.setting(ctx, t.Name, "cleanup.policy")
		if err == nil && !strings.Contains(v, "compact") {
			warnings = append(warnings, fmt.Sprintf("topic %s: cleanup.policy is %s: states would be forgotten; set compact", t.Name, v))
		}
	}
	return warnings
}

// setting is the value of one of a topic's settings.
func (c *Client) setting(ctx context.Context, topic, name string) (value string, err error) {
	err = c.again(ctx, func(ctx context.Context) error {
		r, err := c.api.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{
			{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{name}}}})
		if err != nil {
			return err
		}
		for _, res := range r.Resources {
			if res.Error != nil {
				return res.Error
			}
			for _, e := range res.ConfigEntries {
				if e.ConfigName == name {
					value = e.ConfigValue
					return nil
				}
			}
		}
		return fmt.Errorf("the broker does not tell %s", name)
	})
	return value, err
}

// ClusterID is the cluster's own name for itself: a store that has read from another one is not to go on here.
func (c *Client) ClusterID(ctx context.Context) (id string, err error) {
	err = c.again(ctx, func(ctx context.Context) error {
		m, err := c.api.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{}})
		if err != nil {
			return err
		}
		id = m.ClusterID
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("ask for the cluster's id: %w", err)
	}
	return id, nil
}
