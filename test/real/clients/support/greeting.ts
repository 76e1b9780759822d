// How long a server that speaks first takes to greet a client that says nothing.
import { once } from 'node:events';
import net from 'node:net';

/** Connects and waits for the first bytes; resolves with them and the milliseconds from `connect()` on. */
export async function greeting(port: number): Promise<{ readonly text: string; readonly ms: number }> {
  const startMs = performance.now();
  const socket = net.connect(port, '127.0.0.1');
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  const ms = performance.now() - startMs;
  socket.destroy();
  await once(socket, 'close');
  return { text: chunk.toString('latin1'), ms };
}

/** The fastest of `tries` greetings in milliseconds: a wait for bytes that might come would be in each of them. */
export async function fastestGreetingMs(port: number, tries = 11): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < tries; i++) times.push((await greeting(port)).ms);
  return Math.min(...times);
}
