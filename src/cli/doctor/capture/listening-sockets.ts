// Who listens in this network namespace, by the kernel's own tables, and as which user and group where that can be seen.
import type { Family } from './saved-rules.ts';

/** What of the machine is read; a fake stands for it in tests. */
export interface ProcessFiles {
  /** undefined when it is not there or may not be read. */
  readText(path: string): string | undefined;
  readLink(path: string): string | undefined;
  list(path: string): readonly string[];
}

export interface ListeningSocket {
  readonly family: Family;
  /** In the usual notation; `::` and `0.0.0.0` are all addresses. */
  readonly address: string;
  readonly port: number;
  readonly uid: number;
  /** Of a process that holds it; undefined when no such process can be seen. */
  readonly owner: { readonly pid: number; readonly name: string; readonly gid: number } | undefined;
}

const listening = '0A';

/** The listening TCP sockets of both families, by port. */
export function findListeningSockets(files: ProcessFiles): ListeningSocket[] {
  const rows = (['ipv4', 'ipv6'] as const).flatMap((family) =>
    parseTable(files.readText(`/proc/net/${family === 'ipv4' ? 'tcp' : 'tcp6'}`) ?? '', family),
  );
  const owners = findOwners(files, new Set(rows.map(({ inode }) => inode)));
  return rows
    .map(({ inode, ...socket }) => ({ ...socket, owner: owners.get(inode) }))
    .toSorted((a, b) => a.port - b.port);
}

function parseTable(text: string, family: Family) {
  const rows = text.split('\n').slice(1);
  return rows.flatMap((row) => {
    const [, local = '', , state, , , , uid, , inode = ''] = row.trim().split(/\s+/);
    if (state !== listening) return [];
    const [address = '', port = ''] = local.split(':');
    const host = family === 'ipv4' ? toIpv4(wordBytes(address)) : toIpv6(wordBytes(address));
    return [{ family, address: host, port: Number.parseInt(port, 16), uid: Number(uid), inode }];
  });
}

/** The kernel writes each word of four bytes as a number of this machine, which is little-endian wherever Node runs. */
function wordBytes(hex: string): Buffer {
  const bytes = Buffer.from(hex, 'hex');
  return bytes.length % 4 === 0 ? bytes.swap32() : bytes;
}

function toIpv4(bytes: Buffer): string {
  return bytes.join('.');
}

function toIpv6(bytes: Buffer): string {
  const groups = Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** The processes that hold sockets, by inode: as many as this process may look into. */
function findOwners(files: ProcessFiles, inodes: ReadonlySet<string>) {
  const owners = new Map<string, NonNullable<ListeningSocket['owner']>>();
  for (const pid of files.list('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of files.list(`/proc/${pid}/fd`)) {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(files.readLink(`/proc/${pid}/fd/${descriptor}`) ?? '') ?? [];
      if (inode === undefined || !inodes.has(inode) || owners.has(inode)) continue;
      const status = files.readText(`/proc/${pid}/status`) ?? '';
      // Real, effective, saved, file system: the rules ask for the last, which follows the second.
      const gid = Number(/^Gid:\s+\d+\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN);
      const name = /^Name:\s+(.*)$/m.exec(status)?.[1] ?? '';
      if (!Number.isNaN(gid)) owners.set(inode, { pid: Number(pid), name, gid });
    }
  }
  return owners;
}
