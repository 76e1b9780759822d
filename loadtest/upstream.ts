// The server behind every proxy: nginx answering from memory where it is installed, else our own responder.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { awaitLine, awaitPort, type Child, findProgram, freePort, start, startProgram } from './children.ts';
import { nginxConfig } from './peers/nginx.ts';
import { readPort } from './peers/peer.ts';
import type { Scenario } from './scenario.ts';

export interface Upstream {
  readonly name: string;
  readonly port: number;
  readonly child: Child;
}

/** Starts the upstream on the load generator's core; its files go into `folder`. */
export async function startUpstream(scenario: Scenario, folder: string): Promise<Upstream> {
  const nginx = findProgram('nginx');
  if (nginx === undefined) {
    const child = startProgram('responder', 'load', 'programs/responder.js', String(scenario.responseBody.length));
    return { name: 'node:net responder', port: await awaitLine(child, 'stdout', readPort), child };
  }
  const port = await freePort();
  const file = path.join(folder, 'upstream.conf');
  writeFileSync(file, nginxConfig(folder, port, `location / { return 200 "${scenario.responseBody}"; }`, '', 16_384));
  const child = start('upstream', 'load', [nginx, '-p', folder, '-c', file]);
  await awaitPort(child, port);
  return { name: 'nginx, answering from memory', port, child };
}
