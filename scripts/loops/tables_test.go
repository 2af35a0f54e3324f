package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocumented checks that the documentation holds the tables as they are now.
func TestDocumented(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	var b strings.Builder
	if err := writeTables(&b); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("docs", "PERFORMANCE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for table := range strings.SplitSeq(b.String(), "\n\n") {
		if !strings.Contains(string(page), strings.TrimSpace(table)) {
			t.Errorf("docs/PERFORMANCE.md lacks\n%s", table)
		}
	}
}
