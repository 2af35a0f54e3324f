// Command recipes trains a table of recipes on a table of cohorts, with several seeds, and keeps one line of JSON per
// training. From these lines it writes the tables of docs/ACCURACY.md. A run that was stopped continues where it
// stopped.
//
//	go run ./scripts/recipes train -data ../shared/data -work DIR -cohorts adrenal,vessel \
//	  -recipes reference,default -folds 0,1 -seeds 1,2,3
//	go run ./scripts/recipes table
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "recipes:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(args) == 0 {
		return fmt.Errorf("expected a command: train or table")
	}
	fs := flag.NewFlagSet("recipes "+args[0], flag.ExitOnError)
	var s study
	fs.StringVar(&s.results, "results", "docs/accuracy.jsonl", "file of the results, one training a line")
	fs.StringVar(&s.data, "data", "../shared/data", "folder with medmnist/ and raw/")
	fs.StringVar(&s.work, "work", "study", "folder for tasks and models")
	switch args[0] {
	case "train":
		cohorts := fs.String("cohorts", strings.Join(cohortNames(), ","), "cohorts, in this order")
		recipes := fs.String("recipes", strings.Join(recipeNames(), ","), "recipes, in this order")
		folds := fs.String("folds", "0,1,2,3,4", "folds; official is the published split where there is one")
		seeds := fs.String("seeds", "1,2,3", "seeds")
		fs.IntVar(&s.threads, "threads", 0, "threads of the network, 0: all")
		fs.Float64Var(&s.scale, "scale", 1, "every training is this times as long as its recipe says")
		if err := fs.Parse(args[1:]); err != nil {
			return err
		}
		s.cohorts, s.recipes, s.folds = strings.Split(*cohorts, ","), strings.Split(*recipes, ","), strings.Split(*folds, ",")
		for _, text := range strings.Split(*seeds, ",") {
			seed, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return fmt.Errorf("seed %q: %w", text, err)
			}
			s.seeds = append(s.seeds, seed)
		}
		return s.run(ctx)
	case "table":
		page := fs.String("page", "docs/ACCURACY.md", "page whose tables are rewritten")
		if err := fs.Parse(args[1:]); err != nil {
			return err
		}
		return s.writeTables(ctx, *page)
	}
	return fmt.Errorf("unknown command %q: train or table", args[0])
}
