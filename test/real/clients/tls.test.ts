// TLS through a sidecar to a real HTTPS server: unread, with the name, the protocols and the certificate as sent.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { startEcho } from './support/application.ts';
import { absent, assertAlike, run, temporaryFolder } from './support/commands.ts';
import { startNginx } from './support/nginx.ts';
import { assertUnchanged, assertUnreadSpan, startWire } from './support/wire.ts';

const skip = absent('curl', 'nginx', 'openssl');

async function startHttps(t: TestContext) {
  const folder = temporaryFolder(t, 'tls');
  const key = path.join(folder, 'key.pem');
  const certificate = path.join(folder, 'certificate.pem');
  const subject = ['-subj', '/CN=shop.example', '-addext', 'subjectAltName=DNS:shop.example'];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject];
  const made = await run('openssl', [...request, '-keyout', key, '-out', certificate]);
  assert.equal(made.code, 0, made.stderr);
  const application = await startEcho(t);
  const nginx = await startNginx(t, application.port, 'ssl http2', [
    `ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_protocols TLSv1.2 TLSv1.3;`,
    'add_header X-Name "$ssl_server_name $ssl_protocol $server_protocol" always;',
  ]);
  writeFileSync(path.join(nginx.files, 'page'), 'nobody in between has read this\n'.repeat(3000));
  return { nginx, certificate };
}

for (const [what, flag, protocol, alpn] of [
  ['HTTP/1.1', '--http1.1', 'HTTP/1.1', 'http/1.1'],
  ['HTTP/2 agreed by ALPN', '--http2', 'HTTP/2.0', 'h2,http/1.1'],
] as const) {
  test(`curl speaks ${what} over TLS to nginx through a sidecar alike`, { skip }, async (t) => {
    const { nginx, certificate } = await startHttps(t);
    const wire = await startWire(t, nginx.port);
    const get = async (port: number) => {
      const url = `https://shop.example:${port}/page`;
      const to = ['--cacert', certificate, '--resolve', `shop.example:${port}:127.0.0.1`];
      const shown = ['-w', '\n%{http_version} %{num_connects} %{ssl_verify_result}\n'];
      const result = await run('curl', ['-sSi', flag, ...to, ...shown, url, url]);
      return { ...result, stdout: result.stdout.replaceAll(/^date: .*\r$/gim, 'date: now\r') };
    };
    const through = await get(wire.through);
    assertAlike(through, await get(wire.direct));
    assert.equal(through.code, 0, through.stderr);
    assert.ok(through.stdout.toLowerCase().includes(`x-name: shop.example tlsv1.3 ${protocol.toLowerCase()}`));
    assert.equal(await assertUnchanged(wire), 1, 'both requests on one connection');
    const span = await assertUnreadSpan(wire, {
      'network.protocol.name': 'tls',
      'tls.client.server_name': 'shop.example',
      'server.address': 'shop.example',
      requested_server_name: 'shop.example',
      'tracecar.tls.alpn': alpn,
      'tracecar.encrypted': 'true',
    });
    assert.match(span.name, /^tls shop\.example:\d+$/);
  });
}

test('a certificate that the client does not trust is refused through a sidecar as it is directly', {
  skip,
}, async (t) => {
  const { nginx } = await startHttps(t);
  const wire = await startWire(t, nginx.port);
  const get = (port: number) =>
    run('curl', ['-sS', '--resolve', `shop.example:${port}:127.0.0.1`, `https://shop.example:${port}/`]);
  const through = await get(wire.through);
  assertAlike(through, await get(wire.direct));
  assert.equal(through.code, 60);
  await assertUnchanged(wire);
});
