package cloudwatch

import (
	"encoding/json"
	"errors"

	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/schemas"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// The two versions of AWS JSON. They differ in how an error is named.
var (
	wireJSON10 = &wireCodec{protocol: awsjson.New10(api.GraniteServiceVersion20100801), wellFormed: wellFormedJSON,
		contentType: "application/x-amz-json-1.0", namespaced: true}
	wireJSON11 = &wireCodec{protocol: awsjson.New11(logs.Logs_20140328), wellFormed: wellFormedJSON,
		contentType: "application/x-amz-json-1.1"}
)

// wellFormedJSON looks through a JSON object without making anything of it.
func wellFormedJSON(p []byte) error {
	if err := text8(p); err != nil {
		return err
	}
	if !json.Valid(p) {
		return errors.New("it is not JSON")
	}
	var c counter
	quoted := false
	for i := 0; i < len(p); i++ {
		switch b := p[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			if err := c.push(b, -1); err != nil {
				return err
			}
		case b == '}' || b == ']':
			c.depth--
		case b == ',':
			in := &c.open[c.depth-1]
			in.seen++
			switch {
			case in.kind == '{' && in.seen >= maxMembers:
				return errMembers
			case in.seen >= maxItems:
				return errItems
			}
		}
	}
	return nil
}
