"""What `serve.py` runs: setting up `web/vendor/`, and a strict loopback HTTP server.

Standard library only, and importable with nothing installed. `set-up`: lock, clients, wheel, vendor.
Server, from the wire inwards: server, connection, request, target, routes, reply.
"""
