package containers

import (
	"bytes"
	"debug/elf"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBallastIsAProgramForEveryEngine(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		program, err := ballast(arch)
		require.NoError(t, err)
		file, err := elf.NewFile(bytes.NewReader(program))
		require.NoError(t, err)
		require.Equal(t, machine, file.Machine)
		require.Less(t, len(program), 4096, "one page")
		load := file.Progs[0]
		require.True(t, file.Entry >= load.Vaddr && file.Entry < load.Vaddr+load.Filesz, "it starts inside of what is loaded")
		require.Equal(t, uint64(len(program)), load.Filesz)
	}
	_, err := ballast("riscv64")
	require.ErrorContains(t, err, "riscv64")
}
