// Requests the tests share, as the oracle's plain values.
import { ProtobufWriter } from '../../../src/wire/protobuf-writer.ts';
import type { Json } from './oracle.ts';

export const traceId = Buffer.from('0af7651916cd43dd8448eb211c80319c', 'hex');
export const startNano = '1763735725123456789';
export const endNano = '1763735725623456999';

export function idOf(index: number): Buffer {
  const id = Buffer.alloc(8);
  id.writeUInt32BE(index + 1, 4);
  return id;
}

export function text(key: string, value: string): Json {
  return { key, value: { stringValue: value } };
}

/** A span with nothing unusual about it. */
export function plainSpan(index: number, extra: Json = {}): Json {
  return {
    traceId,
    spanId: idOf(index),
    name: `GET /items/${index}`,
    kind: 2,
    startTimeUnixNano: startNano,
    endTimeUnixNano: endNano,
    attributes: [text('http.request.method', 'GET'), text('url.path', `/items/${index}`)],
    ...extra,
  };
}

/** A span in which every field of OTLP has a value. */
export const fullSpan: Json = {
  traceId,
  spanId: idOf(40),
  traceState: 'congo=t61rcWkgMzE',
  parentSpanId: idOf(39),
  name: 'größe 🚗',
  kind: 3,
  startTimeUnixNano: startNano,
  endTimeUnixNano: endNano,
  attributes: [
    text('plain', 'value'),
    { key: 'flag', value: { boolValue: true } },
    { key: 'negative', value: { intValue: '-9007199254740993' } },
    { key: 'large', value: { intValue: '9223372036854775807' } },
    { key: 'ratio', value: { doubleValue: -0.125 } },
    { key: 'raw', value: { bytesValue: Buffer.from([0, 255, 16]) } },
    { key: 'list', value: { arrayValue: { values: [{ stringValue: 'a' }, { intValue: '2' }, {}] } } },
    { key: 'map', value: { kvlistValue: { values: [text('inner', 'x')] } } },
    { key: 'nothing', value: {} },
  ],
  droppedAttributesCount: 4,
  events: [{ timeUnixNano: endNano, name: 'miss', attributes: [text('cache', 'l2')], droppedAttributesCount: 1 }],
  droppedEventsCount: 5,
  links: [
    {
      traceId,
      spanId: idOf(7),
      traceState: 'a=b',
      attributes: [text('why', 'retry')],
      droppedAttributesCount: 2,
      flags: 1,
    },
  ],
  droppedLinksCount: 6,
  status: { message: 'card declined', code: 2 },
  flags: 0x301,
};

export function requestOf(spans: readonly Json[], service = 'shop', scope = 'tests'): Json {
  return {
    resourceSpans: [
      { resource: { attributes: [text('service.name', service)] }, scopeSpans: [{ scope: { name: scope }, spans }] },
    ],
  };
}

/** One field of length-delimited bytes. */
export function field(number: number, content: Uint8Array): Uint8Array {
  const writer = new ProtobufWriter();
  writer.bytes(number, content);
  return writer.take();
}

/** A request of one good span but for an attribute whose value lies in `arrays` arrays (two levels of messages each). */
export function requestWithNestedArrays(arrays: number): Uint8Array {
  let value: Uint8Array = Buffer.from([0x0a, 0x01, 0x78]);
  for (let level = 0; level < arrays; level++) value = field(5, field(1, value));
  const attribute = Buffer.concat([field(1, Buffer.from('deep')), field(2, value)]);
  const span = Buffer.concat([field(1, traceId), field(2, idOf(0)), field(9, attribute)]);
  return field(1, field(2, field(2, span)));
}
