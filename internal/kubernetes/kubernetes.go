// Package kubernetes writes the steps of a graph as manifests of Indexed Jobs, which kubectl applies in their order.
package kubernetes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/universal-classifier/uc/internal/atomicfile"
	"github.com/universal-classifier/uc/internal/env"
	"github.com/universal-classifier/uc/internal/jobgraph"
)

// Options of the manifests.
type Options struct {
	Image     string // with uc as its entry point
	Claim     string // PersistentVolumeClaim that holds raw/, preprocessed/ and trained_models/; several pods write to it
	Namespace string // empty: that of whoever applies
	Queue     string // local queue of Kueue; empty: none
}

// Where a pod finds things.
const (
	dataDir  = "/data"      // the claim
	graphDir = "/etc/uc"    // the graph
	Graph    = "graph.json" // name of the graph's file
)

const (
	user       = 65532           // of the process: nobody in particular
	grace      = 5 * time.Minute // for a training to save its work
	retries    = 3               // of a command that fails, each on its own
	usageError = 2               // exit code of a command line that is wrong, which no retry mends
)

type object = map[string]any

// Manifests are the files of a graph by name, in the order in which they are to be applied: the graph itself, and a job
// per step.
func Manifests(g *jobgraph.Graph, o Options) (names []string, files map[string][]byte, err error) {
	files = map[string][]byte{}
	add := func(name string, v object) error {
		var b bytes.Buffer
		enc := yaml.NewEncoder(&b)
		enc.SetIndent(2)
		if err := enc.Encode(v); err != nil {
			return err
		}
		names = append(names, name)
		files[name] = b.Bytes()
		return nil
	}
	raw, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return nil, nil, err
	}
	base := "uc-" + label(g.Options.Task)
	config := object{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(base+"-graph", g, o), "immutable": false,
		"data": object{Graph: string(raw)},
	}
	if err := add("00-graph.yaml", config); err != nil {
		return nil, nil, err
	}
	for i, s := range g.Steps {
		if err := add(fmt.Sprintf("%02d-%s.yaml", i+1, s.Name), job(base, g, s, o)); err != nil {
			return nil, nil, err
		}
	}
	return names, files, nil
}

func metadata(name string, g *jobgraph.Graph, o Options) object {
	m := object{"name": name, "labels": object{"app.kubernetes.io/name": "uc", "app.kubernetes.io/part-of": label(g.Options.Task)}}
	if o.Namespace != "" {
		m["namespace"] = o.Namespace
	}
	return m
}

