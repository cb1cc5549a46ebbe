// SPDX-License-Identifier: Apache-2.0

// A client of the container runtime interface (CRI) for tests, with crictl's commands and files, as far as the tests
// need them: Debian has no crictl, and it can't be had everywhere. `crictl` in its place does the same.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var (
	endpoint = flag.String("runtime-endpoint", "unix:///run/containerd/containerd.sock", "the engine's socket")
	timeout  = flag.Duration("timeout", 2*time.Minute, "for a request; kubelet's own is two minutes")
)

// A command: what it takes, and what it does.
type command struct {
	args int // at least
	run  func(ctx context.Context, c cri.RuntimeServiceClient, args []string) error
}

var options = flag.NewFlagSet("command", flag.ExitOnError)
var (
	runtime = options.String("runtime", "", "runp: the handler")
	sync    = options.Bool("s", false, "exec: by ExecSync, not by a stream")
	stdin   = options.Bool("i", false, "exec: with this program's stdin")
	tty     = options.Bool("t", false, "exec: on a terminal")
	force   = options.Bool("f", false, "rm, rmp: stop it first")
	all     = options.Bool("a", false, "ps: those that have ended, too")
	quiet   = options.Bool("q", false, "ps, pods: ids")
	pod     = options.String("p", "", "ps: of that pod")
	_       = options.String("o", "json", "only json")
	memory  = options.Int64("memory", 0, "update: bytes")
	limit   = options.Int64("timeout", 10, "stop: seconds until it is killed")
)

var commands = map[string]command{
	"info":     {0, info},
	"runp":     {1, runPod},
	"stopp":    {1, stopPods},
	"rmp":      {1, removePods},
	"inspectp": {1, inspectPod},
	"pods":     {0, listPods},
	"statsp":   {0, statPods},
	"create":   {3, create},
	"start":    {1, start},
	"stop":     {1, stop},
	"rm":       {1, remove},
	"inspect":  {1, inspect},
	"ps":       {0, list},
	"stats":    {0, stats},
	"update":   {1, update},
	"logs":     {1, logs},
	"exec":     {2, execute},
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "cri client:", err)
	os.Exit(1)
}

func main() {
	flag.Parse()
	name := flag.Arg(0)
	cmd, known := commands[name]
	if !known {
		fail(fmt.Errorf("no such command: %q", name))
	}
	_ = options.Parse(flag.Args()[1:])
	if options.NArg() < cmd.args {
		fail(fmt.Errorf("%s: arguments are missing", name))
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	conn, err := grpc.DialContext(ctx, strings.TrimPrefix(*endpoint, "unix://"), grpc.WithBlock(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, path string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}))
	if err != nil {
		fail(err)
	}
	if err := cmd.run(ctx, cri.NewRuntimeServiceClient(conn), options.Args()); err != nil {
		fail(err)
	}
}

// read: a pod's or container's configuration, as crictl's files have it.
func read(path string, into interface{}) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

func show(v interface{}) error {
	data, err := json.MarshalIndent(v, "", "  ")
	fmt.Println(string(data))
	return err
}

// each: f of every argument.
func each(args []string, f func(id string) error) error {
	for _, id := range args {
		if err := f(id); err != nil {
			return err
		}
		fmt.Println(id)
	}
	return nil
}

func info(ctx context.Context, c cri.RuntimeServiceClient, _ []string) error {
	r, err := c.Status(ctx, &cri.StatusRequest{})
	if err != nil {
		return err
	}
	return show(r)
}

// --- pods ---

func runPod(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	config := &cri.PodSandboxConfig{}
	if err := read(args[0], config); err != nil {
		return err
	}
	r, err := c.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: *runtime})
	if err == nil {
		fmt.Println(r.PodSandboxId)
	}
	return err
}

func stopPods(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	return each(args, func(id string) error {
		_, err := c.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id})
		return err
	})
}

func removePods(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	return each(args, func(id string) error {
		if *force {
			if _, err := c.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
				return err
			}
		}
		_, err := c.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id})
		return err
	})
}

