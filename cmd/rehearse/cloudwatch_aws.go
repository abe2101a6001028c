package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"rehearsal/internal/containers"
	"rehearsal/internal/stage"
)

// askForAWS finds the AWS account that is to judge the alarms, shows it, and asks
// whether it is the right one. Before it returns nothing was changed anywhere.
func askForAWS(ctx context.Context, s *stage.Setup, yes bool, in io.Reader, out speaker) (*containers.AWSAccount, error) {
	if !yes && !isTerminal(in) {
		return nil, fmt.Errorf("--cloudwatch aws asks whether the account is the right one, and there is no terminal to ask on: look at `aws sts get-caller-identity`, then say --yes")
	}
	account, err := containers.FindAWS(ctx)
	if err != nil {
		return nil, err
	}
	showAWS(account, s, out)
	if yes {
		return account, nil
	}
	return account, confirmAWS(ctx, account, in, out)
}

func showAWS(a *containers.AWSAccount, s *stage.Setup, out speaker) {
	out.say("The alarms are to be judged by AWS:")
	showAccount(a, out)
	out.tell(containers.AWSNote(s))
}

func showAccount(a *containers.AWSAccount, out speaker) {
	out.say("  account  %s\n  as       %s\n  region   %s", a.ID, oneLine(a.ARN), a.Region)
	if a.Endpoint != "" {
		out.say("  endpoint %s (not AWS's own)", a.Endpoint)
	}
}

// confirmAWS has the account's id typed.
func confirmAWS(ctx context.Context, a *containers.AWSAccount, in io.Reader, out speaker) error {
	fmt.Fprint(out, out.Sprintf("Type the account id to go on: "))
	typed := make(chan string, 1)
	go func() { // a read cannot be ended by ctx
		line, _ := bufio.NewReader(io.LimitReader(in, 1<<10)).ReadString('\n')
		typed <- strings.TrimSpace(line)
	}()
	select {
	case text := <-typed:
		if text != a.ID || text == "" {
			return fmt.Errorf("that is not %s: nothing was started", a.ID)
		}
		return nil
	case <-ctx.Done():
		fmt.Fprintln(out)
		return fmt.Errorf("interrupted: nothing was started")
	}
}