// job is a step as an Indexed Job: a pod per command.
func job(base string, g *jobgraph.Graph, s jobgraph.Step, o Options) object {
	meta := metadata(base+"-"+s.Name, g, o)
	n := len(s.Commands)
	spec := object{
		"completionMode": "Indexed", "completions": n, "parallelism": n, "backoffLimitPerIndex": retries,
		"podFailurePolicy": object{"rules": []object{
			// Preempted, drained, evicted: not the command's fault.
			{"action": "Ignore", "onPodConditions": []object{{"type": "DisruptionTarget", "status": "True"}}},
			{"action": "FailIndex", "onExitCodes": object{"containerName": "uc", "operator": "In", "values": []int{usageError}}},
		}},
		"template": object{
			"metadata": object{"labels": meta["labels"]},
			"spec":     pod(base, g, s, o),
		},
	}
	if o.Queue != "" {
		meta["labels"].(object)["kueue.x-k8s.io/queue-name"] = o.Queue
		spec["suspend"] = true // Kueue admits it
	}
	return object{"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}
}

func pod(base string, g *jobgraph.Graph, s jobgraph.Step, o Options) object {
	resources := object{"cpu": strconv.Itoa(s.Needs.CPUs), "memory": fmt.Sprintf("%dMi", (s.Needs.Memory+1<<20-1)>>20)}
	limits := object{"memory": resources["memory"]}
	if s.Needs.GPUs > 0 {
		limits["nvidia.com/gpu"] = strconv.Itoa(s.Needs.GPUs)
	}
	at := func(name, dir string) object { return object{"name": name, "value": path.Join(dataDir, dir)} }
	container := object{
		"name": "uc", "image": o.Image, "args": []string{"run-step", "--graph", path.Join(graphDir, Graph), s.Name},
		"env": []object{
			at(env.RawData, "raw"), at(env.Preprocessed, "preprocessed"), at(env.Results, "trained_models"),
			{"name": "HOME", "value": "/tmp"},
		},
		"resources":       object{"requests": resources, "limits": limits},
		"securityContext": object{"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": object{"drop": []string{"ALL"}}},
		"volumeMounts": []object{
			{"name": "data", "mountPath": dataDir}, {"name": "graph", "mountPath": graphDir, "readOnly": true}, {"name": "tmp", "mountPath": "/tmp"},
		},
	}
	return object{
		"restartPolicy": "Never", "automountServiceAccountToken": false, "enableServiceLinks": false,
		"terminationGracePeriodSeconds": int(grace.Seconds()),
		"securityContext": object{
			"runAsNonRoot": true, "runAsUser": user, "runAsGroup": user, "fsGroup": user, "fsGroupChangePolicy": "OnRootMismatch",
			"seccompProfile": object{"type": "RuntimeDefault"},
		},
		"containers": []object{container},
		"volumes": []object{
			{"name": "data", "persistentVolumeClaim": object{"claimName": o.Claim}},
			{"name": "graph", "configMap": object{"name": base + "-graph"}},
			{"name": "tmp", "emptyDir": object{"sizeLimit": "1Gi"}},
		},
	}
}

// Write writes the manifests and the script that applies them in their order to the folder of the jobs, and returns the
// script.
func Write(g *jobgraph.Graph, o Options) (script string, err error) {
	if err := g.Save(); err != nil {
		return "", err
	}
	names, files, err := Manifests(g, o)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(g.Folder(), "kubernetes")
	if err := atomicfile.MkdirAll(dir); err != nil {
		return "", err
	}
	for _, name := range names {
		if err := atomicfile.WriteIfNew(filepath.Join(dir, name), files[name]); err != nil {
			return "", err
		}
	}
	script = filepath.Join(dir, "apply.sh")
	return script, atomicfile.WriteIfNew(script, []byte(applying(g, o, names)))
}

// applying is a script that applies each manifest and waits for its job before the next. It may be run again: jobs that
// have completed are not run again.
func applying(g *jobgraph.Graph, o Options, names []string) string {
	var b strings.Builder
	b.WriteString(`#!/bin/sh
# Applies the steps in their order, each after the one before has completed. Run it again after a step has failed and
# its job was deleted (kubectl delete job NAME): what is done is not done again.
set -eu
cd "$(dirname "$0")"
`)
	kubectl := "kubectl"
	if o.Namespace != "" {
		kubectl += " --namespace " + o.Namespace
	}
	fmt.Fprintf(&b, `finished() { # name of a job
  while :; do
    case " $(%[1]s get job "$1" -o 'jsonpath={.status.conditions[?(@.status=="True")].type}') " in
    *" Complete "*) return 0 ;;
    *" Failed "*) echo "$1 has failed: %[1]s describe job $1; %[1]s logs job/$1" >&2; return 1 ;;
    esac
    sleep 10
  done
}
`, kubectl)
	fmt.Fprintf(&b, "%s apply -f %s\n", kubectl, names[0])
	for i, s := range g.Steps {
		fmt.Fprintf(&b, "%s apply -f %s\nfinished uc-%s-%s\n", kubectl, names[i+1], label(g.Options.Task), s.Name)
	}
	return b.String()
}

var notInLabel = regexp.MustCompile(`[^a-z0-9-]+`)

// label is a task's name as Kubernetes names things: lower case letters, digits and hyphens, 40 at most, so that the
// names of jobs and their pods stay within 63.
func label(taskName string) string {
	const most = 40
	name := notInLabel.ReplaceAllString(strings.ToLower(taskName), "-")
	return strings.Trim(name[:min(len(name), most)], "-")
}
