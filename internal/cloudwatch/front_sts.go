package cloudwatch

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sts"
)

// account is the number of an account that does not exist.
const account = "000000000000"

// stsOperation is the operation of STS with that name; nil: not known.
func stsOperation(name string) operation {
	switch name {
	case "GetCallerIdentity":
		return call((*Store).getCallerIdentity)
	}
	return nil
}

// getCallerIdentity says who calls: everybody is the root of the one account. The
// Terraform AWS provider and many scripts ask this first.
func (s *Store) getCallerIdentity(*api.GetCallerIdentityInput) (*api.GetCallerIdentityOutput, error) {
	return &api.GetCallerIdentityOutput{Account: aws.String(account), UserId: aws.String(account), Arn: aws.String("arn:aws:iam::" + account + ":root")}, nil
}
