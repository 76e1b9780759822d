import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatB3MultiLines, formatB3Single, parseB3Multi, parseB3Single } from '../../src/trace/b3.ts';
import type { SpanContext } from '../../src/trace/context.ts';
import { formatOtTracerLines, formatUberTraceId, parseOtTracer, parseUberTraceId } from '../../src/trace/jaeger.ts';
import { formatTraceparent, isTraceStateValid, parseTraceparent } from '../../src/trace/w3c.ts';

const trace = '0af7651916cd43dd8448eb211c80319c';
const span = 'b7ad6b7169203331';
const parent = '00f067aa0ba902b7';
const ids = { traceId: trace, spanId: span, traceId64: false, randomFlag: false };
const none = { traceId: undefined, spanId: undefined, sampled: undefined, flags: undefined };

const context: SpanContext = {
  traceId: trace,
  spanId: span,
  parentSpanId: parent,
  sampled: true,
  debug: false,
  traceId64: false,
  randomFlag: false,
};

test('traceparent of version 00 is read with its flags', () => {
  assert.deepEqual(parseTraceparent(`00-${trace}-${span}-01`), { ...ids, sampled: true, debug: false });
  assert.equal(parseTraceparent(`00-${trace}-${span}-00`)?.sampled, false);
  assert.deepEqual(
    [parseTraceparent(`00-${trace}-${span}-03`)?.sampled, parseTraceparent(`00-${trace}-${span}-03`)?.randomFlag],
    [true, true],
  );
});

test('later versions are read by their first 55 characters, unless what follows is glued to them', () => {
  assert.equal(parseTraceparent(`cc-${trace}-${span}-01`)?.traceId, trace);
  assert.equal(parseTraceparent(`cc-${trace}-${span}-01-what-the-future`)?.traceId, trace);
  assert.equal(parseTraceparent(`cc-${trace}-${span}-01.what`), undefined);
});

for (const value of [
  '',
  `ff-${trace}-${span}-01`,
  `00-${trace}-${span}-01-extra`,
  `00-${trace}-${span}-0`,
  `00-${trace}-${span}-0x`,
  `00-${trace.toUpperCase()}-${span}-01`,
  `00-${'0'.repeat(32)}-${span}-01`,
  `00-${trace}-${'0'.repeat(16)}-01`,
  `00-${trace}${span}-01-------------`,
  `.0-${trace}-${span}-01`,
]) {
  test(`traceparent ${JSON.stringify(value)} is invalid`, () => assert.equal(parseTraceparent(value), undefined));
}

test('traceparent is written as version 00 with the flags that are known', () => {
  assert.equal(formatTraceparent(context), `00-${trace}-${span}-01`);
  assert.equal(formatTraceparent({ ...context, sampled: false, randomFlag: true }), `00-${trace}-${span}-02`);
});

test('tracestate is legal with empty members and white space, not with bad keys, values or 33 members', () => {
  const valid = [
    [''],
    ['a=1,,b=2'],
    [' a=1 ,\tb=2\t'],
    ['a=1', 'b=2'],
    ['1a-_*/@z=x y'],
    [`${'a'.repeat(256)}=1`],
    ['foo@bar=1'],
    ['foo@=1', 'a@b@c=1'],
    ['a=1,a=2'],
  ];
  for (const lines of valid) assert.equal(isTraceStateValid(lines), true, JSON.stringify(lines));
  const members = (n: number) => [Array.from({ length: n }, (_, i) => `k${i}=1`).join(',')];
  assert.equal(isTraceStateValid(members(32)), true);
  assert.equal(isTraceStateValid(members(33)), false);
  for (const text of ['a', 'A=1', 'a =1', '=1', 'a=', 'a=b=c', `${'a'.repeat(257)}=1`, 'a@B=1', 'a=\x07', '@a=1']) {
    assert.equal(isTraceStateValid([text]), false, text);
  }
});

test('b3 single is read in each of its shapes', () => {
  assert.deepEqual(parseB3Single(`${trace}-${span}`), { ...ids, sampled: undefined, debug: false });
  assert.deepEqual(parseB3Single(`${trace}-${span}-1`), { ...ids, sampled: true, debug: false });
  assert.deepEqual(parseB3Single(`${trace}-${span}-0-${parent}`), { ...ids, sampled: false, debug: false });
  assert.deepEqual(parseB3Single(`${trace}-${span}-d`), { ...ids, sampled: true, debug: true });
  assert.deepEqual(parseB3Single('0'), { ...ids, traceId: '', spanId: '', sampled: false, debug: false });
  const short = parseB3Single(`${span}-${span}-1`);
  assert.deepEqual([short?.traceId, short?.traceId64], [`0000000000000000${span}`, true]);
});

