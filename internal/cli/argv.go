package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// translate rewrites the arguments of a command from the style of Python's argparse into the one pflag reads:
// every flag becomes --name or --name=value. Accepted are single-dash long flags (-tf 4, -no_pp), lists that end at the
// next flag (-t 1 2 3), "=" after any flag, digits glued to a short flag (-t4), and '-' for '_' in names. Flags and
// positional arguments may come in any order and are sorted, flags first; after "--" all is positional.
func translate(cmd *cobra.Command, args []string) ([]string, error) {
	known := flagsBySpelling(cmd)
	var flags, positional []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			positional = append(positional, args[i+1:]...)
			break
		}
		if !isFlag(arg) {
			positional = append(positional, arg)
			continue
		}
		f, value, hasValue := lookUp(known, arg)
		if f == nil {
			return nil, usagef("unknown flag %s for %s", flagPart(arg), cmd.CommandPath())
		}
		switch {
		case hasValue:
		case isBool(f):
			flags = append(flags, "--"+f.Name)
			continue
		default:
			end := i + 1
			for end < len(args) && !isFlag(args[end]) && (end == i+1 || has(f, noteList)) {
				end++
			}
			if end == i+1 {
				return nil, usagef("flag %s needs a value", arg)
			}
			values := args[i+1 : end]
			i = end - 1
			if f.Value.Type() == "stringArray" { // values may hold commas
				for _, v := range values[:len(values)-1] {
					flags = append(flags, "--"+f.Name+"="+v)
				}
				values = values[len(values)-1:]
			}
			value = strings.Join(values, ",")
		}
		flags = append(flags, "--"+f.Name+"="+value)
	}
	if len(positional) > 0 {
		flags = append(append(flags, "--"), positional...)
	}
	return flags, nil
}

// lookUp finds the flag that arg (which starts with a dash) names, and the value glued to it, if any.
func lookUp(known map[string]*pflag.Flag, arg string) (f *pflag.Flag, value string, hasValue bool) {
	body := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
	name, value, hasValue := strings.Cut(body, "=")
	for _, n := range []string{name, strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "_", "-")} {
		if f := known[n]; f != nil {
			return f, value, hasValue
		}
	}
	if short := known[body[:min(1, len(body))]]; short != nil && !strings.HasPrefix(arg, "--") &&
		!isBool(short) && len(body) > 1 && isDigit(body[1]) {
		return short, body[1:], true
	}
	return nil, "", false
}

// isFlag tells flags from values as argparse does: "-" alone and negative numbers are values.
func isFlag(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && !isDigit(arg[1]) && arg[1] != '.'
}

func flagPart(arg string) string {
	name, _, _ := strings.Cut(arg, "=")
	return name
}

func isBool(f *pflag.Flag) bool { return f.Value.Type() == "bool" }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
