package cloudwatch

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// Limits of AWS on dashboards.
const (
	maxDashboardName = 255
	maxWidgets       = 500
	dashboardsPage   = 1000 // of ListDashboards
	maxDashboards    = 100  // of DeleteDashboards
)

// A dashboard is kept as it was put. Nothing draws it.
type dashboard struct {
	body    string
	changed time.Time
}

var dashboardName = regexp.MustCompile(`^[0-9A-Za-z_-]+$`)

// dashboardArn has no region: in AWS too, dashboards are for all regions.
func dashboardArn(name string) string { return "arn:aws:cloudwatch::" + account + ":dashboard/" + name }

func (s *Store) putDashboard(in *api.PutDashboardInput) (*api.PutDashboardOutput, error) {
	name := aws.ToString(in.DashboardName)
	var wrong []types.DashboardValidationMessage
	say := func(path, format string, args ...any) {
		wrong = append(wrong, types.DashboardValidationMessage{DataPath: aws.String(path), Message: aws.String(fmt.Sprintf(format, args...))})
	}
	switch {
	case name == "":
		return nil, refusedDashboard("the field DashboardName must be present", nil)
	case len(name) > maxDashboardName || !dashboardName.MatchString(name):
		return nil, refusedDashboard(fmt.Sprintf("the value %q for field DashboardName contains invalid characters: "+
			"want at most %d alphanumeric characters, dashes (-) and underscores (_)", short(name), maxDashboardName), nil)
	case in.DashboardBody == nil:
		return nil, refusedDashboard("the field DashboardBody must be present", nil)
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	checkDashboard(*in.DashboardBody, say)
	if len(wrong) > 0 {
		var shown []string
		for _, m := range wrong[:min(10, len(wrong))] {
			shown = append(shown, *m.DataPath+": "+*m.Message)
		}
		return nil, refusedDashboard(fmt.Sprintf("The dashboard body is invalid, there are %d validation errors: %s", len(wrong), strings.Join(shown, "; ")), wrong)
	}
	if s.dashboards == nil {
		s.dashboards = map[string]*dashboard{}
	}
	if s.dashboards[name] == nil || len(in.Tags) > 0 {
		s.tagNew(dashboardArn(name), in.Tags)
	}
	s.dashboards[name] = &dashboard{body: *in.DashboardBody, changed: s.time()}
	return &api.PutDashboardOutput{DashboardValidationMessages: []types.DashboardValidationMessage{}}, nil
}

// checkDashboard checks the frame of a dashboard, in which AWS checks more: what
// each kind of widget may hold is not looked at here.
func checkDashboard(body string, say func(path, format string, args ...any)) {
	var whole any
	if err := json.Unmarshal([]byte(body), &whole); err != nil {
		say("", "The field DashboardBody must be a valid JSON object: %v", err)
		return
	}
	frame, ok := whole.(map[string]any)
	if !ok {
		say("", "Should be object")
		return
	}
	if frame["widgets"] == nil {
		return
	}
	widgets, ok := frame["widgets"].([]any)
	switch {
	case !ok:
		say("/widgets", "Should be array")
	case len(widgets) > maxWidgets:
		say("/widgets", "Should NOT have more than %d items", maxWidgets)
	}
	for i, w := range widgets[:min(len(widgets), maxWidgets)] {
		at := fmt.Sprintf("/widgets/%d", i)
		widget, ok := w.(map[string]any)
		if !ok {
			say(at, "Should be object")
			continue
		}
		if kind, ok := widget["type"].(string); !ok || kind == "" {
			say(at, "Should have required property 'type'")
		}
		if _, ok := widget["properties"].(map[string]any); !ok {
			say(at, "Should have required property 'properties'")
		}
		for _, size := range []string{"x", "y", "width", "height"} {
			if n, ok := widget[size].(float64); widget[size] != nil && (!ok || n < 0 || n != float64(int32(n))) {
				say(at+"/"+size, "Should be integer")
			}
		}
	}
}

func refusedDashboard(message string, wrong []types.DashboardValidationMessage) error {
	known := &types.DashboardInvalidInputError{DashboardValidationMessages: wrong}
	return &apiError{code: "DashboardInvalidInputError", message: message, members: known.SerializeMembers}
}

func noDashboard(name string) error {
	return &apiError{code: "DashboardNotFoundError", message: fmt.Sprintf("Dashboard %s does not exist", short(name))}
}

func (s *Store) getDashboard(in *api.GetDashboardInput) (*api.GetDashboardOutput, error) {
	name := aws.ToString(in.DashboardName)
	if name == "" {
		return nil, invalidValue("the field DashboardName must be present")
	}
	d := s.dashboards[name]
	if d == nil {
		return nil, noDashboard(name)
	}
	return &api.GetDashboardOutput{DashboardArn: aws.String(dashboardArn(name)), DashboardBody: aws.String(d.body), DashboardName: aws.String(name)}, nil
}

func (s *Store) listDashboards(in *api.ListDashboardsInput) (*api.ListDashboardsOutput, error) {
	out := &api.ListDashboardsOutput{DashboardEntries: []types.DashboardEntry{}}
	for _, name := range slices.Sorted(maps.Keys(s.dashboards)) {
		if name <= aws.ToString(in.NextToken) || !strings.HasPrefix(name, aws.ToString(in.DashboardNamePrefix)) {
			continue
		}
		if len(out.DashboardEntries) == dashboardsPage {
			out.NextToken = out.DashboardEntries[dashboardsPage-1].DashboardName
			break
		}
		d := s.dashboards[name]
		out.DashboardEntries = append(out.DashboardEntries, types.DashboardEntry{DashboardName: aws.String(name), DashboardArn: aws.String(dashboardArn(name)),
			LastModified: aws.Time(d.changed), Size: aws.Int64(int64(len(d.body)))})
	}
	return out, nil
}

// deleteDashboards deletes as many as it can, and then says which there was not.
func (s *Store) deleteDashboards(in *api.DeleteDashboardsInput) (*api.DeleteDashboardsOutput, error) {
	switch n := len(in.DashboardNames); {
	case n == 0:
		return nil, invalidValue("the field DashboardNames must be present")
	case n > maxDashboards:
		return nil, invalidValue("DashboardNames has %d members; at most %d are allowed", n, maxDashboards)
	}
	var err error
	for _, name := range in.DashboardNames {
		if s.dashboards[name] == nil && err == nil {
			err = noDashboard(name)
		}
		delete(s.dashboards, name)
		delete(s.tags, dashboardArn(name))
	}
	return &api.DeleteDashboardsOutput{}, err
}
