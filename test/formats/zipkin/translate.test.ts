import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRequest } from '../../../src/formats/otlp/decode.ts';
import type { ZipkinSpan } from '../../../src/formats/zipkin/span.ts';
import { encodeZipkinJson, translateRequest } from '../../../src/formats/zipkin/translate.ts';
import { encodeByOracle, type Json } from '../otlp/oracle.ts';
import { fullSpan, idOf, plainSpan, requestOf, text } from '../otlp/samples.ts';

function translate(request: Json): ZipkinSpan[] {
  return translateRequest(decodeRequest(encodeByOracle(request)));
}

function translateOne(span: Json): ZipkinSpan {
  const [translated] = translate(requestOf([span]));
  assert.ok(translated);
  return translated;
}

test('a span in which everything is set', () => {
  assert.deepEqual(translate(requestOf([fullSpan])), [
    {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      parentId: '0000000000000028',
      id: '0000000000000029',
      kind: 'CLIENT',
      name: 'größe 🚗',
      timestamp: 1763735725123456,
      duration: 500000,
      localEndpoint: { serviceName: 'shop' },
      annotations: [{ timestamp: 1763735725623456, value: '"miss": {"cache":"l2"}' }],
      tags: {
        'otel.scope.name': 'tests',
        'otel.library.name': 'tests',
        plain: 'value',
        flag: 'true',
        negative: '-9007199254740993',
        large: '9223372036854775807',
        ratio: '-0.125',
        raw: 'AP8Q',
        list: '["a",2,null]',
        map: '{"inner":"x"}',
        nothing: '',
        'otel.status_code': 'ERROR',
        error: 'card declined',
        'otel.dropped_attributes_count': '4',
        'otel.dropped_events_count': '5',
        'otel.dropped_links_count': '6',
        'w3c.tracestate': 'congo=t61rcWkgMzE',
        'otlp.link.0': '0af7651916cd43dd8448eb211c80319c|0000000000000008|a=b|{"why":"retry"}|2',
      },
    },
  ]);
});

