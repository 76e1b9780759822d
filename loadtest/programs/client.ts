// The load generator when wrk is not installed: raw keep-alive connections, one request in flight on each.
import { connect } from 'node:net';
import { encodeRequest, scenarios } from '../scenario.ts';

const [name = '', portText = '', secondsText = ''] = process.argv.slice(2);
const scenario = scenarios.find((candidate) => candidate.name === name);
if (scenario === undefined) throw new Error(`unknown scenario ${name}`);

const port = Number(portText);
const requests = Array.from({ length: scenario.variants }, () =>
  Buffer.from(encodeRequest(scenario, `127.0.0.1:${port}`), 'latin1'),
);
const latenciesUs: number[] = [];
let errors = 0;
let next = 0;
let open = scenario.connections;
const startedAt = performance.now();
const stopAt = startedAt + Number(secondsText) * 1000;

function report(): void {
  latenciesUs.sort((a, b) => a - b);
  const percentile = (p: number): number => latenciesUs[Math.floor((latenciesUs.length - 1) * p)] ?? 0;
  const result = {
    requests: latenciesUs.length,
    durationUs: Math.round((performance.now() - startedAt) * 1000),
    errors,
    p50Us: Math.round(percentile(0.5)),
    p99Us: Math.round(percentile(0.99)),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** Bytes of the response at the start of `text`, 0 when it is not complete. Every peer answers with a length. */
function responseBytes(text: string): number {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return 0;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1];
  const total = end + 4 + Number(length ?? 0);
  return text.length >= total ? total : 0;
}

function drive(): void {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  let sentAt = 0;
  let rest = '';
  const send = (): void => {
    sentAt = performance.now();
    socket.write(requests[next++ % requests.length] as Buffer);
  };
  socket.on('connect', send);
  socket.on('data', (chunk: Buffer) => {
    rest += chunk.toString('latin1');
    const bytes = responseBytes(rest);
    if (bytes === 0) return;
    if (!rest.startsWith('HTTP/1.1 200 ')) errors += 1;
    rest = rest.slice(bytes);
    const now = performance.now();
    latenciesUs.push((now - sentAt) * 1000);
    if (now < stopAt) send();
    else socket.end();
  });
  socket.on('error', () => {
    errors += 1;
  });
  socket.on('close', () => {
    open -= 1;
    if (open === 0) report();
  });
}

for (let i = 0; i < scenario.connections; i++) drive();