func inspectPod(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	r, err := c.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: args[0], Verbose: true})
	if err != nil {
		return err
	}
	return show(r)
}

func listPods(ctx context.Context, c cri.RuntimeServiceClient, _ []string) error {
	r, err := c.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	if !*quiet {
		return show(r)
	}
	for _, p := range r.Items {
		fmt.Println(p.Id)
	}
	return nil
}

func statPods(ctx context.Context, c cri.RuntimeServiceClient, _ []string) error {
	r, err := c.ListPodSandboxStats(ctx, &cri.ListPodSandboxStatsRequest{})
	if err != nil {
		return err
	}
	return show(r)
}

// --- containers ---

func create(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	container, sandbox := &cri.ContainerConfig{}, &cri.PodSandboxConfig{}
	if err := read(args[1], container); err != nil {
		return err
	}
	if err := read(args[2], sandbox); err != nil {
		return err
	}
	r, err := c.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: args[0], Config: container, SandboxConfig: sandbox})
	if err == nil {
		fmt.Println(r.ContainerId)
	}
	return err
}

func start(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	return each(args, func(id string) error {
		_, err := c.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: id})
		return err
	})
}

func stop(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	return each(args, func(id string) error {
		_, err := c.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: *limit})
		return err
	})
}

func remove(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	return each(args, func(id string) error {
		if *force {
			if _, err := c.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: id}); err != nil {
				return err
			}
		}
		_, err := c.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: id})
		return err
	})
}

// What crictl shows has an enum's name, ours its number.
func inspect(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	r, err := c.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: args[0], Verbose: true})
	if err != nil {
		return err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	shown := map[string]interface{}{}
	if err := json.Unmarshal(data, &shown); err != nil {
		return err
	}
	if status, ok := shown["status"].(map[string]interface{}); ok {
		status["state"] = r.Status.State.String()
	}
	return show(shown)
}

func list(ctx context.Context, c cri.RuntimeServiceClient, _ []string) error {
	filter := &cri.ContainerFilter{PodSandboxId: *pod}
	if !*all {
		filter.State = &cri.ContainerStateValue{State: cri.ContainerState_CONTAINER_RUNNING}
	}
	r, err := c.ListContainers(ctx, &cri.ListContainersRequest{Filter: filter})
	if err != nil {
		return err
	}
	if !*quiet {
		return show(r)
	}
	for _, container := range r.Containers {
		fmt.Println(container.Id)
	}
	return nil
}

func stats(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	filter := &cri.ContainerStatsFilter{}
	if len(args) > 0 {
		filter.Id = args[0]
	}
	r, err := c.ListContainerStats(ctx, &cri.ListContainerStatsRequest{Filter: filter})
	if err != nil {
		return err
	}
	return show(r)
}

func update(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	return each(args, func(id string) error {
		_, err := c.UpdateContainerResources(ctx, &cri.UpdateContainerResourcesRequest{
			ContainerId: id, Linux: &cri.LinuxContainerResources{MemoryLimitInBytes: *memory}})
		return err
	})
}

// logs: lines of the log's file are "TIME STREAM F|P TEXT".
func logs(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	r, err := c.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: args[0]})
	if err != nil {
		return err
	}
	file, err := os.Open(r.Status.LogPath)
	if err != nil {
		return err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		parts := strings.SplitN(lines.Text(), " ", 4)
		if len(parts) < 4 {
			return fmt.Errorf("%s: not a line of a log: %q", r.Status.LogPath, lines.Text())
		}
		out := os.Stdout
		if parts[1] == "stderr" {
			out = os.Stderr
		}
		fmt.Fprint(out, parts[3])
		if parts[2] == "F" {
			fmt.Fprintln(out)
		}
	}
	return nil
}

func execute(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	if !*sync {
		return stream(ctx, c, args)
	}
	r, err := c.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: args[0], Cmd: args[1:], Timeout: int64(timeout.Seconds())})
	if err != nil {
		return err
	}
	os.Stdout.Write(r.Stdout)
	os.Stderr.Write(r.Stderr)
	os.Exit(int(r.ExitCode))
	return nil
}
