package containers

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// ballastPath is where the ballast is in a container.
const ballastPath = "/rehearsal-ballast"

// ballastCode is a program for Linux that uses up the memory of the container it
// runs in. It is that small so that nothing needs to be built for it, and, above
// all, so that the kernel, which kills the largest process of a container that is
// out of memory, always finds the container's own program larger. The memory is in
// a file without a name, which counts for the container but for no process:
//
//	fd = memfd_create("", 0)
//	for size := 0; ; {
//		if fallocate(fd, 0, size, 1 MiB) == 0 {
//			size += 1 MiB
//		}
//	}
var ballastCode = map[string]struct {
	machine elf.Machine
	code    []byte // and a zero byte: the name of the file
}{
	"amd64": {elf.EM_X86_64, []byte{
		0xb8, 0x3f, 0x01, 0x00, 0x00, // mov eax, 319 (memfd_create)
		0x48, 0x8d, 0x3d, 0x2d, 0x00, 0x00, 0x00, // lea rdi, name
		0x31, 0xf6, // xor esi, esi
		0x0f, 0x05, // syscall
		0x49, 0x89, 0xc4, // mov r12, rax
		0x45, 0x31, 0xed, // xor r13d, r13d
		0xb8, 0x1d, 0x01, 0x00, 0x00, // loop: mov eax, 285 (fallocate)
		0x4c, 0x89, 0xe7, // mov rdi, r12
		0x31, 0xf6, // xor esi, esi
		0x4c, 0x89, 0xea, // mov rdx, r13
		0x41, 0xba, 0x00, 0x00, 0x10, 0x00, // mov r10d, 1 MiB
		0x0f, 0x05, // syscall
		0x48, 0x85, 0xc0, // test rax, rax
		0x75, 0xe6, // jne loop
		0x49, 0x81, 0xc5, 0x00, 0x00, 0x10, 0x00, // add r13, 1 MiB
		0xeb, 0xdd, // jmp loop
		0x00, // name
	}},
	"arm64": {elf.EM_AARCH64, []byte{
		0xe8, 0x22, 0x80, 0xd2, // mov x8, 279 (memfd_create)
		0xc0, 0x01, 0x00, 0x10, // adr x0, name
		0xe1, 0x03, 0x1f, 0xaa, // mov x1, xzr
		0x01, 0x00, 0x00, 0xd4, // svc 0
		0xf3, 0x03, 0x00, 0xaa, // mov x19, x0
		0xf4, 0x03, 0x1f, 0xaa, // mov x20, xzr
		0xe8, 0x05, 0x80, 0xd2, // loop: mov x8, 47 (fallocate)
		0xe0, 0x03, 0x13, 0xaa, // mov x0, x19
		0xe1, 0x03, 0x1f, 0xaa, // mov x1, xzr
		0xe2, 0x03, 0x14, 0xaa, // mov x2, x20
		0xe3, 0x03, 0x6c, 0xb2, // mov x3, 1 MiB
		0x01, 0x00, 0x00, 0xd4, // svc 0
		0x40, 0xff, 0xff, 0xb5, // cbnz x0, loop
		0x94, 0x02, 0x44, 0x91, // add x20, x20, 1 MiB
		0xf8, 0xff, 0xff, 0x17, // b loop
		0x00, // name
	}},
}

// ballast is the program as an executable file for a GOARCH.
func ballast(arch string) ([]byte, error) {
	b, ok := ballastCode[arch]
	if !ok {
		return nil, fmt.Errorf("no program is known that uses up memory on %s", arch)
	}
	const base, headers = 0x400000, 64 + 56
	size := uint64(headers + len(b.code))
	var file bytes.Buffer
	_ = binary.Write(&file, binary.LittleEndian, elf.Header64{ // a Buffer takes all that fits into memory
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(b.machine), Version: uint32(elf.EV_CURRENT),
		Entry: base + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	})
	_ = binary.Write(&file, binary.LittleEndian, elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x10000,
	})
	file.Write(b.code)
	return file.Bytes(), nil
}
