-- wrk script: post the body of BODY_FILE with the key of KEY, and print one line of results.
local file = io.open(os.getenv("BODY_FILE"), "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
wrk.path = os.getenv("REQUEST_PATH")
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer " .. os.getenv("KEY")

done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("RESULT %d %d %d %.1f %.1f\n", summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99)))
end
