// Promise: every context format is read, every configured one is written, all say the same, and parents are kept.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { sumOf } from '../../src/cli/demo/metrics-text.ts';
import { headerValues, ourLines } from '../support/http-heads.ts';
import { type OtlpSink, type SinkSpan, startOtlpSink } from '../support/otlp-sink.ts';
import { connectRaw, type RawServer, startRawServer } from '../support/raw-tcp.ts';
import { type Sidecar, startSidecar } from '../support/sidecar.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const low = traceId.slice(16);
const parent = 'b7ad6b7169203331';
const ok = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');

interface Setup {
  readonly server: RawServer;
  readonly sink: OtlpSink;
  readonly sidecar: Sidecar;
}

async function setUp(t: TestContext, args: readonly string[] = []): Promise<Setup> {
  const server = await startRawServer(t, { onData: ({ socket }) => socket.write(ok) });
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { inbound: server.port, outbound: [server.port], otlp: sink.url, args });
  return { server, sink, sidecar };
}

/** Sends one request with the given header lines; resolves with the head the server saw. */
async function send(t: TestContext, setup: Setup, lines: readonly string[], port = setup.sidecar.inbound) {
  const known = setup.server.connections.length;
  const client = await connectRaw(t, port);
  client.socket.write(`GET /x HTTP/1.1\r\nHost: h\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`, 'latin1');
  await client.read(ok.length);
  client.socket.destroy();
  return setup.server.connections[known]!.bytes();
}

async function sendTraced(t: TestContext, setup: Setup, lines: readonly string[], port?: number) {
  const known = setup.sink.spans.length;
  const head = await send(t, setup, lines, port);
  const spans = await setup.sink.received(known + 1);
  return { head, span: spans[known]! };
}

/** Every format in a head names the given span. */
function assertNames(head: Buffer, span: Pick<SinkSpan, 'traceId' | 'spanId'>, names: readonly string[]) {
  const lines = ourLines(head);
  const wanted: Record<string, RegExp> = {
    traceparent: new RegExp(`^00-${span.traceId}-${span.spanId}-0[13]$`),
    b3: new RegExp(`^${span.traceId}-${span.spanId}-1(-[0-9a-f]{16})?$`),
    'x-b3-traceid': new RegExp(`^${span.traceId}$`),
    'x-b3-spanid': new RegExp(`^${span.spanId}$`),
    'x-b3-sampled': /^1$/,
    'uber-trace-id': new RegExp(
      `^0*${span.traceId.replace(/^0+/, '')}(:|%3A)${span.spanId}(:|%3A)[0-9a-f]+(:|%3A)1$`,
      'i',
    ),
    'ot-tracer-traceid': new RegExp(`^(${span.traceId}|${span.traceId.slice(16)})$`),
    'ot-tracer-spanid': new RegExp(`^${span.spanId}$`),
    'ot-tracer-sampled': /^true$/,
  };
  for (const name of names) {
    assert.match(lines.get(name) ?? `(no ${name})`, wanted[name]!, name);
    assert.equal(headerValues(head, name).length, 1, `${name} is there more than once`);
  }
}

const formats: Record<
  string,
  { readonly lines: readonly string[]; readonly names: readonly string[]; readonly id?: string }
