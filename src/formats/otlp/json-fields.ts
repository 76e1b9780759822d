// The fields of OTLP's messages under their JSON names (lowerCamelCase), for the JSON mapping.

export type ScalarType =
  | 'string'
  | 'bool'
  | 'uint32'
  | 'fixed32'
  | 'fixed64'
  | 'int64'
  | 'double'
  | 'base64'
  | 'hex'
  | 'spanKind'
  | 'statusCode';

export interface JsonField {
  readonly number: number;
  readonly type: ScalarType | JsonMessage;
  readonly isRepeated: boolean;
}

export interface JsonMessage {
  /** What a fault within costs: this message with the spans in it, and no more. */
  readonly isolates: boolean;
  readonly fields: ReadonlyMap<string, JsonField>;
}

/** Filled by `define`, so that AnyValue can hold itself. */
interface JsonMessageInProgress extends JsonMessage {
  readonly fields: Map<string, JsonField>;
}

type Fields = Readonly<Record<string, readonly [number, ScalarType | JsonMessage]>>;

function define(message: JsonMessageInProgress, single: Fields, repeated: Fields = {}): JsonMessage {
  for (const [name, [number, type]] of Object.entries(single))
    message.fields.set(name, { number, type, isRepeated: false });
  for (const [name, [number, type]] of Object.entries(repeated))
    message.fields.set(name, { number, type, isRepeated: true });
  return message;
}

function create(isolates = false): JsonMessageInProgress {
  return { isolates, fields: new Map() };
}

const anyValue = create();
const keyValue = define(create(), { key: [1, 'string'], value: [2, anyValue] });
const arrayValue = define(create(), {}, { values: [1, anyValue] });
const keyValueList = define(create(), {}, { values: [1, keyValue] });
define(anyValue, {
  stringValue: [1, 'string'],
  boolValue: [2, 'bool'],
  intValue: [3, 'int64'],
  doubleValue: [4, 'double'],
  arrayValue: [5, arrayValue],
  kvlistValue: [6, keyValueList],
  bytesValue: [7, 'base64'],
});

const event = define(
  create(),
  { timeUnixNano: [1, 'fixed64'], name: [2, 'string'], droppedAttributesCount: [4, 'uint32'] },
  { attributes: [3, keyValue] },
);

const link = define(
  create(),
  {
    traceId: [1, 'hex'],
    spanId: [2, 'hex'],
    traceState: [3, 'string'],
    droppedAttributesCount: [5, 'uint32'],
    flags: [6, 'fixed32'],
  },
  { attributes: [4, keyValue] },
);

const status = define(create(), { message: [2, 'string'], code: [3, 'statusCode'] });

const span = define(
  create(true),
  {
    traceId: [1, 'hex'],
    spanId: [2, 'hex'],
    traceState: [3, 'string'],
    parentSpanId: [4, 'hex'],
    name: [5, 'string'],
    kind: [6, 'spanKind'],
    startTimeUnixNano: [7, 'fixed64'],
    endTimeUnixNano: [8, 'fixed64'],
    droppedAttributesCount: [10, 'uint32'],
    droppedEventsCount: [12, 'uint32'],
    droppedLinksCount: [14, 'uint32'],
    status: [15, status],
    flags: [16, 'fixed32'],
  },
  { attributes: [9, keyValue], events: [11, event], links: [13, link] },
);

const scope = define(
  create(),
  { name: [1, 'string'], version: [2, 'string'], droppedAttributesCount: [4, 'uint32'] },
  { attributes: [3, keyValue] },
);

const scopeSpans = define(
  create(true),
  {
    scope: [1, scope],
    // Its name before OTLP 0.15.
    instrumentationLibrary: [1, scope],
    schemaUrl: [3, 'string'],
  },
  { spans: [2, span] },
);

const entityRef = define(
  create(),
  { schemaUrl: [1, 'string'], type: [2, 'string'] },
  { idKeys: [3, 'string'], descriptionKeys: [4, 'string'] },
);

const resource = define(
  create(),
  { droppedAttributesCount: [2, 'uint32'] },
  { attributes: [1, keyValue], entityRefs: [3, entityRef] },
);

const resourceSpans = define(
  create(true),
  { resource: [1, resource], schemaUrl: [3, 'string'] },
  { scopeSpans: [2, scopeSpans], instrumentationLibrarySpans: [1000, scopeSpans] },
);

export const jsonRequest = define(create(), {}, { resourceSpans: [1, resourceSpans] });
