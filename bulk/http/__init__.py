"""Speaks HTTP to the API; nothing else in bulk-trigger imports httpx, except the sandbox.

Pure:

answers              classifies an answer, for its trigger and for the pace
rate_limit_headers   parses rate-limit headers
api_key              holds the API key and removes it from what a server echoes
variables            names the environment variables, and those set by mistake in their place

At the edge:

address              checks the base URL
bodies               reads an answer's body, up to a limit
client               sends one request and returns its answer as data
preflight            checks the key and the base URL before anything is billed
"""
