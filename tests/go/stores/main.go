// The stores of go/branch_example_test.go against real servers: seals and opens messages, and prints what the branch keys did, as
// the programs of examples-c do.
//
//	stores redis|sql ADDRESS KEY_ID [MESSAGES [ROTATION_MS]]
package main

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/gomodule/redigo/redis"
	_ "github.com/lib/pq"

	tckms "tckms.invalid/go"
)

// redisClient is the few lines around a client that redisHash speaks of.
type redisClient struct{ pool *redis.Pool }

func (c redisClient) do(ctx context.Context, command string, arguments ...any) (any, error) {
	connection, err := c.pool.GetContext(ctx)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return connection.Do(command, arguments...)
}

func (c redisClient) HVals(ctx context.Context, key string) ([]string, error) {
	return redis.Strings(c.do(ctx, "HVALS", key))
}

func (c redisClient) HSetNX(ctx context.Context, key, field, value string) (bool, error) {
	return redis.Bool(c.do(ctx, "HSETNX", key, field, value))
}

func openStore(kind, address string) (tckms.BranchStore, error) {
	if kind == "redis" {
		limit := redis.DialReadTimeout(time.Second)
		dial := func(ctx context.Context) (redis.Conn, error) { return redis.DialContext(ctx, "tcp", address, limit) }
		return redisStore{redisClient{&redis.Pool{DialContext: dial}}}, nil
	}
	db, err := sql.Open("postgres", address)
	if err != nil {
		return nil, err
	}
	// What the comment of sqlStore says. Another process may be doing the same.
	_, err = db.Exec("CREATE TABLE IF NOT EXISTS tckms_branch (name text, slot bigint, record text NOT NULL, PRIMARY KEY (name, slot))")
	if err != nil {
		log.Print(err)
	}
	return sqlStore{db}, nil
}

func number(at int, otherwise int64) int64 {
	if len(os.Args) <= at {
		return otherwise
	}
	value, err := strconv.ParseInt(os.Args[at], 10, 64)
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	if len(os.Args) < 4 {
		log.Fatal("usage: stores redis|sql ADDRESS KEY_ID [MESSAGES [ROTATION_MS]]")
	}
	store, err := openStore(os.Args[1], os.Args[2])
	check(err)
	client, err := tckms.NewClientFromEnv()
	check(err)
	defer client.Close()
	keyring, err := tckms.NewKeyring(tckms.KeyringOptions{})
	check(err)
	defer keyring.Close()
	rotation := time.Duration(number(5, 30*24*3600*1000)) * time.Millisecond
	check(keyring.AddBranch(client, os.Args[3], tckms.BranchOptions{BranchID: "orders", Store: store, Rotation: rotation}))
	for messages := number(4, 1); messages > 0; messages-- {
		pairs := tckms.Pairs{"order": strconv.FormatInt(messages, 10)}
		message, err := keyring.Seal(context.Background(), []byte("4711"), pairs)
		check(err)
		opened, err := keyring.Open(context.Background(), message, pairs)
		check(err)
		if string(opened) != "4711" {
			log.Fatal("another plaintext")
		}
		time.Sleep(100 * time.Millisecond)
	}
	stats, err := keyring.BranchStats()
	check(err)
	fmt.Printf("sealed %d, opened %d, keys created %d, unwrapped %d, with local keys %d, store failures %d\n",
		stats.Wraps, stats.Unwraps, stats.KeysMade, stats.KeysUnwrapped, stats.OwnKeyWraps, stats.StoreFailures)
}
