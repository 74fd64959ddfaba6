// Reads a body a line (base64) as an agent in Go would, with encoding/json into structs, and writes what it found as one
// line of JSON; "refused" where it finds nothing. encoding/json heeds no case in names.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
)

type message struct {
	TaskID    any            `json:"taskId,omitempty"`
	ContextID any            `json:"contextId,omitempty"`
	Metadata  map[string]any `json:"metadata,omitempty"`
}

type ref struct {
	Type any `json:"type,omitempty"`
	Name any `json:"name,omitempty"`
	URI  any `json:"uri,omitempty"`
}

type filter struct {
	ResourceSubscriptions []any `json:"resourceSubscriptions,omitempty"`
}

type configuration struct {
	TaskPushNotificationConfig any `json:"taskPushNotificationConfig,omitempty"`
	PushNotificationConfig     any `json:"pushNotificationConfig,omitempty"`
}

type params struct {
	Name           any            `json:"name,omitempty"`
	Arguments      any            `json:"arguments,omitempty"`
	URI            any            `json:"uri,omitempty"`
	ID             any            `json:"id,omitempty"`
	TaskID         any            `json:"taskId,omitempty"`
	ContextID      any            `json:"contextId,omitempty"`
	Message        *message       `json:"message,omitempty"`
	Metadata       map[string]any `json:"metadata,omitempty"`
	Ref            *ref           `json:"ref,omitempty"`
	Notifications  *filter        `json:"notifications,omitempty"`
	Configuration  *configuration `json:"configuration,omitempty"`
	InputResponses any            `json:"inputResponses,omitempty"`
}

type envelope struct {
	JSONRPC string  `json:"jsonrpc,omitempty"`
	ID      any     `json:"id,omitempty"`
	Method  *string `json:"method,omitempty"`
	Params  *params `json:"params,omitempty"`
	// Of the HTTP+JSON binding of A2A.
	Message       *message       `json:"message,omitempty"`
	Metadata      map[string]any `json:"metadata,omitempty"`
	Configuration *configuration `json:"configuration,omitempty"`
}

func read(octets []byte) (any, error) {
	if trimmed := bytes.TrimLeft(octets, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		var batch []envelope
		err := json.Unmarshal(octets, &batch)
		return batch, err
	}
	var one envelope
	err := json.Unmarshal(octets, &one)
	return one, err
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<26)
	out := bufio.NewWriter(os.Stdout)
	for lines.Scan() {
		octets, _ := base64.StdEncoding.DecodeString(lines.Text())
		found := []byte("refused")
		if value, err := read(octets); err == nil {
			if text, err := json.Marshal(value); err == nil {
				found = text
			}
		}
		fmt.Fprintf(out, "%s\n", found)
		// The asker waits for each answer of a round.
		if len(lines.Text()) == 0 {
			out.Flush()
		}
	}
	out.Flush()
}
