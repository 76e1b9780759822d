// Connections that send nothing, in turn: `silent-client PORT COUNT`. At most so many are open at a time, the oldest goes first.
import { connect, type Socket } from 'node:net';

const port = Number(process.argv[2]);
const count = Number(process.argv[3]);
const mostOpen = 500;
const atOnce = 32;
const sources = 8;
const open: Socket[] = [];
let opened = 0;
let failed = 0;

async function one(index: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${1 + (index % sources)}` });
  await new Promise<void>((resolve) => {
    socket.once('connect', () => {
      open.push(socket);
      resolve();
    });
    socket.once('error', () => {
      failed += 1;
      resolve();
    });
  });
  socket.on('error', () => socket.destroy());
  if (open.length > mostOpen) open.shift()?.resetAndDestroy();
}

const startedMs = performance.now();
async function lane(): Promise<void> {
  while (opened < count) await one(opened++);
}
await Promise.all(Array.from({ length: atOnce }, lane));
for (const socket of open) socket.destroy();
const durationUs = Math.round((performance.now() - startedMs) * 1000);
process.stdout.write(`${JSON.stringify({ opened, failed, durationUs })}\n`);
