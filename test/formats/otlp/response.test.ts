import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeResponse,
  encodeResponse,
  encodeStatus,
  fullSuccess,
  readRetryDelayMs,
  responseJson,
  statusJson,
} from '../../../src/formats/otlp/response.ts';
import { decodeResponseByOracle, decodeRpcByOracle, encodeResponseByOracle, encodeRpcByOracle } from './oracle.ts';

const partial = { rejectedSpans: 3, errorMessage: 'span 2: no trace_id' };

test('a full success is zero bytes and an empty object', () => {
  assert.equal(encodeResponse(fullSuccess).byteLength, 0);
  assert.equal(responseJson(fullSuccess), '{}');
});

test('a partial success says how many and why, and a warning why alone', () => {
  assert.deepEqual(decodeResponseByOracle(encodeResponse(partial)), {
    partialSuccess: { rejectedSpans: '3', errorMessage: 'span 2: no trace_id' },
  });
  assert.equal(responseJson(partial), '{"partialSuccess":{"rejectedSpans":"3","errorMessage":"span 2: no trace_id"}}');
  const warning = { rejectedSpans: 0, errorMessage: 'left out' };
  assert.deepEqual(decodeResponse(encodeResponse(warning)), warning);
  assert.equal(responseJson(warning), '{"partialSuccess":{"errorMessage":"left out"}}');
});

test('answers of other servers are read: absent, empty and filled partial success, and noise', () => {
  assert.deepEqual(decodeResponse(new Uint8Array()), fullSuccess);
  assert.deepEqual(decodeResponse(Buffer.from([0x0a, 0x00])), fullSuccess);
  assert.deepEqual(decodeResponse(encodeResponseByOracle({ partialSuccess: partial })), partial);
  assert.deepEqual(decodeResponse(Buffer.from('<html>')), fullSuccess);
});

test('an error carries code and message', () => {
  assert.deepEqual(decodeRpcByOracle('Status', encodeStatus(3, 'cut short')), {
    code: 3,
    message: 'cut short',
  });
  assert.equal(statusJson(3, 'cut "short"'), '{"code":3,"message":"cut \\"short\\""}');
});

test('the delay of a RetryInfo is found among other details', () => {
  const retryInfo = (seconds: number, nanos: number) => ({
    typeUrl: 'type.googleapis.com/google.rpc.RetryInfo',
    value: encodeRpcByOracle('RetryInfo', { retryDelay: { seconds, nanos } }),
  });
  const other = { typeUrl: 'type.googleapis.com/google.rpc.DebugInfo', value: Buffer.from([0x0a, 1, 65]) };
  const status = (details: object[]) => encodeRpcByOracle('Status', { code: 14, message: 'later', details });
  assert.equal(readRetryDelayMs(status([other, retryInfo(2, 500_000_000)])), 2_500);
  assert.equal(readRetryDelayMs(status([retryInfo(0, 0)])), 0);
  assert.equal(readRetryDelayMs(status([other])), undefined);
  assert.equal(readRetryDelayMs(status([])), undefined);
  assert.equal(readRetryDelayMs(Buffer.from([0x1a, 0x7f])), undefined);
});
