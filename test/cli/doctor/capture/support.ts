// A machine for the doctor's tests: rules as the iptables command prints them, sockets as the kernel lists them.
import type { Machine } from '../../../../src/cli/doctor/capture/namespace.ts';
import type { ObservedCapture } from '../../../../src/cli/doctor/capture/observed.ts';
import { defaultFlags, type IptablesFlags, parseIptablesConfig, print } from '../../../../src/iptables/main.ts';

/** What `iptables-save` would show of the rules that these flags ask for, of both families. */
export function savedRules(flags: Partial<IptablesFlags> = {}): string {
  return print(parseIptablesConfig({ ...defaultFlags, ipv6: 'off', ...flags }));
}

export interface FakeSocket {
  /** As in /proc/net/tcp: the address in hexadecimal words. */
  readonly address: string;
  readonly port: number;
  readonly uid: number;
  readonly pid?: number;
  readonly gid?: number;
}

export interface FakeMachine {
  readonly sockets?: readonly FakeSocket[];
  readonly sockets6?: readonly FakeSocket[];
  /** By the program that shows them. */
  readonly programs?: Readonly<Record<string, string>>;
  readonly addresses?: readonly string[];
}

const header = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';

export function fakeMachine({ sockets = [], sockets6 = [], programs = {}, addresses = [] }: FakeMachine): Machine {
  const rows = (list: readonly FakeSocket[], first: number) =>
    list.map(({ address, port, uid }, i) => {
      const local = `${address}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
      return `   ${i}: ${local} ${'0'.repeat(address.length)}:0000 0A 00000000:00000000 00:00000000 00000000  ${uid}        0 ${first + i} 1 0 100 0 0 10 0\n`;
    });
  const files = new Map([
    ['/proc/net/tcp', header + rows(sockets, 100).join('')],
    ['/proc/net/tcp6', header + rows(sockets6, 200).join('')],
  ]);
  const links = new Map<string, string>();
  const folders = new Map<string, string[]>([['/proc', ['net', 'self']]]);
  for (const [list, first] of [[sockets, 100] as const, [sockets6, 200] as const]) {
    for (const [i, { pid, gid = 0, uid }] of list.entries()) {
      if (pid === undefined) continue;
      folders.get('/proc')!.push(String(pid));
      folders.set(`/proc/${pid}/fd`, ['0', '7']);
      links.set(`/proc/${pid}/fd/0`, '/dev/null');
      links.set(`/proc/${pid}/fd/7`, `socket:[${first + i}]`);
      files.set(
        `/proc/${pid}/status`,
        `Name:\tshop\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\nGid:\t0\t${gid}\t${gid}\t${gid}\n`,
      );
    }
  }
  return {
    readText: (path) => files.get(path),
    readLink: (path) => links.get(path),
    list: (path) => folders.get(path) ?? [],
    run: (program) => programs[program],
    addresses: () => addresses,
  };
}

export const allV4: ObservedCapture = {
  mode: 'redirect',
  iptables: 'tracecar',
  captured: ['inbound ipv4', 'outbound ipv4'],
  notCaptured: [],
  unknown: [],
  inboundPort: 15006,
  outboundPort: 15001,
};