> = {
  traceparent: { lines: [`traceparent: 00-${traceId}-${parent}-01`], names: ['traceparent'] },
  'a later version of traceparent': { lines: [`traceparent: cc-${traceId}-${parent}-01-what`], names: ['traceparent'] },
  'b3 single': { lines: [`b3: ${traceId}-${parent}-1`], names: ['b3'] },
  'b3 single with a parent': { lines: [`b3: ${traceId}-${parent}-1-00f067aa0ba902b7`], names: ['b3'] },
  'b3 multi': {
    lines: [`X-B3-TraceId: ${traceId}`, `X-B3-SpanId: ${parent}`, 'X-B3-Sampled: 1'],
    names: ['x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled'],
  },
  'b3 multi of 64 bits': {
    lines: [`x-b3-traceid: ${low}`, `x-b3-spanid: ${parent}`, 'x-b3-sampled: 1'],
    names: [],
    id: `0000000000000000${low}`,
  },
  jaeger: { lines: [`uber-trace-id: ${traceId}:${parent}:0:1`], names: ['uber-trace-id'] },
  'ot-tracer': {
    lines: [`ot-tracer-traceid: ${low}`, `ot-tracer-spanid: ${parent}`, 'ot-tracer-sampled: true'],
    names: ['ot-tracer-traceid', 'ot-tracer-spanid', 'ot-tracer-sampled'],
    id: `0000000000000000${low}`,
  },
};
const defaults = ['traceparent', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled'];

test('each format that comes in joins its trace, is the parent, and goes out with the configured ones', async (t) => {
  const setup = await setUp(t);
  for (const [name, { lines, names, id }] of Object.entries(formats)) {
    await t.test(name, async (s) => {
      const { head, span } = await sendTraced(s, setup, lines);
      assert.equal(span.traceId, id ?? traceId);
      assert.equal(span.parentSpanId, parent);
      assert.notEqual(span.spanId, parent);
      const written = id === undefined ? defaults : defaults.filter((header) => header !== 'x-b3-traceid');
      assertNames(head, span, [...written, ...names.filter((header) => !written.includes(header))]);
    });
  }
});

test('debug stays debug in B3, and is sampled in traceparent', async (t) => {
  const setup = await setUp(t);
  for (const lines of [
    [`b3: ${traceId}-${parent}-d`],
    [`x-b3-traceid: ${traceId}`, `x-b3-spanid: ${parent}`, 'x-b3-flags: 1'],
  ]) {
    const { head, span } = await sendTraced(t, setup, lines);
    assert.deepEqual([span.traceId, span.parentSpanId], [traceId, parent]);
    assertNames(head, span, ['traceparent', 'x-b3-traceid', 'x-b3-spanid']);
    assert.deepEqual(headerValues(head, 'x-b3-flags'), ['1']);
    // The B3 specification: never Sampled beside Flags=1.
    assert.deepEqual(headerValues(head, 'x-b3-sampled'), []);
  }
});

test('with every propagator configured, each format in gives all formats out', async (t) => {
  const setup = await setUp(t, ['--propagators', 'tracecontext,baggage,b3multi,b3,jaeger,ottrace']);
  const all = [...defaults, 'b3', 'uber-trace-id', 'ot-tracer-traceid', 'ot-tracer-spanid', 'ot-tracer-sampled'];
  for (const [name, { lines, id }] of Object.entries(formats)) {
    if (id !== undefined) continue;
    await t.test(name, async (s) => {
      const { head, span } = await sendTraced(s, setup, lines);
      assert.equal(span.traceId, traceId);
      assertNames(head, span, all);
    });
  }
});

test('a request without context starts a trace, written in the configured formats only', async (t) => {
  const setup = await setUp(t, ['--propagators', 'b3']);
  const { head, span } = await sendTraced(t, setup, []);
  assert.equal(span.parentSpanId, '');
  assert.match(span.traceId, /^[0-9a-f]{32}$/);
  assertNames(head, span, ['b3']);
  assert.deepEqual(
    [...ourLines(head).keys()].filter((name) => name !== 'x-request-id'),
    ['b3'],
  );
});

test('not sampled stays not sampled in every format, and makes no span', async (t) => {
  const setup = await setUp(t);
  const cases = [
    [`traceparent: 00-${traceId}-${parent}-00`],
    [`b3: ${traceId}-${parent}-0`],
    [`x-b3-traceid: ${traceId}`, `x-b3-spanid: ${parent}`, 'x-b3-sampled: 0'],
    [`uber-trace-id: ${traceId}:${parent}:0:0`],
  ];
  for (const lines of cases) {
    const seen = ourLines(await send(t, setup, lines));
    assert.match(seen.get('traceparent') ?? '', new RegExp(`^00-${traceId}-[0-9a-f]{16}-0[02]$`), lines[0]);
    assert.equal(seen.get('x-b3-sampled'), '0', lines[0]);
  }
  await sendTraced(t, setup, []);
  assert.equal(setup.sink.spans.length, 1);
});

test('tracestate, baggage and headers that are not ours go through untouched', async (t) => {
  const setup = await setUp(t);
  const lines = [
    'Baggage: userId=alice%20smith,server=n1;prop=1 , x=',
    'baggage: second=line',
    'X-Trace-Foo: 1',
    'X-Cloud-Trace-Context: 105445aa7843bc8bf206b12000100000/1;o=1',
    'x-datadog-trace-id: 1234',
    'uberctx-tenant: blue',
  ];
  const state = 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7';
  const { head, span } = await sendTraced(t, setup, [
    ...lines,
    `traceparent: 00-${traceId}-${parent}-01`,
    `tracestate: ${state}`,
  ]);
  const seen = head.toString('latin1').split('\r\n');
  for (const line of lines) assert.ok(seen.includes(line), `${line} did not pass unchanged`);
  assert.deepEqual(headerValues(head, 'tracestate'), [state]);
  assert.equal(span.traceState, state);
});

test('trace headers are found in any case and order, and each is there once afterwards', async (t) => {
  const setup = await setUp(t);
  const { head, span } = await sendTraced(t, setup, [
    'X-First: 1',
    'X-B3-SAMPLED: 1',
    `TraceParent:00-${traceId}-${parent}-01`,
    'X-Between: 2',
    `x-B3-traceID:   ${traceId}  `,
    `X-b3-SpanId: ${parent}`,
    'x-b3-parentspanid: 00f067aa0ba902b7',
    'X-Last: 3',
  ]);
  assert.deepEqual([span.traceId, span.parentSpanId], [traceId, parent]);
  assertNames(head, span, defaults);
  // A parent that is not this span's own must not stay behind.
  assert.ok(headerValues(head, 'x-b3-parentspanid').every((value) => value === parent));
  const others = head
    .toString('latin1')
    .split('\r\n')
    .filter((line) => /^x-(first|between|last)/i.test(line));
  assert.deepEqual(others, ['X-First: 1', 'X-Between: 2', 'X-Last: 3']);
});

/** Lines of tracestate, and whether they are legal by W3C Trace Context level 2, section 3.3.1. */
const traceStates: [readonly string[], boolean][] = [
  [['foo=1,bar=2'], true],
  [['foo=1', 'bar=2', 'baz=3'], true],
  [[' foo=1 \t,\t bar=2 '], true],
  [['foo=1,,bar=2,'], true],
  [['foo=1,foo=2'], true],
  [['foo=1', 'foo=1'], true],
  [['0foo=1'], true],
  [['fo_o-*/b@r=1'], true],
  [['foo@=1,bar=2'], true],
  [[`${'t'.repeat(242)}@v=1`], true],
  [[`t@${'v'.repeat(15)}=1`], true],
  [[`${'z'.repeat(256)}=1`], true],
  [[`${'z'.repeat(257)}=1`], false],
  [['@foo=1,bar=2'], false],
  [['FOO=1'], false],
  [['foo.bar=1'], false],
  [['foo =1'], false],
  [['foo'], false],
  [['foo=b=r'], false],
  [['foo=1\u00e9'], false],
  [[Array.from({ length: 32 }, (_, i) => `k${i}=1`).join(',')], true],
  [[Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(',')], false],
];

test('tracestate is passed on when it is legal by level 2, and dropped when it is not', async (t) => {
  const setup = await setUp(t);
  for (const [lines, isLegal] of traceStates) {
    await t.test(`${lines.join(' | ').slice(0, 40)}: ${isLegal ? 'passed on' : 'dropped'}`, async (s) => {
      const { head, span } = await sendTraced(s, setup, [
        `traceparent: 00-${traceId}-${parent}-01`,
        ...lines.map((line) => `tracestate: ${line}`),
      ]);
      assert.deepEqual([span.traceId, span.parentSpanId], [traceId, parent]);
      const members = headerValues(head, 'tracestate').flatMap((value) => value.split(/[ \t]*,[ \t]*/));
      const sent = lines.flatMap((line) => line.trim().split(/[ \t]*,[ \t]*/));
      const filled = (list: readonly string[]) => list.filter((member) => member !== '');
      assert.deepEqual(filled(members), isLegal ? filled(sent) : []);
      if (!isLegal) assert.equal(span.traceState, '');
    });
  }
});

const malformed = [
  'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331',
  'traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01',
  'traceparent: 00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
  'traceparent: 00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01',
  'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra',
  'traceparent: 00-0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01',
  'traceparent:',
  'b3: not-a-context',
  'b3: 0af7651916cd43dd8448eb211c80319c-b7ad-1',
  'x-b3-traceid: xyz',
  'uber-trace-id: 1:2',
];

test('a malformed context gives a new trace, and nothing of it is left', async (t) => {
  const setup = await setUp(t);
  for (const line of malformed) {
    await t.test(line, async (s) => {
      const { head, span } = await sendTraced(s, setup, [line]);
      assert.notEqual(span.traceId, traceId);
      assert.equal(span.parentSpanId, '');
      assertNames(head, span, defaults);
    });
  }
});

test('a malformed traceparent does not hide a sound B3 context', async (t) => {
  const setup = await setUp(t);
  const { head, span } = await sendTraced(t, setup, [malformed[0]!, `b3: ${traceId}-${parent}-1`]);
  assert.deepEqual([span.traceId, span.parentSpanId], [traceId, parent]);
  assertNames(head, span, [...defaults, 'b3']);
});

test('two traceparent lines are no context', async (t) => {
  const setup = await setUp(t);
  const line = `traceparent: 00-${traceId}-${parent}-01`;
  const { head, span } = await sendTraced(t, setup, [line, line.replace(parent, '00f067aa0ba902b7')]);
  assert.equal(span.parentSpanId, '');
  assertNames(head, span, defaults);
});

test('different trace ids: traceparent wins, all formats agree afterwards, the conflict is counted', async (t) => {
  const setup = await setUp(t);
  const other = 'ffffffffffffffffaaaaaaaaaaaaaaaa';
  const { head, span } = await sendTraced(t, setup, [
    `x-b3-traceid: ${other}`,
    'x-b3-spanid: 1111111111111111',
    'x-b3-sampled: 1',
    `traceparent: 00-${traceId}-${parent}-01`,
    `b3: ${other}-2222222222222222-1`,
  ]);
  assert.deepEqual([span.traceId, span.parentSpanId], [traceId, parent]);
  assertNames(head, span, [...defaults, 'b3']);
  assert.ok(sumOf(await setup.sidecar.metrics(), 'tracecar_context_conflicts_total') >= 1);
});

test('a B3 trace id of 64 bits that is the low half of traceparent is the same trace', async (t) => {
  const setup = await setUp(t);
  const { span } = await sendTraced(t, setup, [
    `x-b3-traceid: ${low}`,
    `x-b3-spanid: ${parent}`,
    'x-b3-sampled: 1',
    `traceparent: 00-${traceId}-${parent}-01`,
  ]);
  assert.deepEqual([span.traceId, span.parentSpanId], [traceId, parent]);
});

// What an application does with the context its sidecar gave it, and whom the outbound span must hang from.
const applications: Record<string, (injected: ReadonlyMap<string, string>, own: string) => readonly string[]> = {
  'an OpenTelemetry SDK that makes its own traceparent and copies B3': (injected, own) => [
    `traceparent: 00-${injected.get('x-b3-traceid')}-${own}-01`,
    `x-b3-traceid: ${injected.get('x-b3-traceid')}`,
    `x-b3-spanid: ${injected.get('x-b3-spanid')}`,
    'x-b3-sampled: 1',
  ],
  'a Zipkin SDK that makes its own B3 and copies traceparent': (injected, own) => [
    `traceparent: ${injected.get('traceparent')}`,
    `x-b3-traceid: ${injected.get('x-b3-traceid')}`,
    `x-b3-spanid: ${own}`,
    `x-b3-parentspanid: ${injected.get('x-b3-spanid')}`,
    'x-b3-sampled: 1',
  ],
};

test('of two parents in one trace, the application own span is the parent, not the one this sidecar injected', async (t) => {
  const setup = await setUp(t);
  const own = 'abcdefabcdefabcd';
  for (const [name, linesOf] of Object.entries(applications)) {
    await t.test(name, async (s) => {
      const { head: inboundHead } = await sendTraced(s, setup, []);
      const injected = ourLines(inboundHead);
      const { head, span } = await sendTraced(s, setup, linesOf(injected, own), setup.sidecar.outbound[0]);
      assert.equal(span.kind, 'CLIENT');
      assert.deepEqual([span.traceId, span.parentSpanId], [injected.get('x-b3-traceid'), own]);
      assertNames(head, span, defaults);
    });
  }
});

test('an application that only copies headers: its outbound span is the child of its inbound span', async (t) => {
  const setup = await setUp(t);
  const { head: inboundHead, span: server } = await sendTraced(t, setup, [`traceparent: 00-${traceId}-${parent}-01`]);
  const copied = [...ourLines(inboundHead)].map(([name, value]) => `${name}: ${value}`);
  const { head, span: client } = await sendTraced(t, setup, copied, setup.sidecar.outbound[0]);
  assert.deepEqual([server.kind, server.parentSpanId], ['SERVER', parent]);
  assert.deepEqual([client.kind, client.parentSpanId, client.traceId], ['CLIENT', server.spanId, traceId]);
  assertNames(head, client, defaults);
  assert.equal(ourLines(head).get('x-request-id'), ourLines(inboundHead).get('x-request-id'));
  assert.equal(sumOf(await setup.sidecar.metrics(), 'tracecar_forwards_headers'), 1);
});

test('an x-request-id that came in is never changed', async (t) => {
  const setup = await setUp(t);
  for (const id of ['my own id / 7', '968ea8f8-3806-45c9-8228-8d3dde5df3b4']) {
    const { head } = await sendTraced(t, setup, [`X-Request-ID: ${id}`]);
    assert.deepEqual(headerValues(head, 'x-request-id'), [id]);
  }
});
