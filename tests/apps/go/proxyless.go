package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/xds"
)

const (
	interval = 5 * time.Millisecond
	deadline = 5 * time.Second
	tell     = 100 * time.Millisecond
)

type line struct {
	At      float64        `json:"at"`
	Target  string         `json:"target"`
	Answers map[string]int `json:"answers"`
	Errors  map[string]int `json:"errors"`
}

// watch calls every target until the program is ended.
func watch(targets []string) error {
	var printing sync.Mutex
	var calling sync.WaitGroup
	for _, target := range targets {
		connection, err := grpc.NewClient(target,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
		if err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
		calling.Go(func() { report(connection, target, &printing) })
	}
	calling.Wait()
	return nil
}

func report(connection *grpc.ClientConn, target string, printing *sync.Mutex) {
	for {
		found := line{Target: target, Answers: map[string]int{}, Errors: map[string]int{}}
		for end := time.Now().Add(tell); time.Now().Before(end); time.Sleep(interval) {
			if who, err := once(connection, deadline); err != nil {
				found.Errors[described(err)]++
			} else {
				found.Answers[who.Address]++
			}
		}
		found.At = float64(time.Now().UnixNano()) / 1e9
		printing.Lock()
		if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
			os.Exit(1)
		}
		printing.Unlock()
	}
}
