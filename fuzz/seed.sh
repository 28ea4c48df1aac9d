#!/bin/sh
# Makes the seeds out of the golden cases: the first byte chooses the format, as in checks/src/lib.rs, the
# second says how.
set -eu
cd "$(dirname "$0")"
golden=../shared/formats/tests/golden

# seeds TARGET KIND HOW FORMAT...: the formats in the order of their list in checks/src/lib.rs.
seeds() {
	target=$1 kind=$2 how=$3
	shift 3
	mkdir -p "corpus/$target"
	number=0
	for format in "$@"; do
		for case in "$golden/$format/$kind"/*/; do
			for input in "$case"*; do
				case $input in */expected.txt) continue ;; esac
				[ -f "$input" ] || continue
				how_here=$how
				# Binary frames that are written down as text.
				case $input in *.frames) how_here='\300' ;; esac
				name="${number}_$(echo "$format" | tr / _)_${kind}_$(basename "$case")"
				{ printf "\\$(printf %03o "$number")$how_here"; cat "$input"; } >"corpus/$target/$name"
			done
		done
		number=$((number + 1))
	done
}

# tagged NUMBER NAME BODY: requests that carry the signatures of others.
tagged() {
	for model in 1 2 4; do
		printf "\\$(printf %03o "$1")\\$(printf %03o "$model")%s" "$3" >"corpus/request/tagged_$2_$model"
	done
}

providers="openai/chat openai/responses anthropic/messages google/generate_content aws/converse anthropic/messages google/generate_content
	openai/embeddings google/embeddings aws/embeddings"
seeds request request '\001' openai/chat openai/responses anthropic/messages google/generate_content anthropic/messages google/generate_content \
	openai/embeddings
seeds answer response '\000' $providers
seeds answer error '\000' $providers
seeds stream stream '\100' openai/chat openai/responses anthropic/messages google/generate_content aws/converse

own=__lgsig_anthropic_AbC-e
foreign=__lgsig_gemini_AbC-e
third=__lgsig_openai-uresponses_AbC-e
for tag in own foreign third; do
	eval "it=\$$tag"
	tagged 0 "chat_$tag" '{"model":"m","messages":[{"role":"assistant","reasoning_content":"t","reasoning_details":[{"type":"reasoning.encrypted","data":"'$it'"}],"tool_calls":[{"id":"a'$it'","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a'$it'","content":"r"}]}'
	tagged 1 "responses_$tag" '{"model":"m","input":[{"type":"reasoning","id":"r","summary":[],"encrypted_content":"'$it'"},{"type":"function_call","call_id":"a'$it'","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"a'$it'","output":"r"}]}'
	tagged 2 "anthropic_$tag" '{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"'$it'"},{"type":"redacted_thinking","data":"'$it'"},{"type":"tool_use","id":"a'$it'","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a'$it'","content":"r"}]}]}'
	tagged 3 "gemini_$tag" '{"contents":[{"role":"user","parts":[{"text":"q"}]},{"role":"model","parts":[{"text":"t","thought":true,"thoughtSignature":"'$it'"},{"functionCall":{"id":"a'$it'","name":"f","args":{}},"thoughtSignature":"'$it'"}]},{"role":"user","parts":[{"functionResponse":{"id":"a'$it'","name":"f","response":{}}}]}]}'
done
