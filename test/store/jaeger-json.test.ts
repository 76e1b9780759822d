import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnyValue } from '../../src/formats/otlp/span.ts';
import { type JaegerSpan, toJaegerTrace, toTag } from '../../src/store/jaeger-json.ts';
import { attribute, attributes, makeSpan, nowUs, type SpanFields, traceA, traceB } from './requests.ts';

function decoded(fields: SpanFields, service = 'shop', resource: Record<string, string> = {}) {
  return {
    span: makeSpan(fields),
    resource: attributes({ 'service.name': service, ...resource }),
    scope: { name: 'lib', version: '', attributes: [] },
    service,
  };
}

function render(fields: SpanFields): JaegerSpan {
  return toJaegerTrace(traceA, [decoded(fields)]).spans[0]!;
}

test('a span has the fields of Jaeger’s UI JSON, with times in microseconds', () => {
  const span = render({ name: 'GET /', durationUs: 1500, atUs: 7, kind: 2, parentSpanId: '00000000000000aa' });
  assert.deepEqual(span, {
    traceID: traceA,
    spanID: '1111111111111111',
    operationName: 'GET /',
    references: [{ refType: 'CHILD_OF', traceID: traceA, spanID: '00000000000000aa' }],
    startTime: nowUs + 7,
    duration: 1500,
    tags: [
      { key: 'otel.scope.name', type: 'string', value: 'lib' },
      { key: 'span.kind', type: 'string', value: 'server' },
    ],
    logs: [],
    processID: 'p1',
    warnings: ['invalid parent span IDs=00000000000000aa; skipping clock skew adjustment'],
  });
});

test('every kind of value becomes the tag Jaeger makes of it', () => {
  const cases: [AnyValue, string, unknown][] = [
    [{ kind: 'string', value: 'é✓<b>&' }, 'string', 'é✓<b>&'],
    [{ kind: 'bool', value: false }, 'bool', false],
    [{ kind: 'int', value: -3n }, 'int64', -3],
    [{ kind: 'int', value: 9007199254740991n }, 'int64', 9007199254740991],
    [{ kind: 'int', value: 9007199254740992n }, 'int64', '9007199254740992'],
    [{ kind: 'int', value: -9223372036854775808n }, 'int64', '-9223372036854775808'],
    [{ kind: 'double', value: 1.5 }, 'float64', 1.5],
    [{ kind: 'double', value: Number.NaN }, 'float64', 'NaN'],
    [{ kind: 'bytes', value: Uint8Array.of(1, 2, 255) }, 'binary', 'AQL/'],
    [{ kind: 'empty' }, 'string', ''],
    [{ kind: 'array', values: [] }, 'string', '[]'],
    [
      {
        kind: 'array',
        values: [
          { kind: 'string', value: 'x' },
          { kind: 'int', value: 9007199254740993n },
          { kind: 'bool', value: true },
          { kind: 'double', value: 1.5 },
          { kind: 'bytes', value: Uint8Array.of(1, 2, 255) },
          { kind: 'empty' },
        ],
      },
      'string',
      '["x",9007199254740993,true,1.5,"AQL/",null]',
    ],
    [
      { kind: 'kvlist', values: [attribute('k', 'v'), attribute('a', '<b>&')] },
      'string',
      '{"a":"\\u003cb\\u003e\\u0026","k":"v"}',
    ],
  ];
  for (const [value, type, expected] of cases) {
    assert.deepEqual(toTag({ key: 'k', value }), { key: 'k', type, value: expected });
  }
});

test('status, tracestate and scope become tags, sorted by key, type and value', () => {
  const span = render({ statusCode: 2, statusMessage: 'boom', traceState: 'a=1', tags: { error: 'x', z: 1 } });
  assert.deepEqual(
    span.tags.map(({ key, value }) => `${key}=${value}`),
    [
      'error=x',
      'error=true',
      'otel.scope.name=lib',
      'otel.status_code=ERROR',
      'otel.status_description=boom',
      'span.kind=internal',
      'w3c.tracestate=a=1',
      'z=1',
    ],
  );
  assert.deepEqual(
    render({ statusCode: 1 }).tags.map(({ key, value }) => `${key}=${value}`),
    ['otel.scope.name=lib', 'otel.status_code=OK', 'span.kind=internal'],
  );
});

