// Runs one attack against a port until SIGTERM, then prints how much of it there was: `attacker NAME PORT`.
import os from 'node:os';
import { Tools } from '../attack.ts';
import { attackList } from '../attacks.ts';

const [name = '', port = ''] = process.argv.slice(2);
const attack = attackList.find((candidate) => candidate.name === name);
if (attack === undefined) throw new Error(`unknown attack ${name}`);
// The neighbour's client and server share this core and come first: what is to be seen is the sidecar's part. This is
// for machines without chrt, by which the benchmark starts it below everyone else.
os.setPriority(19);
const tools = new Tools(Number(port));
attack.run(tools);
// Connections that are not read keep no process alive.
setInterval(() => {}, 60_000);
process.stdout.write('{"started":true}\n');
process.once('SIGTERM', () => {
  const { connections, actions } = tools;
  process.stdout.write(`${JSON.stringify({ connections, actions })}\n`, () => process.exit(0));
});
