"""The official Python SDK against the engine: a scenario of checks, a server for the mixed run, and its driver."""
