package main

import (
	"math/rand"
	"strings"
)

// Every shape of an argument behind every instruction that reads it in its own way.
func shapes() []string {
	arguments := []string{
		"", "a", "a b", "a  b\tc", "'a b'", "\"a b\"", "\"a", "'a", "a\\ b", "a\\", "a\\\\", "\\\"a", "\"a\\\"b\"", "'a\\'", "`a`", "a`",
		"a=b", "a=", "=b", "a=b=c", "a=\"b c\" d='e f'", "a=b c", "\"a b\"=c", "a=b\\ c", "a=$b", "a=${b:-c d}", "a b=c",
		"[]", "[\"a\"]", "[\"a\", \"b c\"]", "[\"a\",]", "['a']", "[1]", "[\"a\", null]", "[\"a\"] b", "[ \"a\\u0062\" ]", "[\"a", "[a]",
		"--x", "--x=y a", "--x=\"y z\" a b", "--x='y z' a b", "--x=y\\ z a b", "-- a b", "--x -- a b", "--\\", "--x=\"", "-x a b", "--\"\" a b",
		"<<EOF\nx\nEOF", "<<-EOF\n\tx\n\tEOF", "<<'E F'\nx\nE F", "<<\"EOF\" b\n$x\nEOF", "a <<EOF b <<-X\n1\nEOF\n\t2\n\tX",
		"a<<EOF", "3<<EOF\nx\nEOF", "a <<<b", "<<EOF\nno end", "<< EOF\nx\nEOF", "<<E\\OF\nx\nEOF", "<<$A\nx\n$A", "<<${A:-b}\nx\nb",
		"\\\n a", "a \\\n# c\n b", "a \\\n\n b", "a \\ \n b", "a \\\\\n", "# a", "a # b", "a \\\n <<EOF\nx\nEOF",
	}
	heads := []string{"RUN", "COPY", "ENV", "LABEL", "ARG", "CMD", "USER", "HEALTHCHECK CMD", "ONBUILD RUN", "VOLUME", "EXPOSE", "SHELL"}
	var files []string
	for _, head := range heads {
		for _, argument := range arguments {
			files = append(files, "FROM a\n"+strings.TrimSuffix(head+" "+argument, " ")+"\nWORKDIR /x\n")
		}
	}
	for _, argument := range []string{"", "a", "a AS b", "a as B", "a AS", "a b", "a AS 1x", "a AS b c", "--platform=x a AS b", "a AS b_c-d.e", "$A", "a@sha256:x"} {
		files = append(files, "ARG A=1\nFROM "+argument+"\nRUN a\n")
	}
	return files
}

// Words with every form of a variable, and what stands around it.
func fixedWords() []string {
	var words []string
	for _, name := range []string{"A", "B", "NONE", "V", "P", "S", "Q", "ABC"} {
		for _, form := range []string{
			"$%", "${%}", "x$%y", "${%:-d}", "${%-d}", "${%:+s}", "${%+s}", "${%:?m}", "${%?m}", "\"$%\"", "'$%'", "\\$%", "\"\\$%\"", "${%:-$A}",
			"${%:-'q r'}", "${%:-\"${A}\"}", "${%#1}", "${%##*.}", "${%%.*}", "${%%%.*}", "${%#a?}", "${%/a/x}", "${%//b/x}", "${%/\\//_}", "${%//\\*/x}",
			"${%:x}", "${%:}", "${% }", "${%", "${%:-", "${%:-a}b}", "$%$%", "${%^}", "${%#\\x}", "${%#:a}", "${%:#a}",
		} {
			words = append(words, strings.ReplaceAll(form, "%", name))
		}
	}
	return append(words, "", "a b", "'", "\"", "a\\", "\\\\", "a`b", "``", "$", "$$", "$1", "$12x", "$@", "${}", "${{A}}", "${:A}", "\"a\\b\"", "\"a`b\"",
		"\"\\\"\"", "a\\ b", "<<x", "< y", "<<  z", "\"$\"", "${1}", "${A}}", "é$Aé", "$é", "日本$A", "\t x", "''", "\"\"")
}

func randomWords(count int, seed int64) []string {
	source := rand.New(rand.NewSource(seed))
	pieces := []string{"$A", "${B:-", "}", "'", "\"", "\\", "`", " ", "x", "${V%", ".*", "${P/", "/", "$", "{", "${NONE:+", "${ABC#", "?", "*", "é", "${A}", "${", ":", "-"}
	words := make([]string, 0, count)
	for len(words) < count {
		var text strings.Builder
		for range 1 + source.Intn(7) {
			text.WriteString(pieces[source.Intn(len(pieces))])
		}
		words = append(words, text.String())
	}
	return words
}

// Random files: lines of pieces that mean something to the parser, most of them in places where they do.
func random(count int, seed int64) []string {
	source := rand.New(rand.NewSource(seed))
	pick := func(words ...string) string { return words[source.Intn(len(words))] }
	pieces := []string{
		"a", "b=c", "\"x y\"", "'q'", "\\", "\\ ", "`", "&&", "<<EOF", "<<-E", "<<\"Q\"", "3<<F", "<<<x", "$A", "${B:-c}",
		"--from=x", "--", "--mount=type=cache", "[\"a\", \"b\"]", "[\"a\"", "# no comment", "=", "cat<<EOF", "\t", "é",
	}
	heads := []string{
		"RUN", "RUN", "RUN", "COPY", "ADD", "ENV", "ARG", "LABEL", "CMD", "USER", "ONBUILD RUN", "ONBUILD COPY", "run",
		"EXPOSE", "VOLUME", "HEALTHCHECK CMD", "ENTRYPOINT", "SHELL", "WORKDIR", "FROM", "MAINTAINER", "STOPSIGNAL",
	}
	files := make([]string, 0, count)
	for len(files) < count {
		var text strings.Builder
		text.WriteString(pick("", "", "", "# escape=`\n", "# syntax=docker/dockerfile:1\n", "# a comment\n", "\n", "\ufeff", "# check=skip=all\n"))
		text.WriteString("FROM a\n")
		for range 1 + source.Intn(4) {
			text.WriteString(pick("", "", " ", "\t") + heads[source.Intn(len(heads))])
			for range source.Intn(5) {
				text.WriteString(" " + pieces[source.Intn(len(pieces))])
				if source.Intn(6) == 0 {
					text.WriteString(pick("\\\n", " \\\n", "`\n", " \\ \n", "\\\n# comment\n", "\\\n\n"))
				}
			}
			text.WriteString(pick("\n", "\n", "\r\n", "\n\n"))
			for range source.Intn(3) {
				text.WriteString(pick("", "", "\tbody $A\nEOF\n", "EOF\n", "\tE\n", "Q\n", "F\n", "# c\n"))
			}
		}
		files = append(files, text.String())
	}
	return files
}
