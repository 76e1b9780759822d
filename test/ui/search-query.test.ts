import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './static.ts';

const { searchPath, parseTags } = await load<{
  searchPath(parameters: URLSearchParams, nowMs: number): string;
  parseTags(text: string): Record<string, string>;
}>('search-query.js');

const nowMs = 1_700_000_000_000;

function query(page: string): Record<string, string> {
  const url = new URL(searchPath(new URLSearchParams(page), nowMs), 'http://x');
  assert.equal(url.pathname, '/api/traces');
  return Object.fromEntries(url.searchParams);
}

test('without parameters it asks for the newest 20 of everything stored', () => {
  assert.deepEqual(query(''), { service: '*', limit: '20', start: '0', end: `${nowMs + 86_400_000}000` });
});

test('every field of the form has its parameter', () => {
  const page = 'service=a%26b&operation=GET%20/&tags=code%3D503&errors=1&min=5ms&max=1s&lookback=1h&limit=7';
  assert.deepEqual(query(page), {
    service: 'a&b',
    operation: 'GET /',
    tags: '{"code":"503","error":"true"}',
    minDuration: '5ms',
    maxDuration: '1s',
    limit: '7',
    start: `${nowMs - 3_600_000}000`,
    end: `${nowMs + 86_400_000}000`,
  });
});

test('attributes are read as logfmt, with quotes for spaces', () => {
  assert.deepEqual(
    { ...parseTags('a=1  b.c="two words" d="q\\"q" e= junk f=x=y') },
    {
      a: '1',
      'b.c': 'two words',
      d: 'q"q',
      e: '',
      f: 'x=y',
    },
  );
  const hostile = parseTags('__proto__=x');
  assert.equal(JSON.stringify(hostile), '{"__proto__":"x"}');
  assert.equal(Object.getPrototypeOf(hostile), Object.prototype);
});
