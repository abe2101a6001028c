package alarm

import (
	"errors"
	"os"
	"slices"
)

// A Survey is a file of alarms, read to tell people of them: what AWS takes and
// nothing here judges is no mistake of the file.
type Survey struct {
	Set
	// Unjudged is why alarms are not judged here, by name. They are not in the Set.
	Unjudged map[string][]string
	Names    []string // of the unjudged, in the file's order
}

// SurveyFile reads a file with the output of `aws cloudwatch describe-alarms`.
// What is wrong with it is told as by ReadFile.
func SurveyFile(path string) (Survey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		_, err = ReadFile(path) // which says it well
		return Survey{}, err
	}
	return ReadSurvey(path, data)
}

// ReadSurvey is SurveyFile for what was read already.
func ReadSurvey(name string, data []byte) (Survey, error) {
	p := &reader{file: name, survey: true}
	set, err := p.read(data)
	if err != nil {
		return Survey{}, err
	}
	s := Survey{Set: set, Unjudged: map[string][]string{}}
	for _, err := range p.mistakes {
		var m *Mistake
		if errors.As(err, &m) {
			if s.Unjudged[m.Alarm] == nil {
				s.Names = append(s.Names, m.Alarm)
			}
			s.Unjudged[m.Alarm] = append(s.Unjudged[m.Alarm], m.Text)
		}
	}
	s.Alarms = slices.DeleteFunc(s.Alarms, func(a Alarm) bool { return s.Unjudged[a.AlarmName] != nil })
	return s, nil
}
