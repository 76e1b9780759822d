// The demo's spans as a real Jaeger and a real Zipkin hold them: the same ids, parents, kinds, names and tags, each once.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before, describe } from 'node:test';

const jaegerOtlp = process.env.JAEGER_OTLP_URL;
const jaegerQuery = process.env.JAEGER_QUERY_URL;
const zipkin = process.env.ZIPKIN_URL;
const noJaeger =
  jaegerOtlp === undefined || jaegerQuery === undefined ? 'no Jaeger; npm run test:real starts one' : false;
const noZipkin = zipkin === undefined ? 'no Zipkin; npm run test:real starts one' : false;

type Tags = Readonly<Record<string, string | number | boolean>>;

/** One span as `tracecar demo --once --spans FILE` wrote it. */
interface DemoSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | null;
  readonly service: string;
  readonly name: string;
  readonly kind: string;
  readonly error: boolean;
  readonly startUs: number;
  readonly durationUs: number;
  readonly tags: Tags;
}

interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly operationName: string;
  readonly references: readonly { readonly refType: string; readonly traceID: string; readonly spanID: string }[];
  readonly startTime: number;
  readonly duration: number;
  readonly tags: readonly { readonly key: string; readonly value: string | number | boolean }[];
  readonly processID: string;
}

interface JaegerTrace {
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
}

interface ZipkinSpan {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly kind?: string;
  readonly name: string;
  readonly timestamp: number;
  readonly duration: number;
  readonly localEndpoint: { readonly serviceName: string };
  readonly tags?: Readonly<Record<string, string>>;
}

/** What both backends must agree on with the demo, in the demo's words. */
interface Expected {
  readonly spanId: string;
  readonly parentId: string | null;
  readonly service: string;
  readonly name: string;
  readonly kind: string;
  readonly startUs: number;
  readonly durationUs: number;
  readonly tags: Tags;
}

let spans: DemoSpan[] = [];
const traces = new Map<string, DemoSpan[]>();

