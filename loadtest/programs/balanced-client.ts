// A client with a balancer: `balanced-client RATE PORT:ADMIN…` sends requests on a schedule to the replicas that are ready.
// SIGUSR2 prints the counters; SIGTERM ends the schedule, waits for the answers, prints them and exits.
import { Agent, get } from 'node:http';
import { Histogram } from '../histogram.ts';

const [rateText = '', ...places] = process.argv.slice(2);
const rate = Number(rateText);
const pollMs = 20;

interface Replica {
  readonly port: number;
  readonly adminPort: number;
  readonly agent: Agent;
  ready: boolean;
}

const replicas: readonly Replica[] = places.map((place) => {
  const [port = 0, adminPort = 0] = place.split(':').map(Number);
  return { port, adminPort, agent: new Agent({ keepAlive: true, maxSockets: 64 }), ready: false };
});
const latency = new Histogram();
const reasons: Record<string, number> = {};
let sent = 0;
let answered = 0;
let retried = 0;
let inFlight = 0;
let turn = 0;
let stopping = false;

function choose(): Replica | undefined {
  for (let tries = 0; tries < replicas.length; tries++) {
    const replica = replicas[turn++ % replicas.length];
    if (replica?.ready === true) return replica;
  }
  return undefined;
}

function failed(why: string): void {
  reasons[why] = (reasons[why] ?? 0) + 1;
  inFlight -= 1;
}

/** A connection that was refused has carried nothing: the request goes to the next replica, as balancers do. */
function send(dueMs: number): void {
  const replica = choose();
  if (replica === undefined) {
    failed('no replica is ready');
    return;
  }
  const { port, agent } = replica;
  let answering = false;
  const request = get({ port, host: '127.0.0.1', agent, timeout: 10_000 }, (response) => {
    answering = true;
    response.resume();
    response.on('error', () => {});
    response.on('close', () => {
      if (!response.complete) failed('answer cut short');
      else if (response.statusCode !== 200) failed(`status ${response.statusCode}`);
      else {
        answered += 1;
        inFlight -= 1;
        latency.add((performance.now() - dueMs) * 1000);
      }
    });
  });
  request.on('timeout', () => request.destroy(new Error('timeout')));
  request.on('error', (error: NodeJS.ErrnoException) => {
    if (answering) return;
    if (error.code !== 'ECONNREFUSED') {
      failed(error.code ?? error.message);
      return;
    }
    retried += 1;
    setReady(replica, false);
    send(dueMs);
  });
}

function setReady(replica: Replica, ready: boolean): void {
  replica.ready = ready;
  if (ready) return;
  for (const sockets of Object.values(replica.agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

function poll(replica: Replica): void {
  const again = (ready: boolean): void => {
    if (ready !== replica.ready || !ready) setReady(replica, ready);
    setTimeout(() => poll(replica), pollMs);
  };
  const request = get({ port: replica.adminPort, host: '127.0.0.1', path: '/ready', agent: false }, (response) => {
    response.resume();
    response.on('close', () => again(response.statusCode === 200));
  });
  request.on('error', () => again(false));
}

function print(): void {
  const figures = { sent, answered, failed: sent - answered - inFlight, retried, reasons };
  const times = { p50Ms: latency.percentileMs(50), p99Ms: latency.percentileMs(99), maxMs: latency.percentileMs(100) };
  process.stdout.write(`${JSON.stringify({ ...figures, ...times })}\n`);
}

function step(startMs: number): void {
  const nowMs = performance.now();
  while (!stopping && startMs + (sent * 1000) / rate <= nowMs) {
    const dueMs = startMs + (sent * 1000) / rate;
    sent += 1;
    inFlight += 1;
    send(dueMs);
  }
  if (stopping && inFlight === 0) {
    print();
    process.exit(0);
  }
  setTimeout(() => step(startMs), 1);
}

process.on('SIGUSR2', print);
process.once('SIGTERM', () => {
  stopping = true;
});
for (const replica of replicas) poll(replica);
const whenReady = setInterval(() => {
  if (!replicas.every(({ ready }) => ready)) return;
  clearInterval(whenReady);
  step(performance.now());
}, 10);