for (const value of [
  '',
  'x',
  '2',
  trace,
  `${trace}-${span}-`,
  `${trace}-${span}-2`,
  `${trace}-${span}-1-xyz`,
  `${trace}-${span}--${parent}`,
  `${trace}-`,
  `${trace}x-${span}`,
  `${trace}-${span}-1-${parent}-1`,
]) {
  test(`b3 ${JSON.stringify(value)} is invalid`, () => assert.equal(parseB3Single(value), undefined));
}

test('b3 multi: flags force debug, a lone flag is a decision without ids, half a pair of ids is invalid', () => {
  assert.deepEqual(parseB3Multi({ ...none, traceId: trace, spanId: span, sampled: '1' }), {
    ...ids,
    sampled: true,
    debug: false,
  });
  assert.deepEqual(parseB3Multi({ ...none, traceId: trace.toUpperCase(), spanId: span, sampled: 'false' }), {
    ...ids,
    sampled: false,
    debug: false,
  });
  assert.deepEqual(parseB3Multi({ ...none, traceId: trace, spanId: span, sampled: '0', flags: '1' }), {
    ...ids,
    sampled: true,
    debug: true,
  });
  assert.equal(parseB3Multi({ ...none, sampled: '0' })?.sampled, false);
  assert.equal(parseB3Multi({ ...none, sampled: 'yes' }), undefined);
  assert.equal(parseB3Multi({ ...none, traceId: trace }), undefined);
  assert.equal(parseB3Multi({ ...none, traceId: trace, spanId: 'nonsense' }), undefined);
});

test('b3 is written with its parent, and debug instead of sampled', () => {
  assert.equal(formatB3Single(context), `${trace}-${span}-1-${parent}`);
  assert.equal(formatB3Single({ ...context, parentSpanId: '', sampled: false }), `${trace}-${span}-0`);
  assert.equal(formatB3Single({ ...context, debug: true, traceId64: true }), `${trace.slice(16)}-${span}-d-${parent}`);
  assert.equal(
    formatB3MultiLines(context),
    `x-b3-traceid: ${trace}\r\nx-b3-spanid: ${span}\r\nx-b3-parentspanid: ${parent}\r\nx-b3-sampled: 1\r\n`,
  );
  assert.equal(
    formatB3MultiLines({ ...context, parentSpanId: '', debug: true }),
    `x-b3-traceid: ${trace}\r\nx-b3-spanid: ${span}\r\nx-b3-flags: 1\r\n`,
  );
  assert.match(formatB3MultiLines({ ...context, sampled: false }), /x-b3-sampled: 0\r\n$/);
});

test('uber-trace-id is read in short, long and percent-encoded form and written again', () => {
  assert.deepEqual(parseUberTraceId(`${trace}:${span}:0:1`), { ...ids, sampled: true, debug: false });
  const short = parseUberTraceId('abc%3A1%3A0%3A3');
  assert.deepEqual(short, {
    traceId: 'abc'.padStart(32, '0'),
    spanId: '1'.padStart(16, '0'),
    traceId64: true,
    randomFlag: false,
    sampled: true,
    debug: true,
  });
  for (const bad of ['', 'a:b:c', '0:1:0:1', '1:0:0:1', 'x:1:0:1', `${trace}1:1:0:1`])
    assert.equal(parseUberTraceId(bad), undefined);
  assert.equal(formatUberTraceId(context), `${trace}:${span}:${parent}:1`);
  assert.equal(formatUberTraceId({ ...context, parentSpanId: '', sampled: false }), `${trace}:${span}:0:0`);
});

test('ot-tracer-* is read and written with 64 bits of trace id', () => {
  assert.deepEqual(parseOtTracer(span, parent, 'true'), {
    traceId: `0000000000000000${span}`,
    spanId: parent,
    traceId64: true,
    randomFlag: false,
    sampled: true,
    debug: false,
  });
  assert.equal(parseOtTracer('', parent, 'true'), undefined);
  assert.equal(
    formatOtTracerLines(context),
    `ot-tracer-traceid: ${trace.slice(16)}\r\not-tracer-spanid: ${span}\r\not-tracer-sampled: true\r\n`,
  );
});
