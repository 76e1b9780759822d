// Speaks to a Zipkin backend: OTLP requests translated to v2 JSON.
import { decodeRequest } from '../../formats/otlp/decode.ts';
import { fullSuccess } from '../../formats/otlp/response.ts';
import { encodeZipkinJson, translateRequest } from '../../formats/zipkin/translate.ts';
import { createHttpTransport } from '../../runtime/export/http-transport.ts';
import type { BackendClient } from './queued-exporter.ts';

/** A client that POSTs JSON lists. Zipkin answers 202 before it stores, and knows no partial success. */
export function createZipkinClient(url: string, timeoutMs: number): BackendClient {
  const transport = createHttpTransport({ url, contentType: 'application/json', timeoutMs });
  return {
    send: (request) => transport.send(encodeZipkinJson(translateRequest(decodeRequest(request)))),
    readPartialSuccess: () => fullSuccess,
    close: () => transport.close(),
  };
}
