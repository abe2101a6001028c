package cloudwatch

import (
	"encoding/binary"
	"errors"
	"fmt"

	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/smithy-go/transport/http/protocol/rpcv2"
)

// wireCBOR is Smithy RPC v2 CBOR.
var wireCBOR = &wireCodec{protocol: rpcv2.NewCBOR(api.GraniteServiceVersion20100801), wellFormed: wellFormedCBOR,
	contentType: "application/cbor", smithy: "rpc-v2-cbor", namespaced: true}

// Kinds of items of CBOR: RFC 8949, 3.1.
const (
	cborUint  = 0
	cborNeg   = 1
	cborBytes = 2
	cborText  = 3
	cborList  = 4
	cborMap   = 5
	cborTag   = 6
)

var errCBOR = errors.New("unexpected end of CBOR data")

// wellFormedCBOR looks through one item of CBOR without making anything of it.
func wellFormedCBOR(p []byte) error {
	var c counter
	for {
		if len(p) == 0 {
			return errCBOR
		}
		kind, minor := p[0]>>5, p[0]&31
		p = p[1:]
		if kind == 7 && minor == 31 { // the end of what has no length
			if c.depth == 0 || c.open[c.depth-1].left != -1 || c.open[c.depth-1].kind == cborMap && c.open[c.depth-1].seen%2 == 1 {
				return errors.New("unexpected end of an item of CBOR")
			}
			c.depth--
		} else {
			if c.depth > 0 {
				if in := &c.open[c.depth-1]; in.left == -1 && (in.kind == cborText || in.kind == cborBytes) && (kind != in.kind || minor == 31) {
					return errors.New("a text in pieces has something else among them")
				}
			}
			var n uint64
			switch size := 1 << (minor - 24); {
			case minor < 24:
				n = uint64(minor)
			case minor < 28:
				if len(p) < size {
					return errCBOR
				}
				var b [8]byte
				copy(b[8-size:], p[:size])
				n, p = binary.BigEndian.Uint64(b[:]), p[size:]
			case minor == 31 && kind >= cborBytes && kind <= cborMap:
			default:
				return fmt.Errorf("unexpected minor value %d", minor)
			}
			endless := minor == 31
			switch kind {
			case cborUint, cborNeg:
			case cborBytes, cborText:
				if endless {
					if err := c.push(kind, -1); err != nil {
						return err
					}
					continue
				}
				if n > uint64(len(p)) {
					return fmt.Errorf("length %d exceeds remaining data", n)
				}
				if kind == cborText {
					if err := text8(p[:n]); err != nil {
						return err
					}
				}
				p = p[n:]
			case cborList, cborMap:
				left := -1
				if !endless {
					if n > uint64(len(p)) {
						return fmt.Errorf("length %d exceeds remaining data", n)
					}
					left = int(n)
					if kind == cborMap {
						left *= 2
					}
				}
				if left != 0 {
					if err := c.push(kind, left); err != nil {
						return err
					}
					continue
				}
			case cborTag:
				if err := c.push(kind, 1); err != nil {
					return err
				}
				continue
			case 7:
				if minor == 24 {
					return errors.New("a simple value of CBOR is not known")
				}
			}
		}
		// An item ended: so may what it is the last item of.
		for c.depth > 0 {
			in := &c.open[c.depth-1]
			in.seen++
			switch {
			case in.kind == cborMap && in.seen > 2*maxMembers:
				return errMembers
			case in.seen > maxItems:
				return errItems
			}
			if in.left == -1 {
				break
			}
			if in.left--; in.left > 0 {
				break
			}
			c.depth--
		}
		if c.depth == 0 {
			if len(p) > 0 {
				return errors.New("something follows the item of CBOR")
			}
			return nil
		}
	}
}
