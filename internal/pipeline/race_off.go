//go:build !race

package pipeline

var actRaces []string
