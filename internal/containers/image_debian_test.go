package containers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDebianMirrorsAreThoseOfTheMachine(t *testing.T) {
	main, security, err := chooseDebianMirrors("http://mirror.example/debian/\nhttp://mirror.example/debian/\nhttp://safe.example/debian-security/\nhttp://apt.example/other/\n")
	require.NoError(t, err)
	assert.Equal(t, "http://mirror.example/debian", main)
	assert.Equal(t, "http://safe.example/debian-security", security)

	_, security, err = chooseDebianMirrors("http://mirror.example/debian/\n")
	require.NoError(t, err)
	assert.Equal(t, "http://mirror.example/debian-security", security)

	_, _, err = chooseDebianMirrors("http://apt.example/other/\n")
	require.ErrorContains(t, err, "apt has no Debian mirror")
}
