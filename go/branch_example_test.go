package tckms_test

import (
	"context"
	"database/sql"
	"log"
	"strconv"
	"time"

	tckms "tckms.invalid/go"
)

// sqlStore shares branch keys through any database of database/sql that knows ON CONFLICT DO NOTHING: PostgreSQL, SQLite.
//
//	CREATE TABLE tckms_branch (name text, slot bigint, record text NOT NULL, PRIMARY KEY (name, slot))
type sqlStore struct{ db *sql.DB }

func (s sqlStore) Load(ctx context.Context, key string) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT record FROM tckms_branch WHERE name = $1", key)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var records []string
	for rows.Next() {
		var record string
		if err := rows.Scan(&record); err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, rows.Err()
}

func (s sqlStore) PutIfAbsent(ctx context.Context, key string, slot int64, record string) error {
	_, err := s.db.ExecContext(ctx, "INSERT INTO tckms_branch VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", key, slot, record)
	return err
}

// redisHash is the part of a Redis client that the store needs: go-redis has it as client.HVals(ctx, key).Result() and
// client.HSetNX(ctx, key, field, value).Result().
type redisHash interface {
	HVals(ctx context.Context, key string) ([]string, error)
	HSetNX(ctx context.Context, key, field, value string) (bool, error)
}

// redisStore shares branch keys through Redis: a branch is a hash, its slots are the fields.
type redisStore struct{ redis redisHash }

func (s redisStore) Load(ctx context.Context, key string) ([]string, error) {
	return s.redis.HVals(ctx, "tckms:"+key)
}

func (s redisStore) PutIfAbsent(ctx context.Context, key string, slot int64, record string) error {
	_, err := s.redis.HSetNX(ctx, "tckms:"+key, strconv.FormatInt(slot, 10), record)
	return err
}

func ExampleKeyring_AddBranch_sql() {
	var client *tckms.Client // from NewClient
	var db *sql.DB           // from sql.Open
	keyring, err := tckms.NewKeyring(tckms.KeyringOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer keyring.Close()
	options := tckms.BranchOptions{BranchID: "orders", Store: sqlStore{db}, Rotation: 30 * 24 * time.Hour}
	if err := keyring.AddBranch(client, "93866e69-9755-11ef-8e65-52540089bc41", options); err != nil {
		log.Fatal(err)
	}
}

func ExampleKeyring_AddBranch_redis() {
	var client *tckms.Client // from NewClient
	var redis redisHash      // a few lines around the client of your choice
	keyring, err := tckms.NewKeyring(tckms.KeyringOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer keyring.Close()
	options := tckms.BranchOptions{BranchID: "orders", Store: redisStore{redis}, Rotation: 30 * 24 * time.Hour}
	if err := keyring.AddBranch(client, "93866e69-9755-11ef-8e65-52540089bc41", options); err != nil {
		log.Fatal(err)
	}
}
