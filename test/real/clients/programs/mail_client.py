"""Sends one mail of 200 kB by SMTP. Arguments: port [certificate]; with this it goes on in TLS after STARTTLS."""

import smtplib
import ssl
import sys

body = "\r\n".join(f"line {n}: {'x' * 60}" for n in range(2800))
with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example") as client:
    if len(sys.argv) > 2:
        client.starttls(context=ssl.create_default_context(cafile=sys.argv[2]))
        print("TLS", client.sock.version())
    refused = client.sendmail("a@example.com", ["b@example.com"], f"Subject: a letter\r\n\r\n{body}\r\n")
    print("sent" if refused == {} else refused)
    print(client.vrfy("b@example.com"))
