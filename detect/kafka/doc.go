// Package kafka owns everything that is said to a broker: who reads which shard, how records are fetched, where what Doorward decides is
// published, and the broker inside the process for a first run. It is the only package that imports kafka-go and kfake.
//
// Invariant: a shard's source hands out every committed record of its partitions once, in order, from the position it was opened at, or
// ends with an error that names topic, partition and offset. It never jumps: a log that lost records (*GapError) or is another one than
// before (*RecreatedError) ends the shard. Positions live in the store; what is committed to Kafka only feeds lag dashboards.
//
// How a record gets here (why not kafka-go's Reader: reference architecture 2.3, 2.7):
//
//	Connect      names what is wrong with address, TLS, user and password, before anything else runs
//	EnsureTopics makes what is missing; every input topic has the same number of partitions
//	Run          joins the group; the member that holds the store gets every shard; one goroutine a shard
//	source       checks the log against the stored position, then reads ahead one batch a topic
//	lane         fetches one partition: retries what a moving broker answers, reads committed records only
package kafka
