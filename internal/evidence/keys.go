package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"golang.org/x/crypto/ssh"
)

// A PrivateKey signs evidence.
type PrivateKey struct{ key ed25519.PrivateKey }

var _ dsse.Signer = (*PrivateKey)(nil)

// Sign signs as RFC 8032 says of Ed25519 (PureEdDSA).
func (k *PrivateKey) Sign(_ context.Context, data []byte) ([]byte, error) {
	return ed25519.Sign(k.key, data), nil
}

// KeyID names the key: see PublicKey.KeyID.
func (k *PrivateKey) KeyID() (string, error) { return dsse.SHA256KeyID(k.key.Public()) }

// A PublicKey checks evidence.
type PublicKey struct{ key ed25519.PublicKey }

var _ dsse.Verifier = (*PublicKey)(nil)

// Verify is nil for a signature that is right.
func (k *PublicKey) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(k.key, data, sig) {
		return errors.New("the signature is not of this key over these bytes")
	}
	return nil
}

// KeyID names the key as `ssh-keygen -lf` does: "SHA256:" and the hash.
func (k *PublicKey) KeyID() (string, error) { return dsse.SHA256KeyID(k.key) }

// Public is the key itself.
func (k *PublicKey) Public() crypto.PublicKey { return k.key }

const makeOne = "`rehearse evidence key FILE` makes a pair, and so does `openssl genpkey -algorithm ed25519`"

// ReadPrivate reads an ed25519 key with which evidence is signed: PEM, as PKCS #8 or as
// ssh-keygen writes it, without a passphrase.
func ReadPrivate(file string) (*PrivateKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, makeOne)
	}
	block, _ := pem.Decode(data)
	switch {
	case block == nil && isPublicLine(data), block != nil && strings.HasSuffix(block.Type, "PUBLIC KEY"):
		return nil, fmt.Errorf("%s is a public key: evidence is signed with the private one, and checked with this", file)
	case block == nil:
		return nil, fmt.Errorf("%s is not a key in PEM: %s", file, makeOne)
	case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return nil, fmt.Errorf("%s is encrypted with a passphrase, and nobody is asked for one: name a copy without, such as `openssl pkey -in %s -out PLAIN` makes, where only you can read it", file, file)
	}
	key, err := ssh.ParseRawPrivateKey(data)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, fmt.Errorf("%s is encrypted with a passphrase, and nobody is asked for one: name a copy from which `ssh-keygen -p -f COPY` took it", file)
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read as a private key (%w): %s", file, err, makeOne)
	}
	switch key := key.(type) {
	case ed25519.PrivateKey:
		return &PrivateKey{key}, nil
	case *ed25519.PrivateKey: // as it comes of OpenSSH's form
		return &PrivateKey{*key}, nil
	}
	return nil, fmt.Errorf("%s is a %s key, and evidence is signed with ed25519: %s", file, kindOf(key), makeOne)
}

// ReadPublic reads an ed25519 key with which evidence is checked: PEM (PKIX), or a line
// as ssh-keygen writes it.
func ReadPublic(file string) (*PublicKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var key any
	block, _ := pem.Decode(data)
	switch {
	case block != nil && strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, fmt.Errorf("%s is a private key: evidence is checked with the public one, which `openssl pkey -in %s -pubout` prints", file, file)
	case block != nil && block.Type == "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block != nil:
		return nil, fmt.Errorf("%s is a PEM %q: want a public key, which `openssl pkey -in PRIVATE -pubout` prints", file, block.Type)
	default:
		var line ssh.PublicKey
		if line, _, _, _, err = ssh.ParseAuthorizedKey(data); err == nil {
			if key = line; line.Type() == ssh.KeyAlgoED25519 {
				key = line.(ssh.CryptoPublicKey).CryptoPublicKey()
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read as a public key (%w): want PEM, which `openssl pkey -in PRIVATE -pubout` prints, or the line that ssh-keygen writes", file, err)
	}
	if key, ok := key.(ed25519.PublicKey); ok {
		return &PublicKey{key}, nil
	}
	return nil, fmt.Errorf("%s is a %s key, and evidence is signed with ed25519", file, kindOf(key))
}

func isPublicLine(data []byte) bool {
	_, _, _, _, err := ssh.ParseAuthorizedKey(data)
	return err == nil
}

// kindOf is what people call the kind of a key.
func kindOf(key any) string {
	if line, ok := key.(ssh.PublicKey); ok {
		return line.Type()
	}
	name := strings.ToUpper(strings.TrimPrefix(fmt.Sprintf("%T", key), "*"))
	name, _, _ = strings.Cut(name, ".")
	return name
}

// MakePair makes a key and writes it into file, for its owner alone, and its public half
// into file.pub. It overwrites neither.
func MakePair(file string) (id string, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", err
	}
	open, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", err
	}
	if err := create(file+".pub", 0o644, "PUBLIC KEY", open); err != nil {
		return "", err
	}
	if err := create(file, 0o600, "PRIVATE KEY", secret); err != nil {
		_ = os.Remove(file + ".pub") // it was made a moment ago, and is of no key
		return "", err
	}
	return dsse.SHA256KeyID(public)
}

func create(file string, mode os.FileMode, kind string, der []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and is not overwritten: what it signed could not be checked any more", file)
	}
	if err != nil {
		return err
	}
	var b bytes.Buffer
	err = pem.Encode(&b, &pem.Block{Type: kind, Bytes: der})
	if err == nil {
		_, err = f.Write(b.Bytes())
	}
	return errors.Join(err, f.Close())
}
