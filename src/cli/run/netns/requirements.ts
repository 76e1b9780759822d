// What a network namespace takes on this machine, checked before anything of it is made.
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { errorCode, errorMessage, UsageError } from '../../../runtime/usage-error.ts';
import { loadNamespaceCalls } from './namespace-sockets.ts';

const capabilities: Readonly<Record<string, number>> = { SETGID: 6, SETUID: 7, NET_ADMIN: 12, SYS_ADMIN: 21 };

/** Programs, and the package that has each. */
const programs: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  iptables: 'iptables',
  'iptables-restore': 'iptables',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  flock: 'util-linux',
};

const systemFolders = ['/usr/sbin', '/sbin', '/usr/local/sbin', '/usr/bin', '/bin'];

/** PATH with the folders of the system's administration: a user's own, kept by sudo, may lack them. */
export function systemPath(): string {
  return [...(process.env.PATH ?? '').split(path.delimiter).filter((folder) => folder !== ''), ...systemFolders].join(
    path.delimiter,
  );
}

/** @throws UsageError naming the first thing that is missing */
export function requireNamespaces(): void {
  if (process.platform !== 'linux')
    throw new UsageError(`--netns: network namespaces need Linux, not ${process.platform}`);
  const held = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`);
  const lacking = Object.entries(capabilities).filter(([, bit]) => (held & (1n << BigInt(bit))) === 0n);
  if (lacking.length > 0) {
    const names = lacking.map(([name]) => name).join(', ');
    throw new UsageError(`--netns: needs root (the capabilities ${names} are missing); run it by sudo`);
  }
  for (const [program, source] of Object.entries(programs)) {
    if ('failure' in findProgram(program, systemPath())) {
      throw new UsageError(`--netns: ${program} is not installed; it is in the package ${source}`);
    }
  }
  try {
    loadNamespaceCalls();
  } catch (error) {
    throw new UsageError(`--netns: needs koffi, which cannot be loaded: ${errorMessage(error).split('\n', 1)[0]}`);
  }
}

/** Whether IPv6 is on, and its rules can be written. */
export function hasV6(): boolean {
  if ('failure' in findProgram('ip6tables-restore', systemPath())) return false;
  try {
    return readFileSync('/proc/sys/net/ipv6/conf/all/disable_ipv6', 'utf8').trim() === '0';
  } catch {
    return false;
  }
}

export type Found = { readonly path: string } | { readonly failure: 'absent' | 'not executable' };

/** Looks for a program as execvp(3) does. */
export function findProgram(name: string, searchPath: string): Found {
  const folders = searchPath.split(path.delimiter);
  const files = name.includes('/') ? [name] : folders.map((folder) => path.join(folder || '.', name));
  let failure: 'absent' | 'not executable' = 'absent';
  for (const file of files) {
    const { isFile, isExecutable } = look(file);
    if (isFile && isExecutable) return { path: file };
    if (isFile) failure = 'not executable';
  }
  return { failure };
}

function look(file: string): { readonly isFile: boolean; readonly isExecutable: boolean } {
  try {
    if (!statSync(file).isFile()) return { isFile: false, isExecutable: false };
    accessSync(file, constants.X_OK);
    return { isFile: true, isExecutable: true };
  } catch (error) {
    return { isFile: errorCode(error) === 'EACCES', isExecutable: false };
  }
}

/** The path of a program of the system's that `requireNamespaces` has seen. */
export function systemProgram(name: string): string {
  const found = findProgram(name, systemPath());
  return 'path' in found ? found.path : name;
}
