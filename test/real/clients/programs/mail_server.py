"""An SMTP server on 127.0.0.1: says what mail it got. Arguments: port [certificate key]; with these it offers STARTTLS."""

import asyncio
import ssl
import sys

from aiosmtpd.smtp import SMTP


class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        secure = "TLS" if session.ssl else "clear"
        sender, recipients = envelope.mail_from, ", ".join(envelope.rcpt_tos)
        print(f"{secure}: from {sender} to {recipients}, {len(envelope.content)} bytes", flush=True)
        return "250 kept"


async def main():
    context = None
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])

    def connected():
        return SMTP(Mailbox(), hostname="mail.example", ident="ESMTP", tls_context=context, require_starttls=bool(context))

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
