import assert from 'node:assert/strict';
import { test } from 'node:test';
import protobuf from 'protobufjs';
import { Exchange } from '../../../src/sidecar/exchange.ts';
import { OtlpBatch } from '../../../src/sidecar/export/otlp-batch.ts';
import { SpanTemplate } from '../../../src/sidecar/export/span-template.ts';
import { SpanWriter, varintSize } from '../../../src/sidecar/export/span-writer.ts';
import { decodeByOracle } from '../../formats/otlp/oracle.ts';
import { createTracer, facts } from '../observed.ts';

interface DecodedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { key: string; value: Record<string, unknown> }[];
  readonly status?: { code: number };
  readonly flags: number;
  readonly traceState?: string;
}

interface DecodedRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly { key: string; value: { stringValue: string } }[] };
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly DecodedSpan[];
    }[];
  }[];
}

function decode(body: Uint8Array) {
  const { resourceSpans } = decodeByOracle(body) as unknown as DecodedRequest;
  assert.equal(resourceSpans.length, 1);
  const { resource, scopeSpans } = resourceSpans[0]!;
  return { resource, scope: scopeSpans[0]!.scope, spans: scopeSpans[0]!.spans };
}

function example(more: Partial<Exchange> = {}): Exchange {
  return Object.assign(new Exchange(), {
    startMs: 1_795_273_126_478.5,
    method: 'GET',
    target: '/cart?token=secret&page=2',
    authority: 'shop:8080',
    sampled: true,
    reason: 'random',
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    requestId: 'rid',
    userAgent: 'curl/8',
    status: 200,
    responseBytes: 5_000_000_000,
    ...more,
  });
}

function write(
  exchange: Exchange,
  flags: Parameters<typeof createTracer>[0] = {},
  direction: 'inbound' | 'outbound' = 'inbound',
) {
  const { encoder } = createTracer(flags);
  const batch = new OtlpBatch('shop', new Map([['deployment.environment', 'prod']]));
  const connection = { ...facts, direction };
  encoder.write(batch.writer, exchange, new SpanTemplate(connection), exchange.startMs + 12.25);
  batch.count++;
  const { body, spanCount, id } = batch.seal('i/1/0');
  assert.deepEqual([spanCount, id], [1, 'i/1/0']);
  const decoded = decode(body);
  assert.equal(decoded.spans.length, 1);
  return { ...decoded, span: decoded.spans[0]!, attributes: attributesOf(decoded.spans[0]!) };
}

function attributesOf(span: DecodedSpan): Record<string, unknown> {
  const keys = span.attributes.map(({ key }) => key);
  assert.equal(new Set(keys).size, keys.length, 'no key twice');
  return Object.fromEntries(span.attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]));
}

test('an independent decoder reads ids, name, kind, times, flags and resource', () => {
  const { span, resource, scope } = write(example({ parentSpanId: '00f067aa0ba902b7', traceState: 'a=1' }));
  assert.equal(span.traceId, '0af7651916cd43dd8448eb211c80319c');
  assert.equal(span.spanId, 'b7ad6b7169203331');
  assert.equal(span.parentSpanId, '00f067aa0ba902b7');
  assert.equal(span.traceState, 'a=1');
  assert.equal(span.name, 'shop:8080/*');
  assert.equal(span.kind, 2);
  assert.equal(span.startTimeUnixNano, '1795273126478500000');
  assert.equal(span.endTimeUnixNano, '1795273126490750000');
  assert.equal(span.flags, 0x301);
  assert.equal(span.status, undefined);
  const pairs = resource.attributes.map((attribute) => [attribute.key, attribute.value.stringValue]);
  assert.deepEqual(pairs.slice(0, 2), [
    ['service.name', 'shop'],
    ['telemetry.sdk.name', 'tracecar'],
  ]);
  assert.deepEqual(pairs.at(-1), ['deployment.environment', 'prod']);
  assert.equal(scope.name, 'tracecar');
});

test("Envoy's tags are strings, spelled as Envoy spells them", () => {
  const { attributes } = write(example(), { 'span-attributes': 'envoy' });
  const { node_id: _, ...rest } = attributes;
  assert.deepEqual(rest, {
    component: 'proxy',
    'peer.address': '127.0.0.1',
    upstream_cluster: 'inbound|8080||',
    'upstream_cluster.name': 'inbound|8080||',
    upstream_address: '127.0.0.1:8080',
    'http.url': 'http://shop:8080/cart?token=REDACTED&page=REDACTED',
    'http.method': 'GET',
    'http.protocol': 'HTTP/1.1',
    'guid:x-request-id': 'rid',
    downstream_cluster: '-',
    user_agent: 'curl/8',
    request_size: '0',
    response_size: '5000000000',
    'http.status_code': '200',
    response_flags: '-',
    'tracecar.sampling.reason': 'random',
  });
});

test('the semantic conventions are typed', () => {
  const { attributes } = write(example(), { 'span-attributes': 'semconv', 'allow-query': ['page'] });
  assert.deepEqual(attributes, {
    'url.scheme': 'http',
    'client.address': '127.0.0.1',
    'network.peer.address': '127.0.0.1',
    'network.peer.port': '40000',
    'http.request.method': 'GET',
    'url.path': '/cart',
    'url.query': 'token=REDACTED&page=2',
    'http.response.status_code': '200',
    'server.address': 'shop',
    'server.port': '8080',
    'network.protocol.version': '1.1',
    'user_agent.original': 'curl/8',
    'http.request.body.size': '0',
    'http.response.body.size': '5000000000',
    'tracecar.sampling.reason': 'random',
  });
});

