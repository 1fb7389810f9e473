// Program app is a gRPC application in Go, as client or server.
//
//	app server PORT
//	app client [-rpcs N] [-deadline SECONDS] [-authority NAME] TARGET ...
//	app proxyless TARGET ...
//
// The server answers every unary method with a JSON document that says which pod it is. The client makes its calls to
// each target over one connection and prints, by target, who answered how many and which errors there were.
// A target is what grpc.NewClient takes: HOST:PORT is resolved by gRPC's own resolver, passthrough:///HOST:PORT by the
// dialer. Proxyless, it makes calls over one connection to each target until it is ended, and prints a line for each ten
// times a second: when, who answered how many, and which errors there were.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

const method = "/echo.EchoServer/SayHello"

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

type answer struct {
	Pod     string `json:"pod"`
	Address string `json:"address"`
}

type tally struct {
	Backends map[string]int `json:"backends"`
	Pods     map[string]int `json:"pods"`
	Failed   int            `json:"failed"`
	Errors   map[string]int `json:"errors"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 2 && arguments[0] == "server" {
		return serve(arguments[1])
	}
	if len(arguments) > 1 && arguments[0] == "client" {
		return ask(arguments[1:])
	}
	if len(arguments) > 1 && arguments[0] == "proxyless" {
		return watch(arguments[1:])
	}
	return errors.New("expected: server PORT, client [flags] TARGET ..., or proxyless TARGET ...")
}

// serve listens as Go does: on all addresses, and with nobody else on the port.
func serve(port string) error {
	listener, err := net.Listen("tcp", "0.0.0.0:"+port)
	if err != nil {
		return err
	}
	pod, err := os.Hostname()
	if err != nil {
		return err
	}
	addresses, err := net.LookupHost(pod)
	if err != nil {
		return err
	}
	text, err := json.Marshal(answer{Pod: pod, Address: addresses[0]})
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(
		func(_ any, stream grpc.ServerStream) error {
			var request []byte
			if err := stream.RecvMsg(&request); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			return stream.SendMsg(&text)
		}))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		server.GracefulStop()
	}()
	fmt.Println(pod, "serves on port", port)
	return server.Serve(listener)
}

func ask(arguments []string) error {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	rpcs := flags.Int("rpcs", 100, "how many calls to each target")
	deadline := flags.Float64("deadline", 10, "seconds for each call")
	authority := flags.String("authority", "", "instead of the target's own")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	found := map[string]*tally{}
	for _, target := range flags.Args() {
		one, err := call(target, *authority, *rpcs, time.Duration(*deadline*float64(time.Second)))
		if err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
		found[target] = one
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func call(target, authority string, rpcs int, deadline time.Duration) (*tally, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})),
	}
	if authority != "" {
		options = append(options, grpc.WithAuthority(authority))
	}
	connection, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	found := &tally{Backends: map[string]int{}, Pods: map[string]int{}, Errors: map[string]int{}}
	for range rpcs {
		found.add(once(connection, deadline))
	}
	return found, nil
}

func once(connection *grpc.ClientConn, deadline time.Duration) (answer, error) {
	within, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var request, reply []byte
	if err := connection.Invoke(within, method, &request, &reply); err != nil {
		return answer{}, err
	}
	var who answer
	return who, json.Unmarshal(reply, &who)
}

func (found *tally) add(who answer, err error) {
	if err != nil {
		found.Failed++
		found.Errors[described(err)]++
		return
	}
	found.Backends[who.Address]++
	found.Pods[who.Pod]++
}

func described(err error) string {
	return status.Code(err).String() + ": " + status.Convert(err).Message()
}
