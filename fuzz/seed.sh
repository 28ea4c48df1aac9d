#!/bin/sh
# Makes the seeds out of the golden cases: the first byte chooses the format, as in src/lib.rs.
set -eu
cd "$(dirname "$0")"
golden=../shared/formats/tests/golden

# seeds TARGET KIND PREFIX_BEHIND FORMAT...: the formats in the order of their list in src/lib.rs.
seeds() {
	target=$1 kind=$2 behind=$3
	shift 3
	mkdir -p "corpus/$target"
	number=0
	for format in "$@"; do
		for case in "$golden/$format/$kind"/*/; do
			for input in "$case"*; do
				case $input in */expected.txt) continue ;; esac
				[ -f "$input" ] || continue
				name="${format}_$(basename "$case")"
				{ printf "\\$(printf %03o "$number")$behind"; cat "$input"; } >"corpus/$target/$name"
			done
		done
		number=$((number + 1))
	done
}

seeds request request '' openai_chat openai_responses anthropic gemini
seeds answer response '' openai_chat openai_responses anthropic gemini
seeds stream stream '\100' openai_chat openai_responses anthropic gemini
