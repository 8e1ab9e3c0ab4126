"""Takes warnings by webhook and prints them, to try a subscription out:

    python3 docs/webhook-receiver.py whsec_… [PORT]

It checks the signature as Standard Webhooks says (standardwebhooks.com) and wants
nothing but Python 3. A receiver in operation also refuses timestamps that are
minutes off, and remembers webhook-id, by which a message that comes twice is known.
"""
import base64
import hashlib
import hmac
import http.server
import json
import sys

KEY = base64.b64decode(sys.argv[1].removeprefix("whsec_"))
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 9000


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
        signature = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        if f"v1,{signature}" not in self.headers["webhook-signature"].split():
            self.send_error(401, "the signature is wrong")
            return
        message = json.loads(body)
        print(self.headers["webhook-id"], message["type"], message["data"]["headline"]["vi"], flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", PORT), Receiver).serve_forever()