test('an event is a log whose field `event` is its name, unless an attribute has that key', () => {
  const at = BigInt(nowUs) * 1000n;
  const event = (name: string, tags: Record<string, string | number>) => {
    return { timeUnixNano: at + 5000n, name, attributes: attributes(tags), droppedAttributesCount: 0 };
  };
  const { logs } = render({
    events: [event('miss', { b: 1, a: 'x' }), event('miss', { event: 'own' }), event('', {})],
  });
  assert.deepEqual(
    logs.map((log) => [log.timestamp - nowUs, log.fields.map(({ key, value }) => `${key}=${value}`)]),
    [
      [5, ['event=miss', 'a=x', 'b=1']],
      [5, ['event=own']],
      [5, []],
    ],
  );
});

test('links are FOLLOWS_FROM references after the parent; a parent that is linked is only that', () => {
  const link = (traceId: string, spanId: string) => {
    return { traceId, spanId, traceState: '', attributes: [], droppedAttributesCount: 0, flags: 0 };
  };
  const parentSpanId = '00000000000000aa';
  assert.deepEqual(render({ parentSpanId, links: [link(traceB, parentSpanId)] }).references, [
    { refType: 'CHILD_OF', traceID: traceA, spanID: parentSpanId },
    { refType: 'FOLLOWS_FROM', traceID: traceB, spanID: parentSpanId },
  ]);
  assert.deepEqual(render({ parentSpanId, links: [link(traceA, parentSpanId)] }).references, [
    { refType: 'FOLLOWS_FROM', traceID: traceA, spanID: parentSpanId },
  ]);
});

test('processes are told once each, numbered in the order of the spans’ start, without service.name', () => {
  const trace = toJaegerTrace(traceA, [
    decoded({ spanId: '33'.repeat(8), atUs: 30 }, 'shop', { host: 'h1' }),
    decoded({ spanId: '22'.repeat(8), atUs: 20 }, 'billing'),
    decoded({ spanId: '11'.repeat(8), atUs: 10 }, 'shop', { host: 'h1' }),
    decoded({ spanId: '44'.repeat(8), atUs: 40 }, 'shop', { host: 'h2' }),
  ]);
  assert.deepEqual(
    trace.spans.map((span) => [span.spanID.slice(0, 2), span.processID]),
    [
      ['11', 'p1'],
      ['22', 'p2'],
      ['33', 'p1'],
      ['44', 'p3'],
    ],
  );
  assert.deepEqual(trace.processes, {
    p1: { serviceName: 'shop', tags: [{ key: 'host', type: 'string', value: 'h1' }] },
    p2: { serviceName: 'billing', tags: [] },
    p3: { serviceName: 'shop', tags: [{ key: 'host', type: 'string', value: 'h2' }] },
  });
});

test('a span that ends before it starts lasts 0 and says so; a repeated id is told', () => {
  const span = render({ durationUs: -500 });
  assert.equal(span.duration, 0);
  assert.match(span.warnings?.[0] ?? '', /^Negative duration detected: the span ends 500µs before it starts/);
  const { spans } = toJaegerTrace(traceA, [decoded({ kind: 3 }), decoded({ kind: 2, atUs: 1 })]);
  assert.deepEqual(
    spans.map((each) => each.warnings),
    [null, ['duplicate span IDs; skipping clock skew adjustment']],
  );
});

test('a trace id with an empty upper half is printed in 16 characters', () => {
  const traceId = '0000000000000000a1b2c3d4e5f60718';
  const trace = toJaegerTrace(traceId, [decoded({ traceId, parentSpanId: '00000000000000aa' })]);
  assert.equal(trace.traceID, 'a1b2c3d4e5f60718');
  assert.equal(trace.spans[0]?.traceID, 'a1b2c3d4e5f60718');
  assert.equal(trace.spans[0]?.references[0]?.traceID, 'a1b2c3d4e5f60718');
});