/** Runs `npm start -- --once` with the backends that are there; resolves with its exit code and output. */
async function runDemo(spansFile: string): Promise<{ code: number | null; output: string }> {
  const flags = ['--once', '--port', '0', '--spans', spansFile];
  if (jaegerOtlp !== undefined) flags.push('--jaeger', jaegerOtlp);
  if (zipkin !== undefined) flags.push('--zipkin', `${zipkin}/api/v2/spans`);
  const child = spawn('npm', ['start', '--', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, output };
}

/** Polls `url` until `complete` takes its JSON: backends show a span some moments after they took it. */
async function readUntil<T>(url: string, complete: (found: T) => boolean): Promise<T | undefined> {
  const deadline = Date.now() + 15_000;
  let found: T | undefined;
  while (Date.now() < deadline) {
    const response = await fetch(url);
    if (response.ok) found = (await response.json()) as T;
    else await response.arrayBuffer();
    if (found !== undefined && complete(found)) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return found;
}

function bySpanId(list: readonly Expected[]): Expected[] {
  return list.toSorted((a, b) => a.spanId.localeCompare(b.spanId));
}

/** Jaeger keeps OTLP's types; what it shows is what was sent. */
function expectedInJaeger(span: DemoSpan): Expected {
  const { spanId, parentId, service, name, kind, startUs, durationUs, tags } = span;
  return { spanId, parentId, service, name, kind, startUs, durationUs, tags };
}

function fromJaeger(trace: JaegerTrace, span: JaegerSpan): Expected {
  const tags = Object.fromEntries(span.tags.map(({ key, value }) => [key, value]));
  const parent = span.references.find(({ refType }) => refType === 'CHILD_OF');
  return {
    spanId: span.spanID,
    parentId: parent?.spanID ?? null,
    service: trace.processes[span.processID]?.serviceName ?? '',
    name: span.operationName,
    kind: String(tags['span.kind'] ?? '').toUpperCase(),
    startUs: span.startTime,
    durationUs: span.duration,
    tags,
  };
}

/** Attributes of a sidecar's resource, which Zipkin has no place for but the tags of each span. */
const resourceTags = ['telemetry.sdk.name', 'telemetry.sdk.language', 'telemetry.sdk.version'];

/**
 * The mapping to Zipkin: names and service names in lower case, tag values as text, the kind as a field instead of a
 * tag, ERROR as the presence of a tag `error`, the scope also under its old names, the resource as tags.
 */
function expectedInZipkin(span: DemoSpan): Expected {
  const { 'span.kind': _kind, error: _error, ...own } = span.tags;
  const { 'otel.scope.name': scope, 'otel.scope.version': version } = span.tags;
  const sdk = scope === 'tracecar' ? ['tracecar', 'nodejs', version] : [];
  const tags: Tags = {
    ...own,
    ...(scope === undefined ? {} : { 'otel.library.name': scope }),
    ...(version === undefined ? {} : { 'otel.library.version': version }),
    ...Object.fromEntries(sdk.map((value, index) => [resourceTags[index], value ?? ''])),
    ...(span.error ? { error: 'present' } : {}),
  };
  return {
    ...expectedInJaeger(span),
    service: span.service.toLowerCase(),
    name: span.name.toLowerCase(),
    durationUs: Math.max(1, span.durationUs),
    tags: Object.fromEntries(Object.entries(tags).map(([key, value]) => [key, String(value)])),
  };
}

function fromZipkin(span: ZipkinSpan): Expected {
  return {
    spanId: span.id,
    parentId: span.parentId ?? null,
    service: span.localEndpoint.serviceName,
    name: span.name,
    kind: span.kind ?? '',
    startUs: span.timestamp,
    durationUs: span.duration,
    tags: { ...span.tags, ...(span.tags?.error === undefined ? {} : { error: 'present' }) },
  };
}

describe('the demo with a real Jaeger and a real Zipkin behind its collector', { skip: noJaeger && noZipkin }, () => {
  let folder = '';

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'tracecar-demo-'));
    const file = path.join(folder, 'spans.json');
    const { code, output } = await runDemo(file);
    assert.equal(code, 0, output);
    assert.match(output, /demo: \d+ requests, \d+ traces, \d+ spans, 0 lost/);
    spans = JSON.parse(await readFile(file, 'utf8')) as DemoSpan[];
    for (const span of spans) traces.set(span.traceId, [...(traces.get(span.traceId) ?? []), span]);
    assert.ok(traces.size >= 10 && spans.length > traces.size, `${traces.size} traces, ${spans.length} spans`);
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test('Jaeger has every trace: span ids, parents, services, kinds, names, times and tags', {
    skip: noJaeger,
  }, async () => {
    for (const [traceId, sent] of traces) {
      const url = `${jaegerQuery}/api/traces/${traceId}`;
      const found = await readUntil<{ data: JaegerTrace[] }>(url, ({ data }) => data[0]?.spans.length === sent.length);
      const trace = found?.data[0];
      assert.ok(trace, `trace ${traceId} is not in Jaeger`);
      const held = trace.spans.map((span) => fromJaeger(trace, span));
      assert.deepEqual(bySpanId(held), bySpanId(sent.map(expectedInJaeger)), `trace ${traceId}`);
    }
  });

  test('Zipkin has every trace: span ids, parents, services, kinds, names, times and tags', {
    skip: noZipkin,
  }, async () => {
    for (const [traceId, sent] of traces) {
      const url = `${zipkin}/api/v2/trace/${traceId}`;
      const held = await readUntil<ZipkinSpan[]>(url, (found) => found.length === sent.length);
      assert.ok(held, `trace ${traceId} is not in Zipkin`);
      assert.deepEqual(bySpanId(held.map(fromZipkin)), bySpanId(sent.map(expectedInZipkin)), `trace ${traceId}`);
    }
  });
});
