package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^()\s]+)(?:\s+"[^"]*")?\)`)
	heading = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	inCode  = regexp.MustCompile("`[^`]*`")
	// In headings only the text of a link counts for the anchor.
	linkText = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// checkLinks lists the relative links of the pages that lead to no file, or to no heading of their target.
func checkLinks(pages []string) ([]string, error) {
	var problems []string
	anchors := map[string]map[string]bool{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return nil, err
		}
		for n, line := range prose(string(text)) {
			for _, m := range link.FindAllStringSubmatch(inCode.ReplaceAllString(line, ""), -1) {
				problem, err := follow(page, m[1], anchors)
				if err != nil {
					return nil, err
				}
				if problem != "" {
					problems = append(problems, fmt.Sprintf("%s:%d: link to %s: %s", page, n+1, m[1], problem))
				}
			}
		}
	}
	return problems, nil
}

// follow says what is wrong with a link of a page: "" if nothing is. Links with a scheme are not followed.
func follow(page, target string, anchors map[string]map[string]bool) (string, error) {
	u, err := url.Parse(target)
	if err != nil {
		return "not a valid link", nil
	}
	if u.Scheme != "" || u.Host != "" {
		return "", nil
	}
	path := page
	if u.Path != "" {
		path = filepath.Join(filepath.Dir(page), filepath.FromSlash(u.Path))
	}
	if _, err := os.Stat(path); err != nil {
		return "there is no such file", nil
	}
	if u.Fragment == "" || !strings.HasSuffix(path, ".md") {
		return "", nil
	}
	if anchors[path] == nil {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		anchors[path] = headings(string(text))
	}
	if !anchors[path][u.Fragment] {
		return "the page has no such heading", nil
	}
	return "", nil
}

// prose returns the lines of a page with those inside fenced code blocks emptied.
func prose(text string) []string {
	lines := strings.Split(text, "\n")
	fence := ""
	for i, line := range lines {
		t := strings.TrimSpace(line)
		switch {
		case fence == "" && (strings.HasPrefix(t, "```") || strings.HasPrefix(t, "~~~")):
			fence = t[:3]
			lines[i] = ""
		case fence != "":
			if strings.HasPrefix(t, fence) {
				fence = ""
			}
			lines[i] = ""
		}
	}
	return lines
}

// headings returns the anchors that GitHub gives to the headings of a page.
func headings(text string) map[string]bool {
	anchors := map[string]bool{}
	for _, line := range prose(text) {
		m := heading.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		anchor := slug(linkText.ReplaceAllString(m[1], "$1"))
		unique := anchor
		for n := 1; anchors[unique]; n++ {
			unique = fmt.Sprintf("%s-%d", anchor, n)
		}
		anchors[unique] = true
	}
	return anchors
}

// slug is the anchor of a heading: lower case, spaces as hyphens, other punctuation dropped.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}
