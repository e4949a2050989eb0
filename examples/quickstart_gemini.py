"""Call models with Google's own client through farthing, and see what each call cost."""

import os

from google import genai
from google.genai import errors, types

client = genai.Client(
    vertexai=False,
    api_key=os.environ["FARTHING_KEY"],
    http_options=types.HttpOptions(base_url=os.environ["FARTHING_URL"]),
)
# A label says what a call was for; reports and budgets can tell them apart.
options = types.GenerateContentConfig(
    max_output_tokens=100,
    http_options=types.HttpOptions(headers={"X-Metering-Tags": '{"feature": "quickstart"}'}),
)

answer = client.models.generate_content(model="gemini-2.5-flash-lite", contents="Say hello.", config=options)
print("answer:", answer.text)
assert answer.sdk_http_response is not None
assert answer.sdk_http_response.headers is not None
headers = {name.lower(): text for name, text in answer.sdk_http_response.headers.items()}
print("cost in USD:", headers["x-farthing-cost-usd"])

stream = client.models.generate_content_stream(
    model="gemini-2.5-flash-lite", contents="Count to three.", config=options
)
print("stream:", "".join(chunk.text or "" for chunk in stream))

# A refusal is an error of the client's own kind; nothing was sent and nothing was spent.
try:
    client.models.generate_content(model="gemini-2.5-pro", contents="Say hello.", config=options)
except errors.APIError as refusal:
    print("refused:", refusal.code, refusal.message)