test('kinds keep their names; INTERNAL and UNSPECIFIED have none', () => {
  const kinds = [0, 1, 2, 3, 4, 5].map((kind) => translateOne(plainSpan(0, { kind })).kind);
  assert.deepEqual(kinds, [undefined, undefined, 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER']);
});

test('a root has no parent id, an event without attributes is its name', () => {
  const span = translateOne(plainSpan(0, { events: [{ timeUnixNano: '1234999', name: 'retry' }] }));
  assert.equal('parentId' in span, false);
  assert.deepEqual(span.annotations, [{ timestamp: 1234, value: 'retry' }]);
});

test('times are cut to microseconds, and only a span that takes no time has no duration', () => {
  const cases = [
    { start: '1999', end: '4001', timestamp: 1, duration: 2 },
    { start: '1000', end: '1001', timestamp: 1, duration: 1 },
    { start: '1000', end: '1000', timestamp: 1, duration: undefined },
    { start: '5000', end: '1000', timestamp: 5, duration: undefined },
    { start: '0', end: '9000', timestamp: undefined, duration: 9 },
  ];
  for (const { start, end, timestamp, duration } of cases) {
    const span = translateOne(plainSpan(0, { startTimeUnixNano: start, endTimeUnixNano: end }));
    assert.deepEqual([span.timestamp, span.duration], [timestamp, duration], `${start} to ${end}`);
  }
});

test('status: OK and ERROR by name, nothing for UNSET; an error is its description', () => {
  const tags = (extra: Json) => translateOne(plainSpan(0, { attributes: [], ...extra })).tags;
  const scope = { 'otel.scope.name': 'tests', 'otel.library.name': 'tests' };
  assert.deepEqual(tags({}), scope);
  assert.deepEqual(tags({ status: { code: 1 } }), { ...scope, 'otel.status_code': 'OK' });
  assert.deepEqual(tags({ status: { code: 2 } }), { ...scope, 'otel.status_code': 'ERROR', error: '' });
  assert.deepEqual(tags({ status: { code: 2, message: 'm' } }), { ...scope, 'otel.status_code': 'ERROR', error: 'm' });
  assert.deepEqual(tags({ status: { message: 'm' } }), { ...scope, 'otel.status_description': 'm' });
  assert.deepEqual(tags({ status: { code: 2 }, attributes: [text('error', 'true')] }), {
    ...scope,
    'otel.status_code': 'ERROR',
    error: 'true',
  });
  assert.deepEqual(tags({ attributes: [{ key: 'error', value: { boolValue: false } }] }), scope);
});

test('resource attributes are tags of every span, and the span’s own win; service.name is the local endpoint', () => {
  const request = {
    resourceSpans: [
      {
        resource: {
          attributes: [
            text('service.name', 'pay'),
            text('service.namespace', 'shop'),
            text('host.name', 'a'),
            text('v', '1'),
          ],
        },
        scopeSpans: [
          {
            scope: { name: 'one', version: '3' },
            spans: [plainSpan(0, { attributes: [text('v', '2'), text('v', '3')] })],
          },
          { spans: [plainSpan(1, { attributes: [] })] },
        ],
      },
    ],
  };
  const [first, second] = translate(request);
  assert.deepEqual(first?.localEndpoint, { serviceName: 'pay' });
  assert.deepEqual(first?.tags, {
    'service.namespace': 'shop',
    'host.name': 'a',
    v: '3',
    'otel.scope.name': 'one',
    'otel.library.name': 'one',
    'otel.scope.version': '3',
    'otel.library.version': '3',
  });
  assert.deepEqual(second?.tags, { 'service.namespace': 'shop', 'host.name': 'a', v: '1' });
});

test('a resource without a name is unknown_service; a local address goes with the name', () => {
  const [span] = translate({
    resourceSpans: [
      {
        scopeSpans: [
          {
            spans: [
              plainSpan(0, {
                attributes: [
                  text('network.local.address', '10.0.0.9'),
                  { key: 'network.local.port', value: { intValue: '8080' } },
                ],
              }),
            ],
          },
        ],
      },
    ],
  });
  assert.deepEqual(span?.localEndpoint, { serviceName: 'unknown_service', ipv4: '10.0.0.9', port: 8080 });
});

const port = (key: string, value: string) => ({ key, value: { intValue: value } });

test('the remote endpoint follows the ranking, for clients and producers only', () => {
  const ranked = [
    'peer.service',
    'server.address',
    'net.peer.name',
    'network.peer.address',
    'server.socket.domain',
    'server.socket.address',
    'net.sock.peer.name',
    'net.sock.peer.addr',
    'peer.hostname',
    'peer.address',
    'db.name',
  ];
  for (const kind of [3, 4]) {
    for (let from = 0; from < ranked.length; from++) {
      const attributes = ranked
        .slice(from)
        .reverse()
        .map((key) => text(key, `by ${key}`));
      const span = translateOne(plainSpan(0, { kind, attributes }));
      assert.deepEqual(span.remoteEndpoint, { serviceName: `by ${ranked[from]}` });
      assert.equal(span.tags?.[ranked[from]!], `by ${ranked[from]}`, 'the key stays a tag');
    }
  }
  for (const kind of [0, 1, 2, 5]) {
    assert.equal(
      translateOne(plainSpan(0, { kind, attributes: [text('peer.service', 'x')] })).remoteEndpoint,
      undefined,
    );
  }
  assert.equal(translateOne(plainSpan(0, { kind: 3 })).remoteEndpoint, undefined);
});

test('an address beside or as the remote name becomes ipv4 or ipv6, with its port', () => {
  const remote = (attributes: Json[]) => translateOne(plainSpan(0, { kind: 3, attributes })).remoteEndpoint;
  assert.deepEqual(
    remote([
      text('server.address', 'payments'),
      port('server.port', '80'),
      text('network.peer.address', '10.1.2.3'),
      port('network.peer.port', '8080'),
    ]),
    { serviceName: 'payments', ipv4: '10.1.2.3', port: 8080 },
  );
  assert.deepEqual(remote([text('network.peer.address', '2001:db8::7'), port('network.peer.port', '443')]), {
    serviceName: '2001:db8::7',
    ipv6: '2001:db8::7',
    port: 443,
  });
  assert.deepEqual(remote([text('server.address', '10.9.9.9'), text('server.port', '81')]), {
    serviceName: '10.9.9.9',
    ipv4: '10.9.9.9',
    port: 81,
  });
  assert.deepEqual(remote([text('server.address', 'payments'), port('server.port', '70000')]), {
    serviceName: 'payments',
  });
});

test('the body is a JSON list, and never looks like Zipkin version 1', () => {
  const spans = translate(requestOf([plainSpan(0, { attributes: [text('myAnnotations', 'binaryAnnotations"')] })]));
  const body = Buffer.from(encodeZipkinJson(spans)).toString();
  assert.equal(body.includes('yAnnotations"'), false);
  assert.deepEqual(JSON.parse(body), JSON.parse(JSON.stringify(spans)));
});

test('order is kept over resources and scopes', () => {
  const request = {
    resourceSpans: [requestOf([plainSpan(0), plainSpan(1)], 'a'), requestOf([plainSpan(2)], 'b')].flatMap(
      ({ resourceSpans }) => resourceSpans as Json[],
    ),
  };
  assert.deepEqual(
    translate(request).map(({ id, localEndpoint }) => [id, localEndpoint?.serviceName]),
    [0, 1, 2].map((index) => [idOf(index).toString('hex'), index < 2 ? 'a' : 'b']),
  );
});

test('an attribute may be called __proto__ or constructor', () => {
  const span = translateOne(plainSpan(0, { attributes: [text('__proto__', 'p'), text('constructor', 'c')] }));
  const [written] = JSON.parse(Buffer.from(encodeZipkinJson([span])).toString());
  assert.deepEqual(Object.entries(written.tags).slice(-2), [
    ['__proto__', 'p'],
    ['constructor', 'c'],
  ]);
});
