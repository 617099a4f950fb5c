"""The REST front: TF Serving's HTTP API as an ASGI application.

`app` takes requests to where they belong, `body` reads what they bring, `json_read` makes arrays of it, `models` asks the
model, `json_write` makes JSON of what it answers, and `openapi` describes all of it.
"""
