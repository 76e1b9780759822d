// The gates of the forward proxy without sockets: whatever way the bytes are cut, the same messages go on.
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Exchange } from '../../../src/sidecar/exchange.ts';
import { RequestGate } from '../../../src/sidecar/forward-proxy/request-gate.ts';
import { ResponseGate } from '../../../src/sidecar/forward-proxy/response-gate.ts';
import { cut } from '../observed.ts';

interface Answer {
  readonly method: string;
  readonly bytes: string;
  /** What the client is to see of it. */
  readonly shown: string;
}

const payload = fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0', 'HTTP/1.1 200 OK\r\n\r\n'), maxLength: 6 });
const chunks = fc
  .array(
    payload.filter((text) => text !== ''),
    { maxLength: 3 },
  )
  .map(
    (parts) => `${parts.map((part) => `${part.length.toString(16)};x=y\r\n${part}\r\n`).join('')}0\r\nX-T: 1\r\n\r\n`,
  );
const extra = fc.constantFrom('', 'Proxy-Authenticate: Basic\r\n', 'X-Proxy-Authenticate: no\r\n');
const interim = fc.constantFrom('', 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n');

const answer: fc.Arbitrary<Answer> = fc
  .record({ interim, extra, method: fc.constantFrom('GET', 'HEAD'), kind: fc.nat(3), payload, chunks })
  .map(({ interim: before, extra: line, method, kind, payload: text, chunks: coded }) => {
    const length = `Content-Length: ${text.length}\r\n`;
    const [status, framing, body] = [
      ['200 OK', length, text],
      ['200 OK', 'Transfer-Encoding: chunked\r\n', coded],
      ['204 No', '', ''],
      ['304 Same', length, ''],
    ][kind] as [string, string, string];
    const make = (shown: string) =>
      `${before}HTTP/1.1 ${status}\r\nA: b\r\n${shown}${framing}\r\n${method === 'HEAD' ? '' : body}`;
    return { method, bytes: make(line), shown: make(line.startsWith('Proxy') ? '' : line) };
  });

test('answers pass as they came but for what was meant for another, one at a time, cut at any bytes', () => {
  fc.assert(
    fc.property(
      fc.array(answer, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (answers, at) => {
        const passed = [''];
        let unsolicited = 0;
        const exchange = new Exchange();
        const gate = new ResponseGate(65536, {
          pending() {
            const current = answers[passed.length - 1];
            exchange.method = current?.method ?? '';
            return current === undefined ? undefined : exchange;
          },
          pass(bytes, from, to) {
            const whole = passed.at(-1) + bytes.toString('latin1', from, to);
            passed[passed.length - 1] = whole;
            if (whole.length === answers[passed.length - 1]?.shown.length) passed.push('');
          },
          unsolicited: () => unsolicited++,
        });
        const excess = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged';
        for (const piece of cut(answers.map(({ bytes }) => bytes).join('') + excess, at)) {
          const bytes = Buffer.from(piece, 'latin1');
          gate.read(bytes, bytes.length);
          bytes.fill(0x58);
        }
        assert.deepEqual(passed, [...answers.map(({ shown }) => shown), '']);
        assert.ok(unsolicited > 0);
      },
    ),
    { numRuns: 400 },
  );
});

test('requests begin when they may, with heads and bodies as they came, cut at any bytes', () => {
  const request = fc.record({ payload, chunks, kind: fc.nat(2) }).map(({ payload: text, chunks: coded, kind }) => {
    const head = (framing: string) => `POST http://h/ HTTP/1.1\r\nA: b\r\n${framing}\r\n`;
    if (kind === 0) return { head: head(''), body: '' };
    if (kind === 1) return { head: head(`Content-Length: ${text.length}\r\n`), body: text };
    return { head: head('Transfer-Encoding: chunked\r\n'), body: coded };
  });
  fc.assert(
    fc.property(
      fc.array(request, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      fc.array(fc.boolean(), { maxLength: 30 }),
      (requests, at, refusals) => {
        const seen: { head: string; body: string }[] = [];
        const ends: number[] = [];
        const refused = [...refusals];
        const gate = new RequestGate(65536, {
          mayBegin(_head, framing, text) {
            if (refused.pop() === true) return false;
            assert.equal(framing.doubt, undefined);
            seen.push({ head: text, body: '' });
            return true;
          },
          body(bytes, from, to) {
            const last = seen.at(-1)!;
            seen[seen.length - 1] = { ...last, body: last.body + bytes.toString('latin1', from, to) };
          },
          ended: () => ends.push(seen.length),
          bodyBroken: () => assert.fail('the body is whole'),
          doubt: (reason) => assert.fail(reason),
        });
        let left = '';
        const pieces = [...cut(requests.map(({ head, body }) => head + body).join(''), at), '', ''];
        for (let i = 0; i < pieces.length || gate.waiting || left !== ''; i++) {
          gate.retry();
          const bytes = Buffer.from(left + (pieces[i] ?? ''), 'latin1');
          left = bytes.toString('latin1', gate.read(bytes, 0, bytes.length));
          bytes.fill(0x58);
        }
        assert.deepEqual(seen, requests);
        assert.deepEqual(
          ends,
          requests.map((_, i) => i + 1),
        );
      },
    ),
    { numRuns: 400 },
  );
});

test('behind an upgrade nothing is read until it is settled', () => {
  const seen: string[] = [];
  const gate = new RequestGate(65536, {
    mayBegin(_head, _framing, text) {
      seen.push(text.split(' ')[0]!);
      return true;
    },
    body: () => {},
    ended: () => {},
    bodyBroken: () => assert.fail('there is no body'),
    doubt: (reason) => seen.push(reason),
  });
  const upgrade = 'GET http://h/ HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n';
  const bytes = Buffer.from(`${upgrade}\0\0\0`);
  assert.equal(gate.read(bytes, 0, bytes.length), upgrade.length);
  assert.equal(gate.atBarrier, true);
  gate.liftBarrier();
  assert.equal(gate.read(bytes, upgrade.length, bytes.length), bytes.length);
  assert.deepEqual(seen, ['GET', 'not_http']);
});
