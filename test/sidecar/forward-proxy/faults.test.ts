// R5 in the forward proxy: a fault of ours costs a span, or the one connection, and is counted; nobody else notices.
import assert from 'node:assert/strict';
import test from 'node:test';
import { RequestFlow } from '../../../src/sidecar/forward-proxy/request-flow.ts';
import { RequestGate } from '../../../src/sidecar/forward-proxy/request-gate.ts';
import { ResponseGate } from '../../../src/sidecar/forward-proxy/response-gate.ts';
import { Http1Observer } from '../../../src/sidecar/http1-observer.ts';
import { Tracer } from '../../../src/sidecar/tracer.ts';
import { echoPaths, startOrigin, startProxy } from './proxy.ts';

const sites: readonly [object, string][] = [
  [RequestFlow.prototype, 'consume'],
  [RequestFlow.prototype, 'advance'],
  [RequestGate.prototype, 'read'],
  [ResponseGate.prototype, 'read'],
  [Http1Observer.prototype, 'serverEnded'],
  [Http1Observer.prototype, 'finish'],
];

for (const [owner, method] of sites) {
  test(`${owner.constructor.name}.${method} throws: that connection ends, the next one works`, async (t) => {
    const proxy = await startProxy(t);
    const origin = await startOrigin(t, echoPaths());
    const request = `GET http://${origin.authority}/x HTTP/1.1\r\n\r\n`;
    t.mock.method(owner, method as never, () => {
      throw new Error('injected');
    });
    const client = await proxy.send(request);
    if (method === 'serverEnded' || method === 'finish') {
      await client.readUntil('/x');
      if (method === 'finish') client.socket.end();
      else origin.sockets[0]!.end();
    }
    await client.closed;
    t.mock.restoreAll();
    assert.equal(await proxy.metric('tracecar_connections_degraded_total', { reason: 'observer_error' }), 1);
    await (await proxy.send(request)).readUntil('/x');
  });
}

for (const method of ['open', 'close'] as const) {
  test(`Tracer.${method} throws: the answer is the same, only its span is missing`, async (t) => {
    const proxy = await startProxy(t);
    const origin = await startOrigin(t, echoPaths());
    t.mock.method(Tracer.prototype, method, () => {
      throw new Error('injected');
    });
    const client = await proxy.send(
      `POST http://${origin.authority}/x HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET http://${origin.authority}/y HTTP/1.1\r\n\r\n`,
    );
    const got = (await client.readUntil('/y')).toString();
    t.mock.restoreAll();
    const answer = (path: string) => `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${path}`;
    assert.equal(got, answer('/x') + answer('/y'));
    assert.equal(await proxy.metric('tracecar_connections_degraded_total', { reason: 'observer_error' }), 1);
    assert.equal(await proxy.metric('tracecar_spans_created_total'), 0);
  });
}
