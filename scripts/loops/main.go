// Command loops counts the instructions of the innermost loops in files of assembly for amd64 and arm64, by kind.
//
//	go run ./scripts/loops internal/device/cpu/kernel/pooling_a*64.s
//
// Without files it prints the tables of docs/PERFORMANCE.md about Arm.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"
)

// counts are instructions by kind. An instruction that computes with what it loads counts as both.
type counts struct{ all, loads, stores, vector, other int }

// loop is an innermost loop: from its label to the jump back.
type loop struct {
	function, label string
	counts
}

var (
	text  = regexp.MustCompile(`^TEXT ·(\w+)`)
	label = regexp.MustCompile(`^(\w+):`)
	word  = regexp.MustCompile(`^WORD \$0x[0-9a-f]+ // (.+)`)
	move  = regexp.MustCompile(`^(MOV|VMOV|VBROADCAST|VPBROADCAST)`)
	jump  = regexp.MustCompile(`^(J[A-Z]+|B[A-Z]*|CBN?Z|TBN?Z)\s+(?:.*, )?(\w+)$`)
)

func main() {
	if len(os.Args) == 1 {
		if err := writeTables(os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "loads\tstores\tvector\tother\t  function, loop\t")
	for _, path := range os.Args[1:] {
		file, err := os.Open(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		loops, err := read(file)
		file.Close()
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
		for _, l := range loops {
			fmt.Fprintf(out, "%d\t%d\t%d\t%d\t  %s, %s\t\n", l.loads, l.stores, l.vector, l.other, l.function, l.label)
		}
	}
	out.Flush()
}

// read finds the innermost loops of a file.
func read(r io.Reader) (loops []loop, err error) {
	type place struct {
		name string
		line int
	}
	var (
		function string
		labels   []place  // of the function
		lines    []string // of the function
		last     int      // where the last loop's jump is
	)
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		line := strings.TrimSpace(scanner.Text())
		if m := text.FindStringSubmatch(line); m != nil {
			function, labels, lines, last = m[1], nil, nil, 0
			continue
		}
		if m := label.FindStringSubmatch(line); m != nil {
			labels = append(labels, place{m[1], len(lines)})
			continue
		}
		if encoded := word.FindStringSubmatch(line); encoded != nil {
			line = encoded[1]
		} else if at := strings.Index(line, "//"); at >= 0 {
			line = strings.TrimSpace(line[:at])
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		lines = append(lines, line)
		m := jump.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for _, l := range labels {
			if l.name == m[2] && l.line >= last { // no loop lies within
				this := loop{function: function, label: l.name}
				for _, instruction := range lines[l.line:] {
					this.add(instruction)
				}
				loops, last = append(loops, this), len(lines)
			}
		}
	}
	return loops, scanner.Err()
}

// add counts an instruction: encoded ones of arm64 as Arm's manual writes them, all others as Go's assembler does.
func (c *counts) add(instruction string) {
	c.all++
	name, operands, _ := strings.Cut(instruction, " ")
	operands = strings.TrimSpace(operands)
	encoded := name == strings.ToLower(name)
	switch {
	case encoded && strings.HasPrefix(name, "ld"):
		c.loads++
	case encoded && strings.HasPrefix(name, "st"):
		c.stores++
	case encoded:
		c.vector++
	case strings.HasSuffix(operands, ")"):
		c.stores++
	case strings.Contains(operands, "(") && move.MatchString(name):
		c.loads++
	case strings.Contains(operands, "("):
		c.loads++
		c.vector++
	case strings.HasPrefix(name, "V"):
		c.vector++
	default:
		c.other++
	}
}
