// Headless Chromium for the viewer's tests: the page as it stands after its scripts have run, and keys pressed on it.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The browser's path: `$CHROMIUM`, or the first known name in `$PATH`; undefined where there is none. */
export function findBrowser(): string | undefined {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const candidates = names.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  return [process.env.CHROMIUM, ...candidates].find((file) => file !== undefined && isExecutable(file));
}

function makeProfile(): Promise<string> {
  return mkdtemp(path.join(tmpdir(), 'viewer-test-'));
}

function dropProfile(profile: string): Promise<void> {
  return rm(profile, { recursive: true, force: true, maxRetries: 5 });
}

/** The serialised document at `url` once it has been drawn. */
export async function dumpDom(browser: string, url: string): Promise<string> {
  const profile = await makeProfile();
  try {
    const args = [...flags, '--virtual-time-budget=5000', `--user-data-dir=${profile}`, '--dump-dom', url];
    const { stdout } = await promisify(execFile)(browser, args, { timeout: 60_000, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } finally {
    await dropProfile(profile);
  }
}

export interface Page {
  /** The value of an expression in the page; promises are awaited. */
  evaluate(expression: string): Promise<unknown>;
  /** Presses and releases one key on whatever has the focus. */
  press(key: string): Promise<void>;
}

const keyCodes: Readonly<Record<string, number>> = {
  Tab: 9,
  Enter: 13,
  Escape: 27,
  ArrowLeft: 37,
  ArrowUp: 38,
  ArrowRight: 39,
  ArrowDown: 40,
};

/** Opens a page and waits until the viewer says that it is drawn; the browser ends with the test. */
export async function openPage(t: TestContext, browser: string, url: string): Promise<Page> {
  const profile = await makeProfile();
  const args = [...flags, `--user-data-dir=${profile}`, '--remote-debugging-port=0', 'about:blank'];
  const child = spawn(browser, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(async () => {
    const gone = child.exitCode === null ? once(child, 'exit') : undefined;
    child.kill();
    await gone;
    await dropProfile(profile);
  });
  const call = await connect(t, await debuggerPort(child));
  const evaluate = async (expression: string) => {
    const answer = await call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    return (answer.result as { value?: unknown } | undefined)?.value;
  };
  await call('Page.navigate', { url });
  const drawn = "document.querySelector('main[data-ready]') !== null";
  // The old document's context ends somewhere in the navigation, so nothing in the page can be awaited yet.
  for (const deadline = Date.now() + 30_000; (await evaluate(drawn)) !== true; ) {
    if (Date.now() > deadline) throw new Error(`${url} was not drawn within 30 s`);
    await setTimeout(20);
  }
  return {
    evaluate,
    async press(key) {
      const event = { key, code: key, windowsVirtualKeyCode: keyCodes[key] ?? key.toUpperCase().charCodeAt(0) };
      const text = key === 'Enter' ? '\r' : key.length === 1 ? key : undefined;
      await call('Input.dispatchKeyEvent', { type: 'keyDown', ...event, ...(text === undefined ? {} : { text }) });
      await call('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
    },
  };
}

/** Chromium writes the address of its debugging port to stderr. */
async function debuggerPort(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stderr! })) {
    const address = /listening on (ws:\S+)/.exec(line)?.[1];
    if (address !== undefined) return new URL(address).port;
  }
  throw new Error('the browser ended before it opened its debugging port');
}

type Call = (method: string, params: object) => Promise<Readonly<Record<string, unknown>>>;

/** Calls to the one open tab, over the DevTools protocol. */
async function connect(t: TestContext, port: string): Promise<Call> {
  const response = await fetch(`http://127.0.0.1:${port}/json`);
  const tabs = (await response.json()) as { type: string; webSocketDebuggerUrl: string }[];
  const socket = new WebSocket(tabs.find((tab) => tab.type === 'page')!.webSocketDebuggerUrl);
  await once(socket, 'open');
  t.after(() => socket.terminate());
  const waiting = new Map<number, (result: Readonly<Record<string, unknown>>) => void>();
  socket.on('message', (data) => {
    const { id, result, error } = JSON.parse(String(data));
    waiting.get(id)?.(result ?? { error });
  });
  let calls = 0;
  return (method, params) => {
    const id = ++calls;
    return new Promise((resolve) => {
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ id, method, params }));
    });
  };
}
