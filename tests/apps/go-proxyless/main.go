// Program proxyless calls what it is told to, over one connection each, until it is ended:
//
//	proxyless TARGET ...
//
// Ten times a second it prints a line for each target: when, who answered how many calls, and which errors there were.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	_ "google.golang.org/grpc/xds"
)

const (
	method   = "/echo.EchoServer/SayHello"
	interval = 5 * time.Millisecond
	deadline = 5 * time.Second
	tell     = 100 * time.Millisecond
)

// raw takes messages as the bytes that they are, so that no generated code is needed.
type raw struct{}

func (raw) Name() string { return "raw" }

func (raw) Marshal(value any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*value.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, value any) error {
	*value.(*[]byte) = data.Materialize()
	return nil
}

type tally struct {
	At      float64        `json:"at"`
	Target  string         `json:"target"`
	Answers map[string]int `json:"answers"`
	Errors  map[string]int `json:"errors"`
}

func main() {
	var printing sync.Mutex
	var calling sync.WaitGroup
	for _, target := range os.Args[1:] {
		connection, err := grpc.NewClient(target,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
		if err != nil {
			fmt.Fprintln(os.Stderr, target, err)
			os.Exit(1)
		}
		calling.Go(func() { call(connection, target, &printing) })
	}
	calling.Wait()
}

func call(connection *grpc.ClientConn, target string, printing *sync.Mutex) {
	for {
		found := tally{Target: target, Answers: map[string]int{}, Errors: map[string]int{}}
		for end := time.Now().Add(tell); time.Now().Before(end); time.Sleep(interval) {
			if address, err := once(connection); err != nil {
				found.Errors[status.Code(err).String()+": "+status.Convert(err).Message()]++
			} else {
				found.Answers[address]++
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

func once(connection *grpc.ClientConn) (string, error) {
	within, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var request, reply []byte
	if err := connection.Invoke(within, method, &request, &reply); err != nil {
		return "", err
	}
	var who struct {
		Address string `json:"address"`
	}
	return who.Address, json.Unmarshal(reply, &who)
}
