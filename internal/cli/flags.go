package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What a flag carries in addition to pflag's own fields.
const (
	noteSpellings = "uc_spellings" // every spelling with its dashes, in the order the help shows them
	noteList      = "uc_list"      // takes all values up to the next flag, as argparse's nargs="+"
	noteReference = "uc_reference" // a flag of the reference's argparse
	noteInert     = "uc_inert"     // accepted, without effect; the value says why
)

// spell makes name a flag of the reference's command line with these spellings (with dashes).
func spell(fs *pflag.FlagSet, name string, spellings ...string) {
	must(fs.SetAnnotation(name, noteSpellings, spellings))
	must(fs.SetAnnotation(name, noteReference, nil))
}

// list lets a flag take several values: `-t 1 2 3` and `--tasks 1,2,3`.
func list(fs *pflag.FlagSet, name string) { must(fs.SetAnnotation(name, noteList, nil)) }

// inert marks a flag that is accepted for the reference's sake and changes nothing here.
func inert(fs *pflag.FlagSet, name, why string) {
	must(fs.SetAnnotation(name, noteInert, []string{why}))
}

// must stops at a programmer's mistake: an annotation on a flag that was never defined.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func has(f *pflag.Flag, note string) bool {
	_, ok := f.Annotations[note]
	return ok
}

// spellings lists how a flag may be written, with dashes, the way the help shows it.
func spellings(f *pflag.Flag) []string {
	if s := f.Annotations[noteSpellings]; len(s) > 0 {
		return s
	}
	if f.Shorthand != "" {
		return []string{"-" + f.Shorthand, "--" + f.Name}
	}
	return []string{"--" + f.Name}
}

// warnInert prints one line for every flag that was given and has no effect.
func warnInert(cmd *cobra.Command) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if why := f.Annotations[noteInert]; len(why) > 0 {
			cmd.PrintErrf("uc: %s has no effect: %s\n", spellings(f)[0], why[0])
		}
	})
}

// flagsBySpelling maps the spellings of a command's flags, without dashes, to the flags.
func flagsBySpelling(cmd *cobra.Command) map[string]*pflag.Flag {
	cmd.InitDefaultHelpFlag()
	known := map[string]*pflag.Flag{}
	add := func(f *pflag.Flag) {
		known[f.Name] = f
		for _, s := range spellings(f) {
			known[strings.TrimLeft(s, "-")] = f
		}
	}
	cmd.InheritedFlags().VisitAll(add)
	cmd.LocalFlags().VisitAll(add)
	return known
}
