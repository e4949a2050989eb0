#!/usr/bin/env bash
# Call a model with curl through farthing: what it cost, what is on the ledger, and how a refusal looks.
set -euo pipefail

ask() {
  curl --silent --show-error --include "$FARTHING_URL/v1/chat/completions" \
    -H "Authorization: Bearer $FARTHING_KEY" \
    -H "Content-Type: application/json" \
    -H 'X-Metering-Tags: {"feature": "quickstart"}' \
    -d "{\"model\": \"$1\", \"max_tokens\": 100, \"messages\": [{\"role\": \"user\", \"content\": \"Say hello.\"}]}"
}

ask gpt-4o-mini
echo
ask gpt-4o
echo
curl --silent --show-error "$FARTHING_URL/api/calls?limit=1" -H "Authorization: Bearer $FARTHING_KEY"
echo
