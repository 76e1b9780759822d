// The threads beside the event loop's come last for a core.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';

const skip = process.platform === 'linux' ? false : 'priorities of threads are told by /proc';

/** Prints the nice value of the main thread, then those of the others. */
const program = `
import { readdirSync, readFileSync } from 'node:fs';
import { putBackgroundThreadsLast } from './src/runtime/supervisor/background-threads.ts';
putBackgroundThreadsLast();
const nice = (thread) => Number(readFileSync('/proc/self/task/' + thread + '/stat', 'latin1').split(') ').at(-1).split(' ')[16]);
const threads = readdirSync('/proc/self/task').map(Number);
console.log(JSON.stringify([nice(process.pid), threads.filter((one) => one !== process.pid).map(nice)]));
`;

test("every thread but the event loop's has the lowest priority", { skip }, () => {
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program];
  const [main, others] = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as [number, number[]];
  assert.ok(main < 19, `the event loop: ${main}`);
  assert.ok(others.length >= 4, 'V8 has threads');
  // Threads that libuv or tsx started later are as they were.
  assert.ok(others.filter((nice) => nice === 19).length >= 4, others.join(' '));
});
