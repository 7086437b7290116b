"""The API over HTTP: the only room that knows httpx.

Pure:

answers              classifies an answer, for its trigger and for the pace
rate_limit_headers   reads what an answer's headers say about rate limits
api_key              holds the API key and scrubs it from what a server echoes

At the edge:

address              checks the base URL
bodies               reads an answer's body, up to a bound
client               sends one request and returns its answer as data
preflight            asks something harmless first: is the key valid, is the address right?
"""
