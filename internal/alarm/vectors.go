package alarm

import _ "embed" // of the vectors

// Vectors are facts of the user guide on how alarms treat missing data, and more, as
// JSON: this package's own tests take them row by row, and so does whoever holds
// another CloudWatch against them.
//
//go:embed testdata/cloudwatch-alarm-vectors.json
var Vectors []byte
