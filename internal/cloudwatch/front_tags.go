package cloudwatch

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// Limits of AWS on tags.
const (
	maxResourceTags  = 50 // of a resource
	maxResourceKey   = 128
	maxResourceValue = 256
)

// The resourceTags are the tags of what can have some, by ARN. Those of what is
// gone may stay: whoever makes the resource again begins with tagNew.
type resourceTags map[string]map[string]string

// resource says whether an ARN names something that can have tags: an alarm or a
// dashboard that there is.
func (s *Store) resource(arn string) error {
	if len(arn) == 0 {
		return missing("ResourceARN")
	}
	parts := strings.SplitN(arn, ":", 7)
	if len(parts) < 6 || parts[0] != "arn" || parts[2] != "cloudwatch" {
		return invalidValue("ResourceARN %q is not the ARN of an alarm or a dashboard", short(arn))
	}
	var kind string
	var found bool
	if name, ok := strings.CutPrefix(parts[5], "dashboard/"); ok && len(parts) == 6 {
		kind, found = "dashboard", s.dashboards[name] != nil
	} else if parts[5] == "alarm" && len(parts) == 7 {
		kind, found = "alarm", s.alarm(parts[6]) != nil || s.family.named(parts[6]) != nil
	} else {
		return invalidValue("ResourceARN %q is not the ARN of an alarm or a dashboard: nothing else can have tags here", short(arn))
	}
	if !found {
		return noResource(kind, arn)
	}
	return nil
}

func noResource(kind, arn string) error {
	known := &types.ResourceNotFoundException{ResourceType: aws.String(kind), ResourceId: aws.String(arn)}
	return &apiError{code: "ResourceNotFoundException", message: "there is no such " + kind + ": " + short(arn), members: known.SerializeMembers}
}

// checkTags says what is wrong with tags.
func checkTags(tags []types.Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		switch {
		case t.Key == nil || *t.Key == "":
			return invalidValue("a tag has no Key")
		case t.Value == nil:
			return invalidValue("the tag %q has no Value: it may be empty", short(*t.Key))
		case utf8.RuneCountInString(*t.Key) > maxResourceKey || utf8.RuneCountInString(*t.Value) > maxResourceValue:
			return invalidValue("the tag %q is too long: at most %d characters of Key and %d of Value are allowed", short(*t.Key), maxResourceKey, maxResourceValue)
		case strings.HasPrefix(strings.ToLower(*t.Key), "aws:"):
			return invalidValue("the tag %q begins with aws:, which only AWS may use", short(*t.Key))
		case seen[*t.Key]:
			return invalidValue("the tag %q is given twice", *t.Key)
		}
		seen[*t.Key] = true
		for _, c := range *t.Key + *t.Value {
			if !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsSpace(c) && !strings.ContainsRune("_.:/=+-@", c) {
				return invalidValue("the tag %q has the character %q: want letters, digits, spaces and _ . : / = + - @", short(*t.Key), c)
			}
		}
	}
	if len(tags) > maxResourceTags {
		return invalidValue("%d tags; at most %d are allowed on a resource", len(tags), maxResourceTags)
	}
	return nil
}

// tagNew gives a resource that was just made its tags, which were checked.
func (s *Store) tagNew(arn string, tags []types.Tag) {
	delete(s.tags, arn)
	if len(tags) > 0 {
		if s.tags == nil {
			s.tags = resourceTags{}
		}
		s.tags[arn] = map[string]string{}
		for _, t := range tags {
			s.tags[arn][*t.Key] = *t.Value
		}
	}
}

func (s *Store) tagResource(in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	arn := aws.ToString(in.ResourceARN)
	if err := s.resource(arn); err != nil {
		return nil, err
	}
	if in.Tags == nil {
		return nil, missing("Tags")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	all := maps.Clone(s.tags[arn])
	if all == nil {
		all = map[string]string{}
	}
	for _, t := range in.Tags {
		all[*t.Key] = *t.Value
	}
	if len(all) > maxResourceTags {
		return nil, invalidValue("%s would have %d tags; at most %d are allowed", short(arn), len(all), maxResourceTags)
	}
	if s.tags == nil {
		s.tags = resourceTags{}
	}
	s.tags[arn] = all
	return &api.TagResourceOutput{}, nil
}

func (s *Store) untagResource(in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	arn := aws.ToString(in.ResourceARN)
	if err := s.resource(arn); err != nil {
		return nil, err
	}
	if in.TagKeys == nil {
		return nil, missing("TagKeys")
	}
	for _, key := range in.TagKeys {
		delete(s.tags[arn], key)
	}
	return &api.UntagResourceOutput{}, nil
}

func (s *Store) listTagsForResource(in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	arn := aws.ToString(in.ResourceARN)
	if err := s.resource(arn); err != nil {
		return nil, err
	}
	out := &api.ListTagsForResourceOutput{Tags: []types.Tag{}}
	for _, key := range slices.Sorted(maps.Keys(s.tags[arn])) {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(key), Value: aws.String(s.tags[arn][key])})
	}
	return out, nil
}
