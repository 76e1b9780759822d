// Opens connections and keeps them: `idle-client PORT COUNT request|silent`. SIGUSR2 sends a request on each of them.
import { connect, type Socket } from 'node:net';

const [portText = '', countText = '', mode = ''] = process.argv.slice(2);
const port = Number(portText);
const count = Number(countText);
const request = 'GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n';
/** Connections being opened, or answers being waited for, at a time. */
const window = 64;
/** Several source addresses, so that ports do not get short. */
const sources = 8;
const sockets: Socket[] = [];

/** Calls `one` for 0 to `total - 1`, at most `window` at a time; resolves to how many threw. */
async function inTurn(total: number, one: (index: number) => Promise<void>): Promise<number> {
  let next = 0;
  let failed = 0;
  const lane = async (): Promise<void> => {
    while (next < total) {
      await one(next++).catch(() => {
        failed += 1;
      });
    }
  };
  await Promise.all(Array.from({ length: window }, lane));
  return failed;
}

async function open(index: number): Promise<void> {
  const localAddress = `127.0.0.${1 + (index % sources)}`;
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, localAddress });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => socket.destroy());
  sockets.push(socket);
  if (mode === 'request') await ask(socket);
}

/** One request and its whole answer; rejects when the connection ends or the answer is not 200. */
async function ask(socket: Socket | undefined): Promise<void> {
  if (socket === undefined || socket.destroyed) throw new Error('closed');
  await new Promise<void>((resolve, reject) => {
    let text = '';
    const end = (how: () => void): void => {
      socket.off('data', read).off('close', closed);
      how();
    };
    const closed = (): void => end(() => reject(new Error('closed')));
    const read = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      const head = text.indexOf('\r\n\r\n');
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? 0);
      if (head < 0 || text.length < head + 4 + length) return;
      end(() => (text.startsWith('HTTP/1.1 200 ') ? resolve() : reject(new Error('status'))));
    };
    socket.on('data', read).once('close', closed);
    socket.write(request);
  });
}

process.on('SIGUSR2', async () => {
  const failed = await inTurn(sockets.length, async (index) => await ask(sockets[index]));
  process.stdout.write(`${JSON.stringify({ answered: sockets.length - failed, failed })}\n`);
});

const failed = await inTurn(count, open);
process.stdout.write(`${JSON.stringify({ open: sockets.length, failed })}\n`);
