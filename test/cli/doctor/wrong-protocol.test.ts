// A listen/target pair whose target speaks something else: the doctor says so, instead of that the application is down.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { certificate } from '../../support/certificate.ts';
import { startCollector } from '../../support/collector.ts';
import { runProgram } from '../../support/programs.ts';
import { startSidecar } from '../../support/sidecar.ts';

async function portOf(t: TestContext, server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

async function ask(t: TestContext, target: number) {
  const collector = await startCollector(t);
  const sidecar = await startSidecar(t, { inbound: target, otlp: `http://${collector.otlpHttp}`, service: 'shop' });
  return runProgram([
    ...['doctor', '--sidecar', sidecar.admin, '--collector', collector.metrics, '--viewer', collector.viewer],
    ...['--timeout', '3s', '--via', `http://127.0.0.1:${sidecar.inbound}/`],
  ]);
}

test('a target that answers in another protocol', async (t) => {
  const server = net.createServer((socket) => socket.on('error', () => {}).end('220 mail.example ready\r\n'));
  const { code, stdout } = await ask(t, await portOf(t, server));
  assert.equal(code, 1, stdout);
  assert.match(stdout, /first thing wrong: request: GET \S+ was answered by something that is no HTTP/);
  assert.match(stdout, /what to do: .*name the port on which it speaks HTTP/);
});

test('a target that wants TLS', async (t) => {
  const server = tls.createServer(certificate).on('tlsClientError', () => {});
  const { code, stdout } = await ask(t, await portOf(t, server));
  assert.equal(code, 1, stdout);
  assert.match(stdout, /first thing wrong: request: GET .*: the application behind the sidecar speaks TLS there/);
  assert.match(stdout, /what to do: name the port on which it speaks plain HTTP/);
});