test('an outbound span is a CLIENT span named after the authority', () => {
  const { span, attributes } = write(example({ authority: 'payments' }), {}, 'outbound');
  assert.equal(span.kind, 3);
  assert.equal(span.name, 'payments:8080/*');
  assert.equal(span.flags, 0x101);
  assert.equal(attributes['network.peer.port'], '8080');
  assert.equal(attributes['client.address'], undefined);
});

test('an error sets status, error, error.type and the flag', () => {
  const { span, attributes } = write(example({ status: 0, errorType: 'connection_refused', responseFlag: 'UF' }));
  assert.equal(span.status?.code, 2);
  assert.deepEqual(
    [attributes.error, attributes['error.type'], attributes.response_flags, attributes['http.status_code']],
    ['true', 'connection_refused', 'UF', '0'],
  );
  assert.equal(attributes['http.response.status_code'], undefined);
});

test('latin1 of a head that is UTF-8 comes out as what it means, and what is neither as U+FFFD', () => {
  const meant = Buffer.from('/käse').toString('latin1');
  const { attributes } = write(example({ target: meant, userAgent: 'x\xff', nonAscii: true }));
  assert.equal(attributes['url.path'], '/käse');
  assert.equal(attributes.user_agent, 'x\ufffd');
});

test('the path tag is cut at its limit, userinfo never shows', () => {
  const long = write(example({ target: `/${'p'.repeat(400)}` }), { 'max-path-tag-length': '10' }).attributes;
  assert.equal(long['http.url'], 'http://shop:8080/ppppppppp');
  const absolute = write(example({ target: 'http://user:pw@other:81/x' })).attributes;
  assert.equal(absolute['http.url'], 'http://other:81/x');
  assert.equal(absolute['server.address'], 'other');
});

test('custom tags: constants, request values, and one that replaces a standard tag', () => {
  const { attributes } = write(example({ tagValues: ['gold', ''] }), {
    tag: [
      'team=literal:shop',
      'tier=header:x-tier',
      'absent=header:x-no',
      'user_agent=literal:hidden',
      'pod=env:NOPE:none',
    ],
  });
  assert.deepEqual(
    [attributes.team, attributes.tier, attributes.absent, attributes.user_agent, attributes.pod],
    ['shop', 'gold', undefined, 'hidden', 'none'],
  );
});

test('spans of every size from tiny to 100 KB decode, one after another in one batch', () => {
  const { encoder } = createTracer();
  const batch = new OtlpBatch('s', new Map());
  const template = new SpanTemplate(facts);
  const sizes = [0, 1, 10, 100, 1000, 8000, 16_000, 60_000];
  for (const size of sizes) {
    const exchange = example({ userAgent: 'u'.repeat(size) });
    encoder.write(batch.writer, exchange, template, exchange.startMs);
    batch.count++;
  }
  const { spans } = decode(batch.seal('x').body);
  assert.deepEqual(
    spans.map((span) => String(attributesOf(span).user_agent).length),
    [1, ...sizes.slice(1)],
  );
});

test('a sealed batch leaves the next one empty', () => {
  const { encoder } = createTracer();
  const batch = new OtlpBatch('s', new Map());
  const writeOne = () => {
    encoder.write(batch.writer, example(), new SpanTemplate(facts), 0);
    batch.count++;
  };
  writeOne();
  const first = Buffer.from(batch.seal('1').body);
  writeOne();
  assert.deepEqual(Buffer.from(batch.seal('2').body), first);
});

test('varints are as long as they are said to be', () => {
  for (const value of [
    0,
    127,
    128,
    16_383,
    16_384,
    2 ** 21 - 1,
    2 ** 21,
    2 ** 28 - 1,
    2 ** 28,
    2 ** 35 - 1,
    2 ** 35,
    2 ** 53 - 1,
  ]) {
    const writer = new SpanWriter(0);
    writer.varint(value);
    assert.equal(writer.position, varintSize(value), String(value));
    assert.equal(protobuf.Reader.create(writer.bytes.subarray(0, writer.position)).uint64().toString(), String(value));
  }
});

test('requests that differ from the last one on their connection do not get its fields', () => {
  const { encoder } = createTracer();
  const batch = new OtlpBatch('s', new Map());
  const template = new SpanTemplate({ ...facts, direction: 'outbound' });
  const variants: Partial<Exchange>[] = [
    {},
    { method: 'POST' },
    { authority: 'other:1' },
    { userAgent: 'x' },
    { downstreamCluster: 'c' },
    { minorVersion: 0 },
    { status: 404 },
    { requestBytes: 5 },
    {},
  ];
  for (const more of variants) {
    encoder.write(batch.writer, example(more), template, 1);
    batch.count++;
  }
  const seen = decode(batch.seal('x').body).spans.map((span) => {
    const of = attributesOf(span);
    const keys = [
      'http.method',
      'server.address',
      'user_agent',
      'downstream_cluster',
      'http.protocol',
      'http.status_code',
      'request_size',
    ];
    return [span.name, ...keys.map((key) => of[key])].join(' ');
  });
  assert.deepEqual(seen, [
    'shop:8080/* GET shop curl/8 - HTTP/1.1 200 0',
    'shop:8080/* POST shop curl/8 - HTTP/1.1 200 0',
    'other:1/* GET other curl/8 - HTTP/1.1 200 0',
    'shop:8080/* GET shop x - HTTP/1.1 200 0',
    'shop:8080/* GET shop curl/8 c HTTP/1.1 200 0',
    'shop:8080/* GET shop curl/8 - HTTP/1.0 200 0',
    'shop:8080/* GET shop curl/8 - HTTP/1.1 404 0',
    'shop:8080/* GET shop curl/8 - HTTP/1.1 200 5',
    'shop:8080/* GET shop curl/8 - HTTP/1.1 200 0',
  ]);
});
