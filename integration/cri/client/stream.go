// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/moby/spdystream"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// What the stream "error" brings at the end (version 4 of the protocol): k8s.io's Status.
type result struct {
	Status, Message, Reason string
	Details                 struct {
		Causes []struct{ Reason, Message string }
	}
}

func (r result) code() (int, error) {
	if r.Status == "Success" {
		return 0, nil
	}
	for _, cause := range r.Details.Causes {
		if cause.Reason == "ExitCode" {
			return strconv.Atoi(cause.Message)
		}
	}
	return 0, fmt.Errorf("%s", r.Message)
}

// dial: the streaming server's connection, which speaks SPDY from here on.
func dial(ctx context.Context, where string) (net.Conn, error) {
	u, err := url.Parse(where)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, "POST", where, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "SPDY/3.1")
	request.Header.Set("X-Stream-Protocol-Version", "v4.channel.k8s.io")
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("%s: %s", u.Host, answer.Status)
	}
	return conn, nil
}

// stream: exec as kubectl does it, by streams, to its exit code.
func stream(ctx context.Context, c cri.RuntimeServiceClient, args []string) error {
	r, err := c.Exec(ctx, &cri.ExecRequest{ContainerId: args[0], Cmd: args[1:], Tty: *tty, Stdin: *stdin, Stdout: true, Stderr: !*tty})
	if err != nil {
		return err
	}
	conn, err := dial(ctx, r.Url)
	if err != nil {
		return err
	}
	spdy, err := spdystream.NewConnection(conn, false)
	if err != nil {
		return err
	}
	go spdy.Serve(spdystream.NoOpStreamHandler)
	open := func(kind string) (*spdystream.Stream, error) {
		s, err := spdy.CreateStream(http.Header{"Streamtype": {kind}}, nil, false)
		if err != nil {
			return nil, err
		}
		return s, s.Wait()
	}
	failed, err := open("error")
	if err != nil {
		return err
	}
	if *stdin {
		in, err := open("stdin")
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(in, os.Stdin)
			_ = in.Close()
		}()
	}
	ended := make(chan struct{}, 2)
	n := 0
	for kind, to := range map[string]io.Writer{"stdout": os.Stdout, "stderr": os.Stderr} {
		if kind == "stderr" && *tty {
			continue
		}
		s, err := open(kind)
		if err != nil {
			return err
		}
		n++
		go func(to io.Writer) {
			_, _ = io.Copy(to, s)
			ended <- struct{}{}
		}(to)
	}
	text, err := io.ReadAll(failed)
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		<-ended
	}
	var end result
	if err := json.Unmarshal(text, &end); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	code, err := end.code()
	if err == nil {
		os.Exit(code)
	}
	return err
}
