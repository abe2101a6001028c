//go:build containers

package main

import "testing"

func TestTheTutorialCanBeFollowedInContainers(t *testing.T) { follow(t, true) }
