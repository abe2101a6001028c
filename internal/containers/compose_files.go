package containers

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/client"
)

// A copiedFile is a file or folder of this machine, or a text, that a container
// gets a copy of where docker compose would mount it: so it works with an engine
// on another machine, and nothing a container writes comes back.
type copiedFile struct {
	source string // a path of this machine; empty: text is the content
	text   string
	target string // an absolute path in the container
	mode   int64  // 0: as the source, and readable by every user
	uid    int
	gid    int
}

// copiedFiles is what a service gets copies of.
func copiedFiles(p *types.Project, s types.ServiceConfig) []copiedFile {
	var all []copiedFile
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeBind {
			all = append(all, copiedFile{source: v.Source, target: v.Target})
		}
	}
	add := func(o types.FileObjectConfig, ref types.FileReferenceConfig, folder string) {
		f := copiedFile{source: o.File, text: o.Content, target: ref.Target}
		if f.target == "" {
			f.target = ref.Source
		}
		if !path.IsAbs(f.target) {
			f.target = path.Join(folder, f.target)
		}
		if ref.Mode != nil {
			f.mode = int64(*ref.Mode)
		}
		f.uid, _ = strconv.Atoi(ref.UID) // "" is root; what is no number was refused
		f.gid, _ = strconv.Atoi(ref.GID)
		all = append(all, f)
	}
	for _, c := range s.Configs {
		add(types.FileObjectConfig(p.Configs[c.Source]), types.FileReferenceConfig(c), "/")
	}
	for _, c := range s.Secrets {
		add(types.FileObjectConfig(p.Secrets[c.Source]), types.FileReferenceConfig(c), "/run/secrets")
	}
	return all
}

// copyInto puts the files into a container that has not started.
func copyInto(ctx context.Context, docker client.APIClient, id string, files []copiedFile) error {
	if len(files) == 0 {
		return nil
	}
	r, w := io.Pipe()
	defer func() { _ = r.Close() }() // ends the writer, should the engine give up first
	go func() { _ = w.CloseWithError(writeTar(w, files)) }()
	_, err := docker.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: "/", Content: r})
	if err != nil {
		return fmt.Errorf("copy files into the container: %w", err)
	}
	return nil
}

func writeTar(w io.Writer, files []copiedFile) error {
	out := tar.NewWriter(w)
	for _, f := range files {
		if err := f.writeTo(out); err != nil {
			return err
		}
	}
	return out.Close()
}

func (f copiedFile) writeTo(out *tar.Writer) error {
	if f.source == "" {
		mode := f.mode
		if mode == 0 {
			mode = 0o444
		}
		if err := out.WriteHeader(&tar.Header{Name: strings.TrimPrefix(f.target, "/"), Mode: mode, Uid: f.uid, Gid: f.gid, Size: int64(len(f.text))}); err != nil {
			return err
		}
		_, err := io.WriteString(out, f.text)
		return err
	}
	return filepath.WalkDir(f.source, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(f.source, name)
		if err != nil {
			return err
		}
		return f.writeEntry(out, name, path.Join(f.target, filepath.ToSlash(rel)), entry)
	})
}

// writeEntry writes one file, folder or link. What is none of these (a socket, a
// device) is left out.
func (f copiedFile) writeEntry(out *tar.Writer, name, target string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if name == f.source { // the path that was named may be a link, those inside stay links
		info, err = os.Stat(name)
	}
	if err != nil {
		return err
	}
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		if link, err = os.Readlink(name); err != nil {
			return err
		}
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = strings.TrimPrefix(target, "/"), f.uid, f.gid, "", ""
	switch {
	case f.mode != 0 && !info.IsDir():
		h.Mode = f.mode
	case info.IsDir():
		h.Name += "/"
		h.Mode |= 0o555
	default:
		h.Mode |= 0o444
	}
	if err := out.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = io.Copy(out, file)
	return err
}
