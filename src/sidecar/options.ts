// Every option of the sidecar in one table: flag, file key, environment variable, default, meaning.

export interface Option {
  /** '' for a switch, whose values are `true` and `false`. */
  readonly argument: string;
  readonly repeat?: boolean;
  readonly environment?: string;
  readonly fallback: string;
  readonly meaning: string;
}

const table = {
  capture: {
    argument: 'none|redirect|tproxy',
    fallback: 'none',
    meaning: 'how connections reach us: listen/target pairs, or also by the rules of tracecar iptables',
  },
  iptables: {
    argument: 'tracecar|istio',
    fallback: 'tracecar',
    meaning: "whose rules; Istio's want the inbound leg to come from 127.0.0.6",
  },
  'inbound-capture-port': { argument: 'PORT', fallback: '15006', meaning: 'where captured inbound connections arrive' },
  'outbound-capture-port': {
    argument: 'PORT',
    fallback: '15001',
    meaning: 'where captured outbound connections arrive, on loopback',
  },
  inbound: {
    argument: 'LISTEN=TARGET',
    repeat: true,
    fallback: '',
    meaning: 'connections to the workload, e.g. 15006=127.0.0.1:8080',
  },
  outbound: {
    argument: 'LISTEN=TARGET',
    repeat: true,
    fallback: '',
    meaning: 'connections of the workload, e.g. 15001=payments:8080',
  },
  'outbound-proxy': {
    argument: 'LISTEN',
    fallback: '',
    meaning: 'a forward proxy for applications that honour HTTP_PROXY (absolute-form, CONNECT)',
  },
  service: { argument: 'NAME', environment: 'OTEL_SERVICE_NAME', fallback: '', meaning: 'service.name' },
  resource: {
    argument: 'k=v',
    repeat: true,
    environment: 'OTEL_RESOURCE_ATTRIBUTES',
    fallback: '',
    meaning: 'resource attributes',
  },
  'otlp-endpoint': {
    argument: 'URL',
    environment: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    fallback: 'http://127.0.0.1:4317',
    meaning: 'the collector; with http/protobuf /v1/traces is appended',
  },
  'otlp-protocol': {
    argument: 'grpc|http/protobuf',
    environment: 'OTEL_EXPORTER_OTLP_PROTOCOL',
    fallback: 'grpc',
    meaning: 'how spans are sent',
  },
  'otlp-headers': {
    argument: 'k=v',
    repeat: true,
    environment: 'OTEL_EXPORTER_OTLP_HEADERS',
    fallback: '',
    meaning: 'headers of each export request',
  },
  'otlp-timeout': {
    argument: 'MS',
    environment: 'OTEL_EXPORTER_OTLP_TIMEOUT',
    fallback: '10000',
    meaning: 'milliseconds one attempt may take',
  },
  'otlp-compression': {
    argument: 'none|gzip',
    environment: 'OTEL_EXPORTER_OTLP_COMPRESSION',
    fallback: 'none',
    meaning: 'compression of export requests',
  },
  'otlp-certificate': {
    argument: 'FILE',
    environment: 'OTEL_EXPORTER_OTLP_CERTIFICATE',
    fallback: '',
    meaning: 'trusted CA (PEM) of an https endpoint',
  },
  'otlp-client-certificate': {
    argument: 'FILE',
    environment: 'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE',
    fallback: '',
    meaning: 'client certificate (PEM)',
  },
  'otlp-client-key': {
    argument: 'FILE',
    environment: 'OTEL_EXPORTER_OTLP_CLIENT_KEY',
    fallback: '',
    meaning: 'key of the client certificate (PEM)',
  },
  'max-queue-size': {
    argument: 'N',
    environment: 'OTEL_BSP_MAX_QUEUE_SIZE',
    fallback: '8192',
    meaning: 'spans that may wait; more are dropped and counted',
  },
  'max-export-batch-size': {
    argument: 'N',
    environment: 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE',
    fallback: '200',
    meaning: 'spans per export request',
  },
  'schedule-delay': {
    argument: 'MS',
    environment: 'OTEL_BSP_SCHEDULE_DELAY',
    fallback: '1000',
    meaning: 'milliseconds until a batch that is not full is sent',
  },
  'sampling-client': { argument: 'PCT', fallback: '100', meaning: "Envoy's client_sampling" },
  'sampling-random': {
    argument: 'PCT',
    fallback: '100',
    meaning: "Envoy's random_sampling; also from OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG",
  },
  'sampling-overall': { argument: 'PCT', fallback: '100', meaning: "Envoy's overall_sampling" },
  propagators: {
    argument: 'LIST',
    environment: 'OTEL_PROPAGATORS',
    fallback: 'tracecontext,baggage,b3multi',
    meaning: 'formats written, beside each that came in: tracecontext, baggage, b3, b3multi, jaeger, ottrace',
  },
  'request-id': {
    argument: 'generate|keep|off',
    fallback: 'generate',
    meaning: 'x-request-id: made when absent, or left alone; one that came in is never changed',
  },
  'max-added-head': { argument: 'BYTES', fallback: '8192', meaning: 'add nothing to a head that would pass this size' },
  'connect-timeout': { argument: 'D', fallback: '10s', meaning: 'time to reach the target' },
  'drain-timeout': { argument: 'D', fallback: '25s', meaning: 'how long connections may last after SIGTERM' },
  'drain-quiet': { argument: 'D', fallback: '1s', meaning: 'end a drain when nobody has been connected for so long' },
  'head-timeout': {
    argument: 'D',
    fallback: '10s',
    meaning: 'how long a request head may take; then it passes unread (0: for ever)',
  },
  'idle-timeout': {
    argument: 'D',
    fallback: '0',
    meaning: 'close connections on which nothing has moved for so long (0: never)',
  },
  'heartbeat-interval': {
    argument: 'D',
    fallback: '30s',
    meaning: 'how often an exchange or connection that goes on is shown by a part of its span (0: never)',
  },
  'max-connections': {
    argument: 'N',
    fallback: '20000',
    meaning: 'open connections; more are reset and counted (0: no limit)',
  },
  'max-head-bytes': { argument: 'N', fallback: '65536', meaning: 'size of a head; a larger one passes unread' },
  'max-spans-per-second': {
    argument: 'N',
    fallback: '10000',
    meaning: 'spans of one connection; more are dropped, reason flood (0: no limit)',
  },
  strict: {
    argument: '',
    fallback: 'false',
    meaning: 'answer 400 to what would otherwise pass unread',
  },
  tag: {
    argument: 'NAME=literal:V|header:H[:DEFAULT]|env:E[:DEFAULT]|baggage:K',
    repeat: true,
    fallback: '',
    meaning: 'custom tags',
  },
  'max-path-tag-length': { argument: 'N', fallback: '256', meaning: 'bytes of the path shown in spans' },
  'allow-query': {
    argument: 'NAME',
    repeat: true,
    fallback: '',
    meaning: 'query parameters whose values spans may show',
  },
  'span-attributes': {
    argument: 'envoy|semconv|both',
    fallback: 'both',
    meaning: "Envoy's tag names, OpenTelemetry's stable HTTP conventions, or both",
  },
  admin: { argument: 'HOST:PORT', fallback: '127.0.0.1:15000', meaning: 'admin pages and metrics' },
  concurrency: { argument: 'N', fallback: '1', meaning: 'worker processes that accept from the same sockets' },
} as const satisfies Readonly<Record<string, Option>>;

/** Flag values as text, by long name without dashes; repeatable flags are arrays, a switch that is given is 'true'. */
export type FlagValues = Readonly<Record<string, string | readonly string[] | undefined>>;

export type OptionName = keyof typeof table;

export const options: Readonly<Record<OptionName, Option>> = table;
